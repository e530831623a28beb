//! A copy of this process (`fork(2)`).
//!
//! Both copies return from [`fork`] and continue in the same stack frame, with everything that was
//! there: memory (copied when written to), descriptors (shared), the signal mask. So before
//! anything else the child drops what belongs to its parent: an event loop (it does nothing else
//! with it, see [`poller`](crate::poller); [`EventLoop::abandon`](crate::EventLoop::abandon) spares
//! the copying of its memory), channels of other children, listeners that are not for it.
//!
//! A fork copies the calling thread only. A lock that another thread held at that moment stays
//! locked in the child forever, the allocator's included; hence: fork before any thread is started.
//! [`fork`] makes sure of that; [`fork_unchecked`] leaves it to its caller.

use std::io;

use super::{Child, threads};

/// Which of the two copies this is.
#[derive(Debug)]
pub enum Fork<C = Child> {
    /// The calling process, and its new child.
    Parent(C),
    /// The copy.
    Child,
}

/// Copies this process, provided that it has one thread: so it needs no promise from the caller.
/// (The copy is made while nothing else runs, and every value is whole in both.)
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] when the process has more than one thread, or when their number
/// is unknown: Linux, FreeBSD and macOS report it (on Linux, by /proc or `unshare(2)`). Otherwise
/// the error of `fork(2)` or `pidfd_open(2)`: too many processes, no memory.
pub fn fork() -> io::Result<Fork> {
    match copy()? {
        0 => Ok(Fork::Child),
        pid => Child::adopt(pid).map(Fork::Parent),
    }
}

/// `fork(2)` of a process with one thread: the child's PID, or 0 in the child.
pub(super) fn copy() -> io::Result<libc::pid_t> {
    let text = match threads::count() {
        // SAFETY: takes no pointer, and there is one thread, this one.
        Some(1) => return crate::sys::check(unsafe { libc::fork() }),
        Some(_) => "cannot fork a process that has threads: fork before starting them",
        None => "cannot fork: the system does not tell whether this process has threads",
    };
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// [`fork`] without the check.
///
/// # Errors
/// Those of `fork(2)` and `pidfd_open(2)`.
///
/// # Safety
/// If the process has other threads, the child does nothing that is not async-signal-safe (fork(2),
/// signal-safety(7)): it neither allocates nor takes a lock, and it does not return from the
/// calling function, but execs or exits.
pub unsafe fn fork_unchecked() -> io::Result<Fork> {
    // SAFETY: takes no pointer. The child runs on in its own copy of this thread's stack, which is
    // as valid as it was; it keeps away from other threads' locks and half-made changes, as the
    // caller promises.
    match crate::sys::check(unsafe { libc::fork() })? {
        0 => Ok(Fork::Child),
        pid => Child::adopt(pid).map(Fork::Parent),
    }
}

#[cfg(test)]
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
