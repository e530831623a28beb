//! A child process as a source of events.
//!
//! `SIGCHLD` reports that *some* child has ended, and several of them merge into one. A descriptor
//! for each child tells which: it becomes readable when the child ends, and stays so. Where the
//! system has none (`pidfd_open(2)` is refused by some sandboxes), it is the read end of a pipe
//! whose other end the child keeps open until it ends.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitStatus;
use std::ptr;

use libc::pid_t;

use super::orphans;
use crate::poller::backend::ExitWatch;
use crate::signal::Signal;
use crate::sys::check;

/// A child of this process. Readable (by level) once it has ended; then
/// [`try_wait`](Child::try_wait) takes its status, and without that it remains as a zombie.
///
/// Dropping it neither ends the child nor waits for it.
#[derive(Debug)]
pub struct Child {
    pid: pid_t,
    exit: Exit,
    /// Its status once it was reaped: from then on its PID may be another process's.
    ended: Option<ExitStatus>,
}

/// What is readable once the child has ended.
#[derive(Debug)]
pub(super) enum Exit {
    Watch(ExitWatch),
    /// At its end, of which there may be a moment before the child can be waited for.
    Pipe(PipeReader),
}

/// Whether programs can be started, which keep no pipe open.
pub(super) fn can_watch_programs() -> io::Result<()> {
    if ExitWatch::is_available()? {
        return Ok(());
    }
    let text = "the end of a program cannot be noticed here: pidfd_open(2) is missing or forbidden";
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// The pipe that stands in for what the system lacks, made before a fork.
pub(super) fn exit_pipe() -> io::Result<Option<(PipeReader, PipeWriter)>> {
    if ExitWatch::is_available()? { Ok(None) } else { io::pipe().map(Some) }
}

impl Child {
    /// A child that was just forked, and holds the other end of this pipe.
    pub(super) fn with_pipe(pid: pid_t, pipe: PipeReader) -> Child {
        orphans::make_known(pid);
        Child { pid, exit: Exit::Pipe(pipe), ended: None }
    }

    /// Watches a child that was just forked and has not been waited for. If that is not possible,
    /// the child is killed: its exit would never be noticed.
    pub(super) fn adopt(pid: pid_t) -> io::Result<Child> {
        match ExitWatch::new(pid) {
            Ok(exit) => {
                orphans::make_known(pid);
                Ok(Child { pid, exit: Exit::Watch(exit), ended: None })
            }
            Err(error) => {
                // SAFETY: our own child, not waited for, so the PID is its own; the status is not
                // asked for.
                unsafe {
                    libc::kill(pid, libc::SIGKILL);
                    libc::waitpid(pid, ptr::null_mut(), 0);
                }
                Err(io::Error::new(error.kind(), format!("cannot watch a child: {error}")))
            }
        }
    }

    /// Its PID.
    pub fn id(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Sends it a signal, without effect if it has ended but was not waited for.
    ///
    /// # Errors
    /// `NotFound` when it was waited for: the PID may belong to another process.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.ended.is_some() || orphans::status(self.pid).is_some() {
            return Err(io::ErrorKind::NotFound.into());
        }
        // SAFETY: takes no pointer. The PID is our child's until it is waited for.
        check(unsafe { libc::kill(self.pid, signal.number()) })?;
        Ok(())
    }

    /// Its exit status; `None` while it runs. Does not wait.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.wait_with(libc::WNOHANG)
    }

    /// Waits for it to end.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.wait_with(0)? {
                return Ok(status);
            }
        }
    }

    fn wait_with(&mut self, options: libc::c_int) -> io::Result<Option<ExitStatus>> {
        if self.ended.is_some() {
            return Ok(self.ended);
        }
        self.ended = match orphans::wait(self.pid, options) {
            // It was waited for along with orphans.
            Err(error) => Some(orphans::status(self.pid).ok_or(error)?),
            Ok(status) => status,
        };
        if self.ended.is_some() {
            orphans::forget(self.pid);
        }
        Ok(self.ended)
    }
}

