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

use super::cold::Window;
use super::connection::{Connection, Held, Phase, flag};
use super::workplace::{Job, Task, Workplace};
use super::{Engine, Step};
use crate::app::App;
use crate::app::response::{Frame, Response};
use crate::options::{Offload, Overload};

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

/// A workplace and how it is used: given to [`Driver::with_workplace`](super::Driver::with_workplace).
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
    pub place: Box<dyn Workplace>,
    overload: Overload,
    /// Jobs at rest, the one used last on top: its memory is warm.
    #[expect(clippy::vec_box, reason = "a job travels as a pointer")]
    stock: Vec<Box<Job>>,
    /// Buffers for jobs that were never needed yet.
    pub spare: Vec<(Buffer, Buffer)>,
    /// Jobs that were given up, whose buffers have not been replaced yet.
    pub lost: usize,
    /// Connections in [`Phase::Queue`], the oldest first. Some may have ended since.
    pub waiting: VecDeque<Token>,
    /// A source without a descriptor: its deadline is when to look for jobs that take too long.
    pub watch: Token,
}

impl Desk {
    /// `buffers`: two for each job.
    pub fn new(placement: Placement, buffers: Vec<(Buffer, Buffer)>, watch: Token) -> Self {
        Desk {
            place: placement.place,
            overload: placement.overload,
            stock: Vec::with_capacity(buffers.len()),
            spare: buffers,
            lost: 0,
            waiting: VecDeque::new(),
            watch,
        }
    }

    /// Buffers of jobs, at rest or out: they are set aside, and in nobody's use but theirs.
    pub fn buffers(&self) -> usize {
        2 * (self.stock.len() + self.spare.len() + self.place.jobs_out())
    }

    /// No job is out, and nobody waits for one.
    pub fn is_idle(&self) -> bool {
        self.place.jobs_out() == 0
    }

    /// Room in the workplace, and a job to fill it with.
    pub fn has_room(&self) -> bool {
        !(self.stock.is_empty() && self.spare.is_empty()) && self.place.has_room()
    }

    /// A blank job, if there is room for it.
    fn take_job(&mut self, limits: &http::Limits) -> Option<Box<Job>> {
        if !self.place.has_room() {
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

    pub(super) fn submit_held_now(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
    ) -> Step {
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

    /// What comes next of the response's body is read elsewhere: it would block the loop.
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
        job.window = exchange.pieces.front().and_then(|piece| Window::next(piece));
        if job.window.is_none() {
            job.pieces = mem::take(&mut exchange.pieces);
        }
        job.task = Task::Fill;
        self.tally.file_fills.add(1);
        self.submit(connection, job)
    }
}
