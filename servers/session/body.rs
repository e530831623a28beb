//! Request bodies: discarded, collected or streamed, as the application decided after the head.
//!
//! A collected body that has arrived whole, as most have, is handed over in place. Otherwise the
//! head is saved and the body collected behind it, on the heap, because it may be larger than any
//! buffer: each request's share is bounded by `--max-body`, and all of them together by
//! `--body-memory` (503 above).

use std::mem;

use bytes::BufMut as _;
use http::{Event, Framing, Status};

use super::exchange::Body;
use super::log::Subject;
use super::saved::parse_again;
use super::{Context, Phase, Session};
use crate::app::response::{Output, Response};
use crate::app::{App, BodyPlan, Request, Sink};
use crate::work::request::{Call, PendingRequest, SavedRequest};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The outcome of a head with a body behind it.
pub(super) enum Begun {
    /// This many bytes of the body have been consumed already.
    Used(usize),
    /// The request is left to the driver, with its body.
    Work(PendingRequest),
}

impl Begun {
    fn answered(work: Option<PendingRequest>, used: usize) -> Self {
        work.map_or(Begun::Used(used), Begun::Work)
    }
}

impl Session {
    /// A head with a body behind it. `rest` is the input after the head.
    pub(super) fn begin_body<A: App>(
        &mut self,
        cx: &mut Context<A>,
        head_bytes: &[u8],
        rest: &[u8],
        out: &mut Output,
    ) -> Begun {
        if !self.http.body_follows() {
            // Announced as empty.
            return Begun::answered(self.answer_body(cx, head_bytes, &[], out), 0);
        }
        let request = Request::new(cx.head.request(head_bytes), &[], &cx.clock);
        match cx.app.body(&mut cx.local, &request) {
            BodyPlan::Discard => self.discard(cx, head_bytes, rest, out),
            BodyPlan::Collect(limit) => self.collect(cx, head_bytes, rest, limit, out),
            BodyPlan::Stream(sink) => {
                self.await_body(cx, head_bytes, Body::Sink(sink), out);
                Begun::Used(0)
            }
        }
    }

    /// [`Session::answer`] for a request with a body: not inlined, since it is not the fast path.
    fn answer_body<A: App>(
        &mut self,
        cx: &mut Context<A>,
        head_bytes: &[u8],
        body: &[u8],
        out: &mut Output,
    ) -> Option<PendingRequest> {
        self.answer(cx, head_bytes, body, out)
    }

    /// The answer does not need the body: it goes out first. But what has come of the body is
    /// decoded before: a request whose body is malformed is refused, not answered.
    fn discard<A: App>(
        &mut self,
        cx: &mut Context<A>,
        head_bytes: &[u8],
        rest: &[u8],
        out: &mut Output,
    ) -> Begun {
        if let Err(error) = self.check_body(cx, rest) {
            self.refuse_malformed(cx, head_bytes, error.status(), out);
            return Begun::Used(rest.len());
        }
        if self.http.expects_continue() {
            // The final status replaces 100, and the client may or may not send the body: the
            // connection cannot be used again (RFC 9110, section 10.1.1).
            self.http.close();
        }
        let work = self.answer_body(cx, head_bytes, &[], out);
        if self.last {
            self.unread = true;
            return Begun::answered(work, 0);
        }
        // Until it is answered, the session is in another phase.
        if self.phase == Phase::Idle && work.is_none() {
            self.phase = Phase::Body;
        }
        let now_ms = cx.now_ms();
        let exchange = self.exchange(cx);
        exchange.begin_window(now_ms);
        exchange.body = Body::Discard;
        Begun::answered(work, 0)
    }

    /// Decodes what has come of the body, which stays to be read.
    fn check_body<A: App>(&self, cx: &mut Context<A>, rest: &[u8]) -> Result<(), http::Error> {
        let (mut ahead, mut at) = (self.http.clone(), 0);
        while at < rest.len() {
            let step = ahead.next(&rest[at..], &mut cx.head, &cx.limits)?;
            at += step.consumed;
            if matches!(step.event, Event::End | Event::NeedMore) {
                break;
            }
        }
        Ok(())
    }

    fn collect<A: App>(
        &mut self,
        cx: &mut Context<A>,
        head_bytes: &[u8],
        rest: &[u8],
        limit: u64,
        out: &mut Output,
    ) -> Begun {
        if let Framing::Length(length) = cx.head.framing() {
            if length > limit {
                self.refuse(cx, Status::CONTENT_TOO_LARGE, Subject::Head(head_bytes), out);
                return Begun::Used(rest.len());
            }
            let length = length as usize;
            if rest.len() >= length {
                // All there: walk the state machine over it and answer in place.
                let used = self.skip_body(cx, rest);
                let work = self.answer_body(cx, head_bytes, &rest[..length], out);
                return Begun::answered(work, used);
            }
        }
        self.await_body(cx, head_bytes, Body::Collect(limit), out);
        Begun::Used(0)
    }

