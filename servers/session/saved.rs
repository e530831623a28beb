//! Saved requests: the session keeps their bytes, because their buffer is reused before they are
//! answered.
//!
//! They are kept on the heap, counted against `--body-memory`, and their head is parsed again when
//! their turn comes.

use std::mem;

use http::{Event, Status};

use super::exchange::SavedCall;
use super::log::Subject;
use super::{Context, Next, Phase, Session};
use crate::app::App;
use crate::app::response::{Output, Response};
use crate::work::request::{Call, PendingRequest, Place, SavedRequest};

impl Session {
    /// Saves a request that was left to the driver until everything before it is sent, or there is
    /// room for it. `input` begins with it. `false`: there is no memory for it, and it still has to
    /// be answered.
    pub fn save<A: App>(
        &mut self,
        cx: &mut Context<A>,
        work: PendingRequest,
        input: &[u8],
    ) -> bool {
        let Place::Input { head_len, .. } = work.place else { return true };
        let (head, body) = input[..work.input_len()].split_at(head_len as usize);
        let saved = self.save_request(cx, work, SavedRequest::new(head, body)).is_ok();
        if self.phase != Phase::Send {
            // Even if it was not saved: what was sent before it may have begun the next phase.
            self.phase = Phase::Work;
        }
        saved
    }

    /// Takes the saved request out of the session, and parses its head into the context again.
    /// `None`: there is none.
    pub fn take_saved<A: App>(&mut self, cx: &mut Context<A>) -> Option<SavedRequest> {
        let exchange = self.exchange.as_mut()?;
        exchange.call.take()?;
        let saved = mem::take(&mut exchange.saved);
        cx.memory.give_back(saved.len());
        parse_again(cx, &saved).then_some(saved)
    }

    /// Answers 503 to the saved request; the connection stays open.
    pub fn overloaded<A: App>(&mut self, cx: &mut Context<A>, out: &mut Output) -> Next {
        self.phase = Phase::Idle;
        match self.take_saved(cx) {
            Some(saved) => {
                let frame = self.frame(&cx.head);
                let mut response = Response::new(out, &cx.clock, frame);
                response.unavailable();
                let finished = response.outcome();
                self.finished(cx, finished, Subject::Head(saved.head()), out);
            }
            None => self.refuse(cx, Status::SERVICE_UNAVAILABLE, Subject::Part(&[]), out),
        }
        self.next(out)
    }

    /// The saved request, and the call that it needs.
    pub fn saved_call(&self) -> Option<PendingRequest> {
        let SavedCall { call, close } = self.exchange.as_ref()?.call?;
        Some(PendingRequest { call, close, place: Place::Saved })
    }

    /// Calls the application for a saved request, whose head is parsed again.
    pub(super) fn call_saved<A: App>(
        &mut self,
        cx: &mut Context<A>,
        call: Call,
        saved: SavedRequest,
        out: &mut Output,
    ) {
        if !parse_again(cx, &saved) {
            let seen = Subject::Part(saved.head());
            return self.refuse(cx, Status::INTERNAL_SERVER_ERROR, seen, out);
        }
        self.close_if_last(cx);
        let (head, body) = (saved.head(), saved.body());
        if let Some(work) = self.call(cx, call, head, body, Place::Saved, out)
            && let Err(saved) = self.save_request(cx, work, saved)
        {
            let subject = Subject::Head(saved.head());
            self.refuse(cx, Status::SERVICE_UNAVAILABLE, subject, out);
        }
    }

    /// Takes out the bytes that the session keeps of its request; empty if there are none.
    pub(super) fn take_saved_bytes<A: App>(&mut self, cx: &mut Context<A>) -> SavedRequest {
        let Some(exchange) = &mut self.exchange else { return SavedRequest::default() };
        let saved = mem::take(&mut exchange.saved);
        cx.memory.give_back(saved.len());
        saved
    }

    /// Gives the request back when there is no memory for it.
    fn save_request<A: App>(
        &mut self,
        cx: &mut Context<A>,
        work: PendingRequest,
        saved: SavedRequest,
    ) -> Result<(), SavedRequest> {
        if !cx.memory.take(saved.len()) {
            return Err(saved);
        }
        let exchange = self.exchange(cx);
        debug_assert!(exchange.call.is_none(), "a connection has one request in flight");
        exchange.saved = saved;
        exchange.call = Some(SavedCall { call: work.call, close: work.close });
        if self.phase != Phase::Send {
            self.phase = Phase::Work;
        }
        Ok(())
    }
}

/// Parses a saved head into the context again. The same bytes were a valid head before; if they are
/// not one now, that must not stop the server.
pub(super) fn parse_again<A: App>(cx: &mut Context<A>, saved: &SavedRequest) -> bool {
    let parsed = http::Connection::new().next(saved.head(), &mut cx.head, &cx.limits);
    parsed.is_ok_and(|step| step.event == Event::Head)
}
