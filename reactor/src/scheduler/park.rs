//! Parking and unparking: which thread may run a fiber, and who puts it into a queue.
//!
//! ```text
//!                    unpark: the caller queues it
//!      ┌────────┐ ────────────────────────────────► ┌────────┐
//!      │ PARKED │                                   │ QUEUED │ ◄─────────────┐
//!      └────────┘ ◄────────────┐      run: popped   └────────┘               │
//!                              │ ┌─────────────────────┘                     │
//!                       parks  │ ▼                unpark                     │ parks, or yields:
//!                         ┌─────────┐ ────────────────────► ┌──────────┐     │ queued again by
//!                         │ RUNNING │                       │ NOTIFIED │ ────┘ its carrier
//!                         └─────────┘ ──► ENDED             └──────────┘
//! ```
//!
//! The states are two bits, NOTIFIED and RUNNING: parked is none of them, queued is NOTIFIED alone.
//! An unpark may bring bits that tell why (the readiness of a descriptor); they stay until the next
//! run, which gets all that have come. So an event costs one read-modify-write.
//!
//! # No wake-up is lost
//!
//! A fiber decides to park (it has looked, and found nothing to read), and before its carrier has
//! written that down another thread unparks it. So an unpark of a fiber that runs is latched: the
//! carrier finds the bit when it parks the fiber, and queues it again. And every change is a
//! read-modify-write, also that of an unpark which finds the bit set already: all are in one
//! order, each releases what its thread did before and acquires what the earlier ones released. So
//! the run that consumes a notification sees what every unpark before it was for. (With a load
//! that skips the write where the bit is set, the fiber could clear the bit and still miss what
//! the second unpark announced: the loads may pass the stores, as in Dekker's algorithm.)
//!
//! Not guaranteed: that a fiber which was unparked finds anything. Fibers look again in a loop.

use crate::sync::UnsafeCell;
use crate::sync::atomic::{AtomicU32, Ordering::AcqRel, Ordering::Relaxed};

/// It is to run (again): it is in a queue, or was unparked while it ran.
const NOTIFIED: u32 = 1;
/// A carrier has its value.
const RUNNING: u32 = 2;
/// It will not run any more.
const ENDED: u32 = 4;
/// Bits below the reasons.
const REASONS_SHIFT: u32 = 8;

/// What a run ended with.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum After {
    /// It waits for an unpark.
    Parks,
    /// It wants to go on, after others.
    Yields,
    /// It is over.
    Ends,
}

/// A value that one thread at a time runs.
pub(super) struct Park<T> {
    state: AtomicU32,
    /// Belongs to the thread that set RUNNING, until it clears it.
    value: UnsafeCell<T>,
}

// SAFETY: the value is accessed by the thread that won RUNNING alone, and changes hands by AcqRel
// on the state; so it moves between threads, which T: Send allows, and is never shared.
unsafe impl<T: Send> Sync for Park<T> {}

impl<T> Park<T> {
    /// A new one counts as queued: the caller queues it.
    pub fn new(value: T) -> Self {
        Park { state: AtomicU32::new(NOTIFIED), value: UnsafeCell::new(value) }
    }

    /// Has it run (again), for these reasons (24 bits). `true`: the caller must queue it.
    #[inline]
    pub fn unpark(&self, reasons: u32) -> bool {
        self.state.fetch_or(reasons << REASONS_SHIFT | NOTIFIED, AcqRel) == 0
    }

    /// Runs it, once for each time that it was queued, with the reasons that have come since its
    /// last run. `true`: the caller must queue it again.
    ///
    /// # Panics
    ///
    /// If it is not queued.
    #[inline]
    pub fn run(&self, run: impl FnOnce(&mut T, u32) -> After) -> bool {
        let begun = self.state.swap(RUNNING, AcqRel);
        let was_queued = begun & (NOTIFIED | RUNNING | ENDED) == NOTIFIED;
        assert!(was_queued, "only what is queued is run, and by one");
        // SAFETY: this thread has changed the state from queued to running; so no other has the
        // value, nor gets it before it is not running any more.
        let after =
            self.value.with_mut(|value| run(unsafe { &mut *value }, begun >> REASONS_SHIFT));
        match after {
            After::Parks => {}
            After::Yields => {
                self.state.fetch_or(NOTIFIED, AcqRel);
            }
            After::Ends => {
                self.state.fetch_or(ENDED, AcqRel);
            }
        }
        // From here on another thread may run it.
        let before = self.state.fetch_and(!RUNNING, AcqRel);
        before & (NOTIFIED | ENDED) == NOTIFIED
    }

    /// It has ended.
    pub fn has_ended(&self) -> bool {
        self.state.load(Relaxed) & ENDED != 0
    }
}
