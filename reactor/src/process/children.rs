//! Many children whose ends are reported by one signal, without a descriptor for each.
//!
//! ```text
//!  fork(what) ──► child ── ends ──► SIGCHLD ──► the event loop ──► next_ended(), until there is none
//!                                                                   PID, status, what
//! ```
//!
//! A [`Child`](super::Child) is a descriptor, which is right for a few that live long. Of thousands
//! that come and go each would cost its parent an `epoll_ctl(2)` at both ends of its life, and every
//! later fork a copy of that descriptor. `SIGCHLD` costs one read for any number of children that
//! have ended meanwhile, and `waitid(2)` tells which they are.
//!
//! Children that were started elsewhere in the process (a [`Program`](super::Program)) keep their
//! status: it is not taken away from the code that waits for them. In process 1 all others are
//! [orphans](super::reap_orphans), which are waited for and not returned.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem;
use std::process::ExitStatus;

use libc::pid_t;

use super::fork::{self, Fork};
use super::orphans::{self, inherits_orphans, wait};
use crate::signal::Signal;

/// The children of this process that were forked here, each with what its parent knows of it.
///
/// Dropping it neither ends them nor waits for them: see [`Children::kill`].
#[derive(Debug)]
pub struct Children<T> {
    list: HashMap<pid_t, T>,
    /// Waited for, and not returned yet.
    ended: VecDeque<Ended<T>>,
}

/// A child that has ended, and was waited for.
#[derive(Debug)]
pub struct Ended<T> {
    /// The PID it had.
    pub pid: u32,
    /// Its status.
    pub status: ExitStatus,
    /// What was given to [`Children::fork`].
    pub what: T,
}

impl<T> Children<T> {
    /// None yet. Sees to it that children are to be waited for: a parent that ignores `SIGCHLD`
    /// passes that on to the programs it starts.
    ///
    /// # Errors
    /// Those of `sigaction(2)`.
    pub fn new() -> io::Result<Self> {
        // SAFETY: SIG_DFL runs no code of ours.
        if unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
        Ok(Children { list: HashMap::new(), ended: VecDeque::new() })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Those that have not been waited for.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.list.iter().map(|(pid, what)| (pid.unsigned_abs(), what))
    }

    /// Forks one more, as [`fork()`](super::fork()) does.
    ///
    /// # Errors
    /// As for [`fork()`](super::fork()).
    pub fn fork(&mut self, what: T) -> io::Result<Fork<()>> {
        // Not between fork and insert: a child that is not listed would never be waited for.
        self.list.reserve(1);
        match fork::copy()? {
            0 => Ok(Fork::Child),
            pid => {
                self.list.insert(pid, what);
                Ok(Fork::Parent(()))
            }
        }
    }

    /// Waits for the next one that has ended; `None`: there is none at present.
    ///
    /// # Errors
    /// Those of `waitid(2)`.
    pub fn next_ended(&mut self) -> io::Result<Option<Ended<T>>> {
        if let Some(ended) = self.ended.pop_front() {
            return Ok(Some(ended));
        }
        if self.list.is_empty() && !inherits_orphans() {
            return Ok(None);
        }
        while let Some(pid) = some_ended(0)? {
            if self.list.contains_key(&pid) {
                return self.take(pid);
            }
            if !inherits_orphans() || orphans::is_known(pid) {
                return self.look_at_each();
            }
            wait(pid, libc::WNOHANG)?;
        }
        Ok(None)
    }

    /// A child from elsewhere has ended, and hides those behind it until it has been waited for,
    /// which may be never. All of ours that have ended are waited for at once: to look at all of
    /// them for each that has ended would be too slow.
    #[cold]
    fn look_at_each(&mut self) -> io::Result<Option<Ended<T>>> {
        let pids: Vec<pid_t> = self.list.keys().copied().collect();
        for pid in pids {
            if let Some(ended) = self.take(pid)? {
                self.ended.push_back(ended);
            }
        }
        Ok(self.ended.pop_front())
    }

    fn take(&mut self, pid: pid_t) -> io::Result<Option<Ended<T>>> {
        let Some(status) = wait(pid, libc::WNOHANG)? else { return Ok(None) };
        let ended = |what| Ended { pid: pid.unsigned_abs(), status, what };
        Ok(self.list.remove(&pid).map(ended))
    }

    /// Sends a signal to those that `which` picks.
    pub fn signal(&self, signal: Signal, which: impl Fn(&T) -> bool) {
        for (pid, _) in self.list.iter().filter(|(_, what)| which(what)) {
            // SAFETY: takes no pointer. The PID is our child's until it is waited for.
            unsafe { libc::kill(*pid, signal.number()) };
        }
    }

    /// Kills all of them, and waits until they have ended.
    ///
    /// # Errors
    /// Those of `waitpid(2)`.
    pub fn kill(&mut self) -> io::Result<()> {
        self.signal(Signal::KILL, |_| true);
        while let Some(pid) = self.list.keys().next().copied() {
            wait(pid, 0)?;
            self.list.remove(&pid);
        }
        Ok(())
    }
}

