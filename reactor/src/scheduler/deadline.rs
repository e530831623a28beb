//! When a thread wants to be woken at the latest, and for when its home core has a timer.
//!
//! A deadline moves later with each request. So only the wish is written; the timer in the home
//! core's wheel stays, too early, and is armed again when it fires. What needs the home core is a wish
//! earlier than the timer: if the thread was run by another core, that is a message.
//!
//! ```text
//!   the thread's carrier (another core)      its home core: the timer fires
//!   C1  wanted = t                           H1  armed = NEVER
//!   C2  fence(SeqCst)                        H2  fence(SeqCst)
//!   C3  wanted < armed? tell the home        H3  wanted: is it over? else arm for it
//! ```
//!
//! Both look at what the other one writes, as a sleeper and its waker do (see
//! [`sleep`](crate::sleep)): without the fences C3 could find the timer that has just fired, H3 the
//! wish of before (that there is none), and the thread would sleep forever. With them one of the
//! two sees the other's write: `loom_a_timer_that_fires_finds_the_new_deadline_or_is_told`.

use super::NEVER;
use crate::sync::atomic::{AtomicU64, Ordering, fence};

use Ordering::{Relaxed, SeqCst};

/// See the module's head.
pub(super) struct Deadline {
    /// The thread's, and its carrier's.
    wanted_ms: AtomicU64,
    /// The home core's. Never later than what was wanted when the home core last looked.
    armed_ms: AtomicU64,
}

impl Deadline {
    pub fn never() -> Self {
        Deadline { wanted_ms: AtomicU64::new(NEVER), armed_ms: AtomicU64::new(NEVER) }
    }

    /// The thread wants to be woken then.
    #[inline]
    pub fn want(&self, deadline_ms: u64) {
        self.wanted_ms.store(deadline_ms, Relaxed);
    }

    /// For the home core, of a thread that does not run: the time for which its timer must be
    /// armed, if it is not.
    #[inline]
    pub fn to_arm(&self) -> Option<u64> {
        let wanted_ms = self.wanted_ms.load(Relaxed);
        (wanted_ms < self.armed_ms.load(Relaxed)).then(|| {
            self.armed_ms.store(wanted_ms, Relaxed);
            wanted_ms
        })
    }

    /// For another core that has run the thread: whether the home core has to look.
    pub fn needs_home(&self) -> bool {
        fence(SeqCst);
        self.wanted_ms.load(Relaxed) < self.armed_ms.load(Relaxed)
    }

    /// For the home core: the timer has fired, and is gone. Returns what is wanted now.
    pub fn fired(&self) -> u64 {
        self.armed_ms.store(NEVER, Relaxed);
        fence(SeqCst);
        self.wanted_ms.load(Relaxed)
    }
}
