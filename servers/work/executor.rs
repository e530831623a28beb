//! A place where jobs run, seen from the loop's thread: the seam at which event-driven models differ.
//!
//! SPED has none: its loop works inline. AMPED's is a pool of threads behind rings
//! ([`super::threads`]).
//!
//! What is *not* guaranteed: that a job comes back (its worker may never finish), that its connection
//! is still there when it does (then it is dropped), that jobs come back in order. A connection has
//! one job in flight at a time, so its answers are in order.

use std::time::Duration;

use reactor::Token;

use super::job::Job;
use crate::options::{Offload, Overload};

/// A place where jobs run.
pub trait Executor {
    /// Whether a job would be taken now.
    fn has_room(&self) -> bool;

    /// Hands a job over. Its worker may sleep until [`Executor::wake_workers`].
    ///
    /// # Errors
    /// The job, when there is no room.
    fn submit(&mut self, job: Box<Job>) -> Result<(), Box<Job>>;

    /// All that a turn had to submit is submitted: wakes the workers that sleep.
    fn wake_workers(&mut self);

    /// The next job that is done, if there is one.
    fn take_completed(&mut self) -> Option<Box<Job>>;

    /// Whether a job is done: asked before the loop sleeps.
    fn has_completed(&self) -> bool;

    /// Jobs that are submitted and not taken back.
    fn in_flight(&self) -> usize;

    /// How often to ask for [`Executor::next_stuck`] while jobs are in flight; `None`: never.
    fn watch_interval(&self) -> Option<Duration> {
        None
    }

    /// A job that takes too long and was not named before. Asked until there is none.
    fn next_stuck(&mut self) -> Option<Stuck> {
        None
    }

    /// A worker is stuck with a job that was given up.
    fn has_stuck(&self) -> bool {
        false
    }
}

/// A job that takes too long.
#[derive(Copy, Clone, Debug)]
pub struct Stuck {
    /// The connection that it is for.
    pub key: Token,
    /// It does not come back by [`Executor::take_completed`]: it, and its buffers, are given up.
    pub lost: bool,
}

/// An executor and how it is used.
pub struct OffloadConfig {
    /// Where work runs.
    pub executor: Box<dyn Executor>,
    /// Jobs there can be at a time, those that never come back included.
    pub jobs_max: usize,
    /// Which requests are handed over.
    pub offload: Offload,
    /// What happens to a request for which there is no room.
    pub overload: Overload,
}
