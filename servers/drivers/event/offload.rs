//! Handing requests to a workplace and taking the answers back: what the loop does for it.
//!
//! ```text
//!             everything before it is sent,
//!             and there is room              taken back, by its key
//!   Head ──┬────────────────────────► Work ───────────────────────► Head (its response is sent)
//!          └─► Queue ──there is room──►┘
//!              (or 503: --overload reject)
//! ```
//!
//! A request that cannot be handed over yet is put aside: only its bytes are kept, on the heap, in
//! the account of `--body-memory`. Those that wait for room do so in the order in which they came.
//! Nothing is read from a connection meanwhile, so what it has pipelined stays in the socket.
//!
//! A connection may end while its job is out. The job then finds no connection under its key (the
//! token's generation has moved on), or one that is no longer in [`Phase::Work`], and is dropped.

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;
use std::time::Instant;

use http::Status;
use reactor::{Buffer, EventLoop, Token};

use super::connection::{Connection, Held, Phase, flag};
use super::output::Progress;
use super::workplace::{Job, Outcome, Task, Workplace};
use super::{Driver, Engine, Step};
use crate::app::App;
use crate::options::{Offload, Overload};
use crate::response::{Frame, Response};

/// What a request needs of the workplace.
#[derive(Copy, Clone, Debug)]
pub(super) struct Errand {
    pub task: Task,
    /// `handle` has asked for the connection's end.
    pub close: bool,
}

/// A request in the loop's receive buffer that is to be handed over.
pub(super) struct Handover {
    pub errand: Errand,
    pub head: Range<usize>,
    pub body: Range<usize>,
}

/// A workplace and how it is used: given to [`Driver::with_workplace`].
pub struct Placement {
    /// Where work runs.
    pub place: Box<dyn Workplace>,
    /// Jobs there can be at a time, those that never come back included.
    pub jobs_max: usize,
    /// What is handed over.
    pub offload: Offload,
    /// What happens to a request for which there is no room.
    pub overload: Overload,
}

/// The loop's side of a workplace.
pub(super) struct Desk {
    place: Box<dyn Workplace>,
    overload: Overload,
    /// Jobs at rest, the one used last on top: its memory is warm.
    #[expect(clippy::vec_box, reason = "a job travels as a pointer")]
    stock: Vec<Box<Job>>,
    /// Buffers for jobs that were never needed yet.
    spare: Vec<(Buffer, Buffer)>,
    /// Connections in [`Phase::Queue`], the oldest first. Some may have ended since.
    waiting: VecDeque<Token>,
}

impl Desk {
    /// `buffers`: two for each job.
    pub fn new(placement: Placement, buffers: Vec<(Buffer, Buffer)>) -> Self {
        Desk {
            place: placement.place,
            overload: placement.overload,
            stock: Vec::with_capacity(buffers.len()),
            spare: buffers,
            waiting: VecDeque::new(),
        }
    }

    /// Buffers of jobs that are at rest, which nobody else may have.
    pub fn buffers_at_rest(&self) -> usize {
        2 * (self.stock.len() + self.spare.len())
    }

    /// No job is out, and nobody waits for one.
    pub fn is_idle(&self) -> bool {
        self.place.jobs_out() == 0
    }

    /// A blank job, if the workplace has room for one.
    fn take_job(&mut self, limits: &http::Limits) -> Option<Box<Job>> {
        if !self.place.has_room() {
            return None;
        }
        self.stock.pop().or_else(|| {
            let (input, out) = self.spare.pop()?;
            Some(Box::new(Job::new(limits, input, out)))
        })
    }

    fn put_back(&mut self, mut job: Box<Job>) {
        job.clear();
        self.stock.push(job);
    }
}

impl<A: App> Engine<A> {
    /// The request at `handover` in `received` is not for the loop. What was answered before it is
    /// sent first; what comes behind it is kept.
    #[cold]
    pub(super) fn hand_over(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        received: &mut Buffer,
        handover: Handover,
        held: Option<Buffer>,
    ) -> Step {
        let Handover { errand, head, body } = handover;
        if body.end < received.len() {
            connection.set(flag::PENDING);
            self.keep_rest(ev, connection, &received[body.end..], held);
        }
        if !self.out.is_empty() {
            let step = self.flush(ev, connection);
            if step == Step::Close || connection.phase == Phase::Linger {
                return step;
            }
        }
        let in_turn = connection.phase != Phase::Send && self.nobody_waits();
        if in_turn && let Some(mut job) = self.blank_job(connection, errand) {
            job.take_buffer(received, head, body);
            return self.submit(connection, job);
        }
        let mut held = Held::new(&received[head]);
        held.bytes.extend_from_slice(&received[body]);
        let behind_output = connection.phase == Phase::Send;
        if !self.put_request_aside(ev, connection, errand, held) {
            if behind_output {
                return Step::Close;
            }
            self.refuse(ev, connection, Status::SERVICE_UNAVAILABLE, None);
        }
        if behind_output { Step::Blocked } else { self.flush(ev, connection) }
    }

