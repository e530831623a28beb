//! Request bodies: discarded, collected or streamed, as the application decided after the head.
//!
//! A collected body that is there whole, as most are, is handed over where it lies. Else the head is put
//! aside and the body gathered behind it, on the heap, because it may be larger than any buffer: each
//! request's share is bounded by `--body-limit`, that of all together by `--body-memory` (503 above).

use http::{Event, Framing, Status};
use reactor::{EventLoop, Token};

use super::Driver;
use super::connection::{Body, Held, NO_EXCHANGE, Phase, flag};
use super::serve::Call;
use crate::app::{App, BodyPlan, Request};
use crate::response::{Frame, Response};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl<A: App> Driver<A> {
    /// A head with a body behind it. `rest` is the input after the head; returns how much of it was
    /// used at once.
    pub(super) fn begin_body(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        head_bytes: &[u8],
        rest: &[u8],
    ) -> usize {
        let service = &mut self.service;
        let request = Request::new(service.head.request(head_bytes), &[], &service.clock);
        match service.app.body(&mut service.local, &request) {
            BodyPlan::Discard => self.discard(ev, token, head_bytes),
            BodyPlan::Collect(limit) => return self.collect(ev, token, head_bytes, rest, limit),
            BodyPlan::Stream(sink) => {
                self.put_aside(ev, token, head_bytes, Body::Sink(sink));
            }
        }
        0
    }

    /// The answer does not need the body: it goes out first.
    fn discard(&mut self, ev: &mut EventLoop, token: Token, head_bytes: &[u8]) {
        if let Some(connection) = self.connection(token)
            && connection.http.expects_continue()
        {
            // The final status takes the place of 100, and whether the body still comes is the client's
            // choice: the connection cannot be used again (RFC 9110, section 10.1.1).
            connection.http.close();
            connection.set(flag::UNREAD);
        }
        self.answer(ev, token, head_bytes, &[]);
        let now_ms = ev.now_ms();
        let Some(connection) = self.connection(token) else { return };
        if connection.is(flag::LAST) {
            connection.set(flag::UNREAD);
            return;
        }
        if connection.phase == Phase::Head {
            connection.phase = Phase::Body;
        }
        self.exchange(token, now_ms).body = Body::Discard;
    }

    fn collect(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        head_bytes: &[u8],
        rest: &[u8],
        limit: u64,
    ) -> usize {
        let service = &mut self.service;
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else { return 0 };
        if let Framing::Length(length) = service.head.framing() {
            if length > limit {
                self.refuse(ev, token, Status::CONTENT_TOO_LARGE, Some(head_bytes));
                return rest.len();
            }
            let length = length as usize;
            if rest.len() >= length {
                // All there: walk the state machine over it and answer from where it lies.
                let mut at = 0;
                while let Ok(step) =
                    connection.http.next(&rest[at..], &mut service.head, &service.limits)
                {
                    at += step.consumed;
                    if matches!(step.event, Event::End | Event::NeedMore) {
                        break;
                    }
                }
                self.answer(ev, token, head_bytes, &rest[..length]);
                return at;
            }
        }
        self.put_aside(ev, token, head_bytes, Body::Collect(limit));
        0
    }

    /// The body is yet to come: keeps the head, and tells a client that waits for it to go ahead.
    fn put_aside(&mut self, ev: &mut EventLoop, token: Token, head_bytes: &[u8], body: Body) {
        let now_ms = ev.now_ms();
        let Some(connection) = self.connection(token) else { return };
        connection.phase = Phase::Body;
        connection.unset(flag::HEAD_TIMED);
        if connection.http.expects_continue() {
            connection.http.continue_sent();
            if let Some(out) = &mut self.service.out {
                bytes::BufMut::put_slice(out, CONTINUE);
            }
        }
        self.body_bytes_held += head_bytes.len();
        let exchange = self.exchange(token, now_ms);
        exchange.held = Held::new(head_bytes);
        exchange.body = body;
    }

    /// A piece of the body has arrived.
    pub(super) fn body_data(&mut self, ev: &mut EventLoop, token: Token, data: &[u8]) {
        let now_ms = ev.now_ms();
        let memory_left = self.caps.body_memory.saturating_sub(self.body_bytes_held);
        let exchange = self.exchange(token, now_ms);
        exchange.moved_ms = now_ms as u32;
        exchange.window_bytes = exchange.window_bytes.saturating_add(data.len() as u32);
        let refusal = match &mut exchange.body {
            Body::None | Body::Discard => None,
            Body::Collect(limit) => {
                let held = &mut exchange.held;
                let length = (held.bytes.len() - held.head_len + data.len()) as u64;
                if length > *limit {
                    Some(Status::CONTENT_TOO_LARGE)
                } else if data.len() > memory_left {
                    Some(Status::SERVICE_UNAVAILABLE)
                } else {
                    held.bytes.extend_from_slice(data);
                    self.body_bytes_held += data.len();
                    None
                }
            }
            Body::Sink(sink) => sink.data(data).err(),
        };
        if let Some(status) = refusal {
            self.refuse(ev, token, status, None);
        }
    }

    /// The body is complete.
    pub(super) fn end_body(&mut self, ev: &mut EventLoop, token: Token) {
        let now_ms = ev.now_ms();
        let exchange = self.exchange(token, now_ms);
        let body = std::mem::replace(&mut exchange.body, Body::None);
        let held = std::mem::take(&mut exchange.held);
        self.body_bytes_held -= held.bytes.len();
        let Some(connection) = self.connection(token) else { return };
        if connection.phase == Phase::Body {
            connection.phase = Phase::Head;
        }
        match body {
            Body::None => {}
            Body::Discard => self.drop_idle_exchange(token),
            Body::Collect(_) => {
                self.tally.requests.add(1);
                self.call_held(ev, token, Call::Handle, &held);
            }
            Body::Sink(sink) => {
                self.tally.requests.add(1);
                self.finish_sink(ev, token, sink, &held);
            }
        }
    }

    fn finish_sink(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        sink: Box<dyn crate::app::Sink>,
        held: &Held,
    ) {
        let service = &mut self.service;
        let parsed = http::Connection::new().next(held.head(), &mut service.head, &service.limits);
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else { return };
        let (Ok(_), Some(out)) = (parsed, service.out.as_mut()) else {
            return self.refuse(ev, token, Status::INTERNAL_SERVER_ERROR, None);
        };
        if service.draining {
            connection.http.close();
        }
        let frame = Frame {
            method: service.head.method(),
            version: service.head.version(),
            connection_line: connection.http.connection_line(),
        };
        let request = Request::new(service.head.request(held.head()), &[], &service.clock);
        let mut response = Response::new(out, &mut service.pieces, &service.clock, frame);
        sink.finish(&request, &mut response);
        let finished = response.into_finished();
        self.finished(ev, token, finished, Some(held.head()));
    }

    /// Gives an exchange back that nothing needs any more.
    pub(super) fn drop_idle_exchange(&mut self, token: Token) {
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else { return };
        if connection.exchange == NO_EXCHANGE {
            return;
        }
        let exchange = &self.exchanges[connection.exchange as usize];
        let idle = exchange.output.is_none()
            && exchange.pieces.is_empty()
            && exchange.wait_until_ms == 0
            && exchange.log.is_none()
            && matches!(exchange.body, Body::None);
        if idle {
            self.exchanges.remove(connection.exchange as usize);
            connection.exchange = NO_EXCHANGE;
        }
    }
}