    fn skip_body<A: App>(&mut self, cx: &mut Context<A>, rest: &[u8]) -> usize {
        let mut at = 0;
        while let Ok(step) = self.http.next(&rest[at..], &mut cx.head, &cx.limits) {
            at += step.consumed;
            if matches!(step.event, Event::End | Event::NeedMore) {
                break;
            }
        }
        at
    }

    /// The body is yet to come: saves the head, and sends 100 to a client that waits for it.
    fn await_body<A: App>(
        &mut self,
        cx: &mut Context<A>,
        head_bytes: &[u8],
        body: Body,
        out: &mut Output,
    ) {
        if !cx.memory.take(head_bytes.len()) {
            let subject = Subject::Head(head_bytes);
            return self.refuse(cx, Status::SERVICE_UNAVAILABLE, subject, out);
        }
        self.phase = Phase::Body;
        if self.http.expects_continue() {
            self.http.continue_sent();
            out.bytes.put_slice(CONTINUE);
        }
        let now_ms = cx.now_ms();
        let exchange = self.exchange(cx);
        exchange.begin_window(now_ms);
        exchange.saved = SavedRequest::new(head_bytes, &[]);
        exchange.body = body;
    }

    /// A piece of the body has arrived.
    pub(super) fn body_data<A: App>(&mut self, cx: &mut Context<A>, data: &[u8], out: &mut Output) {
        let now_ms = cx.now_ms();
        let exchange = self.exchange(cx);
        exchange.moved_ms = now_ms as u32;
        exchange.window_bytes = exchange.window_bytes.saturating_add(data.len() as u32);
        let refusal = match &mut exchange.body {
            Body::None | Body::Discard => None,
            Body::Sink(sink) => sink.data(data).err(),
            Body::Collect(limit) => {
                let saved = &mut exchange.saved;
                if (saved.body().len() + data.len()) as u64 > *limit {
                    Some(Status::CONTENT_TOO_LARGE)
                } else if !cx.memory.take(data.len()) {
                    Some(Status::SERVICE_UNAVAILABLE)
                } else {
                    saved.push(data);
                    None
                }
            }
        };
        if let Some(status) = refusal {
            self.refuse(cx, status, Subject::Part(&[]), out);
        }
    }

    /// The body is complete.
    pub(super) fn end_body<A: App>(&mut self, cx: &mut Context<A>, out: &mut Output) {
        let exchange = self.exchange(cx);
        let body = mem::replace(&mut exchange.body, Body::None);
        let saved = mem::take(&mut exchange.saved);
        cx.memory.give_back(saved.len());
        if self.phase == Phase::Body {
            self.phase = Phase::Idle;
        }
        match body {
            Body::None => {}
            Body::Discard => self.drop_idle_exchange(cx),
            Body::Collect(_) => {
                cx.counters.requests.add(1);
                self.call_saved(cx, Call::Handle, saved, out);
            }
            Body::Sink(sink) => {
                cx.counters.requests.add(1);
                self.finish_sink(cx, sink, &saved, out);
            }
        }
    }

    fn finish_sink<A: App>(
        &mut self,
        cx: &mut Context<A>,
        sink: Box<dyn Sink>,
        saved: &SavedRequest,
        out: &mut Output,
    ) {
        if !parse_again(cx, saved) {
            let seen = Subject::Part(saved.head());
            return self.refuse(cx, Status::INTERNAL_SERVER_ERROR, seen, out);
        }
        self.close_if_last(cx);
        let frame = self.frame(&cx.head);
        let request = Request::new(cx.head.request(saved.head()), &[], &cx.clock);
        let mut response = Response::new(out, &cx.clock, frame);
        sink.finish(&request, &mut response);
        let finished = response.outcome();
        self.finished(cx, finished, Subject::Head(saved.head()), out);
    }

    /// Drops the body being read, and the saved request; `true` when the body's request has been
    /// answered already.
    pub(super) fn forget_body<A: App>(&mut self, cx: &mut Context<A>) -> bool {
        let Some(exchange) = &mut self.exchange else { return false };
        // A body is discarded after the answer: if it is not being read, there was no answer yet.
        let answered = matches!(exchange.body, Body::Discard) && self.phase == Phase::Body;
        exchange.body = Body::None;
        exchange.call = None;
        cx.memory.give_back(mem::take(&mut exchange.saved).len());
        if exchange.wait_until_ms != 0 {
            exchange.wait_until_ms = 0;
            cx.counters.waits.sub(1);
        }
        answered
    }
}
