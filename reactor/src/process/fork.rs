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

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::IntoRawFd as _;

use super::child::exit_pipe;
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
    let pipe = exit_pipe()?;
    let pid = copy()?;
    with_exit(pid, pipe)
}

/// What the two copies have, of a child whose end is an event.
fn with_exit(pid: libc::pid_t, pipe: Option<(PipeReader, PipeWriter)>) -> io::Result<Fork> {
    match (pid, pipe) {
        (0, pipe) => {
            // Its end closes it.
            pipe.map(|(_, writer)| writer.into_raw_fd());
            Ok(Fork::Child)
        }
        (pid, None) => Child::adopt(pid).map(Fork::Parent),
        (pid, Some((reader, _))) => Ok(Fork::Parent(Child::with_pipe(pid, reader))),
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
    let pipe = exit_pipe()?;
    // SAFETY: takes no pointer. The child runs on in its own copy of this thread's stack, which is
    // as valid as it was; it keeps away from other threads' locks and half-made changes, as the
    // caller promises.
    let pid = crate::sys::check(unsafe { libc::fork() })?;
    with_exit(pid, pipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As where the system has nothing better.
    #[test]
    fn the_end_of_a_child_with_a_pipe_is_an_event_and_its_status_is_known() {
        use crate::poller::{Events, Interest, Poller, Trigger};
        let (reader, writer) = io::pipe().unwrap();
        let (hold, go) = io::pipe().unwrap();
        // SAFETY: the child makes system calls, and exits.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let Ok(Fork::Child) = with_exit(0, Some((reader, writer))) else {
                std::process::abort()
            };
            drop(go);
            let mut byte = 0u8;
            // SAFETY: reads a byte into `byte`; then ends this copy.
            unsafe {
                libc::read(std::os::fd::AsRawFd::as_raw_fd(&hold), (&raw mut byte).cast(), 1);
                libc::_exit(5);
            }
        }
        let Fork::Parent(mut child) = with_exit(pid, Some((reader, writer))).unwrap() else {
            panic!("this is the parent")
        };
        let poller = Poller::new().unwrap();
        let token = crate::token::Token::new(1, 1);
        poller.add(&child, token, Interest::READABLE, Trigger::Level).unwrap();
        let mut events = Events::with_capacity(4);
        assert_eq!(poller.wait(&mut events, Some(std::time::Duration::ZERO)).unwrap(), 0);
        drop(go);
        assert_eq!(poller.wait(&mut events, None).unwrap(), 1);
        assert_eq!(child.wait().unwrap().code(), Some(5));
    }

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
