//! A copy of this process (`fork(2)`).
//!
//! Both copies return from [`fork`] and go on in the same stack frame, with everything that was
//! there: memory (copied when written to), descriptors (shared), the signal mask. So the child drops
//! what is its parent's business before anything else: an event loop (an epoll list would be shared,
//! see [`poller`](crate::poller)), channels of other children, listeners that are not for it.
//!
//! A fork copies the calling thread only. A lock that another thread held at that moment stays
//! locked in the child for ever, the allocator's included; hence: before any thread is started.
//! [`fork`] makes sure of that; [`fork_unchecked`] leaves it to its caller.

use std::io;

use super::{Child, threads};

/// Which of the two copies this is.
#[derive(Debug)]
pub enum Fork {
    /// The one that called, and its new child.
    Parent(Child),
    /// The copy.
    Child,
}

/// Copies this process, provided that it has one thread: so it needs no promise of the caller. (The
/// copy is made while nothing else runs, and every value is whole in both.)
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] when the process has more than one thread, or when their number
/// cannot be had: Linux, FreeBSD and macOS tell it (on Linux, /proc or `unshare(2)` must be there
/// to ask). Otherwise what `fork(2)` and `pidfd_open(2)` say: too many processes, no memory.
pub fn fork() -> io::Result<Fork> {
    let text = match threads::count() {
        // SAFETY: there is one thread, this one.
        Some(1) => return unsafe { fork_unchecked() },
        Some(_) => "a process that has threads cannot be forked: fork before they are started",
        None => "the system does not tell whether this process has threads, so it is not forked",
    };
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// [`fork`] without the question.
///
/// # Errors
/// Those of `fork(2)` and `pidfd_open(2)`.
///
/// # Safety
/// If the process has other threads, the child does nothing that is not async-signal-safe (fork(2),
/// signal-safety(7)): it neither allocates nor takes a lock, and it does not return from where it
/// was made, but execs or exits.
pub unsafe fn fork_unchecked() -> io::Result<Fork> {
    // SAFETY: takes no pointer. The child runs on in its own copy of this thread's stack, which is
    // as valid as it was; of other threads' locks and half-made changes it keeps away, as the
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
