//! The controller of a stage: how many threads it has, and how much each takes at a time.
//!
//! ```text
//!  a few times a second:  observation ──► Controller::decide ──► one more thread, or one less,
//!                         queue, events, busy time                or as it is; and the batch
//! ```
//!
//! Welsh's thesis has two of them (sections 4.3.1 and 4.3.2), and so has this:
//!
//! * **Threads.** One more when the queue is longer than [`BACKLOG`] batches for every thread, in
//!   [`PATIENCE`] observations in a row; one less when the others could have done it all, for
//!   [`IDLE_TICKS`] observations. The first is a matter of a quarter of a second, the second of
//!   seconds: a thread more costs little, and a thread less has to be started again.
//! * **Batch.** Twice as large while the queue holds more than the threads take at once; half as
//!   large when they find less. Taking many events at once keeps code and data in the caches; taking
//!   more than there are saves nothing, and takes them from other threads.
//!
//! It decides by numbers alone: time is counted in observations, so it is tested without any.

/// Batches of events for each thread that may wait before there are too few threads.
const BACKLOG: usize = 2;
/// Observations in a row with a backlog before a thread is added.
const PATIENCE: u32 = 2;
/// Observations in a row without need for one of the threads before it is taken away: 3 seconds.
const IDLE_TICKS: u32 = 30;
/// Of a thread's time, in percent: above, it is no longer idle.
const BUSY_PERCENT: u64 = 70;

/// Between which numbers a controller stays.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Bounds {
    pub threads_min: usize,
    pub threads_max: usize,
    pub batch_max: usize,
}

/// What is seen of a stage.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Observation {
    /// Events that wait.
    pub waiting: usize,
    pub threads: usize,
    pub batch: usize,
    /// How long the threads were busy since the last observation, all together, in microseconds.
    pub busy_us: u64,
    /// How long ago that was.
    pub passed_us: u64,
}

/// What is to be done.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Threads {
    Add,
    Keep,
    Remove,
}

/// The memory of a controller.
#[derive(Default, Debug)]
pub(super) struct Controller {
    behind: u32,
    idle: u32,
}

impl Controller {
    /// Decides by one observation; the number is the new batch.
    pub fn decide(&mut self, bounds: &Bounds, seen: &Observation) -> (Threads, usize) {
        (self.threads(bounds, seen), batch(bounds, seen))
    }

    fn threads(&mut self, bounds: &Bounds, seen: &Observation) -> Threads {
        let behind = seen.waiting > BACKLOG * seen.batch * seen.threads;
        self.behind = if behind { self.behind + 1 } else { 0 };
        self.idle = if spares_one(seen) { self.idle + 1 } else { 0 };
        if seen.threads < bounds.threads_min {
            return Threads::Add;
        }
        if self.behind >= PATIENCE && seen.threads < bounds.threads_max {
            (self.behind, self.idle) = (0, 0);
            return Threads::Add;
        }
        if self.idle >= IDLE_TICKS && seen.threads > bounds.threads_min {
            (self.behind, self.idle) = (0, 0);
            return Threads::Remove;
        }
        Threads::Keep
    }
}

/// One thread less would have done.
fn spares_one(seen: &Observation) -> bool {
    let others = seen.threads.saturating_sub(1) as u64;
    seen.waiting == 0 && seen.busy_us * 100 <= others * seen.passed_us * BUSY_PERCENT
}

fn batch(bounds: &Bounds, seen: &Observation) -> usize {
    let taken = seen.batch * seen.threads.max(1);
    if seen.waiting > taken {
        (2 * seen.batch).min(bounds.batch_max)
    } else if seen.waiting < taken / 2 {
        (seen.batch / 2).max(1)
    } else {
        seen.batch
    }
}
