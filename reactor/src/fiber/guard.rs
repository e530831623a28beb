//! Pages that fault when touched.
//!
//! | way | mappings | 30,000 stacks of 64 KiB |
//! |---|---|---|
//! | `mprotect(2)` | two for each stack, of 65,530 (`vm.max_map_count`) | 60,000 mappings, 146 ms |
//! | `MADV_GUARD_INSTALL` (Linux 6.13) | none | 4 MiB of page tables, 124 ms |
//!
//! The second is tried first: with it there can be more than 32,000 fibers. The page tables are
//! those that the stacks will need; of larger stacks each has its own. Emulators of Linux accept
//! any advice and ignore it, so each guard is tried out.

use crate::sys::check;
use std::io;
use std::ptr::NonNull;

/// Makes guards of a pool, all in the same way.
pub(super) struct Guards {
    bytes: usize,
    by_advice: bool,
}

impl Guards {
    /// Of this many bytes, whole pages.
    pub(super) fn new(bytes: usize) -> Guards {
        Guards { bytes, by_advice: cfg!(target_os = "linux") }
    }

    /// Only by `mprotect(2)`.
    #[cfg(test)]
    pub(super) fn by_protection(bytes: usize) -> Guards {
        Guards { bytes, by_advice: false }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// From here on the pages at `place` fault.
    ///
    /// # Safety
    ///
    /// They belong to a private mapping of the caller, and hold nothing.
    pub(super) unsafe fn install(&mut self, place: NonNull<u8>) -> io::Result<()> {
        // SAFETY: the caller's promise.
        self.by_advice = self.by_advice && unsafe { advise(place, self.bytes) };
        if self.by_advice {
            return Ok(());
        }
        // SAFETY: the same.
        check(unsafe { libc::mprotect(place.as_ptr().cast(), self.bytes, libc::PROT_NONE) })?;
        Ok(())
    }
}

/// Whether there is a guard now.
///
/// # Safety
///
/// As for [`Guards::install`].
#[cfg(target_os = "linux")]
unsafe fn advise(place: NonNull<u8>, bytes: usize) -> bool {
    // From linux/mman.h; libc does not have it yet for all C libraries.
    const MADV_GUARD_INSTALL: libc::c_int = 102;
    let place = place.as_ptr().cast();
    // SAFETY: the caller's pages, which hold nothing that could be lost. Reading them in advance
    // fails if there is a guard.
    unsafe {
        libc::madvise(place, bytes, MADV_GUARD_INSTALL) == 0
            && libc::madvise(place, bytes, libc::MADV_POPULATE_READ) == -1
    }
}

#[cfg(not(target_os = "linux"))]
unsafe fn advise(_place: NonNull<u8>, _bytes: usize) -> bool {
    false
}
