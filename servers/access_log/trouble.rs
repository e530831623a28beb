//! What an operator learns of a log that cannot be written: a line when that begins, and one when it
//! is written again, from whichever process or thread notices first.
//!
//! Every process of a server has the same file open, and under some models they come and go by the
//! thousand; so what was reported is in memory that they share.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use reactor::process::monotonic_us;
use reactor::shared::{SharedSlot, SharedTable};

use crate::report::report;

/// The least time between two beginnings that are reported.
const APART_US: u64 = 1_000_000;

reactor::shared_struct! {
    /// The state of the server's log.
    struct State {
        /// It is known to fail.
        reported: AtomicBool,
        /// When that was last reported; 0: never.
        reported_us: AtomicU64,
        /// Lines lost since.
        lost: AtomicU64,
    }
}

/// A handle on that state.
pub(super) struct Trouble(Option<SharedSlot<State>>);

/// One for the server's log: a process runs one server.
static STATE: OnceLock<Option<SharedTable<State>>> = OnceLock::new();

/// To be called before there are other processes, which report in turn what concerns the same log.
pub fn prepare() {
    Trouble::of_server();
}

impl Trouble {
    /// The server's; see [`prepare`].
    pub fn of_server() -> Trouble {
        let table = STATE.get_or_init(|| SharedTable::new(1).ok());
        Trouble(table.as_ref().and_then(|table| table.slot(0)))
    }

    /// One of its own, for tests.
    #[cfg(test)]
    pub fn own() -> Trouble {
        Trouble(SharedTable::new(1).expect("memory").slot(0))
    }

    /// The log could not be written; `true`: that is to be reported.
    fn begins(&self) -> bool {
        let Some(state) = &self.0 else { return false };
        let (now, last) = (monotonic_us(), state.reported_us.load(Relaxed));
        let too_soon = last != 0 && now.saturating_sub(last) < APART_US;
        if too_soon || state.reported.swap(true, Relaxed) {
            return false;
        }
        state.reported_us.store(now, Relaxed);
        true
    }

    /// The log was written; returns how many lines were lost, if its failure was reported.
    fn ends(&self) -> Option<u64> {
        let state = self.0.as_ref()?;
        let was_reported = state.reported.load(Relaxed) && state.reported.swap(false, Relaxed);
        was_reported.then(|| state.lost.swap(0, Relaxed))
    }

    /// Lines are lost.
    pub fn lost(&self, lines: u64) {
        if let Some(state) = &self.0 {
            state.lost.fetch_add(lines, Relaxed);
        }
    }

    /// The log `name` could not be written.
    #[cold]
    pub fn failed(&self, name: &impl fmt::Display, why: &dyn fmt::Display) {
        if self.begins() {
            report!(
                "cannot write the access log {name}: {why}; trying again, lines that do not fit in \
                 memory are lost"
            );
        }
    }

    /// It was written.
    #[inline]
    pub fn succeeded(&self, name: &impl fmt::Display) {
        if let Some(lost) = self.ends() {
            report!("the access log {name} is written again; lines lost: {lost}");
        }
    }
}

impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trouble").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_reported_once_and_so_is_its_end() {
        let trouble = Trouble::own();
        assert_eq!(trouble.ends(), None, "there is none");
        assert!(trouble.begins());
        assert!(!trouble.begins(), "the same one");
        trouble.lost(3);
        assert_eq!(trouble.ends(), Some(3));
        assert_eq!(trouble.ends(), None);
        assert!(!trouble.begins(), "too soon after the last");
    }
}
