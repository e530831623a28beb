//! The controller of a stage: how many threads it has, and how much each takes at a time.
//!
//! ```text
//!  a few times a second:  observation ──► Controller::decide ──► one more thread, or one less,
//!                         queue, events, busy time                or as it is; and the batch
//! ```
//!
//! Welsh's thesis has two of them (sections 4.3.1 and 4.3.2), and so has this:
//!
//! * **Threads.** One more when the queue is longer than [`BACKLOG`] of the largest batches for
//!   every thread, or when events wait while no thread has finished any, in [`PATIENCE`]
//!   observations in a row; one less when the others could have done it all, for [`IDLE_TICKS`]
//!   observations. The first is a matter of a quarter of a second, the second of seconds: a thread
//!   more costs little, and a thread less has to be started again. None
//!   is added to a stage whose threads keep the processors busy by computing: more of them would
//!   only take turns, and delay other stages.
//! * **Batch.** Twice as large while most batches are full, half as large when most are a quarter
//!   full or have a single event. A batch of one is always full: it grows when events wait, too.
//!   Taking many events at once keeps code and data in the caches, and wakes the next stage
//!   once for all of them; taking more than there are saves nothing, and with several threads takes
//!   them from the others. So a backlog of short events brings larger batches first, and threads
//!   only after that.
//!
//! It decides by numbers alone: time is counted in observations, so it is tested without any.

/// Largest batches of events for each thread that may wait before there are too few threads.
const BACKLOG: usize = 2;
/// Observations in a row with a backlog before a thread is added.
const PATIENCE: u32 = 2;
/// Observations in a row without need for one of the threads before it is taken away: 3 seconds.
const IDLE_TICKS: u32 = 30;
/// Of a thread's time, in percent: above, it is no longer idle.
const BUSY_PERCENT: u64 = 70;

/// Of all processors' time, in percent: a stage that computes for longer lacks processors, not
/// threads.
const COMPUTES_PERCENT: u64 = 60;

/// Between which numbers a controller stays.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Bounds {
    pub threads_min: usize,
    pub threads_max: usize,
    pub batch_max: usize,
    /// Processors: more threads that compute are of no use.
    pub cores: usize,
}

/// What is seen of a stage.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Observation {
    /// Events that wait.
    pub waiting: usize,
    pub threads: usize,
    /// Threads that do not sleep.
    pub running: usize,
    pub batch: usize,
    /// Events done since the last observation, and in how many batches.
    pub events: u64,
    pub batches: u64,
    /// How long the threads were busy since the last observation, all together, in microseconds.
    pub busy_us: u64,
    /// How much of that they computed; 0 where it is not measured.
    pub cpu_us: u64,
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
        let stands_still = seen.waiting > 0 && seen.events == 0 && seen.running >= seen.threads;
        let computes = seen.cpu_us * 100 >= bounds.cores as u64 * seen.passed_us * COMPUTES_PERCENT;
        let behind =
            !computes && (stands_still || seen.waiting > BACKLOG * bounds.batch_max * seen.threads);
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
    let sleeps = seen.waiting == 0 && seen.running < seen.threads;
    sleeps && seen.busy_us * 100 <= others * seen.passed_us * BUSY_PERCENT
}