/// From now on it is an orphan to its process, unless its status was taken.
impl Drop for Child {
    fn drop(&mut self) {
        // Once it was waited for, its PID may be another's.
        if self.ended.is_none() {
            orphans::forget(self.pid);
        }
    }
}

/// Readable once it has ended.
impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.exit {
            Exit::Watch(watch) => watch.as_fd(),
            Exit::Pipe(pipe) => pipe.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;
    use crate::poller::{Events, Interest, Poller, Trigger};
    use crate::process::fork_unchecked;
    use crate::process::{Channel, Fork, Received};
    use crate::token::Token;
    use std::time::Duration;

    const TOKEN: Token = Token::new(1, 1);

    /// A child that runs `body`: nothing that takes a lock, for the tests have threads.
    fn child(body: impl FnOnce() -> i32) -> Child {
        // SAFETY: the child runs `body`, nothing that takes a lock, and then exits.
        match unsafe { fork_unchecked() }.expect("fork") {
            Fork::Parent(child) => child,
            Fork::Child => {
                let status = body();
                // SAFETY: ends the copy without running anything of the original's.
                unsafe { libc::_exit(status) }
            }
        }
    }

    /// Waits until it is killed.
    fn sleeper() -> Child {
        child(|| {
            loop {
                // SAFETY: takes no pointer.
                unsafe { libc::pause() };
            }
        })
    }

    fn watched(child: &Child) -> (Poller, Events) {
        let poller = Poller::new().expect("a poller");
        poller.add(child, TOKEN, Interest::READABLE, Trigger::Level).expect("watched");
        (poller, Events::with_capacity(4))
    }

    #[test]
    fn a_childs_end_is_an_event_that_stays_and_its_status_is_taken_once() {
        let (ours, theirs) = Channel::pair().expect("a channel");
        let mut child = child(|| {
            while !matches!(theirs.recv(), Ok(Received::Message(_))) {}
            7
        });
        let (poller, mut events) = watched(&child);
        assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
        assert!(child.try_wait().unwrap().is_none());
        ours.send(1, None).unwrap();
        for _ in 0..2 {
            assert_eq!(poller.wait(&mut events, None).unwrap(), 1);
            assert_eq!(events.get(0).unwrap().token, TOKEN);
        }
        assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(7));
        assert_eq!(child.wait().unwrap().code(), Some(7));
        assert_eq!(child.signal(Signal::TERM).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_lack_of_descriptors_is_reported_as_such() {
        let mut child = child(|| {
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            // SAFETY: `none` is read during the call; the limit is this copy's.
            unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const none) };
            can_watch_programs().err().and_then(|error| error.raw_os_error()).unwrap_or(0)
        });
        assert_eq!(child.wait().unwrap().code(), Some(libc::EMFILE));
    }

    #[test]
    fn a_killed_childs_status_names_the_signal() {
        let mut child = sleeper();
        child.signal(Signal::KILL).unwrap();
        let (poller, mut events) = watched(&child);
        assert_eq!(poller.wait(&mut events, None).unwrap(), 1);
        let status = child.try_wait().unwrap().expect("it has ended");
        assert_eq!(status.signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn each_childs_end_is_reported_separately() {
        let (mut first, mut second) = (sleeper(), sleeper());
        let (poller, mut events) = watched(&first);
        second.signal(Signal::KILL).unwrap();
        second.wait().unwrap();
        assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
        first.signal(Signal::KILL).unwrap();
        first.wait().unwrap();
        assert_eq!(poller.wait(&mut events, None).unwrap(), 1, "also when it was waited for");
    }

    #[test]
    fn an_orphan_notices_by_its_channel() {
        let (ours, theirs) = Channel::pair().expect("a channel");
        let mut child = child(|| {
            drop(ours); // the parent's end, of which it has a copy
            loop {
                match theirs.recv() {
                    Ok(Received::Closed) => return 0,
                    Ok(Received::Empty) => {}
                    _ => return 1,
                }
            }
        });
        drop(Channel::pair()); // an unrelated one has no effect
        assert!(child.try_wait().unwrap().is_none());
        // In the parent `ours` was moved into the closure and dropped with it, unread: the child
        // had its own copy.
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}
