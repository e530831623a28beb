//! A reader's stock of jobs: what bounds the events.
//!
//! A job has two buffers, one for what is received and one for the response. A connection that
//! waits for the rest of a short head keeps it in a few bytes of its own, and gives its job back.

use std::io;
use std::mem;

use bytes::BufMut as _;
use reactor::buffer::Class;
use reactor::{BufferPool, EventLoop, Readiness};

use super::entry::Flags;
use super::{Connection, Reader, Step};
use crate::app::App;
use crate::app::response::Output;
use crate::failure::Named as _;
use crate::options::Options;
use crate::session::Phase;
use crate::work::job::Job;

/// Bytes of a head that a connection keeps without a job: most unfinished heads fit.
const REST_BYTES_MAX: usize = 512;
const BUFFERS_A_JOB: i64 = 2;
/// A head that takes longer is slow: even a distant client needs only a few round trips for it.
const SLOW_HEAD_MS: u64 = 1_000;
/// Connections scanned for slow heads in one turn.
const LOOKS_A_TURN: usize = 4_096;
/// When to scan again after a scan that found none.
const LOOK_AGAIN_MS: u64 = 50;

/// See the module's head.
pub(super) struct Jobs {
    pool: BufferPool,
    limits: http::Limits,
    /// Idle jobs, the one used last on top: its memory is warm.
    #[expect(clippy::vec_box, reason = "a job travels as a pointer")]
    stock: Vec<Box<Job>>,
    /// Jobs that have not been needed yet.
    unmade: usize,
    /// Buffers lent (or given back, below zero) that the gauge does not show yet.
    uncounted: i64,
}

impl Jobs {
    /// As many as there are to be, made as they are needed; and an output for nothing.
    pub fn new(options: &Options, limits: http::Limits) -> io::Result<(Self, Output)> {
        let count = options.buffers.count;
        let pool = BufferPool::new(&[Class::new(options.buffers.size, 2 * count + 1)])
            .named("no memory for the buffers")?;
        let blank = pool.take(0).ok_or_else(|| io::Error::other("no buffer for a reader"))?;
        let jobs = Jobs { pool, limits, stock: Vec::new(), unmade: count, uncounted: 0 };
        Ok((jobs, Output::new(blank)))
    }

    pub fn take(&mut self) -> Option<Box<Job>> {
        let job = match self.stock.pop() {
            Some(job) => job,
            None => self.make()?,
        };
        self.uncounted += BUFFERS_A_JOB;
        Some(job)
    }

    fn make(&mut self) -> Option<Box<Job>> {
        self.unmade = self.unmade.checked_sub(1)?;
        let (input, out) = (self.pool.take(0)?, self.pool.take(0)?);
        Some(Box::new(Job::new(&self.limits, input, out)))
    }

    pub fn put_back(&mut self, mut job: Box<Job>) {
        job.clear();
        self.stock.push(job);
        self.uncounted -= BUFFERS_A_JOB;
    }

    pub fn are_left(&self) -> bool {
        self.unmade > 0 || !self.stock.is_empty()
    }

    /// Takes the job of a connection that waits back, unless it needs it.
    pub fn keep_rest(
        &mut self,
        connection: &mut Connection,
        mut job: Box<Job>,
    ) -> Option<Box<Job>> {
        let (input, out) = job.buffers();
        if !out.bytes.is_empty() || input.len() > REST_BYTES_MAX {
            return Some(job);
        }
        if !out.pieces.is_empty() {
            // Open files and shared bytes need no buffer: the session keeps them meanwhile.
            let Some(unsent) = connection.session.unsent() else { return Some(job) };
            unsent.pieces = mem::take(&mut out.pieces);
        }
        if !input.is_empty() {
            connection.rest = Box::from(&input[..]);
        }
        self.put_back(job);
        None
    }

    /// What the gauge of buffers has to be changed by, once.
    pub fn take_uncounted(&mut self) -> i64 {
        mem::take(&mut self.uncounted)
    }
}

