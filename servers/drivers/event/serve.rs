//! From bytes to requests to responses: where Task 2 hands over to Task 3 and takes back.
//!
//! [`Driver::serve`] walks the input with the sans-IO state machine and answers every request in it
//! into the loop's output buffer, until the input is used up or something must be sent first: a response
//! that is more than bytes in the buffer, a wait, a full buffer, the connection's last response.

use bytes::BufMut;
use http::{Event, Status};
use reactor::{EventLoop, Token};

use super::connection::{Exchange, Held, NO_EXCHANGE, Phase, flag};
use super::{Driver, Service};
use crate::access_log::Record;
use crate::app::{Action, App, Request};
use crate::counters::Counters;
use crate::response::{Finished, Frame, Response};

/// What is known of a response once the application has returned.
pub(super) enum Answer {
    /// It has been answered.
    Finished(Finished),
    /// It will be, after so many milliseconds.
    Wait(u64),
}

/// How the application is called.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Handle,
    Resume,
}

impl<A: App> Service<A> {
    /// Task 3. `head_bytes` are the bytes that `self.head` was parsed from.
    ///
    /// This is the seam where models differ: here *work* is done inline, by the loop itself (SPED).
    #[inline]
    pub(super) fn call(
        &mut self,
        call: Call,
        connection_line: &'static [u8],
        head_bytes: &[u8],
        body: &[u8],
        tally: &Counters,
    ) -> Answer {
        let Some(out) = self.out.as_mut() else { return Answer::Wait(0) };
        let method = self.head.method();
        let frame = Frame { method, version: self.head.version(), connection_line };
        let request = Request::new(self.head.request(head_bytes), body, &self.clock);
        let mut response = Response::new(out, &mut self.pieces, &self.clock, frame);
        let action = match call {
            Call::Handle => self.app.handle(&mut self.local, &request, &mut response),
            Call::Resume => self.app.resume(&mut self.local, &request, &mut response),
        };
        match action {
            Action::Done => {}
            Action::Work => {
                let begun = std::time::Instant::now();
                self.app.work(&request, &mut response);
                tally.works.add(1);
                tally.work_us.add(begun.elapsed().as_micros() as u64);
            }
            Action::Wait(time) => return Answer::Wait(time.as_millis() as u64),
        }
        Answer::Finished(response.into_finished())
    }

    /// Room for another response's head, and no response waiting to be sent.
    #[inline]
    fn can_answer_more(&self) -> bool {
        self.pieces.is_empty()
            && self.out.as_ref().is_some_and(|out| out.remaining_mut() >= self.response_room)
    }
}

