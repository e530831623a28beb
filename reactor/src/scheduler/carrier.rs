//! A carrier: a kernel thread that runs a core's fibers. Go calls it an M.
//!
//! ```text
//!        ┌─────────────────────────────────────────────────────────┐
//!        ▼                                                         │
//!   a turn of the core's loop ─► pop ─► lend the core, resume ─┬─► take the core back
//!   (waits, if nothing runs       ▲     the fiber              │
//!    and nothing can be stolen)   └── steal from another core  └─► gone: look for another core
//! ```

use super::Shared;
use super::core::{Core, push};
use super::green::{Green, request};
use super::park::After;
use crate::fiber::{Fiber, Resumed};
use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};

/// Threads that a core runs with others waiting behind them before it wakes an idle core for those:
/// some 50 µs of short requests. A core that is woken for less finds nothing left, and costs more
/// than it takes over.
const RUNS_BEFORE_HELP: usize = 8;
/// Threads that one steal takes at most.
const STEAL_MAX: usize = 64;

/// What a carrier thread does: serves `core`, and after that any that is left without a carrier.
pub(super) fn carry(shared: &Arc<Shared>, core: Option<Box<Core>>) {
    let mut next = core;
    while !shared.is_stopping() {
        let Some(core) = next.take().or_else(|| shared.spares.next_core()) else { return };
        serve(shared, core);
    }
}

/// Until the core is taken away, or the scheduler stops.
fn serve(shared: &Arc<Shared>, mut core: Box<Core>) {
    while !shared.is_stopping() {
        let outside = &shared.cores[core.index];
        let may_wait = outside.queue.is_empty() && steal(shared, core.index) == 0;
        if may_wait {
            outside.idle.store(true, Relaxed);
        }
        let turn = core.turn(may_wait);
        if may_wait {
            outside.idle.store(false, Relaxed);
        }
        if let Err(error) = turn {
            return shared.fail(error);
        }
        match run_queued(shared, core) {
            Some(still) => core = still,
            None => return,
        }
    }
}

/// Runs those that are queued at this moment; what they queue comes after the loop's next turn.
fn run_queued(shared: &Arc<Shared>, mut core: Box<Core>) -> Option<Box<Core>> {
    let index = core.index;
    let queue = &shared.cores[index].queue;
    let count = queue.len();
    for run in 1..=count {
        let Some(green) = queue.pop() else { break };
        core = run_one(shared, core, green, run == 1)?;
        if run % RUNS_BEFORE_HELP == 0 && run < count {
            shared.wake_idle();
        }
    }
    Some(core)
}

/// Runs a thread until it is suspended. `None`: the core has been taken over meanwhile.
fn run_one(
    shared: &Arc<Shared>,
    core: Box<Core>,
    green: Arc<Green>,
    is_first: bool,
) -> Option<Box<Core>> {
    let index = core.index;
    green.core.store(index as u32, Relaxed);
    let (mut kept, mut has_ended) = (None, false);
    let again = green.park.run(|fiber, reasons| {
        green.note(reasons);
        let resumed;
        (resumed, kept) = resume(shared, core, (&green, fiber), is_first);
        let after = match resumed {
            Resumed::Suspended(request::YIELD) => After::Yields,
            Resumed::Suspended(_) => After::Parks,
            Resumed::Finished => After::Ends,
            Resumed::Panicked(payload) => {
                discard(payload);
                After::Ends
            }
        };
        has_ended = after == After::Ends;
        if has_ended {
            *fiber = None;
        } else {
            attend(shared, kept.as_deref_mut(), &green);
        }
        after
    });
    // One that has parked may be running elsewhere by now, or have ended.
    if again {
        match kept {
            Some(_) => push(&shared.cores[index].queue, green),
            None => shared.queue_at(index, green),
        }
    } else if has_ended {
        let_go(shared, kept.as_deref_mut(), &green);
    }
    kept
}

/// What a panic carries is the thread's own, and its drop may panic as well: that must not end the
/// carrier, with a thread in the middle of its run and a core that would have none.
#[cold]
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(another);
    }
}

/// Resumes a fiber while the core is lent to whichever carrier takes it over.
#[inline]
fn resume(
    shared: &Shared,
    core: Box<Core>,
    (green, fiber): (&Green, &mut Option<Fiber>),
    is_first: bool,
) -> (Resumed, Option<Box<Core>>) {
    let outside = &shared.cores[core.index];
    let run = outside.runs.load(Relaxed) + 1;
    outside.runs.store(run, Relaxed);
    green.run.store(run, Relaxed);
    outside.lent.put(core);
    if is_first {
        shared.monitor.wake();
    }
    let resumed = fiber.as_mut().expect("what has ended is not queued").resume(0);
    // A core that has been taken over may be lent again, by its new carrier.
    let is_own = outside.runs.load(Relaxed) == run;
    (resumed, if is_own { outside.lent.take() } else { None })
}

/// Has the thread's home do what it wants. It is still this carrier's: it cannot go on before.
#[inline]
fn attend(shared: &Arc<Shared>, core: Option<&mut Core>, green: &Arc<Green>) {
    match core {
        Some(core) if core.index == green.home => core.attend(green),
        _ if green.needs_home() => shared.tell_home(green),
        _ => {}
    }
}

fn let_go(shared: &Arc<Shared>, core: Option<&mut Core>, green: &Arc<Green>) {
    match core {
        // In the inbox it would be let go twice.
        Some(core) if core.index == green.home && !green.told.swap(true, AcqRel) => {
            core.let_go(green);
        }
        _ => shared.tell_home(green),
    }
}

/// Takes half of what waits in another core's queue. One that has a single thread queued is about
/// to run it.
fn steal(shared: &Arc<Shared>, index: usize) -> usize {
    let cores = shared.cores.len();
    let own = &shared.cores[index];
    for other in (1..cores).map(|offset| &shared.cores[(index + offset) % cores]) {
        let max = (other.queue.len() / 2).min(STEAL_MAX);
        let count = other.queue.pop_batch(max, |green| push(&own.queue, green));
        if count > 0 {
            own.steals.store(own.steals.load(Relaxed) + count as u64, Relaxed);
            return count;
        }
    }
    0
}
