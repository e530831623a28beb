//! From bytes to requests to responses: the path of a request, in one place.
//!
//! [`Session::feed`] walks the input with the HTTP state machine and answers every request in it
//! into the output, until the input is used up or something must happen first: a response that is
//! more than bytes in the buffer, a wait, work, a full buffer, the connection's last response.

use std::time::Duration;

use http::{Event, Framing, Status};

use super::body::Begun;
use super::log::Subject;
use super::{Context, NEVER, Next, Phase, Session};
use crate::app::response::{Finished, Frame, Output, Response};
use crate::app::{Action, App, Request};
use crate::work::request::{Call, PendingRequest, Place, SavedRequest};

impl Session {
    /// Answers the requests in `input`; returns how many bytes of it are consumed, and what comes
    /// next. The request of a [`Next::Work`] whose place is the input begins at the first
    /// unconsumed byte.
    #[inline(always)]
    pub fn feed<A: App>(
        &mut self,
        cx: &mut Context<A>,
        input: &[u8],
        out: &mut Output,
    ) -> (usize, Next) {
        debug_assert!(self.reads() && !self.last, "fed in {:?}", self.phase);
        let earlier_ms = self.started_ms;
        if self.awaits_request() {
            self.started_ms = cx.now_ms() as u32;
        }
        self.pending = false;
        let mut at = 0;
        loop {
            let step = match self.http.next(&input[at..], &mut cx.head, &cx.limits) {
                Ok(step) => step,
                Err(error) => {
                    self.refuse_malformed(cx, &input[at..], error.status(), out);
                    return (input.len(), self.next(out));
                }
            };
            let begin = at;
            at += step.consumed;
            match step.event {
                Event::Head if cx.head.framing() == Framing::None => {
                    if let Some(work) = self.answer(cx, &input[begin..at], &[], out) {
                        return (begin, Next::Work(work));
                    }
                    if at == input.len() {
                        return (at, self.next(out));
                    }
                }
                Event::NeedMore => {
                    self.head_begins(cx, at < input.len(), earlier_ms);
                    return (at, self.next(out));
                }
                Event::Head => match self.begin_body(cx, &input[begin..at], &input[at..], out) {
                    Begun::Work(work) => return (begin, Next::Work(work)),
                    Begun::Used(len) => at += len,
                },
                Event::Data { start, len } => {
                    self.body_data(cx, &input[begin + start..][..len], out);
                }
                Event::End => self.end_body(cx, out),
            }
            // The end of a body may take no byte of its own.
            let all_done = at == input.len() && !self.http.body_follows();
            if all_done {
                return (at, self.next(out));
            }
            if self.last {
                self.unread = true;
                return (input.len(), self.next(out));
            }
            if self.must_yield() || !out.has_room(cx.response_room) {
                self.pending = at < input.len();
                return (at, self.next(out));
            }
            if self.phase == Phase::Idle {
                // The next request starts now: it arrived with this one's body, not its head.
                self.started_ms = cx.now_ms() as u32;
            }
        }
    }

    /// Whether no byte of the next request has arrived.
    #[inline(always)]
    fn awaits_request(&self) -> bool {
        self.phase == Phase::Idle || (self.phase == Phase::Head && !self.has_begun())
    }

    /// The input ends within a head: the timeout for all of it runs from its first byte. An empty
    /// line before the first head does not count as one: a new connection's timeout, which has been
    /// running since `earlier_ms`, goes on.
    #[inline]
    fn head_begins<A: App>(&mut self, cx: &Context<A>, has_bytes: bool, earlier_ms: u32) {
        match self.phase {
            Phase::Idle if has_bytes => {
                self.phase = Phase::Head;
                self.started_ms = cx.now_ms() as u32;
            }
            Phase::Head if !self.has_begun() => self.started_ms = earlier_ms,
            _ => {}
        }
    }

    /// Whether earlier answers must go out before more is served: a wait or work comes next.
    #[inline]
    fn must_yield(&self) -> bool {
        matches!(self.phase, Phase::Wait | Phase::Work)
    }

    /// Calls the application for a complete request whose head is in the context; `Some` if it is
    /// left to the driver.
    #[inline(always)]
    pub(super) fn answer<A: App>(
        &mut self,
        cx: &mut Context<A>,
        head_bytes: &[u8],
        body: &[u8],
        out: &mut Output,
    ) -> Option<PendingRequest> {
        self.phase = Phase::Idle;
        cx.counters.requests.add(1);
        self.close_if_last(cx);
        let place = Place::Input { head_len: head_bytes.len() as u32, body_len: body.len() as u32 };
        self.call(cx, Call::Handle, head_bytes, body, place, out)
    }

