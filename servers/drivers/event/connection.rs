//! What the driver keeps of a connection, split by how long it is needed.
//!
//! ```text
//! Connection   as long as the descriptor is open          at most 80 bytes, no buffer when idle
//!   └ input    while a head or a pipelined tail waits      a pool buffer
//!   └ exchange while a request is between read and sent    an Exchange, from a slab
//! ```
//!
//! A request that is read, answered and sent within one turn never needs an [`Exchange`].

use std::time::Duration;

use http::Connection as Http;
use reactor::net::Stream;
use reactor::{Buffer, EventLoop, Interest, Readiness, Token, Trigger};

use super::offload::Errand;
use super::{SMALL_BYTES, Step};
use crate::access_log::HeldRecord;
use crate::app::Sink;
use crate::app::response::Pieces;

/// What a connection is busy with; names what its next event does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Reads what a balancer says about whom it speaks for; entered only with `--proxy-protocol`.
    Preface,
    /// Reads a head, or waits for one to begin.
    Head,
    /// Reads a body.
    Body,
    /// Sends what a full socket did not take.
    Send,
    /// Waits for a time that the application named.
    Wait,
    /// Its request waits to be handed over to the workplace: for room there.
    Queue,
    /// Its request is at the workplace.
    Work,
    /// The next piece of its response is being read at the workplace, or waits to be.
    Fill,
    /// Has sent everything and FIN; reads until the client has, too (RFC 9112, section 9.6).
    Linger,
}

/// Bits of [`Connection::flags`].
pub(super) mod flag {
    /// An edge said that there is something to read, and it has not all been read.
    pub const READABLE: u16 = 1;
    /// The peer has sent FIN: read on until the end, a short read means nothing.
    pub const PEER_FIN: u16 = 1 << 1;
    /// The held input may contain whole requests: serve it before receiving more.
    pub const PENDING: u16 = 1 << 2;
    /// The deadline is that of a whole head and must not move.
    pub const HEAD_TIMED: u16 = 1 << 3;
    /// The poller watches the descriptor: for something to read, at first.
    pub const WATCHED: u16 = 1 << 4;
    /// The connection ends once its output is sent.
    pub const LAST: u16 = 1 << 5;
    /// It ends with unread input: linger, or the reset would overtake the answer.
    pub const UNREAD: u16 = 1 << 6;
    /// It waits for buffers, in the list of those that have none.
    pub const STARVED: u16 = 1 << 7;
    /// It waits for a buffer, in the list of those that need one only.
    pub const STARVED_FEW: u16 = 1 << 8;
    /// The loop has worked for it in this turn: what it has pipelined lets the others go first.
    pub const WORKED: u16 = 1 << 9;
    /// The poller watches for room to write, too.
    pub const WATCHED_BOTH: u16 = 1 << 10;
}

/// A connection.
pub(super) struct Connection {
    pub stream: Stream,
    pub phase: Phase,
    pub flags: u16,
    /// The request's (or the connection's) start, for its duration: low bits of `now_ms`.
    pub started_ms: u32,
    /// The loop's token, to find it again by slot alone.
    pub token: Token,
    /// Index into the exchanges, or [`NO_EXCHANGE`].
    pub exchange: u32,
    pub http: Http,
    /// Bytes received and not yet consumed.
    pub input: Option<Buffer>,
}

/// No exchange.
pub(super) const NO_EXCHANGE: u32 = u32::MAX;

impl Connection {
    pub fn new(stream: Stream, token: Token, now_ms: u64) -> Self {
        Connection {
            token,
            stream,
            phase: Phase::Head,
            flags: flag::READABLE | flag::HEAD_TIMED,
            started_ms: now_ms as u32,
            exchange: NO_EXCHANGE,
            http: Http::new(),
            input: None,
        }
    }

    #[inline]
    pub fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    #[inline]
    pub fn set(&mut self, flag: u16) {
        self.flags |= flag;
    }

    #[inline]
    pub fn unset(&mut self, flag: u16) {
        self.flags &= !flag;
    }

    /// Takes in what an event said.
    #[inline]
    pub fn note(&mut self, readiness: Readiness) {
        if readiness.is_read_closed() || readiness.is_error() {
            self.set(flag::READABLE | flag::PEER_FIN);
        } else if readiness.is_readable() {
            self.set(flag::READABLE);
        }
    }

    /// Registers a connection that outlives its first turn: for writing only when there is
    /// something to write, for a new socket has room, and the edge that says so costs a turn.
    pub fn watch(&mut self, ev: &mut EventLoop) -> bool {
        self.set(flag::WATCHED);
        let mut interest = Interest::READABLE;
        if matches!(self.phase, Phase::Send | Phase::Fill) {
            self.set(flag::WATCHED_BOTH);
            interest = interest | Interest::WRITABLE;
        }
        ev.watch(self.token, &self.stream, interest, Trigger::Edge).is_ok()
    }

