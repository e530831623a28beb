//! A copy of this process (`fork(2)`).
//!
//! Both copies return from [`fork`] and go on in the same stack frame, with everything that was
//! there: memory (copied when written to), descriptors (shared), the signal mask. So the child drops
//! what is its parent's business before anything else: an event loop (an epoll list would be shared,
//! see [`poller`](crate::poller)), channels of other children, listeners that are not for it.
//!
//! A fork copies the calling thread only. A lock that another thread held at that moment stays
//! locked in the child for ever, the allocator's included; hence: before any thread is started.

use std::io;

use super::Child;

/// Which of the two copies this is.
#[derive(Debug)]
pub enum Fork {
    /// The one that called, and its new child.
    Parent(Child),
    /// The copy.
    Child,
}

/// Copies this process.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] when the process has more than one thread (which only Linux
/// tells); otherwise what `fork(2)` and `pidfd_open(2)` say: too many processes, no memory.
pub fn fork() -> io::Result<Fork> {
    if threads().is_some_and(|count| count > 1) {
        let text = "a process that has threads cannot be forked: fork before they are started";
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    fork_regardless()
}

/// [`fork`] without the question. In the child of a process with threads nothing may be done that
/// takes a lock.
pub(super) fn fork_regardless() -> io::Result<Fork> {
    // SAFETY: takes no pointer. The child runs on in its own copy of this thread's stack, which is
    // as valid as it was; there is no other thread whose locks or half-made changes it could meet
    // (see `fork`; the tests of this module do nothing there that would).
    match crate::sys::check(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Child::adopt(pid).map(Fork::Parent),
    }
}

/// How many threads this process has, where the system tells.
fn threads() -> Option<usize> {
    if cfg!(target_os = "linux") {
        return Some(std::fs::read_dir("/proc/self/task").ok()?.count());
    }
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_not_forked() {
        std::thread::scope(|scope| {
            let (stop, stopped) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || stopped.recv());
            assert_eq!(fork().unwrap_err().kind(), io::ErrorKind::Unsupported);
            drop(stop);
        });
    }
}
