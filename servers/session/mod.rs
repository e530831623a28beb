//! A session: HTTP on one connection, without the connection.
//!
//! ```text
//!            feed(input)                     the application
//!  driver ──────────────► Session ──────────────► handle, resume
//!     ▲   ◄────────────── Next  │ ◄────────────── response
//!     └── sends `Output` ◄──────┘
//! ```
//!
//! A [`Session`] has no descriptor and never waits: bytes and milliseconds are parameters. What
//! else it needs is in a [`Context`], which is borrowed for a step and never kept across a wait;
//! what it sends goes into an [`Output`]. Each step returns what the driver must do [`Next`]:
//!
//! | step | when |
//! |---|---|
//! | [`Session::feed`] | bytes have arrived |
//! | [`Session::sent`] | the kernel has all of the output |
//! | [`Session::park`] | a full socket did not take all of it |
//! | [`Session::eof`] | the client has finished sending |
//! | [`Session::answered`] | a request that was left to the driver has been answered |
//! | [`Session::expired`] | [`Session::deadline_ms`] has passed |
//! | [`Session::end`] | the connection is gone |
//!
//! How an event loop, a thread or a fiber waits between the steps is its driver's business.
//!
//! *Not* guaranteed: that a step uses all of its input. The rest must be fed again, with more bytes
//! behind it; when [`Session::has_pending`], without waiting for more.
//!
//! Files: `serve` (from bytes to responses), `body`, `saved` (requests that wait), `deadlines`,
//! `refuse`, `log`, `exchange` (the state of a request that takes more than one step), `context`.

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
use log::Subject;

/// What a session is doing.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Between two requests: no byte of the next one has arrived.
    Idle,
    /// Reads a head, whose timeout is running: it has begun, or it is the connection's first.
    Head,
    /// Reads a body.
    Body,
    /// Has output that a full socket did not take.
    Send,
    /// Waits for as long as the application asked.
    Wait,
    /// Its request is being answered elsewhere.
    Work,
    /// Has sent everything and FIN; reads until the client's FIN (RFC 9112, section 9.6).
    Linger,
}

/// What the driver must do next.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Receive, and feed the bytes.
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

/// One connection's session.
pub struct Session {
    http: http::Connection,
    exchange: Option<Box<Exchange>>,
    /// The request's (or the connection's) start, for its duration: low bits of `now_ms`.
    started_ms: u32,
    phase: Phase,
    /// The connection ends once the output is sent.
    last: bool,
    /// It ends with unread input: a plain close would send RST, which could overtake the answer.
    unread: bool,
    /// Unused input may contain whole requests.
    pending: bool,
}

impl Session {
    /// A session; the timeout for its first head starts now.
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

    /// What it is doing.
    #[inline(always)]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Unused input may contain whole requests: feed it before receiving more.
    #[inline(always)]
    pub fn has_pending(&self) -> bool {
        self.pending
    }

    /// The driver has input that the session has not seen yet, or only in part.
    pub fn set_pending(&mut self) {
        self.pending = true;
    }

    /// The driver has no room for unused input: the connection ends, unread.
    pub fn abandon_input(&mut self) {
        (self.last, self.unread) = (true, true);
    }

    /// Its request is being answered elsewhere from now on.
    pub fn begin_work(&mut self) {
        debug_assert!(self.saved_call().is_none(), "a connection has one request in flight");
        debug_assert!(!self.has_unsent(), "earlier responses have not been sent");
        self.phase = Phase::Work;
    }

    /// The connection ends once the output is sent: it needs no more input.
    pub fn is_last(&self) -> bool {
        self.last
    }

