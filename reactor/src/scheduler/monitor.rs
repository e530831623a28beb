//! Taking a core over from a carrier that is inside one fiber for too long.
//!
//! ```text
//!   carrier 0:  core 0 ─ lends it ─ fiber computes …………………………… suspends ─► core gone: a spare now
//!   monitor:                 look       look: the same run ─► takes core 0
//!   carrier 2:                                                └─► core 0: its poller, its queue
//! ```
//!
//! As Go's `sysmon` does for goroutines in system calls. A thread that knows beforehand says so
//! ([`will_block`](super::Running::will_block)), and its core goes at once. What is taken over is
//! the core, with its loop and the threads that wait in its queue; the fiber itself stays where it
//! is, since nothing can interrupt it. So its core's other threads wait for one to two looks of the
//! monitor, or not at all.
//!
//! The carriers beyond one for each core are spares: started when the first core is to be taken
//! over, kept afterwards, and bounded. When all of them are inside fibers too, no core is taken
//! over any more, and a core's threads wait for its fiber.
//!
//! While nothing runs, the monitor sleeps, and costs nothing.

use super::Shared;
use super::core::Core;
use crate::sleep::{Parker, Unparker, parker};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How often the monitor looks while fibers run: 200 wake-ups a second, some 0.1 % of a processor.
/// What computes for less than that is not worth a switch between kernel threads.
const LOOK: Duration = Duration::from_millis(5);
/// Looks without any run before the monitor sleeps: waking it costs a system call.
const LOOKS_BEFORE_SLEEP: u32 = 20;
/// Carriers beyond one for each core: each is inside a fiber that blocks or computes.
const SPARES_MAX: usize = 64;

/// By which carriers wake the monitor.
pub(super) struct Monitor {
    unparker: Unparker,
}

impl Monitor {
    pub fn new() -> (Self, Parker) {
        let (parker, unparker) = parker();
        (Monitor { unparker }, parker.with_spins(0))
    }

    /// A carrier is about to run fibers; a fence and a load, as a rule.
    #[inline]
    pub fn wake(&self) {
        self.unparker.wake();
    }
}

/// The monitor's thread.
pub(super) fn watch(shared: &Arc<Shared>, mut parker: Parker) {
    let runs = |index: usize| shared.cores[index].runs.load(Relaxed);
    let mut seen: Vec<u64> = (0..shared.cores.len()).map(runs).collect();
    let mut quiet = 0;
    while !shared.is_stopping() {
        if quiet == LOOKS_BEFORE_SLEEP {
            let moved = || seen.iter().enumerate().any(|(index, seen)| runs(index) != *seen);
            parker.sleep_unless(|| moved() || shared.is_stopping());
            quiet = 0;
        }
        thread::sleep(LOOK);
        quiet += 1;
        if shared.spares.lack_one() {
            quiet = 0;
            shared.start_carrier();
        }
        for (index, seen) in seen.iter_mut().enumerate() {
            let now = runs(index);
            let is_inside = shared.cores[index].lent.is_there();
            if now != *seen || is_inside {
                quiet = 0;
            }
            if now == *seen && is_inside {
                shared.take_over(index);
            }
            *seen = now;
        }
    }
}

impl Shared {
    /// Gives a core whose carrier is inside a fiber to another one, unless it is back with its own,
    /// or there is no other.
    pub(super) fn take_over(self: &Arc<Self>, index: usize) {
        let outside = &self.cores[index];
        if !self.spares.have_one() {
            return;
        }
        if let Some(core) = outside.lent.take() {
            outside.takeovers.fetch_add(1, Relaxed);
            if self.spares.give(core) {
                self.start_carrier();
            }
        }
    }
}

/// Carriers without a core, and cores without a carrier.
#[derive(Default)]
pub(super) struct Spares {
    state: Mutex<State>,
    given: Condvar,
}

#[derive(Default)]
struct State {
    #[expect(clippy::vec_box, reason = "a core changes hands as one pointer")]
    cores: Vec<Box<Core>>,
    /// Carriers that wait for a core.
    waiting: usize,
    /// Spares that were started.
    started: usize,
    stopping: bool,
}

impl Spares {
    /// A core could be given to some carrier, as it seems: several threads may give at a time, and
    /// a core too many waits for the next carrier whose fiber suspends.
    fn have_one(&self) -> bool {
        let state = self.lock();
        state.waiting > state.cores.len() || state.started < SPARES_MAX
    }

    /// Gives a core to a carrier that waits; `true`: one more is to be started for it.
    fn give(&self, core: Box<Core>) -> bool {
        let mut state = self.lock();
        state.cores.push(core);
        let start = state.waiting < state.cores.len() && state.started < SPARES_MAX;
        state.started += usize::from(start);
        drop(state);
        self.given.notify_one();
        start
    }

    /// A core waits for a carrier that could not be started: `true` if it is to be tried again.
    fn lack_one(&self) -> bool {
        let mut state = self.lock();
        let lacks = state.waiting < state.cores.len() && state.started < SPARES_MAX;
        state.started += usize::from(lacks);
        lacks
    }

    /// Waits for a core that needs a carrier; `None`: the scheduler stops.
    pub fn next_core(&self) -> Option<Box<Core>> {
        let mut state = self.lock();
        state.waiting += 1;
        let core = loop {
            if state.stopping {
                break None;
            }
            match state.cores.pop() {
                None => {
                    state = self.given.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                core => break core,
            }
        };
        state.waiting -= 1;
        core
    }

    /// Ends those that wait.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.given.notify_all();
    }

    /// A spare could not be started: the next look tries again.
    pub fn not_started(&self) {
        self.lock().started -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