fn batch(bounds: &Bounds, seen: &Observation) -> usize {
    let (limit, batches) = (seen.batch as u64, seen.batches);
    let full = seen.events * 4 >= limit * batches * 3 && (limit > 1 || seen.waiting > 0);
    // At 5 quarters, most have a single event.
    let empty = seen.events * 4 <= batches * limit.max(5);
    if batches == 0 {
        seen.batch
    } else if full {
        (2 * seen.batch).min(bounds.batch_max)
    } else if empty {
        (seen.batch / 2).max(1)
    } else {
        seen.batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { threads_min: 1, threads_max: 3, batch_max: 16, cores: 2 };
    /// Of a stage that takes one at a time.
    const SINGLY: Bounds = Bounds { batch_max: 1, ..BOUNDS };
    const TICK_US: u64 = 100_000;

    /// Two threads that do something, with nothing behind.
    const CALM: Observation = Observation {
        waiting: 0,
        threads: 2,
        running: 1,
        batch: 1,
        events: 10,
        batches: 10,
        busy_us: 2 * TICK_US * 9 / 10,
        cpu_us: 0,
        passed_us: TICK_US,
    };
    const IDLE: Observation = Observation { running: 0, events: 0, batches: 0, busy_us: 0, ..CALM };
    const BEHIND: Observation = Observation { waiting: 100, running: 2, ..CALM };

    /// What it decides about threads, for each observation in turn.
    fn threads(seen: impl IntoIterator<Item = Observation>) -> Vec<Threads> {
        let mut controller = Controller::default();
        seen.into_iter().map(|seen| controller.decide(&SINGLY, &seen).0).collect()
    }

    /// The first observation at which a thread is taken away.
    fn removed_at(seen: impl IntoIterator<Item = Observation>) -> Option<usize> {
        threads(seen).iter().position(|it| *it == Threads::Remove)
    }

    #[test]
    fn a_backlog_that_lasts_brings_a_thread_and_one_that_does_not_brings_none() {
        use Threads::{Add, Keep};
        assert_eq!(threads([BEHIND, BEHIND, BEHIND, BEHIND]), [Keep, Add, Keep, Add]);
        assert_eq!(threads([BEHIND, CALM, BEHIND, CALM]), [Keep; 4]);
        let all = Observation { threads: 3, ..BEHIND };
        assert_eq!(threads([all; 5]), [Keep; 5], "there are no more than it may have");
    }

    #[test]
    fn threads_that_finish_nothing_while_events_wait_are_too_few() {
        let stuck = Observation { waiting: 1, events: 0, busy_us: 0, running: 2, ..CALM };
        assert_eq!(threads([stuck; 2])[1], Threads::Add);
        let slow = Observation { events: 1, ..stuck };
        assert_eq!(threads([slow; 9]), [Threads::Keep; 9]);
    }

    #[test]
    fn a_stage_that_keeps_the_processors_busy_gets_no_more_threads() {
        let computes = Observation { cpu_us: 2 * TICK_US * 6 / 10, ..BEHIND };
        assert_eq!(threads([computes; 9]), [Threads::Keep; 9]);
        let waits = Observation { cpu_us: TICK_US, ..BEHIND };
        assert_eq!(threads([waits; 2])[1], Threads::Add);
    }

    #[test]
    fn a_thread_that_is_not_needed_for_seconds_goes_and_the_last_one_stays() {
        let ticks = IDLE_TICKS as usize;
        assert_eq!(removed_at([IDLE; 100]), Some(ticks - 1));
        assert_eq!(removed_at([Observation { threads: 1, ..IDLE }; 100]), None);
        // What is between counts from the beginning.
        let mut interrupted = vec![IDLE; ticks - 1];
        interrupted.push(CALM);
        interrupted.extend([IDLE; 5]);
        assert_eq!(removed_at(interrupted), None);
    }

    /// Of a long job nothing is known until it is done: its thread is not idle.
    #[test]
    fn a_thread_is_not_idle_while_it_runs() {
        let long = Observation { running: 2, ..IDLE };
        assert_eq!(removed_at([long; 100]), None);
    }

    #[test]
    fn fewer_threads_than_the_least_are_made_good_at_once() {
        assert_eq!(threads([Observation { threads: 0, running: 0, ..IDLE }]), [Threads::Add]);
    }

    #[test]
    fn the_batch_grows_while_it_is_filled_and_shrinks_when_it_is_not() {
        let mut controller = Controller::default();
        let mut next = |events, batches, batch| {
            let seen = Observation { events, batches, batch, ..CALM };
            controller.decide(&BOUNDS, &seen).1
        };
        assert_eq!((next(80, 10, 8), next(60, 10, 8), next(160, 10, 16)), (16, 16, 16));
        assert_eq!((next(59, 10, 8), next(21, 10, 8), next(0, 0, 8)), (8, 8, 8));
        assert_eq!((next(20, 10, 8), next(10, 10, 16)), (4, 8));
    }

    #[test]
    fn the_batch_falls_back_to_one_when_events_come_singly_and_stays() {
        let mut controller = Controller::default();
        let mut next = |waiting, events, batch| {
            let seen = Observation { waiting, events, batches: 10, batch, ..CALM };
            controller.decide(&BOUNDS, &seen).1
        };
        let mut batch = 16;
        let history = [(); 6].map(|()| {
            batch = next(0, 11, batch);
            batch
        });
        assert_eq!(history, [8, 4, 2, 1, 1, 1]);
        assert_eq!((next(1, 10, 1), next(1, 20, 2)), (2, 4), "a backlog makes it grow again");
    }

    /// Load comes and goes: with each thread good for ten events a tick, the controller finds the
    /// number of threads that is needed, and gives them back.
    #[test]
    fn it_follows_a_load_up_and_down() {
        let (mut controller, mut threads, mut waiting) = (Controller::default(), 1usize, 0usize);
        let mut history = Vec::new();
        for tick in 0..200 {
            let arrived = if tick < 50 { 25 } else { 2 };
            let done = (waiting + arrived).min(10 * threads);
            waiting = waiting + arrived - done;
            let seen = Observation {
                waiting,
                threads,
                running: if waiting > 0 { threads } else { 0 },
                batch: 1,
                events: done as u64,
                batches: done as u64,
                busy_us: done as u64 * TICK_US / 10,
                cpu_us: 0,
                passed_us: TICK_US,
            };
            match controller.decide(&SINGLY, &seen).0 {
                Threads::Add => threads += 1,
                Threads::Remove => threads -= 1,
                Threads::Keep => {}
            }
            history.push(threads);
        }
        assert_eq!(history[20], 3);
        assert_eq!((history[49], history[199]), (3, 1));
        assert_eq!(waiting, 0);
    }
}
