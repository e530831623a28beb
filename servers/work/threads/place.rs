//! The loop's side of one worker: its rings, the thread that serves them, and what it is doing.
//!
//! A place outlives its threads. What changes with the thread is its way of being woken and the
//! lease by which its ends of the rings can be taken away.

use std::sync::Arc;

use reactor::Token;
use reactor::lease::Taker;
use reactor::ring::spsc::{Consumer, Producer, ring};
use reactor::shared::SharedSlot;
use reactor::sleep::Unparker;

use super::running::Running;
use crate::metrics::WorkerCounters;
use crate::work::job::Job;

/// A worker's ends of its rings. Boxed: they are put down and picked up with every job.
pub(super) struct Ends {
    pub jobs: Consumer<Box<Job>>,
    pub done: Producer<Box<Job>>,
}

/// The loop's handle on the thread of a place.
pub(super) struct Hold {
    pub unparker: Unparker,
    pub taker: Taker<Box<Ends>>,
    /// Which job the thread does, noted before the ends are put down.
    pub running: Arc<Running>,
}

/// A place.
pub(super) struct Place {
    pub index: usize,
    jobs: Producer<Box<Job>>,
    done: Consumer<Box<Job>>,
    /// `None` while it has no thread.
    hold: Option<Hold>,
    /// The worker's ends, while no thread has them.
    vacant: Option<Box<Ends>>,
    /// The worker has not been woken for the jobs submitted in this turn.
    uncalled: bool,
    /// Jobs here: in either ring, or running.
    in_flight: usize,
    /// The stamp of a job that takes too long, of a thread that could not be substituted.
    stuck: Option<u64>,
    counters: SharedSlot<WorkerCounters>,
}

impl Place {
    /// A vacant one, whose queue has room for `capacity` jobs.
    pub fn new(index: usize, capacity: usize, counters: SharedSlot<WorkerCounters>) -> Self {
        let (jobs, jobs_end) = ring(capacity);
        // The queue and the running job: a finished job always finds room.
        let (done_end, done) = ring(capacity + 1);
        Place {
            index,
            jobs,
            done,
            hold: None,
            vacant: Some(Box::new(Ends { jobs: jobs_end, done: done_end })),
            uncalled: false,
            in_flight: 0,
            stuck: None,
            counters,
        }
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Room in the queue, and for the result.
    pub fn has_room(&self) -> bool {
        self.jobs.room() > 0 && self.in_flight <= self.jobs.capacity()
    }

    pub fn submit(&mut self, job: Box<Job>) -> Result<(), Box<Job>> {
        self.jobs.push(job)?;
        self.uncalled = true;
        self.in_flight += 1;
        self.counters.jobs.add(1);
        Ok(())
    }

    /// Wakes the worker, if there is something new and it sleeps.
    pub fn wake_workers(&mut self) {
        if self.uncalled
            && let Some(hold) = &self.hold
        {
            self.uncalled = false;
            hold.unparker.wake();
        }
    }

    pub fn has_completed(&self) -> bool {
        !self.done.is_empty()
    }

    pub fn take_completed(&mut self) -> Option<Box<Job>> {
        let job = self.done.pop()?;
        self.returned(&job);
        Some(job)
    }

    /// A job has come back.
    pub fn returned(&mut self, job: &Job) {
        self.gone();
        let times = job.times();
        self.counters.wait.add(times.begun.saturating_duration_since(times.submitted));
        self.counters.run.add(times.ended.saturating_duration_since(times.begun));
    }

    fn gone(&mut self) {
        self.in_flight -= 1;
        self.counters.jobs.sub(1);
    }

    // The thread

    /// The ends that wait for a thread.
    pub fn take_vacant(&mut self) -> Option<Box<Ends>> {
        self.vacant.take()
    }

    /// The place has no thread any more, or not yet.
    pub fn vacate(&mut self, ends: Box<Ends>) {
        self.hold = None;
        self.stuck = None;
        self.vacant = Some(ends);
    }

    /// The place has a thread.
    pub fn occupy(&mut self, hold: Hold) {
        self.hold = Some(hold);
        self.uncalled = true;
        self.wake_workers();
    }

    pub fn is_vacant(&self) -> bool {
        self.vacant.is_some()
    }

    /// Since when a job has been running.
    pub fn busy_since(&self) -> Option<u64> {
        self.hold.as_ref()?.taker.stamp()
    }

    /// The job that was begun at `stamp`, if it still runs: its connection, and its request line.
    pub fn in_hand(&self, stamp: u64) -> Option<(Token, String)> {
        let hold = self.hold.as_ref()?;
        let (key, line) = (hold.running.key(), hold.running.line());
        // The same stamp afterwards: both are of this job.
        (hold.taker.stamp() == Some(stamp)).then_some((key, line))
    }

    /// Takes the ends from a thread that has been busy since `stamp`, with its job, which is lost.
    pub fn take_from_stuck(&mut self, stamp: u64) -> bool {
        let Some(ends) = self.hold.as_ref().and_then(|hold| hold.taker.take(stamp)) else {
            return false;
        };
        self.vacate(ends);
        self.gone();
        true
    }

    /// Notes that the job begun at `stamp` takes too long; `false` if that was known.
    pub fn note_stuck(&mut self, stamp: u64) -> bool {
        self.stuck.replace(stamp) != Some(stamp)
    }

    /// The job that was noted is still running.
    pub fn is_stuck(&self) -> bool {
        let stamp = || self.hold.as_ref()?.taker.stamp();
        self.stuck.is_some() && stamp() == self.stuck
    }
}

impl Drop for Hold {
    /// Wakes the thread: its queue, which is dropped before this, may have been closed.
    fn drop(&mut self) {
        self.unparker.wake();
    }
}
