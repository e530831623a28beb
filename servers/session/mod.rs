//! A conversation: HTTP as one connection speaks it, without the connection.
//!
//! ```text
//!            feed(input)                     the application
//!  driver ──────────────► Session ──────────────► handle, resume
//!     ▲   ◄────────────── Next  │ ◄────────────── response
//!     └── sends `Output` ◄──────┘
//! ```
//!
//! A [`Session`] knows no descriptor and does not wait: bytes and milliseconds are parameters. What
//! it needs beside itself is in a [`Context`], which is borrowed for a step and never held over a
//! wait; what it has to say is in an [`Output`]. Each step says what the driver is to do [`Next`]:
//!
//! | step | when |
//! |---|---|
//! | [`Session::feed`] | bytes have arrived |
//! | [`Session::sent`] | all of the output is with the kernel |
//! | [`Session::park`] | a full socket did not take all of it |
//! | [`Session::eof`] | the client has finished sending |
//! | [`Session::answered`] | a request that was left to the driver has been answered |
//! | [`Session::expired`] | [`Session::deadline_ms`] has passed |
//! | [`Session::end`] | the connection is gone |
//!
//! How an event loop, a thread or a fiber waits between the steps is its driver's business.
//!
//! *Not* guaranteed: that a step uses all of its input. What it leaves is fed again, with more bytes
//! behind it; when [`Session::has_pending`], without waiting for more.
//!
//! Files: `serve` (from bytes to responses), `body`, `deadlines`, `refuse`, `log`, `exchange` (what
//! is kept of a request that takes more than one step), `context`.

mod body;
mod context;
mod deadlines;
mod exchange;
mod log;
mod refuse;
mod saved;
mod serve;
#[cfg(test)]
mod tests;

use crate::app::App;
use crate::app::response::Output;
use crate::work::request::{Outcome, PendingRequest};

pub use context::{BodyMemory, Context, HEAD_ROOM};
pub use deadlines::{LINGER_MS, NEVER};
pub use exchange::Unsent;
use exchange::{Body, Exchange};

/// What a conversation is busy with.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Between two requests: no byte of the next one has come.
    Idle,
    /// Reads a head whose time runs: it has begun, or it is the connection's first.
    Head,
    /// Reads a body.
    Body,
    /// Has output that a full socket did not take.
    Send,
    /// Waits for a time that the application named.
    Wait,
    /// Its request is being answered elsewhere.
    Work,
    /// Has sent everything and FIN; reads until the client has, too (RFC 9112, section 9.6).
    Linger,
}

/// What the driver is to do next.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Receive, and feed what came.
    Read,
    /// Send the output; then [`Session::sent`].
    Write,
    /// Nothing until the deadline; then [`Session::expired`].
    Sleep,
    /// Have this request answered; then [`Session::answered`].
    Work(PendingRequest),
    /// Close, but only after the client has read everything: FIN, read on for a while, close.
    Linger,
    /// Close.
    Close,
    /// Close with RST: what the client has not taken is not worth the kernel's memory.
    Reset,
}

/// One connection's conversation.
pub struct Session {
    http: http::Connection,
    exchange: Option<Box<Exchange>>,
    /// The request's (or the connection's) start, for its duration: low bits of `now_ms`.
    started_ms: u32,
    phase: Phase,
    /// The connection ends once the output is sent.
    last: bool,
    /// It ends with unread input: the reset of a plain close would overtake the answer.
    unread: bool,
    /// Input that was left may contain whole requests.
    pending: bool,
}

impl Session {
    /// A conversation whose first head must be complete in time, from now on.
    pub fn new(now_ms: u64) -> Self {
        Session {
            http: http::Connection::new(),
            exchange: None,
            started_ms: now_ms as u32,
            phase: Phase::Head,
            last: false,
            unread: false,
            pending: false,
        }
    }

    /// What it is busy with.
    #[inline(always)]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Input that was left may contain whole requests: feed it before receiving more.
    #[inline(always)]
    pub fn has_pending(&self) -> bool {
        self.pending
    }

