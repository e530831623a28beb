//! Both ends of a connection in memory, in simulated time: a small driver, and a client that keeps
//! what it receives.
//!
//! ```text
//!  client                                       server
//!  send(bytes) ──────────────────────► input ──► Session ──► out
//!  received    ◄── at most `room` bytes ◄─────────────────── │
//!  take(n) makes room; pass(ms) lets time pass, to the millisecond
//! ```
//!
//! The unit tests and the fuzzer share it. It asks after every step what must always hold. What the
//! driver does between the steps is in `driver`.

use std::sync::Arc;

use http::{Connection, Event};
use reactor::buffer::{BufferPool, Class};

use super::app::Answers;
use super::server::app::response::Output;
use super::server::metrics::Metrics;
use super::server::options::Options;
use super::server::session::{BodyMemory, Context, Phase, Session};
use super::server::work::request::{Call, Outcome};

/// Bytes of a buffer: room for a few small answers beyond that of a head.
pub const BUFFER_BYTES: usize = 8 * 1024;

/// What the driver is waiting for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum At {
    /// Bytes.
    Reads,
    /// Room in the socket.
    Sends,
    /// The deadline alone.
    Sleeps,
    /// The answer of a job.
    Works,
    /// Room for a job: its request is saved.
    Queued,
    /// The client's end: FIN is sent.
    Lingers,
    /// Nothing: the connection is closed, or reset.
    Closed { reset: bool },
}

/// Where work is done.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Works {
    /// At once.
    Inline,
    /// Elsewhere: [`Pair::job_done`].
    Elsewhere,
    /// The same, but there is no room at first: [`Pair::has_room`].
    Later,
}

/// A request that is being answered elsewhere.
pub(super) struct Job {
    pub call: Call,
    pub close: bool,
    pub head: Vec<u8>,
    pub body: Vec<u8>,
}

/// See the module's head.
pub struct Pair {
    pub cx: Context<Answers>,
    pub session: Session,
    pub received: Vec<u8>,
    /// Bytes that the socket takes until the client takes some.
    pub room: usize,
    pub at: At,
    pub works: Works,
    pub input: Vec<u8>,
    pub memory_max: usize,
    pub now_ms: u64,
    idle_until_ms: u64,
    pub(super) out: Output,
    pub(super) job: Option<Job>,
    pub(super) pool: BufferPool,
}

impl Pair {
    /// A new connection at `now_ms`.
    pub fn new(options: &Options, works: Works, now_ms: u64) -> Self {
        let pool = BufferPool::new(&[Class::new(BUFFER_BYTES, 3)]).expect("a pool");
        let metrics = Metrics::new(1).expect("counters");
        let memory_max = options.limits.body_memory;
        let memory = BodyMemory::new(memory_max);
        let cx = Context::new(Arc::new(Answers), options, &metrics, 0, memory, now_ms);
        Pair {
            cx: cx.expect("a context"),
            session: Session::new(now_ms),
            received: Vec::new(),
            room: usize::MAX,
            at: At::Reads,
            works,
            input: Vec::new(),
            memory_max,
            now_ms,
            idle_until_ms: 0,
            out: Output::new(pool.take(0).expect("a buffer")),
            job: None,
            pool,
        }
    }

    /// The client sends, and the server reads as soon as it can.
    pub fn send(&mut self, bytes: &[u8]) {
        if self.at == At::Reads {
            self.input.extend_from_slice(bytes);
            self.step(|pair| pair.serve());
        }
    }

    /// The client has sent everything.
    pub fn eof(&mut self) {
        match self.at {
            At::Reads => self.step(|pair| {
                let next = pair.session.eof(&mut pair.cx, &pair.input, &mut pair.out);
                pair.follow(next);
            }),
            At::Lingers => self.close(false),
            _ => {}
        }
    }

    /// The client takes so many bytes, and the socket has room for as many more.
    pub fn take(&mut self, bytes: usize) {
        self.room = self.room.saturating_add(bytes);
        if self.at == At::Sends {
            self.step(|pair| pair.send_rest());
        }
    }