    /// Closes the connection after this response if it has had its number of requests, or the
    /// server is draining.
    #[inline]
    pub(super) fn close_if_last<A: App>(&mut self, cx: &Context<A>) {
        let spent = cx.requests_max != 0 && self.http.requests() >= cx.requests_max;
        if spent || cx.draining {
            self.http.close();
        }
    }

    /// Task 3. `head_bytes` are the bytes that the context's head was parsed from; they are at
    /// `place`.
    ///
    /// This is where models differ: *work* is never done here, but left to the driver.
    #[inline(always)]
    pub(super) fn call<A: App>(
        &mut self,
        cx: &mut Context<A>,
        call: Call,
        head_bytes: &[u8],
        body: &[u8],
        place: Place,
        out: &mut Output,
    ) -> Option<PendingRequest> {
        if cx.offload_all {
            return Some(PendingRequest { call, close: false, place });
        }
        debug_assert!(out.pieces.is_empty(), "would cut an earlier response short");
        let frame = self.frame(&cx.head);
        let request = Request::new(cx.head.request(head_bytes), body, &cx.clock);
        let mut response = Response::new(out, &cx.clock, frame);
        let action = match call {
            Call::Handle => cx.app.handle(&mut cx.local, &request, &mut response),
            Call::Resume => cx.app.resume(&mut cx.local, &request, &mut response),
            Call::Work => Action::Work,
        };
        match action {
            Action::Done => {
                let finished = response.outcome();
                self.finished(cx, finished, Subject::Head(head_bytes), out);
                None
            }
            Action::Work => {
                let close = response.withdraw();
                Some(PendingRequest { call: Call::Work, close, place })
            }
            Action::Wait(time) => {
                self.begin_wait(cx, time, head_bytes, body, out);
                None
            }
        }
    }

    /// The parts of the request in `head` that shape its response.
    #[inline(always)]
    pub fn frame(&self, head: &http::Head) -> Frame {
        Frame {
            method: head.method(),
            version: head.version(),
            connection_line: self.http.connection_line(),
        }
    }

    /// Counts and logs a response whose head is in the output.
    #[inline(always)]
    pub(super) fn finished<A: App>(
        &mut self,
        cx: &mut Context<A>,
        finished: Finished,
        subject: Subject<'_>,
        out: &Output,
    ) {
        if finished.close {
            self.http.close();
        }
        if !self.http.persists() {
            self.last = true;
        }
        cx.counters.response(finished.status.code());
        if finished.unreadable {
            cx.counters.file_read_errors.add(1);
        }
        if cx.log.is_on() {
            self.log_response(cx, finished, subject, out);
        }
    }

    /// The application asked to wait: the request is saved.
    #[cold]
    pub(super) fn begin_wait<A: App>(
        &mut self,
        cx: &mut Context<A>,
        time: Duration,
        head_bytes: &[u8],
        body: &[u8],
        out: &mut Output,
    ) {
        if !cx.memory.take(head_bytes.len() + body.len()) {
            let subject = Subject::Head(head_bytes);
            return self.refuse(cx, Status::SERVICE_UNAVAILABLE, subject, out);
        }
        let wait_ms = u64::try_from(time.as_millis()).unwrap_or(NEVER);
        let until_ms = cx.now_ms().saturating_add(wait_ms);
        let exchange = self.exchange(cx);
        exchange.saved = SavedRequest::new(head_bytes, body);
        exchange.wait_until_ms = until_ms.max(1);
        cx.counters.waits.add(1);
        self.phase = Phase::Wait;
    }

    /// A wait is over: the request goes on.
    pub(super) fn end_wait<A: App>(&mut self, cx: &mut Context<A>, out: &mut Output) -> Next {
        let exchange = self.exchange(cx);
        exchange.wait_until_ms = 0;
        let saved = std::mem::take(&mut exchange.saved);
        cx.memory.give_back(saved.len());
        cx.counters.waits.sub(1);
        self.phase = Phase::Idle;
        self.call_saved(cx, Call::Resume, saved, out);
        self.next(out)
    }
}
