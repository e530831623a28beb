//! The sleep of a worker thread.

use super::Sleeper;
use crate::sync::thread::{self, Thread};
use crate::sync::{Arc, spin_loop};
use std::fmt;
use std::sync::OnceLock;

/// How often a worker looks before it sleeps, if there is more than one core.
const SPINS: u32 = 100;

/// A worker's side and its wakers' side.
pub fn parker() -> (Parker, Unparker) {
    let shared = Arc::new(Shared { sleeper: Sleeper::new(), thread: OnceLock::new() });
    let unparker = Unparker { shared: Arc::clone(&shared) };
    (Parker { shared, spins: default_spins() }, unparker)
}

/// On one core no other thread can push while a thread spins.
fn default_spins() -> u32 {
    match std::thread::available_parallelism() {
        Ok(cores) if cores.get() > 1 => SPINS,
        _ => 0,
    }
}

struct Shared {
    sleeper: Sleeper,
    /// The thread that sleeps; set before it first does, and never changed.
    thread: OnceLock<Thread>,
}

/// Where an idle worker waits. Belongs to the thread that first waits.
pub struct Parker {
    shared: Arc<Shared>,
    /// How often to look before the thread sleeps.
    spins: u32,
}

impl Parker {
    /// Looks this often before it sleeps; 0 sleeps at once.
    pub fn with_spins(self, spins: u32) -> Parker {
        Parker { spins, ..self }
    }

    /// Returns when `has_work` is true, or an [`Unparker`] was used; may be spurious.
    ///
    /// Spins for a moment: waking a thread costs its waker a system call, and the thread runs only
    /// microseconds later. Then parks.
    ///
    /// # Panics
    ///
    /// If another thread has waited here before: it is the one that would be woken.
    pub fn sleep_unless(&mut self, mut has_work: impl FnMut() -> bool) {
        for _ in 0..self.spins {
            if has_work() {
                return;
            }
            spin_loop();
        }
        self.remember_thread();
        let Shared { sleeper, .. } = &*self.shared;
        sleeper.sleep(has_work, |wait| {
            // A late unpark for an earlier sleep may end a park: hence the loop.
            while wait && sleeper.is_asleep() {
                thread::park();
            }
        });
    }

    fn remember_thread(&self) {
        let current = thread::current();
        let id = current.id();
        let owner = self.shared.thread.get_or_init(|| current);
        assert_eq!(owner.id(), id, "a parker belongs to the thread that first waits");
    }
}

/// Wakes one worker. Clones wake the same one.
#[derive(Clone)]
pub struct Unparker {
    shared: Arc<Shared>,
}

impl Unparker {
    /// Call after the push. A fence and a load while the worker is awake; a system call when it
    /// sleeps, and only for the first thread that wakes it: `true` for that one.
    #[inline]
    pub fn wake(&self) -> bool {
        let slept = self.shared.sleeper.must_call();
        if slept {
            self.call();
        }
        slept
    }

    /// The worker sleeps, or is about to look once more before it does. Not to decide by: it may
    /// have changed already.
    pub fn is_asleep(&self) -> bool {
        self.shared.sleeper.is_asleep()
    }

    #[cold]
    fn call(&self) {
        let thread = self.shared.thread.get().expect("it is asleep, so it is known");
        thread.unpark();
    }
}

impl fmt::Debug for Parker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parker").field("spins", &self.spins).finish_non_exhaustive()
    }
}

impl fmt::Debug for Unparker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unparker").field("sleeper", &self.shared.sleeper).finish()
    }
}
