//! Where work runs: the seam at which the event-driven models differ.
//!
//! What the loop must not do itself becomes a [`Job`] and goes to a [`Workplace`]. SPED has none: its
//! loop works inline. AMPED's is a pool of threads behind rings (`crate::work::threads`).
//!
//! ```text
//!  loop                                          workplace
//!  head, bytes ──► Job { key, task, … } ─submit──► job.begin(), job.work()
//!  connection  ◄── by its key ◄────── take_done ◄─ response in the job's buffer
//! ```
//!
//! | task | what runs | for |
//! |---|---|---|
//! | [`Task::Handle`], [`Task::Resume`] | [`App::handle`], [`App::resume`] | `--offload all` |
//! | [`Task::Work`] | [`App::work`] | what the application marks as work |
//! | [`Task::Fill`] | a window of a file is read, so that it is in memory | files (`cold`) |
//!
//! Nothing is copied and, once warm, nothing allocated. A job has two buffers and a head of its own;
//! handing over is three swaps: the loop's receive buffer against the job's blank one, the loop's
//! head against the job's, and, when the job is back, the job's response against the loop's output
//! buffer, which is empty then.
//!
//! What is *not* guaranteed: that a job comes back (its worker may be stuck for good), that its
//! connection is still there when it does (then it is dropped), that jobs come back in order. A
//! connection has one job out at a time, so its answers are in order.

use std::io;
use std::mem;
use std::ops::Range;
use std::time::{Duration, Instant};

use http::Status;
use reactor::{Buffer, Token};

use super::cold::Window;
use super::connection::Held;
use super::output::refill;
use crate::app::clock::Clock;
use crate::app::response::{Finished, Frame, Pieces, Reach, Response};
use crate::app::{Action, App, Request};

/// A place where jobs run, seen from the loop's thread.
pub trait Workplace {
    /// Whether a job would be taken now.
    fn has_room(&self) -> bool;

    /// Hands a job over. Whoever runs it may sleep on until [`Workplace::call_to_work`].
    ///
    /// # Errors
    /// The job, when there is no room.
    fn submit(&mut self, job: Box<Job>) -> Result<(), Box<Job>>;

    /// All that a turn had to submit is submitted: wakes those that sleep.
    fn call_to_work(&mut self);

    /// The next job that is done, if there is one.
    fn take_done(&mut self) -> Option<Box<Job>>;

    /// Whether a job is done: asked before the loop sleeps.
    fn has_done(&self) -> bool;

    /// Jobs that are submitted and not taken back.
    fn jobs_out(&self) -> usize;

    /// How often to ask for [`Workplace::next_stuck`] while jobs are out; `None`: never.
    fn watch_interval(&self) -> Option<Duration> {
        None
    }

    /// A job that takes too long and was not named before. Asked until there is none.
    fn next_stuck(&mut self) -> Option<Stuck> {
        None
    }

    /// Somebody is stuck with a job that was given up.
    fn has_stuck(&self) -> bool {
        false
    }
}

/// A job that takes too long.
#[derive(Copy, Clone, Debug)]
pub struct Stuck {
    /// The connection that it is for.
    pub key: Token,
    /// It does not come back by [`Workplace::take_done`]: it, and what it has, is given up.
    pub lost: bool,
}

/// What a job is to do.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Task {
    /// [`App::handle`], and [`App::work`] if that asks for it.
    Handle,
    /// [`App::resume`], after a wait.
    Resume,
    /// [`App::work`].
    Work,
    /// Bring a window of a file into memory, or fill the buffer from a generator that waits.
    Fill,
}

/// What has become of it.
#[derive(Debug, Default)]
pub(super) enum Outcome {
    /// Nothing: its worker came to no end.
    #[default]
    Nothing,
    /// A response is in the buffer and the pieces.
    Answered(Finished),
    /// The application wants a time to pass.
    Waits(Duration),
    /// The window is in memory, so far, or the buffer is full; or it cannot be had.
    Filled(io::Result<Reach>),
}

/// A request on its way through a workplace. See the module's head.
pub struct Job {
    pub(super) key: Token,
    pub(super) task: Task,
    pub(super) head: http::Head,
    pub(super) frame: Frame,
    /// `handle` has asked for the connection's end.
    pub(super) close: bool,
    /// What the loop received, the request among it; unless it is in `held`.
    pub(super) input: Buffer,
    /// A request that had been put aside, or whose body came in pieces.
    pub(super) held: Held,
    head_at: Range<usize>,
    body_at: Range<usize>,
    /// What to bring into memory; the response stays with its connection then.
    pub(super) window: Option<Window>,
    /// Where the response is composed. Empty unless the job is done.
    pub(super) out: Buffer,
    pub(super) pieces: Pieces,
    pub(super) outcome: Outcome,
    /// [`Job::work`] was called.
    pub(super) worked: bool,
    pub(super) times: Times,
}

/// When a job changed hands.
#[derive(Copy, Clone, Debug)]
pub struct Times {
    /// Submitted by the loop.
    pub submitted: Instant,
    /// Taken up by a worker.
    pub begun: Instant,
    /// Done.
    pub ended: Instant,
}

impl Times {
    pub(super) fn new(now: Instant) -> Self {
        Times { submitted: now, begun: now, ended: now }
    }
}

