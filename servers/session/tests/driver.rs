//! The driver of a [`Pair`]: what the conversation wants next, as the drivers that ship do it.

use std::mem;

use super::pair::{At, Job, Pair, Works};
use super::server::app::response::{Piece, Pieces, Response, refill};
use super::server::app::{Action, App, Request};
use super::server::session::{Next, Phase, Unsent};
use super::server::work::request::{Call, Outcome, PendingRequest, Place};

/// How far sending came.
enum Sent {
    All,
    Some,
    Broken,
}

impl Pair {
    /// Serves what there is of input.
    pub(super) fn serve(&mut self) {
        let mut input = mem::take(&mut self.input);
        let (used, next) = self.session.feed(&mut self.cx, &input, &mut self.out);
        assert!(used <= input.len(), "used more than there is");
        assert!(next != Next::Read || self.out.is_empty(), "reads with output in hand");
        if let Next::Work(request) = next {
            let end = used + request.input_len();
            let bytes: Vec<u8> = input.drain(..end).skip(used).collect();
            self.input = input;
            return self.work(request, &bytes);
        }
        input.drain(..used);
        self.input = input;
        self.follow(next);
    }

    /// Does what the conversation wants next, as far as it can be done now.
    pub(super) fn follow(&mut self, next: Next) {
        let goes_on = matches!(next, Next::Read | Next::Sleep | Next::Work(_));
        assert!(!goes_on || !self.session.is_last(), "{next:?} after the last response");
        match next {
            Next::Read if self.session.has_pending() => self.serve(),
            Next::Read => self.at = At::Reads,
            Next::Write => self.flush(),
            Next::Sleep => self.at = At::Sleeps,
            Next::Work(request) => self.work(request, &[]),
            Next::Linger => {
                self.session.linger(&mut self.cx);
                self.input.clear();
                self.at = At::Lingers;
            }
            Next::Close => self.close(false),
            Next::Reset => self.close(true),
        }
    }

    pub(super) fn close(&mut self, reset: bool) {
        if !self.is_closed() {
            self.session.end(&mut self.cx);
            self.job = None;
            self.at = At::Closed { reset };
        }
    }

    pub(super) fn expire(&mut self) {
        let works = self.session.phase() == Phase::Work;
        let seen = if works { &[] } else { &self.input[..] };
        let next = self.session.expired(&mut self.cx, seen, &mut self.out);
        if self.session.is_last() {
            self.input.clear();
            self.job = None;
        }
        match next {
            // Output that the socket has not taken.
            Next::Write if self.session.phase() == Phase::Send => {}
            Next::Write => self.flush(),
            next => self.follow(next),
        }
    }

    /// Sends what a step has put into the output.
    fn flush(&mut self) {
        assert!(!self.out.is_empty(), "nothing to write");
        let (bytes, pieces) = (&mut self.out.bytes, &mut self.out.pieces);
        let before = self.received.len();
        let came = send_some(bytes, pieces, &mut self.room, &mut self.received);
        let sent = (self.received.len() - before) as u64;
        if let Sent::All = came {
            let next = self.session.sent(&mut self.cx, sent);
            assert!(next != Next::Write, "everything is sent");
            return self.follow(next);
        }
        let unsent = Unsent { bytes: self.take_output(), pieces: mem::take(&mut self.out.pieces) };
        self.session.park(&mut self.cx, sent, unsent);
        self.unfinished(&came);
    }

    /// Goes on with what the socket had not taken.
    pub(super) fn send_rest(&mut self) {
        let unsent = self.session.unsent().expect("something to send");
        let bytes = unsent.bytes.as_mut().unwrap_or(&mut self.out.bytes);
        let before = self.received.len();
        let came = send_some(bytes, &mut unsent.pieces, &mut self.room, &mut self.received);
        let sent = (self.received.len() - before) as u64;
        unsent.bytes = unsent.bytes.take().filter(|bytes| !bytes.is_empty());
        if !self.out.bytes.is_empty() {
            let made = self.take_output();
            self.session.unsent().expect("it is still there").bytes = made;
        }
        if let Sent::All = came {
            let next = self.session.sent(&mut self.cx, sent);
            return self.follow(next);
        }
        self.session.moved(&mut self.cx, sent);
        self.unfinished(&came);
    }

    fn take_output(&mut self) -> Option<reactor::Buffer> {
        if self.out.bytes.is_empty() {
            return None;
        }
        let fresh = self.pool.take(0).expect("a connection needs one buffer more at most");
        Some(mem::replace(&mut self.out.bytes, fresh))
    }

    fn unfinished(&mut self, came: &Sent) {
        self.at = At::Sends;
        if let Sent::Broken = came {
            let next = self.session.aborted(&mut self.cx);
            self.follow(next);
        }
    }

    /// Has a request answered that was left to the driver. `bytes`: of the input.
    fn work(&mut self, request: PendingRequest, bytes: &[u8]) {
        let Place::Input { head_len, .. } = request.place else {
            return match self.works {
                Works::Later => self.at = At::Queued,
                _ => self.submit_saved(),
            };
        };
        let (head, body) = bytes.split_at(head_len as usize);
        if !self.input.is_empty() {
            self.session.set_pending();
        }
        if self.works == Works::Inline {
            let outcome = self.carry_out(request.call, request.close, head, body);
            return self.answered(outcome, head, body);
        }
        self.hand_over(request, bytes);
    }

