//! Task 3 on the connection's own thread.
//!
//! ```text
//!   feed ──► Next::Work ──► what was answered before is sent ──► App::work ──► Session::answered
//!            the head is taken out of the context                the head is put back
//!            └──────────────────── no context is held ───────────────────────┘
//! ```
//!
//! So it holds up its own client only, as long as there is a processor for the others.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use http::Status;

use super::{Driver, End};
use crate::app::clock::Clock;
use crate::app::response::{Frame, Output, Response};
use crate::app::{App, Request};
use crate::drivers::transport::Transport;
use crate::report::report;
use crate::session::{Context, Next, Session};
use crate::work::request::{Outcome, PendingRequest, Place, SavedRequest, request_line};

/// A request on its way through `work`.
pub(super) struct Job {
    head: http::Head,
    clock: Clock,
    frame: Frame,
    saved: Option<SavedRequest>,
}

impl Job {
    pub fn new(limits: &http::Limits) -> Self {
        let (head, clock) = (http::Head::new(limits), Clock::new(0));
        Job { head, clock, frame: Frame::default(), saved: None }
    }

    /// Takes the request's head out of the context, for the time that it takes to answer it.
    pub fn take<A: App>(
        &mut self,
        cx: &mut Context<A>,
        session: &mut Session,
        request: PendingRequest,
    ) {
        self.saved = match request.place {
            Place::Saved => session.take_saved(cx),
            Place::Input { .. } => None,
        };
        self.frame = session.frame(&cx.head);
        std::mem::swap(&mut self.head, &mut cx.head);
    }

    /// The bytes of the head and of the body.
    fn bytes<'b>(
        &'b self,
        input: &'b [u8],
        request: PendingRequest,
    ) -> Option<(&'b [u8], &'b [u8])> {
        match (&self.saved, request.place) {
            (Some(saved), _) => Some((saved.head(), saved.body())),
            (None, Place::Input { head_len, .. }) => {
                Some(input[..request.input_len()].split_at(head_len as usize))
            }
            (None, Place::Saved) => None,
        }
    }

    /// Has the application answer; `false`: it has panicked, and the answer is 500.
    fn run<A: App>(
        &self,
        app: &A,
        head: &[u8],
        body: &[u8],
        close: bool,
        out: &mut Output,
    ) -> (Outcome, bool) {
        let request = Request::new(self.head.request(head), body, &self.clock);
        let survived = catch_unwind(AssertUnwindSafe(|| {
            let mut response = self.response(close, out);
            app.work(&request, &mut response);
            response.outcome()
        }));
        match survived {
            Ok(finished) => (Outcome::Answered(finished), true),
            Err(_) => {
                out.clear();
                let mut response = self.response(close, out);
                response.error(Status::INTERNAL_SERVER_ERROR);
                (Outcome::Answered(response.outcome()), false)
            }
        }
    }

    fn response<'o>(&'o self, close: bool, out: &'o mut Output) -> Response<'o> {
        let mut response = Response::new(out, &self.clock, self.frame);
        if close {
            response.close();
        }
        response
    }
}

impl<A: App, T: Transport> Driver<'_, A, T> {
    /// Answers a request that may take its time, here.
    #[cold]
    pub(super) fn work(&mut self, request: PendingRequest) -> Result<Next, End> {
        if !self.out.is_empty() {
            let next = self.send()?;
            if next != Next::Read {
                return Ok(next);
            }
        }
        self.session.begin_work();
        let Some(mut job) = self.job.take() else { return Err(End::Closed) };
        if let Some((head, _)) = job.bytes(&self.input, request) {
            self.io.serves(head);
        }
        self.io.will_block();
        let begun = Instant::now();
        job.clock.update(self.shared.contexts.now_ms());
        let (outcome, survived) = match job.bytes(&self.input, request) {
            Some((head, body)) => {
                let app = self.shared.contexts.app();
                job.run(app, head, body, request.close, &mut self.out)
            }
            None => (Outcome::Nothing, true),
        };
        if !survived {
            let head = job.bytes(&self.input, request).unwrap_or_default().0;
            self.report_panic(head, "replied 500");
        }
        let work_us = begun.elapsed().as_micros() as u64;
        let next = self.step(|session, cx, input, out| {
            std::mem::swap(&mut job.head, &mut cx.head);
            cx.counters.works.add(1);
            cx.counters.work_us.add(work_us);
            cx.counters.worker_panics.add(u64::from(!survived));
            let (head, body) = job.bytes(input, request).unwrap_or_default();
            let next = session.answered(cx, outcome, head, body, out);
            input.advance(request.input_len());
            if !input.is_empty() {
                session.set_pending();
            }
            next
        });
        job.saved = None;
        self.job = Some(job);
        Ok(next)
    }

    /// The panic itself has been reported with its place in the source, and the thread's name.
    #[cold]
    pub(super) fn report_panic(&self, head: &[u8], consequence: &str) {
        let number = self.connection.number();
        let line = request_line(head);
        report!("connection {number}: a panic while answering {line}; {consequence}");
    }
}
