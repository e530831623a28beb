//! Task 3 outside of the session: inline, or handed over to an executor.
//!
//! ```text
//!             everything before it is sent,
//!             and there is room               taken back, by its key
//!   feed ──┬────────────────────────► Work ───────────────────────► answered (its response is sent)
//!          └─► Queued ──there is room──►┘
//!              (or 503: --overload reject)
//! ```
//!
//! A request that cannot be handed over yet is saved: only its bytes are kept, on the heap, counted
//! against `--body-memory`. Requests that wait for room are served in order of arrival. Nothing is
//! read from such a connection, so what it has pipelined stays in the socket.
//!
//! A connection may end while its job is in flight. The job then finds no connection under its key
//! (the token's generation has moved on), or one that no longer waits for it, and is dropped.

use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

use reactor::{Buffer, EventLoop, Token};

use super::connection::{Connection, Stage};
use super::{Engine, Step};
use crate::app::response::Response;
use crate::app::{App, Request};
use crate::options::Overload;
use crate::session::Phase;
use crate::work::executor::{Executor, OffloadConfig};
use crate::work::job::{Job, Kind};
use crate::work::page_cache::Window;
use crate::work::request::{Outcome, PendingRequest, Place};

/// Jobs allocated at startup; very long rings may need more, which are allocated later.
const JOBS_AT_START: usize = 1024;

/// The loop's side of an executor.
pub(super) struct Offload {
    pub executor: Box<dyn Executor>,
    overload: Overload,
    /// Idle jobs, the one used last on top: its memory is warm.
    #[expect(clippy::vec_box, reason = "a job travels as a pointer")]
    stock: Vec<Box<Job>>,
    /// Buffers for jobs that have not been allocated yet.
    pub spare: Vec<(Buffer, Buffer)>,
    /// Abandoned jobs whose buffers have not been replaced yet.
    pub lost: usize,
    /// Connections that wait for room, the oldest first. Some may have ended since then.
    pub waiting: VecDeque<Token>,
    /// A source without a descriptor: its deadline is when to check for jobs that take too long.
    pub watch: Token,
}

impl Offload {
    /// `buffers`: two for each job.
    pub fn new(
        config: OffloadConfig,
        limits: &http::Limits,
        mut buffers: Vec<(Buffer, Buffer)>,
        watch: Token,
    ) -> Self {
        let mut stock = Vec::with_capacity(buffers.len());
        let first = buffers.drain(..buffers.len().min(JOBS_AT_START));
        stock.extend(first.map(|(input, out)| Box::new(Job::new(limits, input, out))));
        Offload {
            executor: config.executor,
            overload: config.overload,
            stock,
            spare: buffers,
            lost: 0,
            waiting: VecDeque::new(),
            watch,
        }
    }

    /// Buffers reserved for jobs, idle or in flight, and used for nothing else.
    pub fn buffers(&self) -> usize {
        2 * (self.stock.len() + self.spare.len() + self.executor.in_flight())
    }

    /// Whether no job is in flight.
    pub fn is_idle(&self) -> bool {
        self.executor.in_flight() == 0
    }

    /// Whether the executor has room, and there is a job to submit.
    pub fn has_room(&self) -> bool {
        !(self.stock.is_empty() && self.spare.is_empty()) && self.executor.has_room()
    }

    /// A blank job, if there is room for it.
    fn take_job(&mut self, limits: &http::Limits) -> Option<Box<Job>> {
        if !self.executor.has_room() {
            return None;
        }
        self.stock.pop().or_else(|| {
            let (input, out) = self.spare.pop()?;
            Some(Box::new(Job::new(limits, input, out)))
        })
    }

    pub fn put_back(&mut self, mut job: Box<Job>) {
        job.clear();
        self.stock.push(job);
    }
}

