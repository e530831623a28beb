//! This program, executed again: how a server is replaced by a newer version of itself.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;

use super::Child;
use crate::sys::check;

/// A program and its arguments.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    /// Variables that it does not inherit.
    withheld: &'static [&'static str],
}

impl Program {
    /// This program with its current arguments, by the path that it was started from: by the time
    /// it is executed again, another file may be at that path. So call this early.
    ///
    /// # Errors
    /// See [`env::current_exe`].
    pub fn this() -> io::Result<Program> {
        Ok(Program::new(env::current_exe()?, env::args_os().collect()))
    }

    /// Another one; the first of `arguments` is its `argv[0]`.
    pub fn new(path: impl Into<PathBuf>, arguments: Vec<OsString>) -> Program {
        Program { path: path.into(), arguments, withheld: &[] }
    }

    /// Removes variables of this process's environment from its own.
    pub fn without(self, variables: &'static [&'static str]) -> Program {
        Program { withheld: variables, ..self }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts it as a child with this process's environment and `variables`, this process's
    /// standard streams, no signal blocked, and the descriptors `kept` under their own numbers. All
    /// others are closed if they were opened closed on exec, as everything is that Rust opens.
    ///
    /// Waits until the program is loaded. May be called when there are threads.
    ///
    /// # Errors
    /// The file does not exist or is not executable; no process can be created.
    pub fn start(
        &self,
        variables: &[(&str, &OsStr)],
        kept: &[BorrowedFd<'_>],
    ) -> io::Result<Child> {
        let mut command = Command::new(&self.path);
        if let Some((name, arguments)) = self.arguments.split_first() {
            command.arg0(name).args(arguments);
        }
        for name in self.withheld {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
        let kept: Vec<RawFd> = kept.iter().map(AsRawFd::as_raw_fd).collect();
        // SAFETY: between fork and exec `prepare` makes system calls and nothing else: it neither
        // allocates nor locks.
        unsafe { command.pre_exec(move || prepare(&kept)) };
        let started = command.spawn()?;
        // A PID was a positive pid_t to begin with.
        Child::adopt(started.id() as libc::pid_t)
    }
}

/// In the child, before it becomes the program.
fn prepare(kept: &[RawFd]) -> io::Result<()> {
    for &fd in kept {
        // SAFETY: takes no pointer.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) })?;
    }
    let mut none = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set, which the second call reads.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        check(libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    fn shell(script: &str) -> Program {
        Program::new("/bin/sh", ["sh", "-c", script].map(OsString::from).to_vec())
    }

    #[test]
    fn a_program_gets_its_arguments_variables_and_descriptors() {
        let (mut ours, theirs) = io::pipe().unwrap();
        let fd = theirs.as_raw_fd().to_string();
        // Not `>&$FD`: dash takes one digit there.
        let script = "echo $GREETING >/dev/fd/$FD; exit 3";
        let variables = [("GREETING", OsStr::new("hello")), ("FD", OsStr::new(&fd))];
        let mut child = shell(script).start(&variables, &[theirs.as_fd()]).unwrap();
        drop(theirs);
        let mut text = String::new();
        ours.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello\n");
        assert_eq!(child.wait().unwrap().code(), Some(3));
    }

    #[test]
    fn variables_can_be_withheld() {
        let script = "test -z \"${CARGO_PKG_NAME+set}\" && test \"$HOME\" = /here";
        assert!(env::var_os("CARGO_PKG_NAME").is_some());
        let program = shell(script).without(&["CARGO_PKG_NAME", "NOT_THERE"]);
        let mut child = program.start(&[("HOME", OsStr::new("/here"))], &[]).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }

    #[test]
    fn descriptors_that_are_not_kept_are_closed() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut child = shell("sleep 60").start(&[], &[]).unwrap();
        drop(theirs);
        let mut byte = [0];
        assert_eq!(ours.read(&mut byte).unwrap(), 0, "the child does not hold the other end");
        child.signal(crate::Signal::KILL).unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_program_that_does_not_exist_is_an_error() {
        let missing = Program::new("/nowhere/to/be/found", vec!["found".into()]);
        assert_eq!(missing.start(&[], &[]).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn signals_blocked_in_the_parent_are_not_blocked_in_the_child() {
        let signals = crate::Signals::new(&[crate::Signal::USR1]).unwrap();
        let mut child = shell("kill -USR1 $$; exit 0").start(&[], &[]).unwrap();
        assert_eq!(child.wait().unwrap().code(), None, "it was killed by the signal");
        drop(signals);
    }
}
