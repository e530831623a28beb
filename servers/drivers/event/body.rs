//! Request bodies: discarded, collected or streamed, as the application decided after the head.
//!
//! A collected body that is there whole, as most are, is handed over where it lies. Else the head
//! is put aside and the body gathered behind it, on the heap, because it may be larger than any
//! buffer: each request's share is bounded by `--max-body`, that of all together by `--body-memory`
//! (503 above).

use bytes::BufMut;
use http::{Event, Framing, Status};
use reactor::EventLoop;

use super::Engine;
use super::connection::{Body, Connection, Held, NO_EXCHANGE, Phase, flag};
use super::offload::Errand;
use super::serve::Call;
use crate::app::response::Response;
use crate::app::{App, BodyPlan, Request, Sink};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl<A: App> Engine<A> {
    /// A head with a body behind it. `rest` is the input after the head; returns how much of it was
    /// used at once, and what the request is to be handed over for, with so much of `rest`.
    pub(super) fn begin_body(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        head_bytes: &[u8],
        rest: &[u8],
    ) -> (usize, Option<Errand>) {
        if !connection.http.body_follows() {
            // Announced as empty.
            return (0, self.answer_body(ev, connection, head_bytes, &[]));
        }
        let request = Request::new(self.head.request(head_bytes), &[], &self.clock);
        match self.app.body(&mut self.local, &request) {
            BodyPlan::Discard => return (0, self.discard(ev, connection, head_bytes)),
            BodyPlan::Collect(limit) => {
                return self.collect(ev, connection, head_bytes, rest, limit);
            }
            BodyPlan::Stream(sink) => {
                self.put_aside(ev, connection, head_bytes, Body::Sink(sink));
            }
        }
        (0, None)
    }

    /// The answer does not need the body: it goes out first.
    fn discard(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        head_bytes: &[u8],
    ) -> Option<Errand> {
        if connection.http.expects_continue() {
            // The final status takes the place of 100, and whether the body still comes is the
            // client's choice: the connection cannot be used again (RFC 9110, section 10.1.1).
            connection.http.close();
        }
        let errand = self.answer_body(ev, connection, head_bytes, &[]);
        if connection.is(flag::LAST) {
            connection.set(flag::UNREAD);
            return errand;
        }
        if connection.phase == Phase::Head {
            connection.phase = Phase::Body;
        }
        let exchange = self.exchange(connection, ev.now_ms());
        exchange.begin_window(ev.now_ms());
        exchange.body = Body::Discard;
        errand
    }

    fn collect(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        head_bytes: &[u8],
        rest: &[u8],
        limit: u64,
    ) -> (usize, Option<Errand>) {
        if let Framing::Length(length) = self.head.framing() {
            if length > limit {
                self.refuse(ev, connection, Status::CONTENT_TOO_LARGE, Some(head_bytes));
                return (rest.len(), None);
            }
            let length = length as usize;
            if rest.len() >= length {
                // All there: walk the state machine over it and answer from where it lies.
                let used = self.skip_body(connection, rest);
                return (used, self.answer_body(ev, connection, head_bytes, &rest[..length]));
            }
        }
        self.put_aside(ev, connection, head_bytes, Body::Collect(limit));
        (0, None)
    }

    fn skip_body(&mut self, connection: &mut Connection, rest: &[u8]) -> usize {
        let mut at = 0;
        while let Ok(step) = connection.http.next(&rest[at..], &mut self.head, &self.limits) {
            at += step.consumed;
            if matches!(step.event, Event::End | Event::NeedMore) {
                break;
            }
        }
        at
    }

    /// The body is yet to come: keeps the head, and tells a client that waits for it to go ahead.
    fn put_aside(
        &mut self,
        ev: &EventLoop,
        connection: &mut Connection,
        head_bytes: &[u8],
        body: Body,
    ) {
        if !self.has_memory(head_bytes.len()) {
            let status = Status::SERVICE_UNAVAILABLE;
            return self.refuse(ev, connection, status, Some(head_bytes));
        }
        connection.phase = Phase::Body;
        connection.unset(flag::HEAD_TIMED);
        if connection.http.expects_continue() {
            connection.http.continue_sent();
            self.out.put_slice(CONTINUE);
        }
        self.body_bytes_held += head_bytes.len();
        let exchange = self.exchange(connection, ev.now_ms());
        exchange.begin_window(ev.now_ms());
        exchange.held = Held::new(head_bytes);
        exchange.body = body;
    }

    /// Whether so many bytes more may be held outside the buffers, heads that wait for their body
    /// or for a time among them.
    pub(super) fn has_memory(&self, bytes: usize) -> bool {
        bytes <= self.body_memory_max.saturating_sub(self.body_bytes_held)
    }

    /// A piece of the body has arrived.
    pub(super) fn body_data(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        data: &[u8],
    ) {
        let now_ms = ev.now_ms();
        let memory_left = self.body_memory_max.saturating_sub(self.body_bytes_held);
        let exchange = self.exchange(connection, now_ms);
        exchange.moved_ms = now_ms as u32;
        exchange.window_bytes = exchange.window_bytes.saturating_add(data.len() as u32);
        let refusal = match &mut exchange.body {
            Body::None | Body::Discard => None,
            Body::Sink(sink) => sink.data(data).err(),
            Body::Collect(limit) => {
                let held = &mut exchange.held;
                if (held.body().len() + data.len()) as u64 > *limit {
                    Some(Status::CONTENT_TOO_LARGE)
                } else if data.len() > memory_left {
                    Some(Status::SERVICE_UNAVAILABLE)
                } else {
                    held.bytes.extend_from_slice(data);
                    self.body_bytes_held += data.len();
                    None
                }
            }
        };
        if let Some(status) = refusal {
            self.refuse(ev, connection, status, None);
        }
    }

    /// The body is complete.
    pub(super) fn end_body(&mut self, ev: &mut EventLoop, connection: &mut Connection) {
        let exchange = self.exchange(connection, ev.now_ms());
        let body = std::mem::replace(&mut exchange.body, Body::None);
        let held = std::mem::take(&mut exchange.held);
        self.body_bytes_held -= held.bytes.len();
        if connection.phase == Phase::Body {
            connection.phase = Phase::Head;
        }
        match body {
            Body::None => {}
            Body::Discard => self.drop_idle_exchange(connection),
            Body::Collect(_) => {
                self.tally.requests.add(1);
                self.call_held(ev, connection, Call::Handle, held);
            }
            Body::Sink(sink) => {
                self.tally.requests.add(1);
                self.finish_sink(ev, connection, sink, &held);
            }
        }
    }

    fn finish_sink(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        sink: Box<dyn Sink>,
        held: &Held,
    ) {
        if !self.parse_again(held) {
            return self.refuse(ev, connection, Status::INTERNAL_SERVER_ERROR, None);
        }
        self.close_if_last(connection);
        let frame = self.frame(connection);
        let request = Request::new(self.head.request(held.head()), &[], &self.clock);
        let mut response = Response::new(&mut self.out, &mut self.pieces, &self.clock, frame);
        sink.finish(&request, &mut response);
        let finished = response.outcome();
        self.finished(ev, connection, finished, Some(held.head()));
    }

    /// Gives an exchange back that nothing needs any more.
    pub(super) fn drop_idle_exchange(&mut self, connection: &mut Connection) {
        let Some(exchange) = self.exchanges.get(connection.exchange as usize) else { return };
        let idle = exchange.output.is_none()
            && exchange.pieces.is_empty()
            && exchange.wait_until_ms == 0
            && exchange.errand.is_none()
            && exchange.log.is_none()
            && matches!(exchange.body, Body::None);
        if idle {
            self.exchanges.remove(connection.exchange as usize);
            connection.exchange = NO_EXCHANGE;
        }
    }
}