impl Job {
    /// A blank one with its two buffers.
    pub(super) fn new(limits: &http::Limits, input: Buffer, out: Buffer) -> Self {
        Job {
            key: Token::new(u32::MAX, u32::MAX),
            task: Task::Work,
            head: http::Head::new(limits),
            frame: Frame::default(),
            close: false,
            input,
            held: Held::default(),
            head_at: 0..0,
            body_at: 0..0,
            window: None,
            out,
            pieces: Pieces::new(),
            outcome: Outcome::Nothing,
            worked: false,
            times: Times::new(Instant::now()),
        }
    }

    /// Takes the loop's receive buffer, leaving a blank one; the request's head and body are there.
    pub(super) fn take_buffer(
        &mut self,
        received: &mut Buffer,
        head: Range<usize>,
        body: Range<usize>,
    ) {
        mem::swap(&mut self.input, received);
        (self.head_at, self.body_at) = (head, body);
    }

    /// Takes a request that was put aside.
    pub(super) fn take_held(&mut self, held: Held) {
        self.head_at = 0..held.head().len();
        self.body_at = held.head().len()..held.bytes.len();
        self.held = held;
    }

    /// Forgets the request and the response; keeps the memory.
    pub(super) fn clear(&mut self) {
        self.held = Held::default();
        self.window = None;
        self.input.clear();
        self.out.clear();
        self.pieces.clear();
        (self.close, self.worked) = (false, false);
        self.outcome = Outcome::Nothing;
    }

    /// The connection that it is for.
    pub fn key(&self) -> Token {
        self.key
    }

    /// The request as it came, from its line on; nothing for a part of a file.
    pub fn request_bytes(&self) -> &[u8] {
        if self.task == Task::Fill { &[] } else { self.head_bytes() }
    }

    /// When it changed hands.
    pub fn times(&self) -> Times {
        self.times
    }

    /// The same, to be written.
    pub fn times_mut(&mut self) -> &mut Times {
        &mut self.times
    }

    fn bytes(&self) -> &[u8] {
        if self.held.bytes.is_empty() { &self.input } else { &self.held.bytes }
    }

    /// The bytes that the head was parsed from.
    pub(super) fn head_bytes(&self) -> &[u8] {
        self.bytes().get(self.head_at.clone()).unwrap_or_default()
    }

    /// The body that was collected.
    pub(super) fn body_bytes(&self) -> &[u8] {
        self.bytes().get(self.body_at.clone()).unwrap_or_default()
    }

    /// Runs what does not block: all of a `Handle` or a `Resume`, unless it turns out to need work.
    /// `true`: call [`Job::work`] next, in a place where it may take its time.
    pub fn begin<A: App>(&mut self, app: &A, local: &mut A::Local, clock: &Clock) -> bool {
        let resumes = match self.task {
            Task::Handle => false,
            Task::Resume => true,
            Task::Work | Task::Fill => return true,
        };
        self.answer(clock, |request, response| match resumes {
            false => app.handle(local, request, response),
            true => app.resume(local, request, response),
        })
    }

    /// Runs what may block.
    pub fn work<A: App>(&mut self, app: &A, clock: &Clock) {
        self.worked = true;
        if self.task == Task::Fill {
            self.outcome = Outcome::Filled(self.fill());
            return;
        }
        self.answer(clock, |request, response| {
            app.work(request, response);
            Action::Done
        });
    }

    /// Answers 500 instead of whatever there is, for work that has panicked.
    pub fn fail(&mut self, clock: &Clock) {
        self.out.clear();
        self.pieces.clear();
        if self.task == Task::Fill {
            self.outcome = Outcome::Filled(Err(io::Error::other("the work has panicked")));
            return;
        }
        self.answer(clock, |_, response| {
            response.error(Status::INTERNAL_SERVER_ERROR);
            Action::Done
        });
    }

    /// Has `make` answer the request. `true`: it wants work.
    fn answer(
        &mut self,
        clock: &Clock,
        make: impl FnOnce(&Request<'_>, &mut Response<'_>) -> Action,
    ) -> bool {
        let bytes: &[u8] = match self.held.bytes.is_empty() {
            true => &self.input,
            false => &self.held.bytes,
        };
        let head_bytes = bytes.get(self.head_at.clone()).unwrap_or_default();
        let body = bytes.get(self.body_at.clone()).unwrap_or_default();
        let request = Request::new(self.head.request(head_bytes), body, clock);
        let mut response = Response::new(&mut self.out, &mut self.pieces, clock, self.frame);
        if self.close {
            response.close();
        }
        match make(&request, &mut response) {
            Action::Done => self.outcome = Outcome::Answered(response.outcome()),
            Action::Wait(time) => self.outcome = Outcome::Waits(time),
            Action::Work => {
                self.close = response.withdraw();
                return true;
            }
        }
        false
    }

    /// Reads the window, through the buffer; or reads the first piece into the buffer.
    fn fill(&mut self) -> io::Result<Reach> {
        if let Some(window) = &self.window {
            return window.read(&mut self.out);
        }
        if let Some(piece) = self.pieces.front()
            && !refill(&mut self.out, piece)?
        {
            self.pieces.pop_front();
        }
        Ok(Reach::default())
    }
}