    /// Keeps a request until everything before it is sent: see [`Engine::submit_held`]. `false`:
    /// there is no memory for it.
    pub(super) fn put_request_aside(
        &mut self,
        ev: &EventLoop,
        connection: &mut Connection,
        errand: Errand,
        held: Held,
    ) -> bool {
        if !self.has_memory(held.bytes.len()) {
            return false;
        }
        self.body_bytes_held += held.bytes.len();
        let exchange = self.exchange(connection, ev.now_ms());
        exchange.held = held;
        exchange.errand = Some(errand);
        if connection.phase != Phase::Send {
            connection.phase = Phase::Queue;
        }
        true
    }

    /// Hands over the request that was put aside, or lets it wait for room.
    pub(super) fn submit_held(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        if self.nobody_waits() {
            return self.submit_held_now(ev, connection);
        }
        self.wait_for_room(ev, connection)
    }

    fn submit_held_now(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        let exchange = self.exchange(connection, ev.now_ms());
        let Some(errand) = exchange.errand else { return Step::Blocked };
        if errand.task == Task::Fill {
            return self.submit_fill(ev, connection);
        }
        let held = mem::take(&mut exchange.held);
        if !self.parse_again(&held) {
            self.exchange(connection, ev.now_ms()).held = held;
            self.refuse(ev, connection, Status::INTERNAL_SERVER_ERROR, None);
            return self.flush(ev, connection);
        }
        let Some(mut job) = self.blank_job(connection, errand) else {
            self.exchange(connection, ev.now_ms()).held = held;
            return self.wait_for_room(ev, connection);
        };
        self.body_bytes_held -= held.bytes.len();
        self.exchange(connection, ev.now_ms()).errand = None;
        job.take_held(held);
        self.submit(connection, job)
    }

    /// The request waits in line, or is answered 503.
    fn wait_for_room(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        let Some(desk) = &mut self.desk else { return Step::Close };
        let fills = connection.phase == Phase::Fill;
        if desk.overload == Overload::Reject && !fills {
            return self.answer_overloaded(ev, connection);
        }
        if !fills {
            connection.phase = Phase::Queue;
        }
        desk.waiting.push_back(connection.token);
        self.tally.jobs_delayed.add(1);
        Step::Blocked
    }

    /// 503 for this request; the connection stays.
    fn answer_overloaded(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        let exchange = self.exchange(connection, ev.now_ms());
        exchange.errand = None;
        let held = mem::take(&mut exchange.held);
        self.body_bytes_held -= held.bytes.len();
        self.tally.jobs_rejected.add(1);
        connection.phase = Phase::Head;
        if !self.parse_again(&held) {
            self.refuse(ev, connection, Status::SERVICE_UNAVAILABLE, None);
            return self.flush(ev, connection);
        }
        let frame = self.frame(connection);
        let mut response = Response::new(&mut self.out, &mut self.pieces, &self.clock, frame);
        response.start(Status::SERVICE_UNAVAILABLE).field("Retry-After", "1").empty();
        let finished = response.outcome();
        self.finished(ev, connection, finished, Some(held.head()));
        self.flush(ev, connection)
    }

    fn nobody_waits(&self) -> bool {
        self.desk.as_ref().is_none_or(|desk| desk.waiting.is_empty())
    }

    /// What of the request in `self.head` shapes the response.
    #[inline(always)]
    pub(super) fn frame(&self, connection: &Connection) -> Frame {
        Frame {
            method: self.head.method(),
            version: self.head.version(),
            connection_line: connection.http.connection_line(),
        }
    }

    /// A job for the request in `self.head`, which it takes along; `None` when there is no room.
    fn blank_job(&mut self, connection: &Connection, errand: Errand) -> Option<Box<Job>> {
        let frame = self.frame(connection);
        let mut job = self.desk.as_mut()?.take_job(&self.limits)?;
        mem::swap(&mut job.head, &mut self.head);
        (job.task, job.close, job.frame) = (errand.task, errand.close, frame);
        Some(job)
    }

    fn submit(&mut self, connection: &mut Connection, mut job: Box<Job>) -> Step {
        let Some(desk) = &mut self.desk else { return Step::Close };
        job.key = connection.token;
        job.times.submitted = Instant::now();
        connection.phase = match job.task {
            Task::Fill => Phase::Fill,
            _ => Phase::Work,
        };
        if let Err(job) = desk.place.submit(job) {
            // It had room a moment ago, and nobody else submits.
            desk.put_back(job);
            return Step::Close;
        }
        Step::Blocked
    }