    /// Time passes; what is due meanwhile happens to the millisecond.
    pub fn pass(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while !self.is_closed() && self.deadline_ms() <= until {
            self.set_time(self.deadline_ms().max(self.now_ms));
            self.step(|pair| pair.expire());
        }
        self.set_time(until);
    }

    /// The job is done, or has come to nothing.
    pub fn job_done(&mut self, well: bool) {
        let Some(job) = self.job.take() else { return };
        self.step(|pair| {
            let parsed = Connection::new().next(&job.head, &mut pair.cx.head, &pair.cx.limits);
            assert!(parsed.is_ok_and(|step| step.event == Event::Head), "a job's head is whole");
            let outcome = match well {
                true => pair.carry_out(job.call, job.close, &job.head, &job.body),
                false => Outcome::Nothing,
            };
            pair.answered(outcome, &job.head, &job.body);
        });
    }

    /// There is room for the job that waits for it.
    pub fn has_room(&mut self) {
        if self.at == At::Queued {
            self.step(|pair| pair.submit_saved());
        }
    }

    /// There is no room, and will be none.
    pub fn overloaded(&mut self) {
        if self.at == At::Queued {
            self.step(|pair| {
                let next = pair.session.overloaded(&mut pair.cx, &mut pair.out);
                pair.follow(next);
            });
        }
    }

    /// The job takes too long: it is given up.
    pub fn give_up(&mut self) {
        if self.at == At::Works {
            self.job = None;
            self.input.clear();
            self.step(|pair| {
                let next = pair.session.unavailable(&mut pair.cx, &[], &mut pair.out);
                pair.follow(next);
            });
        }
    }

    /// There is no buffer for what is left of the input.
    pub fn abandon_input(&mut self) {
        self.input.clear();
        self.session.abandon_input();
    }

    /// The connection is gone. Nothing may be held any more.
    pub fn end(&mut self) {
        self.close(true);
        assert_eq!(self.cx.memory.held(), 0, "memory that is not given back");
        assert_eq!(self.cx.counters.waits.get(), 0, "a wait that is counted still");
        assert_eq!(self.pool.in_use(0), 1, "a buffer that is not given back");
    }

    pub fn is_closed(&self) -> bool {
        matches!(self.at, At::Closed { .. })
    }

    /// When something happens by itself.
    pub fn deadline_ms(&self) -> u64 {
        match self.session.phase() {
            // Told from the step's time on.
            Phase::Idle => self.idle_until_ms,
            _ => self.session.deadline_ms(&self.cx),
        }
    }

    fn responses(&self) -> u64 {
        let it = &self.cx.counters;
        [&it.responses_2xx, &it.responses_3xx, &it.responses_4xx, &it.responses_5xx]
            .iter()
            .map(|counter| counter.get())
            .sum()
    }

    fn set_time(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.cx.clock.update(now_ms);
    }

    /// A step, and what must hold after each.
    fn step(&mut self, step: impl FnOnce(&mut Self)) {
        step(self);
        self.idle_until_ms = self.session.deadline_ms(&self.cx);
        assert!(self.out.is_empty(), "output is left at the turn's end");
        assert!(self.cx.memory.held() <= self.memory_max, "more memory than there is");
        let phase = self.session.phase();
        let reads = matches!(phase, Phase::Idle | Phase::Head | Phase::Body);
        match self.at {
            At::Reads => assert!(reads && !self.session.is_last(), "reads in {phase:?}"),
            At::Sends => assert!(phase == Phase::Send && self.session.unsent().is_some()),
            At::Sleeps => assert_eq!(phase, Phase::Wait),
            At::Works | At::Queued => assert_eq!(phase, Phase::Work),
            At::Lingers => {
                assert_eq!(phase, Phase::Linger);
                let requests = self.cx.counters.requests.get();
                assert!(requests <= self.responses(), "a request was not answered");
            }
            At::Closed { .. } => return,
        }
        assert!(!self.session.has_pending() || self.at != At::Reads, "whole requests wait");
        let overdue = matches!(phase, Phase::Wait | Phase::Body | Phase::Send | Phase::Linger);
        assert!(self.deadline_ms() >= self.now_ms || overdue, "{phase:?} is overdue");
    }
}
