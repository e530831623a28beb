//! A reader's stock of jobs: what bounds the flights.
//!
//! A job has two buffers, one for what is received and one for the response. A connection that waits
//! for the rest of a short head keeps it in a few bytes of its own, and gives its job back.

use std::io;

use bytes::BufMut as _;
use reactor::buffer::Class;
use reactor::{BufferPool, EventLoop};

use super::seat::Flags;
use super::{Connection, Reader};
use crate::app::App;
use crate::options::{Limits, Options};
use crate::session::Phase;
use crate::work::job::Job;

/// Bytes of a head that a connection keeps without a job: most unfinished heads fit.
const REST_BYTES_MAX: usize = 512;

/// See the module's head.
pub(super) struct Jobs {
    pool: BufferPool,
    limits: http::Limits,
    /// Idle jobs, the one used last on top: its memory is warm.
    #[expect(clippy::vec_box, reason = "a job travels as a pointer")]
    stock: Vec<Box<Job>>,
    /// Jobs that have not been needed yet.
    unmade: usize,
}

impl Jobs {
    pub fn new(options: &Options) -> io::Result<Self> {
        let count = options.buffers.count;
        let Limits { head, fields, target, body, .. } = options.limits;
        let limits = http::Limits::new(head, fields, target.min(head - 1), body)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let pool = BufferPool::new(&[Class::new(options.buffers.size, 2 * count)])?;
        Ok(Jobs { pool, limits, stock: Vec::new(), unmade: count })
    }

    pub fn take(&mut self) -> Option<Box<Job>> {
        if let Some(job) = self.stock.pop() {
            return Some(job);
        }
        self.unmade = self.unmade.checked_sub(1)?;
        let (input, out) = (self.pool.take(0)?, self.pool.take(0)?);
        Some(Box::new(Job::new(&self.limits, input, out)))
    }

    pub fn put_back(&mut self, mut job: Box<Job>) {
        job.clear();
        self.stock.push(job);
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
        if !out.is_empty() || input.len() > REST_BYTES_MAX {
            return Some(job);
        }
        if !input.is_empty() {
            connection.rest = Box::from(&input[..]);
        }
        self.put_back(job);
        None
    }
}

impl<A: App> Reader<A> {
    /// Makes sure that the connection has a job; `false`: there is none.
    pub(super) fn lend_job(&mut self, connection: &mut Connection) -> bool {
        if connection.job.is_none() {
            let Some(mut job) = self.jobs.take() else { return false };
            let (input, _) = job.buffers();
            input.put_slice(&std::mem::take(&mut connection.rest));
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
            self.system.borrow(connection).counters.buffers_starved.add(1);
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
            let seat = &mut self.seats[token.slot() as usize];
            seat.flags.unset(Flags::WAITS);
            let Some(connection) = seat.connection.take() else { continue };
            debug_assert!(connection.session.phase() != Phase::Work, "works at home");
            self.run(ev, connection, super::Step::Again);
        }
    }
}