    /// The next piece of the response's body is read elsewhere: it would block the loop.
    ///
    /// For a connection in [`Phase::Send`] whose exchange has pieces and no unsent output; it goes
    /// on sending when the job is back.
    pub(super) fn submit_fill(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        connection.phase = Phase::Fill;
        let errand = Errand { task: Task::Fill, close: false };
        let job = self.desk.as_mut().and_then(|desk| desk.take_job(&self.limits));
        let exchange = self.exchange(connection, ev.now_ms());
        let Some(mut job) = job else {
            exchange.errand = Some(errand);
            return self.wait_for_room(ev, connection);
        };
        exchange.errand = None;
        job.pieces = mem::take(&mut exchange.pieces);
        job.task = Task::Fill;
        self.submit(connection, job)
    }

    /// A job has come back: its result becomes the connection's.
    fn take_result(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        job: &mut Job,
    ) -> Step {
        let outcome = mem::take(&mut job.outcome);
        if job.task != Task::Fill {
            connection.phase = Phase::Head;
            mem::swap(&mut self.head, &mut job.head);
        }
        match outcome {
            Outcome::Answered(finished) => {
                mem::swap(&mut self.out, &mut job.out);
                self.pieces = mem::take(&mut job.pieces);
                self.finished(ev, connection, finished, Some(job.head_bytes()));
            }
            Outcome::Waits(time) => {
                let ms = time.as_millis() as u64;
                self.begin_wait(ev, connection, ms, job.head_bytes(), job.body_bytes());
            }
            Outcome::Filled(Ok(())) => {
                mem::swap(&mut self.out, &mut job.out);
                self.exchange(connection, ev.now_ms()).pieces = mem::take(&mut job.pieces);
                connection.phase = Phase::Send;
                return self.send_rest(ev, connection);
            }
            Outcome::Filled(Err(_)) => {
                self.exchange(connection, ev.now_ms()).pieces = mem::take(&mut job.pieces);
                return self.unfinished(ev, connection, Progress::Broken);
            }
            Outcome::Nothing => {
                self.refuse(ev, connection, Status::INTERNAL_SERVER_ERROR, None);
            }
        }
        self.flush(ev, connection)
    }

    /// The next job that is done, if what it brings finds a buffer should the socket be full. Else
    /// it stays where it is until there is one.
    fn take_done(&mut self) -> Option<Box<Job>> {
        if !self.desk.as_ref()?.place.has_done() || !self.has_buffers() {
            return None;
        }
        self.desk.as_mut()?.place.take_done()
    }

    fn count_job(&self, job: &Job) {
        if job.worked {
            self.tally.works.add(1);
            let time = job.times.ended.saturating_duration_since(job.times.begun);
            self.tally.work_us.add(time.as_micros() as u64);
        }
    }

    fn put_back(&mut self, job: Box<Job>) {
        if let Some(desk) = &mut self.desk {
            desk.put_back(job);
        }
    }

    /// The next connection that waits for room, if there is some.
    fn next_waiting(&mut self) -> Option<Token> {
        let desk = self.desk.as_mut()?;
        if !desk.place.has_room() {
            return None;
        }
        desk.waiting.pop_front()
    }

    /// All that this turn has submitted is submitted.
    pub(super) fn call_to_work(&mut self) {
        if let Some(desk) = &mut self.desk {
            desk.place.call_to_work();
        }
    }
}

impl<A: App> Driver<A> {
    /// Takes back what is done, and hands over what waited for room.
    #[cold]
    pub(super) fn exchange_jobs(&mut self, ev: &mut EventLoop) {
        while let Some(mut job) = self.engine.take_done() {
            let token = job.key;
            let works = |c: &&mut Connection| {
                c.token == token && matches!(c.phase, Phase::Work | Phase::Fill)
            };
            let slot = token.slot() as usize;
            let step = match self.connections.get_mut(slot).and_then(Option::as_mut) {
                Some(connection) if works(&connection) => {
                    self.engine.take_result(ev, connection, &mut job)
                }
                // Its client is gone, or has been answered otherwise.
                _ => {
                    self.engine.count_job(&job);
                    self.engine.put_back(job);
                    continue;
                }
            };
            self.engine.count_job(&job);
            self.engine.put_back(job);
            self.follow(ev, token, step);
        }
        self.feed_waiting(ev);
        self.engine.call_to_work();
    }

    /// Hands over what waited for room, as long as there is some.
    fn feed_waiting(&mut self, ev: &mut EventLoop) {
        while let Some(token) = self.engine.next_waiting() {
            let slot = token.slot() as usize;
            let Some(Some(connection)) = self.connections.get_mut(slot) else { continue };
            let waits = matches!(connection.phase, Phase::Queue | Phase::Fill);
            if connection.token == token && waits {
                let step = self.engine.submit_held_now(ev, connection);
                self.follow(ev, token, step);
            }
        }
    }

    /// Goes on with a connection as the last step says.
    fn follow(&mut self, ev: &mut EventLoop, token: Token, step: Step) {
        let slot = token.slot() as usize;
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        let stays = match step {
            Step::Blocked => self.engine.settle(ev, connection),
            Step::Again => self.engine.progress(ev, connection, &mut self.scratch),
            Step::Close => false,
        };
        if !stays {
            self.close(ev, token);
        }
    }
}