impl<A: App> Driver<A> {
    /// Answers the requests in `input`; returns how many bytes of it are done with.
    pub(super) fn serve(&mut self, ev: &mut EventLoop, token: Token, input: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let Some(connection) = self.connections[token.slot() as usize].as_mut() else {
                return input.len();
            };
            // The end of a body may take no byte of its own.
            if at == input.len() && !connection.http.body_follows() {
                return at;
            }
            let service = &mut self.service;
            let step = match connection.http.next(&input[at..], &mut service.head, &service.limits) {
                Ok(step) => step,
                Err(error) => {
                    self.tally.requests_malformed.add(1);
                    self.refuse(ev, token, error.status(), None);
                    return input.len();
                }
            };
            let begin = at;
            at += step.consumed;
            match step.event {
                Event::NeedMore => return at,
                Event::Head if !connection.http.body_follows() => {
                    self.answer(ev, token, &input[begin..at], &[]);
                }
                Event::Head => at += self.begin_body(ev, token, &input[begin..at], &input[at..]),
                Event::Data { start, len } => {
                    self.body_data(ev, token, &input[begin + start..][..len]);
                }
                Event::End => self.end_body(ev, token),
            }
            if let Some(done) = self.must_stop(token, at, input.len()) {
                return done;
            }
        }
    }

    /// Whether something must be sent before the input goes on; how much of it is then done with.
    #[inline]
    fn must_stop(&mut self, token: Token, at: usize, len: usize) -> Option<usize> {
        let more = self.service.can_answer_more();
        let Some(connection) = self.connection(token) else { return Some(len) };
        if connection.is(flag::LAST) {
            if at < len {
                connection.set(flag::UNREAD);
            }
            return Some(len);
        }
        if more && connection.phase != Phase::Wait {
            return None;
        }
        if at < len {
            connection.set(flag::PENDING);
        }
        Some(at)
    }

    /// Calls the application for a complete request.
    #[inline]
    pub(super) fn answer(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        head_bytes: &[u8],
        body: &[u8],
    ) {
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else { return };
        connection.unset(flag::HEAD_TIMED);
        self.tally.requests.add(1);
        let service = &mut self.service;
        let spent = service.requests_max != 0 && connection.http.requests() >= service.requests_max;
        if spent || service.draining {
            connection.http.close();
        }
        let line = connection.http.connection_line();
        let answer = service.call(Call::Handle, line, head_bytes, body, &self.tally);
        self.answered(ev, token, answer, head_bytes, body);
    }

    /// Takes the application's answer in.
    #[inline]
    pub(super) fn answered(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        answer: Answer,
        head_bytes: &[u8],
        body: &[u8],
    ) {
        match answer {
            Answer::Finished(finished) => self.finished(ev, token, finished, Some(head_bytes)),
            Answer::Wait(ms) => self.begin_wait(ev, token, ms, head_bytes, body),
        }
    }

    /// Counts and logs a response whose head is in the output buffer.
    #[inline]
    pub(super) fn finished(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        finished: Finished,
        head_bytes: Option<&[u8]>,
    ) {
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else { return };
        if finished.close {
            connection.http.close();
        }
        if !connection.http.persists() {
            connection.set(flag::LAST);
        }
        self.tally.response(finished.status.code());
        if self.service.log.is_on() {
            self.log_response(ev, token, finished, head_bytes);
        }
    }

    /// The application asked for a time: the request is put aside.
    fn begin_wait(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        ms: u64,
        head_bytes: &[u8],
        body: &[u8],
    ) {
        let mut held = Held::new(head_bytes);
        held.bytes.extend_from_slice(body);
        let now_ms = ev.now_ms();
        self.body_bytes_held += held.bytes.len();
        let exchange = self.exchange(token, now_ms);
        exchange.held = held;
        exchange.wait_until_ms = (now_ms + ms).max(1);
        self.tally.waits.add(1);
        if let Some(connection) = self.connection(token) {
            connection.phase = Phase::Wait;
        }
    }

    /// A wait is over: the request is taken up again.
    pub(super) fn end_wait(&mut self, ev: &mut EventLoop, token: Token) {
        if !self.has_buffers() {
            // Soon: buffers return as others are sent.
            ev.set_deadline(token, ev.now_ms() + 1);
            return;
        }
        let now_ms = ev.now_ms();
        let exchange = self.exchange(token, now_ms);
        exchange.wait_until_ms = 0;
        let held = std::mem::take(&mut exchange.held);
        self.body_bytes_held -= held.bytes.len();
        self.tally.waits.sub(1);
        let Some(connection) = self.connection(token) else { return };
        connection.phase = Phase::Head;
        self.call_held(ev, token, Call::Resume, &held);
        self.go_on(ev, token);
    }

    /// Calls the application for a request whose head must be parsed once more, from its own bytes.
    pub(super) fn call_held(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        call: Call,
        held: &Held,
    ) {
        let service = &mut self.service;
        let parsed = http::Connection::new().next(held.head(), &mut service.head, &service.limits);
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else { return };
        if parsed.is_err() {
            // The same bytes were a valid head before: this cannot be, and must not kill the loop.
            return self.refuse(ev, token, Status::INTERNAL_SERVER_ERROR, None);
        }
        if service.draining {
            connection.http.close();
        }
        let line = connection.http.connection_line();
        let answer = service.call(call, line, held.head(), held.body(), &self.tally);
        self.answered(ev, token, answer, held.head(), held.body());
    }

    /// The connection's exchange, made when it has none.
    pub(super) fn exchange(&mut self, token: Token, now_ms: u64) -> &mut Exchange {
        let connection = self.connections[token.slot() as usize]
            .as_mut()
            .expect("callers have looked the connection up");
        if connection.exchange == NO_EXCHANGE {
            connection.exchange = self.exchanges.insert(Exchange::new(now_ms)) as u32;
        }
        &mut self.exchanges[connection.exchange as usize]
    }

    fn log_response(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        finished: Finished,
        head_bytes: Option<&[u8]>,
    ) {
        let slot = token.slot() as usize;
        let Some(connection) = self.connections[slot].as_ref() else { return };
        let service = &mut self.service;
        let age_ms = (ev.now_ms() as u32).wrapping_sub(connection.started_ms);
        let record = Record {
            peer: self.peers.get(slot).and_then(|from| from.0).and_then(|peer| peer.ip()),
            request: head_bytes.map(|bytes| service.head.request(bytes)),
            status: finished.status.code(),
            body_bytes: finished.body_len.unwrap_or(0),
            duration_us: u64::from(age_ms) * 1000,
            time: service.clock.system_time(),
        };
        if service.pieces.is_empty() {
            return service.log.record(&record);
        }
        // Still to be streamed: the line is written when it has been.
        let held = service.log.hold(&record);
        let unsent = service.out.as_ref().map_or(0, |out| out.len()) as i64;
        let exchange = self.exchange(token, ev.now_ms());
        exchange.log = Some(held);
        exchange.sent = -unsent;
    }
}
