//! From bytes to requests to responses: where Task 2 hands over to Task 3 and takes back.
//!
//! [`Engine::serve`] walks the input with the sans-IO state machine and answers every request in it
//! into the loop's output buffer, until the input is used up or something must be sent first: a
//! response that is more than bytes in the buffer, a wait, a full buffer, the connection's last
//! response.

use std::ops::Range;
use std::time::Instant;

use bytes::BufMut;
use http::{Event, Framing, Status};
use reactor::EventLoop;

use super::Engine;
use super::connection::{Connection, Exchange, Held, NO_EXCHANGE, Phase, flag};
use super::offload::{Errand, Handover};
use super::workplace::Task;
use crate::access_log::Record;
use crate::app::response::{Finished, Response};
use crate::app::{Action, App, Request};

/// How the application is called.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Handle,
    Resume,
}

impl Call {
    fn task(self) -> Task {
        match self {
            Call::Handle => Task::Handle,
            Call::Resume => Task::Resume,
        }
    }
}

impl<A: App> Engine<A> {
    /// Answers the requests in `input`; returns how many bytes of it are done with. A request that is
    /// to be handed over is none of them: it is in `self.handover` then.
    #[inline(always)]
    pub(super) fn serve(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        input: &[u8],
    ) -> usize {
        let mut at = 0;
        loop {
            let step = match connection.http.next(&input[at..], &mut self.head, &self.limits) {
                Ok(step) => step,
                Err(error) => {
                    self.refuse_malformed(ev, connection, &input[at..], error.status());
                    return input.len();
                }
            };
            let begin = at;
            at += step.consumed;
            match step.event {
                Event::Head if self.head.framing() == Framing::None => {
                    if let Some(errand) = self.answer(ev, connection, &input[begin..at], &[]) {
                        return self.interrupt(errand, begin..at, 0);
                    }
                    if at == input.len() {
                        return at;
                    }
                }
                Event::NeedMore => return at,
                Event::Head => {
                    let (head, rest) = (&input[begin..at], &input[at..]);
                    let (used, errand) = self.begin_body(ev, connection, head, rest);
                    if let Some(errand) = errand {
                        return self.interrupt(errand, begin..at, used);
                    }
                    at += used;
                }
                Event::Data { start, len } => {
                    self.body_data(ev, connection, &input[begin + start..][..len]);
                }
                Event::End => self.end_body(ev, connection),
            }
            // The end of a body may take no byte of its own.
            let all_done = at == input.len() && !connection.http.body_follows();
            if all_done {
                return at;
            }
            if connection.is(flag::LAST) {
                connection.set(flag::UNREAD);
                return input.len();
            }
            if connection.pauses() || !self.can_answer_more() {
                if at < input.len() {
                    connection.set(flag::PENDING);
                }
                return at;
            }
        }
    }

    /// The request with this head, and so many bytes of body behind it, is to be handed over.
    #[cold]
    fn interrupt(&mut self, errand: Errand, head: Range<usize>, body_len: usize) -> usize {
        let (begin, body) = (head.start, head.end..head.end + body_len);
        self.handover = Some(Handover { errand, head, body });
        begin
    }

    /// A head that is refused for what it says is whole all the same: it is logged, and HEAD gets no
    /// content. Of one that is no head at all, or of a broken body, there is only the status.
    #[cold]
    fn refuse_malformed(
        &mut self,
        ev: &EventLoop,
        connection: &mut Connection,
        input: &[u8],
        status: Status,
    ) {
        self.tally.requests_malformed.add(1);
        let whole = connection.phase == Phase::Head && self.head.is_complete();
        let head_bytes = input.get(..self.head.len()).filter(|_| whole);
        self.refuse(ev, connection, status, head_bytes);
    }

    /// Room for another response's head, and no response waiting to be sent.
    #[inline]
    fn can_answer_more(&self) -> bool {
        self.pieces.is_empty() && self.out.remaining_mut() >= self.response_room
    }

    /// [`Engine::answer`] for a request with a body, which is not the path that is measured.
    pub(super) fn answer_body(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        head_bytes: &[u8],
        body: &[u8],
    ) -> Option<Errand> {
        self.answer(ev, connection, head_bytes, body)
    }

    /// Calls the application for a complete request whose head is in `self.head`; tells what it is
    /// to be handed over for, if it could not be answered here.
    #[inline(always)]
    fn answer(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        head_bytes: &[u8],
        body: &[u8],
    ) -> Option<Errand> {
        connection.unset(flag::HEAD_TIMED);
        self.tally.requests.add(1);
        self.close_if_last(connection);
        self.call(ev, connection, Call::Handle, head_bytes, body)
    }

    /// The connection has had its number of requests, or the server is about to stop.
    #[inline]
    pub(super) fn close_if_last(&self, connection: &mut Connection) {
        let spent = self.requests_max != 0 && connection.http.requests() >= self.requests_max;
        if spent || self.draining {
            connection.http.close();
        }
    }