    /// Whether nothing is in flight: no byte of a request, no response.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Head)
            && self.exchange.is_none()
            && self.http.eof().is_ok()
    }

    /// How long the request (or the connection, before its first) has taken, in milliseconds.
    pub fn age_ms(&self, now_ms: u64) -> u64 {
        u64::from((now_ms as u32).wrapping_sub(self.started_ms))
    }

    /// Whether requests wait behind a response of which the client has taken nothing for `slow_ms`.
    pub fn is_stalled(&self, now_ms: u64, slow_ms: u64) -> bool {
        let rest_ms = |moved_ms| u64::from((now_ms as u32).wrapping_sub(moved_ms));
        let stalls = |exchange: &Exchange| rest_ms(exchange.moved_ms) >= slow_ms;
        let pipelined = self.phase == Phase::Send && self.pending && !self.last;
        pipelined && self.exchange.as_deref().is_some_and(stalls)
    }

    /// The kernel has all of the output; it took the last `bytes` in this step.
    #[inline(always)]
    pub fn sent<A: App>(&mut self, cx: &mut Context<A>, bytes: u64) -> Next {
        cx.counters.bytes_sent.add(bytes);
        if self.exchange.is_some() {
            return self.sent_exchange(cx, bytes);
        }
        if self.last { self.over() } else { Next::Read }
    }

    /// A full socket took `bytes` of the output: the session keeps the rest until it is sent. See
    /// [`Session::unsent`].
    pub fn park<A: App>(&mut self, cx: &mut Context<A>, bytes: u64, unsent: Unsent) {
        debug_assert!(!unsent.is_empty(), "nothing is left to send");
        debug_assert!(!self.has_unsent(), "an earlier response has not been sent");
        self.stall(cx, bytes);
        self.exchange(cx).unsent = unsent;
    }

    /// The same for a driver that keeps what is left itself.
    pub fn stall<A: App>(&mut self, cx: &mut Context<A>, bytes: u64) {
        self.phase = Phase::Send;
        cx.counters.bytes_sent.add(bytes);
        let now_ms = cx.now_ms();
        let exchange = self.exchange(cx);
        exchange.sent += bytes as i64;
        exchange.moved_ms = now_ms as u32;
    }

    /// The rest that a full socket did not take. Send it, then call [`Session::moved`] or
    /// [`Session::sent`].
    pub fn unsent(&mut self) -> Option<&mut Unsent> {
        Some(&mut self.exchange.as_mut()?.unsent)
    }

    /// The socket took `bytes` of the unsent output, but not all of it.
    pub fn moved<A: App>(&mut self, cx: &mut Context<A>, bytes: u64) {
        debug_assert!(self.phase == Phase::Send, "everything is sent");
        if bytes > 0 {
            cx.counters.bytes_sent.add(bytes);
            let now_ms = cx.now_ms();
            let exchange = self.exchange(cx);
            exchange.sent += bytes as i64;
            exchange.moved_ms = now_ms as u32;
        }
    }

    /// The client has not acknowledged `bytes` yet. If that is fewer than last time, it is reading,
    /// however slowly. A socket becomes writable only when a third of its buffer is free, which may
    /// be a megabyte: without this, a slow reader would look like one that does not read.
    pub fn unacknowledged<A: App>(&mut self, cx: &mut Context<A>, bytes: u32) {
        let now_ms = cx.now_ms();
        let exchange = self.exchange(cx);
        if bytes < exchange.unacknowledged {
            exchange.moved_ms = now_ms as u32;
        }
        exchange.unacknowledged = bytes;
    }

    /// Until now the client waited for us: its write timeout starts.
    pub fn resume_sending<A: App>(&mut self, cx: &mut Context<A>) {
        let now_ms = cx.now_ms();
        self.exchange(cx).moved_ms = now_ms as u32;
    }

    /// The client has finished sending, and everything before that has been fed; `input` was not
    /// consumed.
    pub fn eof<A: App>(&mut self, cx: &mut Context<A>, input: &[u8], out: &mut Output) -> Next {
        debug_assert!(self.reads() && !self.pending, "end of input in {:?}", self.phase);
        self.last = true;
        if let Err(error) = self.http.eof() {
            self.refuse(cx, error.status(), Subject::Part(input), out);
        }
        self.next(out)
    }

    /// A request that was left to the driver has come back with `outcome` and `out`. Its head is in
    /// the context again, and was parsed from `head_bytes`.
    pub fn answered<A: App>(
        &mut self,
        cx: &mut Context<A>,
        outcome: Outcome,
        head_bytes: &[u8],
        body: &[u8],
        out: &mut Output,
    ) -> Next {
        debug_assert!(self.saved_call().is_none(), "a connection has one request in flight");
        debug_assert!(!self.has_unsent(), "earlier responses have not been sent");
        self.phase = Phase::Idle;
        if let Outcome::Nothing = outcome {
            // Its line was remembered when it was handed over.
            let seen = Subject::Part(head_bytes);
            self.refuse(cx, http::Status::INTERNAL_SERVER_ERROR, seen, out);
            return self.next(out);
        }
        self.take_saved_bytes(cx);
        match outcome {
            Outcome::Waits(time) => self.begin_wait(cx, time, head_bytes, body, out),
            Outcome::Answered(finished) => {
                self.finished(cx, finished, Subject::Head(head_bytes), out);
            }
            Outcome::Nothing => {}
        }
        self.next(out)
    }

    /// Everything is sent, and FIN follows: the client now has [`LINGER_MS`] to read it.
    pub fn linger<A: App>(&mut self, cx: &mut Context<A>) {
        debug_assert!(!self.has_unsent(), "FIN before the response's end");
        self.drop_exchange(cx);
        self.phase = Phase::Linger;
        self.started_ms = cx.now_ms() as u32;
    }

    /// The connection is gone: releases what the session holds, and logs a response that was cut
    /// short.
    pub fn end<A: App>(&mut self, cx: &mut Context<A>) {
        if self.exchange.is_some() {
            self.log_held(cx);
            self.drop_exchange(cx);
        }
    }

    /// What comes next, with what is in `out` now.
    #[inline(always)]
    fn next(&self, out: &Output) -> Next {
        debug_assert!(self.phase != Phase::Send, "a step while the socket is full");
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

    /// Whether it is the client's turn to send.
    fn reads(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Head | Phase::Body)
    }

    /// Whether there is output that a full socket did not take.
    fn has_unsent(&self) -> bool {
        self.exchange.as_ref().is_some_and(|exchange| !exchange.unsent.is_empty())
    }

    /// The kernel has the last response.
    #[inline]
    fn over(&self) -> Next {
        // A body that is still to come would draw a reset, too.
        let unread = self.unread || self.pending || self.http.body_follows();
        if unread { Next::Linger } else { Next::Close }
    }

    /// All of an exchange's output is sent: what follows depends on what else it holds.
    fn sent_exchange<A: App>(&mut self, cx: &mut Context<A>, bytes: u64) -> Next {
        let now_ms = cx.now_ms();
        let exchange = self.exchange(cx);
        exchange.sent += bytes as i64;
        debug_assert!(exchange.unsent.is_empty(), "not everything is sent");
        exchange.unsent = Unsent::default();
        let reads_body = !matches!(exchange.body, Body::None);
        let (waits, works) = (exchange.wait_until_ms != 0, exchange.call.is_some());
        self.log_held(cx);
        if waits {
            self.phase = Phase::Wait;
        } else if works {
            self.phase = Phase::Work;
        } else if self.last {
            // `over` decides how it ends.
        } else if !reads_body {
            // The next head may have begun behind what was sent: its time runs already.
            self.phase = if self.has_begun() { Phase::Head } else { Phase::Idle };
            self.drop_idle_exchange(cx);
        } else if self.phase != Phase::Body {
            // The body is read only now: its timeout starts.
            self.phase = Phase::Body;
            self.exchange(cx).begin_window(now_ms);
        }
        self.next_without_output()
    }

    /// The session's exchange; creates one if there is none.
    fn exchange<A: App>(&mut self, cx: &mut Context<A>) -> &mut Exchange {
        let now_ms = cx.clock.now_ms();
        self.exchange.get_or_insert_with(|| cx.spare.take(now_ms))
    }

    /// Releases an exchange that is no longer needed.
    fn drop_idle_exchange<A: App>(&mut self, cx: &mut Context<A>) {
        if let Some(exchange) = self.exchange.take_if(|exchange| exchange.is_idle()) {
            cx.spare.keep(exchange);
        }
    }

    /// Releases the exchange with all that it holds.
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