    /// What was answered before the request goes first.
    fn hand_over(&mut self, request: PendingRequest, bytes: &[u8]) {
        if !self.out.is_empty() {
            // Not served meanwhile: a request is on its way out.
            let pending = mem::take(&mut self.input);
            self.at = At::Works;
            self.flush_before_work();
            self.input = pending;
            if self.is_closed() || self.at == At::Lingers {
                return;
            }
        }
        let sends = self.session.phase() == Phase::Send;
        if !sends && self.works == Works::Elsewhere {
            let Place::Input { head_len, .. } = request.place else { unreachable!() };
            let (head, body) = bytes.split_at(head_len as usize);
            return self.submit(request, head.to_vec(), body.to_vec());
        }
        match (self.session.save(&mut self.cx, request, bytes), sends) {
            (true, true) => self.at = At::Sends,
            (true, false) => self.at = At::Queued,
            (false, true) => self.close(false),
            (false, false) => {
                let next = self.session.unavailable(&mut self.cx, bytes, &mut self.out);
                self.input.clear();
                self.follow(next);
            }
        }
    }

    /// [`Pair::flush`] of which only the end of the connection is followed.
    fn flush_before_work(&mut self) {
        let (bytes, pieces) = (&mut self.out.bytes, &mut self.out.pieces);
        let before = self.received.len();
        let came = send_some(bytes, pieces, &mut self.room, &mut self.received);
        let sent = (self.received.len() - before) as u64;
        if let Sent::All = came {
            let next = self.session.sent(&mut self.cx, sent);
            assert!(!matches!(next, Next::Write | Next::Work(_)), "{next:?} before work");
            if matches!(next, Next::Linger | Next::Close | Next::Reset) {
                self.follow(next);
            }
            return;
        }
        let unsent = Unsent { bytes: self.take_output(), pieces: mem::take(&mut self.out.pieces) };
        self.session.park(&mut self.cx, sent, unsent);
        self.unfinished(&came);
    }

    pub(super) fn submit_saved(&mut self) {
        let request = self.session.saved_call().expect("a request is saved");
        let saved = self.session.take_saved(&mut self.cx).expect("its bytes are, too");
        let (head, body) = (saved.head().to_vec(), saved.body().to_vec());
        if self.works == Works::Inline {
            let outcome = self.carry_out(request.call, request.close, &head, &body);
            return self.answered(outcome, &head, &body);
        }
        self.submit(request, head, body);
    }

    fn submit(&mut self, request: PendingRequest, head: Vec<u8>, body: Vec<u8>) {
        self.session.begin_work();
        self.session.remember_line(&mut self.cx, &head);
        self.job = Some(Job { call: request.call, close: request.close, head, body });
        self.at = At::Works;
    }

    pub(super) fn answered(&mut self, outcome: Outcome, head: &[u8], body: &[u8]) {
        let next = self.session.answered(&mut self.cx, outcome, head, body, &mut self.out);
        self.follow(next);
    }

    /// What an executor does.
    pub(super) fn carry_out(
        &mut self,
        call: Call,
        close: bool,
        head: &[u8],
        body: &[u8],
    ) -> Outcome {
        let frame = self.session.frame(&self.cx.head);
        let mut response = Response::new(&mut self.out, &self.cx.clock, frame);
        if close {
            response.close();
        }
        let request = Request::new(self.cx.head.request(head), body, &self.cx.clock);
        let action = match call {
            Call::Handle => self.cx.app.handle(&mut self.cx.local, &request, &mut response),
            Call::Resume => self.cx.app.resume(&mut self.cx.local, &request, &mut response),
            Call::Work => Action::Work,
        };
        match action {
            Action::Wait(time) => return Outcome::Waits(time),
            Action::Work => self.cx.app.work(&request, &mut response),
            Action::Done => {}
        }
        Outcome::Answered(response.outcome())
    }
}

/// Sends as much as the socket has room for.
fn send_some(
    bytes: &mut reactor::Buffer,
    pieces: &mut Pieces,
    room: &mut usize,
    received: &mut Vec<u8>,
) -> Sent {
    loop {
        let len = bytes.len().min(*room);
        received.extend_from_slice(&bytes[..len]);
        bytes.advance(len);
        *room = room.saturating_sub(if *room == usize::MAX { 0 } else { len });
        let Some(piece) = pieces.front().filter(|_| bytes.is_empty()) else {
            return if bytes.is_empty() { Sent::All } else { Sent::Some };
        };
        if *room == 0 {
            return Sent::Some;
        }
        match piece {
            Piece::Bytes(shared) => {
                let part = shared.split_to(shared.len().min(*room));
                received.extend_from_slice(&part);
                *room = room.saturating_sub(if *room == usize::MAX { 0 } else { part.len() });
                if shared.is_empty() {
                    pieces.pop_front();
                }
            }
            piece => match refill(bytes, piece) {
                Ok(true) => {}
                Ok(false) => pieces.pop_front(),
                Err(_) => return Sent::Broken,
            },
        }
    }
}