/// A child of this process that has ended and was not waited for, whichever code has started it.
/// `also`: further options.
pub(super) fn some_ended(also: libc::c_int) -> io::Result<Option<pid_t>> {
    // SAFETY: all zeros is a valid siginfo_t (plain numbers).
    let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | also;
    let result = crate::sys::retry(|| {
        // SAFETY: `info` is written during the call.
        unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, options) as isize }
    });
    match result {
        // There are no children at all.
        Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
        result => result?,
    };
    // SAFETY: either zero still, or filled in for a child, and then it has this field.
    let pid = unsafe { info.si_pid() };
    Ok((pid != 0).then_some(pid))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    /// A child that runs `body`, which takes no lock: the tests have threads, so it is not forked
    /// by [`Children::fork`].
    fn child(body: impl FnOnce() -> i32) -> pid_t {
        // SAFETY: the child runs `body`, and exits without running anything of the parent's.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: as above.
            unsafe { libc::_exit(body()) };
        }
        pid
    }

    fn sleeper() -> pid_t {
        child(|| {
            loop {
                // SAFETY: takes no pointer.
                unsafe { libc::pause() };
            }
        })
    }

    fn children<const N: usize>(list: [(pid_t, &'static str); N]) -> Children<&'static str> {
        let list = HashMap::from(list);
        assert!(list.keys().all(|pid| *pid > 0), "fork");
        Children { list, ended: VecDeque::new() }
    }

    /// Other tests of this process have children of their own: they are among those that hide ours.
    fn until_one_ends(children: &mut Children<&'static str>) -> Ended<&'static str> {
        loop {
            if let Some(ended) = children.next_ended().unwrap() {
                return ended;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn each_child_that_ends_is_waited_for_with_what_is_known_of_it() {
        let mut children = children([(child(|| 3), "three"), (sleeper(), "asleep")]);
        let ended = until_one_ends(&mut children);
        assert_eq!((ended.what, ended.status.code()), ("three", Some(3)));
        assert!(children.next_ended().unwrap().is_none());
        children.signal(Signal::TERM, |what| *what == "three");
        assert!(children.next_ended().unwrap().is_none());
        children.signal(Signal::TERM, |what| *what == "asleep");
        let ended = until_one_ends(&mut children);
        assert_eq!((ended.what, ended.status.signal()), ("asleep", Some(libc::SIGTERM)));
        assert!(children.is_empty() && children.next_ended().unwrap().is_none());
    }

    #[test]
    fn a_child_from_elsewhere_keeps_its_status_and_hides_no_other() {
        let elsewhere = child(|| 9);
        let mut children = children([(child(|| 1), "one"), (child(|| 2), "two")]);
        let codes = [until_one_ends(&mut children), until_one_ends(&mut children)]
            .map(|ended| ended.status.code());
        assert!(codes.contains(&Some(1)) && codes.contains(&Some(2)), "{codes:?}");
        assert_eq!(wait(elsewhere, 0).unwrap().and_then(|status| status.code()), Some(9));
    }

    /// Waits until a child has ended, and leaves its status.
    fn until_ended(pid: pid_t) {
        // SAFETY: all zeros is a valid siginfo_t, which is written during the call.
        let mut info: libc::siginfo_t = unsafe { mem::zeroed() };
        let options = libc::WEXITED | libc::WNOWAIT;
        // SAFETY: as above.
        let result = unsafe { libc::waitid(libc::P_PID, pid as _, &raw mut info, options) };
        assert_eq!(result, 0);
    }

    #[test]
    fn those_behind_a_child_from_elsewhere_are_waited_for_in_one_pass() {
        let elsewhere = child(|| 9);
        until_ended(elsewhere);
        let mut children = children([(child(|| 1), "a"), (child(|| 2), "b"), (child(|| 3), "c")]);
        children.list.keys().for_each(|pid| until_ended(*pid));
        let first = children.next_ended().unwrap();
        assert!(first.is_some() && children.is_empty());
        let rest = [children.next_ended().unwrap(), children.next_ended().unwrap()];
        let codes = [&first, &rest[0], &rest[1]]
            .map(|ended| ended.as_ref().and_then(|ended| ended.status.code()).unwrap_or(0));
        assert_eq!(codes.into_iter().sum::<i32>(), 6, "{codes:?}");
        assert!(children.next_ended().unwrap().is_none());
        assert_eq!(wait(elsewhere, 0).unwrap().and_then(|status| status.code()), Some(9));
    }

    #[test]
    fn killing_leaves_none() {
        let mut children = children([(sleeper(), "a"), (sleeper(), "b"), (child(|| 0), "c")]);
        children.kill().unwrap();
        assert_eq!(children.len(), 0);
    }
}
