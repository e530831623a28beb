//! A descriptor that a forked child does not inherit, as a kqueue is none (kqueue(2)).
//!
//! Its owner does, in the copy of the memory. The number is closed there, or by then another
//! descriptor's, so the copy leaves it alone.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process;

/// Closes its descriptor in the process that made it, and in no other.
pub struct ProcessFd {
    fd: ManuallyDrop<OwnedFd>,
    /// Asked for when it is made and dropped only: a system call each.
    maker: u32,
}

impl ProcessFd {
    /// Of this process.
    pub fn new(fd: OwnedFd) -> ProcessFd {
        ProcessFd { fd: ManuallyDrop::new(fd), maker: process::id() }
    }

    /// This process has made it: so the descriptor is there.
    pub fn is_ours(&self) -> bool {
        process::id() == self.maker
    }
}

impl AsFd for ProcessFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for ProcessFd {
    fn drop(&mut self) {
        if self.is_ours() {
            // SAFETY: not used again.
            unsafe { ManuallyDrop::drop(&mut self.fd) };
        }
    }
}