    /// A full socket: from the first on, the poller watches for room, too.
    pub fn watch_room(&mut self, ev: &mut EventLoop) {
        if self.is(flag::WATCHED) && !self.is(flag::WATCHED_BOTH) {
            self.set(flag::WATCHED_BOTH);
            let both = Interest::READABLE | Interest::WRITABLE;
            // Should it fail, the write timeout ends the connection.
            let _ = ev.rewatch(self.token, &self.stream, both, Trigger::Edge);
        }
    }

    /// Has the close to come sent RST: what the client has not taken is not worth the kernel's
    /// memory.
    pub fn reset_on_close(&self) {
        // Best effort: a Unix socket has no such option.
        let _ = self.stream.set_linger(Some(Duration::ZERO));
    }

    /// What to do next when there is nothing to send.
    #[inline]
    pub fn more_input(&self) -> Step {
        if self.is(flag::READABLE | flag::PENDING) { Step::Again } else { Step::Blocked }
    }

    /// What it has sent already must wait: for a time, for the workplace, or until others have had
    /// their turn.
    #[inline]
    pub fn pauses(&self) -> bool {
        let elsewhere = matches!(self.phase, Phase::Wait | Phase::Queue | Phase::Work);
        elsewhere || self.is(flag::WORKED)
    }

    /// It keeps bytes in a buffer that others may be waiting for.
    pub fn holds_large_input(&self) -> bool {
        self.input.as_ref().is_some_and(|input| input.capacity() > SMALL_BYTES)
    }

    /// It has had so long for a head that does not fit into a small buffer, and has not sent all of
    /// it.
    pub fn is_slow_head(&self, now_ms: u64, slow_ms: u64) -> bool {
        let head = matches!(self.phase, Phase::Preface | Phase::Head);
        let begun = head && self.is(flag::HEAD_TIMED) && !self.is(flag::READABLE);
        let age_ms = (now_ms as u32).wrapping_sub(self.started_ms);
        begun && u64::from(age_ms) >= slow_ms && self.holds_large_input()
    }

    /// Nothing is in hand: no byte of a request, no response under way.
    pub fn is_idle(&self) -> bool {
        let waits = self.is(flag::STARVED | flag::STARVED_FEW);
        let head = matches!(self.phase, Phase::Preface | Phase::Head);
        head && self.input.is_none() && self.exchange == NO_EXCHANGE && !waits
    }
}

/// What becomes of the body that is being read.
pub(super) enum Body {
    /// None is.
    None,
    /// It is read and forgotten; the response is already on its way.
    Discard,
    /// It is appended to the held request, up to a limit in bytes.
    Collect(u64),
    /// It goes to the application piece by piece.
    Sink(Box<dyn Sink>),
}

/// The bytes of a request whose buffer has moved on: its head and, if collected, its body.
#[derive(Default)]
pub(super) struct Held {
    pub bytes: Vec<u8>,
    pub head_len: usize,
}

impl Held {
    pub fn new(head: &[u8]) -> Self {
        Held { bytes: head.to_vec(), head_len: head.len() }
    }

    pub fn head(&self) -> &[u8] {
        &self.bytes[..self.head_len]
    }

    pub fn body(&self) -> &[u8] {
        &self.bytes[self.head_len..]
    }
}

/// A request between being read and its response being sent, when that takes more than a turn.
pub(super) struct Exchange {
    /// Head bytes and small bodies that the socket did not take.
    pub output: Option<Buffer>,
    pub pieces: Pieces,
    pub body: Body,
    pub held: Held,
    pub log: Option<Box<HeldRecord>>,
    /// What `held` is to be handed over for, once everything before it is sent.
    pub errand: Option<Errand>,
    /// When the application's wait is over; 0: no wait.
    pub wait_until_ms: u64,
    /// Bytes of the response's body sent so far, for the log; begins below zero by what was in the
    /// buffer before it.
    pub sent: i64,
    /// When a byte last moved, low bits of `now_ms`.
    pub moved_ms: u32,
    /// Bytes that the kernel had and the client had not taken, when last looked at.
    pub unacknowledged: u32,
    /// The present window over which the body's rate is measured: its start and its bytes.
    pub window_ms: u32,
    pub window_bytes: u32,
}

impl Exchange {
    pub fn new(now_ms: u64) -> Self {
        Exchange {
            output: None,
            pieces: Pieces::new(),
            body: Body::None,
            held: Held::default(),
            log: None,
            errand: None,
            wait_until_ms: 0,
            sent: 0,
            moved_ms: now_ms as u32,
            unacknowledged: 0,
            window_ms: now_ms as u32,
            window_bytes: 0,
        }
    }

    /// From now on the time between two pieces of the body runs, and the window over which its rate
    /// is measured.
    pub fn begin_window(&mut self, now_ms: u64) {
        self.moved_ms = now_ms as u32;
        self.window_ms = now_ms as u32;
        self.window_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loop's own share is asserted in the reactor: at most 48 bytes a source.
    #[test]
    fn an_idle_connection_owns_at_most_80_bytes() {
        assert!(size_of::<Option<Connection>>() <= 80, "{}", size_of::<Option<Connection>>());
    }

    #[test]
    fn an_exchange_takes_at_most_208_bytes() {
        assert!(size_of::<Exchange>() <= 208, "{}", size_of::<Exchange>());
    }
}
