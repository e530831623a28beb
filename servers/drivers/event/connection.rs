//! The driver's state of a connection, in addition to its session.
//!
//! ```text
//! Connection   as long as the descriptor is open          at most 80 bytes, no buffer when idle
//!   ├ session  HTTP; has an exchange while a request takes more than one step
//!   └ input    while a head or pipelined requests wait     a pool buffer
//! ```

use std::ops::BitOr;
use std::time::Duration;

use reactor::net::Stream;
use reactor::{Buffer, EventLoop, Interest, Readiness, Token, Trigger};

use super::{SMALL_BYTES, Step};
use crate::session::{Phase, Session};

/// Where a connection is, as far as its session's phase does not tell.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Reads a balancer's header, before HTTP begins; entered only with `--proxy-protocol`.
    ProxyHeader,
    /// The session's phase tells.
    Serving,
    /// Its request ([`Phase::Work`]) waits for room in the executor.
    Queued,
    /// The executor reads the next piece of its response ([`Phase::Send`]), or is about to.
    Filling,
}

/// State of a connection's socket and its membership in lists: one bit each.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    /// An edge reported input, and it has not all been read.
    pub const READABLE: Flags = Flags(1);
    /// The peer has sent FIN: read on until the end, a short read means nothing.
    pub const PEER_FIN: Flags = Flags(1 << 1);
    /// The poller watches the descriptor: at first for input only.
    pub const WATCHED: Flags = Flags(1 << 2);
    /// The poller also watches for room to write.
    pub const WATCHED_BOTH: Flags = Flags(1 << 3);
    /// On the list of connections that wait for buffers and have none.
    pub const WAITS: Flags = Flags(1 << 4);
    /// On the list of connections that need only one buffer.
    pub const WAITS_FOR_ONE: Flags = Flags(1 << 5);
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// A connection.
pub(super) struct Connection {
    pub session: Session,
    /// Bytes received and not yet consumed.
    pub input: Option<Buffer>,
    pub stream: Stream,
    pub stage: Stage,
    flags: Flags,
}

impl Connection {
    pub fn new(stream: Stream, stage: Stage, now_ms: u64) -> Self {
        let session = Session::new(now_ms);
        Connection { session, input: None, stream, stage, flags: Flags::READABLE }
    }

    /// Whether any of these flags is set.
    #[inline(always)]
    pub fn is(&self, any: Flags) -> bool {
        self.flags.0 & any.0 != 0
    }

    #[inline(always)]
    pub fn set(&mut self, flags: Flags) {
        self.flags.0 |= flags.0;
    }

    #[inline(always)]
    pub fn unset(&mut self, flags: Flags) {
        self.flags.0 &= !flags.0;
    }

    /// Records an event's readiness.
    #[inline(always)]
    pub fn on_event(&mut self, readiness: Readiness) {
        if readiness.is_read_closed() || readiness.is_error() {
            self.set(Flags::READABLE | Flags::PEER_FIN);
        } else if readiness.is_readable() {
            self.set(Flags::READABLE);
        }
    }

    /// Registers what the connection waits for with the poller: after its first turn, reading; from
    /// its first full socket on, also writing (a new socket has room, and the edge that reports it
    /// would cost a turn). `false`: it cannot be watched.
    #[inline]
    pub fn watch(&mut self, ev: &mut EventLoop, token: Token) -> bool {
        if self.is(Flags::WATCHED) && (self.session.phase() != Phase::Send) {
            return true;
        }
        self.watch_more(ev, token)
    }

    fn watch_more(&mut self, ev: &mut EventLoop, token: Token) -> bool {
        let sends = self.session.phase() == Phase::Send;
        let both = Interest::READABLE | Interest::WRITABLE;
        if !self.is(Flags::WATCHED) {
            self.set(Flags::WATCHED);
            let interest = if sends { both } else { Interest::READABLE };
            if sends {
                self.set(Flags::WATCHED_BOTH);
            }
            return ev.watch(token, &self.stream, interest, Trigger::Edge).is_ok();
        }
        if sends && !self.is(Flags::WATCHED_BOTH) {
            self.set(Flags::WATCHED_BOTH);
            // If this fails, the write timeout ends the connection.
            let _ = ev.rewatch(token, &self.stream, both, Trigger::Edge);
        }
        true
    }

    /// Makes the close send RST: data that the client has not taken is not worth the kernel's
    /// memory.
    pub fn reset_on_close(&self) {
        // Best effort: a Unix socket has no such option.
        let _ = self.stream.set_linger(Some(Duration::ZERO));
    }

    /// Whether there is something to serve or to receive.
    #[inline(always)]
    pub fn has_input(&self) -> bool {
        self.is(Flags::READABLE) || self.session.has_pending()
    }

    /// What to do next when there is nothing to send.
    #[inline(always)]
    pub fn more_input(&self) -> Step {
        if self.has_input() { Step::Again } else { Step::Blocked }
    }

    /// Whether its input is in a large buffer, which other connections may be waiting for.
    pub fn holds_large_input(&self) -> bool {
        self.input.as_ref().is_some_and(|input| input.capacity() > SMALL_BYTES)
    }

    /// Whether its head, too long for a small buffer, is still incomplete after `slow_ms`.
    pub fn is_slow_head(&self, now_ms: u64, slow_ms: u64) -> bool {
        let begun = self.session.phase() == Phase::Head && !self.is(Flags::READABLE);
        begun && self.session.age_ms(now_ms) >= slow_ms && self.holds_large_input()
    }

    /// Drops requests in a large buffer that wait behind a response of which the client has taken
    /// nothing for `slow_ms`. `false`: there are none.
    pub fn drop_pipelined(&mut self, now_ms: u64, slow_ms: u64) -> bool {
        let drops = self.holds_large_input() && self.session.is_stalled(now_ms, slow_ms);
        if drops {
            self.input = None;
            self.session.abandon_input();
        }
        drops
    }

    /// Whether nothing is in flight: no byte of a request, no response.
    pub fn is_idle(&self) -> bool {
        let waits = self.is(Flags::WAITS | Flags::WAITS_FOR_ONE);
        self.session.is_idle() && self.input.is_none() && !waits
    }

    /// What must hold at the end of a connection's turn.
    pub fn check(&self) {
        let phase = self.session.phase();
        debug_assert!(self.stage != Stage::Queued || phase == Phase::Work, "queued in {phase:?}");
        debug_assert!(self.stage == Stage::Serving || phase != Phase::Linger, "lingers");
        debug_assert!(self.stage != Stage::Filling || phase == Phase::Send, "fills in {phase:?}");
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
}