impl<A: App> Engine<A> {
    /// Answers a request that its session has left to the driver. `at`: where it begins in the
    /// scratch buffer.
    #[cold]
    pub(super) fn work(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        connection: &mut Connection,
        at: usize,
        request: PendingRequest,
    ) -> Step {
        match (&self.offload, request.place) {
            (None, _) => self.work_inline(ev, connection, at, request),
            (Some(_), Place::Input { .. }) => self.hand_over(token, connection, at, request),
            (Some(_), Place::Saved) => self.submit_saved(token, connection),
        }
    }

    /// SPED: the loop does the work itself, and every client waits for it. Requests pipelined
    /// behind it let the others go first.
    fn work_inline(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        at: usize,
        request: PendingRequest,
    ) -> Step {
        let session = &mut connection.session;
        let saved = session.take_saved(&mut self.cx);
        let (head, body) = match (&saved, request.place) {
            (Some(saved), _) => (saved.head(), saved.body()),
            (None, Place::Input { head_len, .. }) => {
                self.scratch[at..][..request.input_len()].split_at(head_len as usize)
            }
            (None, Place::Saved) => return self.answer_nothing(connection),
        };
        let begun = Instant::now();
        let frame = session.frame(&self.cx.head);
        let mut response = Response::new(&mut self.out, &self.cx.clock, frame);
        if request.close {
            response.close();
        }
        let work = Request::new(self.cx.head.request(head), body, &self.cx.clock);
        self.cx.app.work(&work, &mut response);
        let outcome = Outcome::Answered(response.outcome());
        self.cx.counters.works.add(1);
        self.cx.counters.work_us.add(begun.elapsed().as_micros() as u64);
        // The turn's time is out of date by now.
        ev.refresh_clock();
        self.cx.clock.update(ev.now_ms());
        let next = session.answered(&mut self.cx, outcome, head, body, &mut self.out);
        if let Place::Input { .. } = request.place {
            self.keep_pipelined(connection, at + request.input_len());
        }
        match self.follow(connection, next) {
            Step::Again => Step::Defer,
            step => step,
        }
    }

    /// A request that got lost: 500.
    fn answer_nothing(&mut self, connection: &mut Connection) -> Step {
        connection.stage = Stage::Serving;
        let (cx, out) = (&mut self.cx, &mut self.out);
        let next = connection.session.answered(cx, Outcome::Nothing, &[], &[], out);
        self.follow(connection, next)
    }

    /// Keeps the input behind a request that is being answered.
    fn keep_pipelined(&mut self, connection: &mut Connection, end: usize) {
        if end < self.scratch.len() {
            connection.session.set_pending();
            self.keep_rest(connection, end, None);
        }
    }

    /// Sends earlier answers first; the input behind the request is kept.
    fn hand_over(
        &mut self,
        token: Token,
        connection: &mut Connection,
        at: usize,
        request: PendingRequest,
    ) -> Step {
        let end = at + request.input_len();
        self.keep_pipelined(connection, end);
        let mut step = Step::Blocked;
        if !self.out.is_empty() {
            step = self.flush(connection);
            if step == Step::Close || connection.session.phase() == Phase::Linger {
                return step;
            }
        }
        let behind_output = connection.session.phase() == Phase::Send;
        let Place::Input { head_len, .. } = request.place else { return Step::Close };
        if !behind_output
            && self.is_first()
            && let Some(mut job) = self.blank_job(connection, request)
        {
            let body_at = at + head_len as usize;
            job.take_buffer(&mut self.scratch, at..body_at, body_at..end);
            return self.submit(token, connection, job);
        }
        let saved = connection.session.save(&mut self.cx, request, &self.scratch[at..end]);
        match (saved, behind_output) {
            (true, true) => step,
            (true, false) => self.submit_saved(token, connection),
            (false, true) => Step::Close,
            (false, false) => {
                let seen = &self.scratch[at..end];
                let next = connection.session.unavailable(&mut self.cx, seen, &mut self.out);
                connection.input = None;
                self.follow(connection, next)
            }
        }
    }