impl<A: App> Reader<A> {
    /// Makes sure that the connection has a job; `false`: there is none.
    pub(super) fn ensure_job(&mut self, connection: &mut Connection) -> bool {
        if connection.job.is_none() {
            let Some(mut job) = self.jobs.take() else { return false };
            let (input, out) = job.buffers();
            input.put_slice(&mem::take(&mut connection.rest));
            if let Some(unsent) = connection.session.unsent() {
                out.pieces = mem::take(&mut unsent.pieces);
            }
            connection.job = Some(job);
        }
        true
    }

    /// The connection waits until there is a job.
    #[cold]
    pub(super) fn wait_for_job(&mut self, connection: &mut Connection) {
        let flags = self.flags(connection);
        if !flags.is(Flags::WAITS) {
            flags.set(Flags::WAITS);
            self.waiting.push_back(connection.token);
            let cx = self.system.borrow(connection);
            cx.counters.buffers_starved.add(1);
            // What it has sent waits in its socket: it does not rest.
            connection.arrived(cx.clock.now_ms());
        }
    }

    /// There are jobs again: connections that wait for one go on, the oldest first.
    pub(super) fn resume_waiting(&mut self, ev: &mut EventLoop) {
        while self.jobs.are_left()
            && let Some(token) = self.waiting.pop_front()
        {
            if !ev.contains(token) {
                continue;
            }
            let entry = &mut self.entries[token.slot() as usize];
            entry.flags.unset(Flags::WAITS);
            let Some(connection) = entry.connection.take() else { continue };
            let cx = self.system.borrow(&connection);
            let is_due = cx.clock.now_ms() >= connection.session.deadline_ms(&cx);
            drop(cx);
            match is_due {
                true => self.expired(ev, connection),
                false => self.run(ev, connection, Step::Again),
            }
        }
        if !self.waiting.is_empty() {
            self.take_from_slow_client(ev);
        }
    }

    /// A head that is too long to be kept without a job, and slow to complete, holds a job that
    /// others wait for: it gets 503. A thousand such clients would easily stop a server. So would
    /// requests that wait behind a response which the client does not read: they are dropped.
    fn take_from_slow_client(&mut self, ev: &mut EventLoop) {
        let now_ms = self.system.shared.contexts.now_ms();
        for _ in 0..self.entries.len().min(LOOKS_A_TURN) {
            self.scan_from = (self.scan_from + 1) % self.entries.len();
            let entry = &mut self.entries[self.scan_from];
            if let Some(connection) = &mut entry.connection
                && let Some(job) = drop_pipelined(connection, now_ms)
            {
                connection.job = self.jobs.keep_rest(connection, job);
                return ev.defer(self.scan_timer, Readiness::default());
            }
            let Some(connection) = entry.connection.take_if(|it| is_slow_head(it, now_ms)) else {
                continue;
            };
            ev.defer(self.scan_timer, Readiness::default());
            return self.refuse(ev, connection);
        }
        ev.set_deadline(self.scan_timer, ev.now_ms() + LOOK_AGAIN_MS);
    }

    fn refuse(&mut self, ev: &mut EventLoop, mut connection: Box<Connection>) {
        let Some(mut job) = connection.job.take() else { return self.close(ev, connection) };
        let mut cx = self.system.borrow(&connection);
        cx.counters.connections_refused.add(1);
        let (input, out) = job.buffers();
        connection.expects_proxy_header = false;
        let next = connection.session.unavailable(&mut cx, input, out);
        input.clear();
        drop(cx);
        connection.job = Some(job);
        let step = self.follow(&mut connection, next);
        self.run(ev, connection, step);
    }
}

/// Drops requests that wait behind a response of which the client has taken nothing for a time, and
/// returns their job. One whose buffer is needed for the response keeps them: nothing is gained.
fn drop_pipelined(connection: &mut Connection, now_ms: u64) -> Option<Box<Job>> {
    if !connection.session.is_stalled(now_ms, SLOW_HEAD_MS) {
        return None;
    }
    let mut job = connection.job.take_if(|job| job.out.bytes.is_empty())?;
    job.buffers().0.clear();
    connection.session.abandon_input();
    Some(job)
}

/// Whether the connection keeps a job for a head that is still incomplete after a time.
fn is_slow_head(connection: &Connection, now_ms: u64) -> bool {
    let session = &connection.session;
    connection.job.is_some()
        && matches!(session.phase(), Phase::Head | Phase::Idle)
        && session.age_ms(now_ms) >= SLOW_HEAD_MS
}
