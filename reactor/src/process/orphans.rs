//! Orphans: children that this process has not started, but inherited.
//!
//! A process whose parent ends becomes a child of process 1 (of its PID namespace: of the
//! container), which must wait for it, or it stays in the table as a zombie. A server that is
//! process 1 itself has no other to do that for it.
//!
//! ```text
//!  SIGCHLD ─► reap_orphans() ─► waitid(any child that has ended) ─┬─ known to a Child: its status
//!                  ▲                                              │  is put aside for that
//!                  └───────────────── until there is none ────────┴─ unknown: waited for
//! ```
//!
//! Orphans become children of the first thread. Those of another thread of the program, such as a
//! command that it waits for, are its own business, and Linux tells them apart.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libc::pid_t;

use super::children::some_ended;

/// The children that a [`Child`](super::Child) waits for, and the status of each that was waited
/// for here in its place.
static KNOWN: Mutex<Vec<(pid_t, Option<ExitStatus>)>> = Mutex::new(Vec::new());

/// Linux: children of the calling thread alone.
#[cfg(target_os = "linux")]
const OF_THIS_THREAD: libc::c_int = libc::__WNOTHREAD;
#[cfg(not(target_os = "linux"))]
const OF_THIS_THREAD: libc::c_int = 0;

/// Whether this process inherits orphans: it is process 1.
pub fn inherits_orphans() -> bool {
    std::process::id() == 1
}

/// Waits for all children of this thread that have ended, but not for them to end; returns how many
/// orphans were among them. A [`Child`](super::Child) gets its status all the same. To be called by
/// the first thread of a process that [inherits orphans](inherits_orphans) and has no
/// [`Children`](super::Children), which see to orphans themselves.
///
/// # Errors
/// Those of `waitid(2)`.
pub fn reap_orphans() -> io::Result<usize> {
    let (mut known, mut orphans) = (known(), 0);
    while let Some(pid) = some_ended(OF_THIS_THREAD)? {
        let Some(status) = wait(pid, libc::WNOHANG)? else { break };
        match known.iter_mut().find(|(other, _)| *other == pid) {
            Some((_, place)) => *place = Some(status),
            None => orphans += 1,
        }
    }
    Ok(orphans)
}

/// A [`Child`](super::Child) waits for it.
pub(super) fn is_known(pid: pid_t) -> bool {
    known().iter().any(|(other, _)| *other == pid)
}

/// A [`Child`](super::Child) is going to wait for it.
pub(super) fn make_known(pid: pid_t) {
    known().push((pid, None));
}

/// The status of a known child that was waited for in its [`Child`](super::Child)'s place.
pub(super) fn status(pid: pid_t) -> Option<ExitStatus> {
    known().iter().find(|(other, _)| *other == pid)?.1
}

/// It was waited for, or will not be any more.
pub(super) fn forget(pid: pid_t) {
    known().retain(|(other, _)| *other != pid);
}

/// A child's status, taken; `None`: it runs still.
pub(super) fn wait(pid: pid_t, options: libc::c_int) -> io::Result<Option<ExitStatus>> {
    let mut status = 0;
    let waited = crate::sys::retry(|| {
        // SAFETY: `status` is written during the call.
        unsafe { libc::waitpid(pid, &raw mut status, options) as isize }
    })?;
    Ok((waited != 0).then(|| ExitStatus::from_raw(status)))
}

fn known() -> MutexGuard<'static, Vec<(pid_t, Option<ExitStatus>)>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::Signal;
    use crate::process::{Fork, fork_unchecked};

    /// A child that exits at once; it is not known.
    fn unknown() -> pid_t {
        // SAFETY: the child exits without running anything of the parent's.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: as above.
            unsafe { libc::_exit(3) };
        }
        assert!(pid > 0, "fork");
        pid
    }

    fn until_ended(pid: pid_t) {
        // SAFETY: all zeros is a valid siginfo_t, which is written during the call.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let options = libc::WEXITED | libc::WNOWAIT;
        // SAFETY: as above.
        let result = unsafe { libc::waitid(libc::P_PID, pid as _, &raw mut info, options) };
        assert_eq!(result, 0);
    }

    #[test]
    fn orphans_are_waited_for_and_a_known_child_keeps_its_status() {
        // SAFETY: the child takes no lock, and is killed.
        let mut child = match unsafe { fork_unchecked() }.unwrap() {
            Fork::Parent(child) => child,
            Fork::Child => loop {
                // SAFETY: takes no pointer.
                unsafe { libc::pause() };
            },
        };
        let orphans = [unknown(), unknown()];
        orphans.into_iter().for_each(until_ended);
        assert_eq!(reap_orphans().unwrap(), 2);
        let gone = wait(orphans[0], libc::WNOHANG).unwrap_err();
        assert_eq!(gone.raw_os_error(), Some(libc::ECHILD));
        assert!(child.try_wait().unwrap().is_none(), "it runs still");
        // A known one that has ended does not hide those that ended after it.
        child.signal(Signal::KILL).unwrap();
        until_ended(child.id() as pid_t);
        until_ended(unknown());
        assert_eq!(reap_orphans().unwrap(), 1);
        assert_eq!(child.signal(Signal::TERM).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(child.try_wait().unwrap().unwrap().signal(), Some(libc::SIGKILL));
        assert!(!is_known(child.id() as pid_t));
    }

    #[test]
    fn children_of_other_threads_are_left_to_those() {
        let (pid, told) = std::sync::mpsc::channel();
        let (done, stop) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || {
            let child = unknown();
            until_ended(child);
            pid.send(child).unwrap();
            let _ = stop.recv();
            wait(child, 0).unwrap().and_then(|status| status.code())
        });
        told.recv().unwrap();
        assert_eq!(reap_orphans().unwrap(), 0);
        drop(done);
        assert_eq!(other.join().unwrap(), Some(3));
    }
}