    /// Hands over the saved request, or lets it wait for room.
    fn submit_saved(&mut self, token: Token, connection: &mut Connection) -> Step {
        match self.is_first() {
            true => self.submit_queued(token, connection),
            false => self.wait_for_room(token, connection),
        }
    }

    /// The same for a connection that is the first in line.
    pub(super) fn submit_queued(&mut self, token: Token, connection: &mut Connection) -> Step {
        if connection.stage == Stage::Filling {
            return self.fill(token, connection);
        }
        if !self.offload.as_ref().is_some_and(|offload| offload.has_room()) {
            return self.wait_for_room(token, connection);
        }
        let request = connection.session.saved_call();
        let saved = connection.session.take_saved(&mut self.cx);
        let (Some(request), Some(saved)) = (request, saved) else {
            return self.answer_nothing(connection);
        };
        let Some(mut job) = self.blank_job(connection, request) else {
            return self.answer_nothing(connection);
        };
        job.take_saved(saved);
        self.submit(token, connection, job)
    }

    /// Queues the request, or answers 503.
    fn wait_for_room(&mut self, token: Token, connection: &mut Connection) -> Step {
        let Some(offload) = &mut self.offload else { return Step::Close };
        let fills = connection.stage == Stage::Filling;
        if offload.overload == Overload::Reject && !fills {
            connection.stage = Stage::Serving;
            self.cx.counters.jobs_rejected.add(1);
            let next = connection.session.overloaded(&mut self.cx, &mut self.out);
            return self.follow(connection, next);
        }
        if !fills {
            connection.stage = Stage::Queued;
        }
        offload.waiting.push_back(token);
        self.cx.counters.jobs_delayed.add(1);
        Step::Blocked
    }

    /// Whether no connection waits for room.
    fn is_first(&self) -> bool {
        self.offload.as_ref().is_none_or(|offload| offload.waiting.is_empty())
    }

    /// A job for the request in the context's head, which moves into it; `None` when there is no
    /// room.
    fn blank_job(&mut self, connection: &Connection, request: PendingRequest) -> Option<Box<Job>> {
        let frame = connection.session.frame(&self.cx.head);
        let mut job = self.offload.as_mut()?.take_job(&self.cx.limits)?;
        mem::swap(&mut job.head, &mut self.cx.head);
        (job.kind, job.close, job.frame) = (Kind::Request(request.call), request.close, frame);
        Some(job)
    }

    fn submit(&mut self, token: Token, connection: &mut Connection, mut job: Box<Job>) -> Step {
        let Some(offload) = &mut self.offload else { return Step::Close };
        job.key = token;
        job.times.submitted = Instant::now();
        if job.kind != Kind::Fill {
            connection.stage = Stage::Serving;
            connection.session.begin_work();
            connection.session.remember_line(&mut self.cx, job.head_bytes());
        }
        if let Err(job) = offload.executor.submit(job) {
            // It had room a moment ago, and only this loop submits.
            offload.put_back(job);
            return Step::Close;
        }
        Step::Blocked
    }

    /// Has the next piece of the response's body read elsewhere, since it would block the loop.
    ///
    /// For a connection that is sending and has no unsent bytes; it goes on when the job is back.
    #[cold]
    pub(super) fn fill(&mut self, token: Token, connection: &mut Connection) -> Step {
        connection.stage = Stage::Filling;
        let job = self.offload.as_mut().and_then(|offload| offload.take_job(&self.cx.limits));
        let Some(mut job) = job else {
            return self.wait_for_room(token, connection);
        };
        let Some(unsent) = connection.session.unsent() else { return Step::Close };
        job.window = unsent.pieces.front().and_then(|piece| Window::next(piece));
        if job.window.is_none() {
            job.out.pieces = mem::take(&mut unsent.pieces);
        }
        job.kind = Kind::Fill;
        self.cx.counters.file_fills.add(1);
        self.submit(token, connection, job)
    }
}