    /// The driver left bytes unserved that the conversation has not seen, or not all of.
    pub fn set_pending(&mut self) {
        self.pending = true;
    }

    /// The driver has no room for input that was left: the connection ends, unread.
    pub fn abandon_input(&mut self) {
        (self.last, self.unread) = (true, true);
    }

    /// Its request is being answered elsewhere from now on.
    pub fn begin_work(&mut self) {
        self.phase = Phase::Work;
    }

    /// The connection ends once the output is sent: input is of no more use.
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// Nothing is in flight: no byte of a request, no response under way.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Head)
            && self.exchange.is_none()
            && self.http.eof().is_ok()
    }

    /// How long the request (or the connection, before its first) has taken, in milliseconds.
    pub fn age_ms(&self, now_ms: u64) -> u64 {
        u64::from((now_ms as u32).wrapping_sub(self.started_ms))
    }

    /// All of the output is with the kernel, the last `bytes` of it in this step.
    #[inline(always)]
    pub fn sent<A: App>(&mut self, cx: &mut Context<A>, bytes: u64) -> Next {
        cx.counters.bytes_sent.add(bytes);
        if self.exchange.is_some() {
            return self.sent_exchange(cx, bytes);
        }
        if self.last { self.over() } else { Next::Read }
    }

    /// A full socket took `bytes` of the output: what is left is the conversation's until it is
    /// sent. See [`Session::unsent`].
    pub fn park<A: App>(&mut self, cx: &mut Context<A>, bytes: u64, unsent: Unsent) {
        cx.counters.bytes_sent.add(bytes);
        let now_ms = cx.now_ms();
        let exchange = self.exchange(cx);
        exchange.sent += bytes as i64;
        exchange.moved_ms = now_ms as u32;
        exchange.unsent = unsent;
        self.phase = Phase::Send;
    }

    /// What a full socket did not take, to send from; then [`Session::moved`] or [`Session::sent`].
    pub fn unsent(&mut self) -> Option<&mut Unsent> {
        Some(&mut self.exchange.as_mut()?.unsent)
    }

    /// The client took `bytes` of what was unsent, and not all of it.
    pub fn moved<A: App>(&mut self, cx: &mut Context<A>, bytes: u64) {
        if bytes > 0 {
            cx.counters.bytes_sent.add(bytes);
            let now_ms = cx.now_ms();
            let exchange = self.exchange(cx);
            exchange.sent += bytes as i64;
            exchange.moved_ms = now_ms as u32;
        }
    }

    /// So many bytes are with the kernel and not with the client. Fewer than last time: it reads,
    /// however slowly. The socket says writable only when a third of its buffer is free, which may
    /// be a megabyte: a slow reader would be taken for one that does not read.
    pub fn unacknowledged<A: App>(&mut self, cx: &mut Context<A>, bytes: u32) {
        let now_ms = cx.now_ms();
        let exchange = self.exchange(cx);
        if bytes < exchange.unacknowledged {
            exchange.moved_ms = now_ms as u32;
        }
        exchange.unacknowledged = bytes;
    }

    /// Until now the client waited for us: its time to read begins.
    pub fn resume_sending<A: App>(&mut self, cx: &mut Context<A>) {
        let now_ms = cx.now_ms();
        self.exchange(cx).moved_ms = now_ms as u32;
    }

    /// The client has finished sending, and everything before that has been fed.
    pub fn eof<A: App>(&mut self, cx: &mut Context<A>, out: &mut Output) -> Next {
        self.last = true;
        if let Err(error) = self.http.eof() {
            self.refuse(cx, error.status(), None, out);
        }
        self.next(out)
    }

    /// A request that was left to the driver has been answered, or not: `outcome` and `out` say so.
    /// Its head is in the context again, and was parsed from `head_bytes`.
    pub fn answered<A: App>(
        &mut self,
        cx: &mut Context<A>,
        outcome: Outcome,
        head_bytes: &[u8],
        body: &[u8],
        out: &mut Output,
    ) -> Next {
        self.phase = Phase::Idle;
        match outcome {
            Outcome::Answered(finished) => self.finished(cx, finished, Some(head_bytes), out),
            Outcome::Waits(time) => self.begin_wait(cx, time, head_bytes, body, out),
            Outcome::Nothing => {
                self.refuse(cx, http::Status::INTERNAL_SERVER_ERROR, None, out);
            }
        }
        // A body that was to be discarded after the answer.
        self.unread |= self.last && self.http.body_follows();
        self.next(out)
    }

    /// Everything is sent, and FIN follows: from now on the client has [`LINGER_MS`] to read it.
    pub fn linger<A: App>(&mut self, cx: &mut Context<A>) {
        self.drop_exchange(cx);
        self.phase = Phase::Linger;
        self.started_ms = cx.now_ms() as u32;
    }

    /// The connection is gone: gives back what the conversation holds, and logs a response that did
    /// not get to its end.
    pub fn end<A: App>(&mut self, cx: &mut Context<A>) {
        if self.exchange.is_some() {
            self.log_held(cx);
            self.drop_exchange(cx);
        }
    }

    /// What comes next, with what is in `out` now.
    #[inline(always)]
    fn next(&self, out: &Output) -> Next {
        if !out.is_empty() {
            return Next::Write;
        }
        self.next_without_output()
    }

    #[inline(never)]
    fn next_without_output(&self) -> Next {
        if self.phase == Phase::Wait {
            return Next::Sleep;
        }
        match self.saved_call() {
            Some(request) => Next::Work(request),
            None if self.last => self.over(),
            None => Next::Read,
        }
    }

    /// The last response is with the kernel.
    #[inline]
    fn over(&self) -> Next {
        if self.unread { Next::Linger } else { Next::Close }
    }

    /// All is sent of an exchange: what it was for comes next.
    fn sent_exchange<A: App>(&mut self, cx: &mut Context<A>, bytes: u64) -> Next {
        let now_ms = cx.now_ms();
        let exchange = self.exchange(cx);
        exchange.sent += bytes as i64;
        exchange.unsent = Unsent::default();
        let reads_body = !matches!(exchange.body, Body::None);
        let (waits, works) = (exchange.wait_until_ms != 0, exchange.call.is_some());
        self.log_held(cx);
        if waits {
            self.phase = Phase::Wait;
        } else if works {
            self.phase = Phase::Work;
        } else if self.last {
            // What it ends with is said by `over`.
        } else if !reads_body {
            self.phase = Phase::Idle;
            self.drop_idle_exchange(cx);
        } else if self.phase != Phase::Body {
            // Only now is the body read: the client's time for it begins.
            self.phase = Phase::Body;
            self.exchange(cx).begin_window(now_ms);
        }
        self.next_without_output()
    }

    /// The conversation's exchange, made when it has none.
    fn exchange<A: App>(&mut self, cx: &mut Context<A>) -> &mut Exchange {
        let now_ms = cx.clock.now_ms();
        self.exchange.get_or_insert_with(|| cx.spare.take(now_ms))
    }

    /// Gives an exchange back that nothing needs any more.
    fn drop_idle_exchange<A: App>(&mut self, cx: &mut Context<A>) {
        if let Some(exchange) = self.exchange.take_if(|exchange| exchange.is_idle()) {
            cx.spare.keep(exchange);
        }
    }

    /// Gives it back whatever it holds.
    fn drop_exchange<A: App>(&mut self, cx: &mut Context<A>) {
        self.forget_body(cx);
        if let Some(exchange) = self.exchange.take() {
            cx.spare.keep(exchange);
        }
    }
}

#[cfg(test)]
mod size {
    use super::*;

    #[test]
    fn a_session_takes_at_most_48_bytes() {
        assert!(size_of::<Session>() <= 48, "{}", size_of::<Session>());
    }
}