    /// Task 3. `head_bytes` are the bytes that `self.head` was parsed from.
    ///
    /// This is the seam where models differ. *Work* is done inline, by the loop itself (SPED), or
    /// where the model's workplace is: then it is the caller's to hand the request over.
    #[inline(always)]
    pub(super) fn call(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        call: Call,
        head_bytes: &[u8],
        body: &[u8],
    ) -> Option<Errand> {
        if self.offloads_all {
            return Some(Errand { task: call.task(), close: false });
        }
        let frame = self.frame(connection);
        let request = Request::new(self.head.request(head_bytes), body, &self.clock);
        let mut response = Response::new(&mut self.out, &mut self.pieces, &self.clock, frame);
        let action = match call {
            Call::Handle => self.app.handle(&mut self.local, &request, &mut response),
            Call::Resume => self.app.resume(&mut self.local, &request, &mut response),
        };
        match action {
            Action::Done => {
                let finished = response.outcome();
                self.finished(ev, connection, finished, Some(head_bytes));
            }
            Action::Work if self.desk.is_some() => {
                return Some(Errand { task: Task::Work, close: response.withdraw() });
            }
            Action::Work => {
                let begun = Instant::now();
                self.app.work(&request, &mut response);
                let finished = response.outcome();
                self.worked(ev, begun);
                connection.set(flag::WORKED);
                self.finished(ev, connection, finished, Some(head_bytes));
            }
            Action::Wait(time) => {
                self.begin_wait(ev, connection, time.as_millis() as u64, head_bytes, body);
            }
        }
        None
    }

    /// Work was done inline: the turn's time is no longer the time.
    fn worked(&mut self, ev: &mut EventLoop, begun: Instant) {
        self.tally.works.add(1);
        self.tally.work_us.add(begun.elapsed().as_micros() as u64);
        ev.refresh_clock();
        self.clock.update(ev.now_ms());
    }

    /// Counts and logs a response whose head is in the output buffer.
    #[inline(always)]
    pub(super) fn finished(
        &mut self,
        ev: &EventLoop,
        connection: &mut Connection,
        finished: Finished,
        head_bytes: Option<&[u8]>,
    ) {
        if finished.close {
            connection.http.close();
        }
        if !connection.http.persists() {
            connection.set(flag::LAST);
        }
        self.tally.response(finished.status.code());
        if self.log.is_on() {
            self.log_response(ev, connection, finished, head_bytes);
        }
    }

    /// The application asked for a time: the request is put aside.
    #[cold]
    pub(super) fn begin_wait(
        &mut self,
        ev: &EventLoop,
        connection: &mut Connection,
        ms: u64,
        head_bytes: &[u8],
        body: &[u8],
    ) {
        if !self.has_memory(head_bytes.len() + body.len()) {
            return self.refuse(ev, connection, Status::SERVICE_UNAVAILABLE, Some(head_bytes));
        }
        let mut held = Held::new(head_bytes);
        held.bytes.extend_from_slice(body);
        let now_ms = ev.now_ms();
        self.body_bytes_held += held.bytes.len();
        let exchange = self.exchange(connection, now_ms);
        exchange.held = held;
        exchange.wait_until_ms = (now_ms + ms).max(1);
        self.tally.waits.add(1);
        connection.phase = Phase::Wait;
    }

    /// A wait is over: the request is taken up again, or soon, when there is no buffer now.
    pub(super) fn end_wait(&mut self, ev: &mut EventLoop, connection: &mut Connection) {
        let has_buffers = self.has_buffers() || self.may_go_on(connection);
        let exchange = self.exchange(connection, ev.now_ms());
        if !has_buffers {
            exchange.wait_until_ms = ev.now_ms() + 1;
            return;
        }
        exchange.wait_until_ms = 0;
        let held = std::mem::take(&mut exchange.held);
        self.body_bytes_held -= held.bytes.len();
        self.tally.waits.sub(1);
        connection.phase = Phase::Head;
        self.call_held(ev, connection, Call::Resume, held);
    }

    /// Calls the application for a request whose head must be parsed once more, from its own bytes.
    pub(super) fn call_held(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        call: Call,
        held: Held,
    ) {
        if !self.parse_again(&held) {
            return self.refuse(ev, connection, Status::INTERNAL_SERVER_ERROR, None);
        }
        self.close_if_last(connection);
        let Some(errand) = self.call(ev, connection, call, held.head(), held.body()) else {
            return;
        };
        if !self.put_request_aside(ev, connection, errand, held) {
            self.refuse(ev, connection, Status::SERVICE_UNAVAILABLE, None);
        }
    }

    /// Brings a held head back into `self.head`. The same bytes were a valid head before; should
    /// they not be one now, that must not kill the loop.
    pub(super) fn parse_again(&mut self, held: &Held) -> bool {
        http::Connection::new().next(held.head(), &mut self.head, &self.limits).is_ok()
    }

    /// The connection's exchange, made when it has none.
    pub(super) fn exchange(&mut self, connection: &mut Connection, now_ms: u64) -> &mut Exchange {
        if connection.exchange == NO_EXCHANGE {
            connection.exchange = self.exchanges.insert(Exchange::new(now_ms)) as u32;
        }
        &mut self.exchanges[connection.exchange as usize]
    }

    #[cold]
    fn log_response(
        &mut self,
        ev: &EventLoop,
        connection: &mut Connection,
        finished: Finished,
        head_bytes: Option<&[u8]>,
    ) {
        let age_ms = (ev.now_ms() as u32).wrapping_sub(connection.started_ms);
        let peer = self.peers.get(connection.token.slot() as usize).copied().flatten();
        let record = Record {
            peer: peer.and_then(|peer| peer.ip()),
            request: head_bytes.map(|bytes| self.head.request(bytes)),
            status: finished.status.code(),
            body_bytes: finished.body_len.unwrap_or(0),
            duration_us: u64::from(age_ms) * 1000,
            time: self.clock.system_time(),
        };
        if self.pieces.is_empty() {
            return self.log.record(&record);
        }
        // Still to be streamed: the line is written when it has been.
        let held = self.log.hold(&record);
        let unsent = self.out.len() as i64;
        let exchange = self.exchange(connection, ev.now_ms());
        exchange.log = Some(held);
        exchange.sent = -unsent;
    }
}
