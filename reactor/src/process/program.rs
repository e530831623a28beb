//! This program, executed again: how a server is replaced by a newer version of itself.
//!
//! Executed by `execve(2)`, not by way of `execvp(3)`, which hands a file that is no program to a
//! shell: a damaged or empty binary would run as a script.

use std::env;
use std::ffi::{CString, OsStr, OsString, c_char};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::ptr;

use libc::sigset_t;

use super::Child;
use super::child::can_watch_programs;
use super::clean_start::IGNORED;
use crate::signal::{Signal, set_of};
use crate::sys::check;

/// A program and its arguments.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    /// Variables that it does not inherit.
    withheld: &'static [&'static str],
    /// Signals that it begins with blocked.
    blocked: &'static [Signal],
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

    /// Another one, by its path; the first of `arguments` is its `argv[0]`.
    pub fn new(path: impl Into<PathBuf>, arguments: Vec<OsString>) -> Program {
        Program { path: path.into(), arguments, withheld: &[], blocked: &[] }
    }

    /// Removes variables of this process's environment from its own.
    pub fn without(self, variables: &'static [&'static str]) -> Program {
        Program { withheld: variables, ..self }
    }

    /// Blocks signals in it from its first instruction on, for a program that reads them: one that
    /// arrives before it does so waits.
    pub fn blocking(self, signals: &'static [Signal]) -> Program {
        Program { blocked: signals, ..self }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts it as a child with this process's environment and `variables`, this process's
    /// standard streams, no signal blocked (but see [`Program::blocking`]) or ignored, and the
    /// descriptors `kept` under their own numbers. All others are closed if they were opened closed
    /// on exec, as everything is that Rust opens.
    ///
    /// Waits until the program is loaded. May be called when there are threads.
    ///
    /// # Errors
    /// The file does not exist, or is not executable, or is no program ([`Errno::ENOEXEC`]); no
    /// process can be created; [`io::ErrorKind::Unsupported`], where its end could not be noticed.
    ///
    /// [`Errno::ENOEXEC`]: crate::Errno::ENOEXEC
    pub fn start(
        &self,
        variables: &[(&str, &OsStr)],
        kept: &[BorrowedFd<'_>],
    ) -> io::Result<Child> {
        can_watch_programs()?;
        let image = Image::new(&self.path, &self.arguments, self.environment(variables))?;
        let kept: Vec<RawFd> = kept.iter().map(AsRawFd::as_raw_fd).collect();
        let mask = set_of(self.blocked)?;
        // Forks, connects the child's error with this process, and waits for its success.
        let mut command = Command::new(&self.path);
        // SAFETY: between fork and exec this makes system calls and nothing else: it neither
        // allocates nor locks.
        unsafe { command.pre_exec(move || prepare(&kept, &mask).and_then(|()| image.execute())) };
        let started = command.spawn()?;
        // A PID was a positive pid_t to begin with.
        Child::adopt(started.id() as libc::pid_t)
    }

    /// `NAME=value`, without what is withheld.
    fn environment(&self, variables: &[(&str, &OsStr)]) -> Vec<OsString> {
        let replaced = |name: &OsStr| variables.iter().any(|(new, _)| *new == name);
        let withheld = |name: &OsStr| self.withheld.iter().any(|withheld| *withheld == name);
        let inherited = env::vars_os().filter(|(name, _)| !replaced(name) && !withheld(name));
        let new = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let joined = |(mut variable, value): (OsString, OsString)| {
            variable.push("=");
            variable.push(value);
            variable
        };
        inherited.chain(new).map(joined).collect()
    }
}

/// What `execve(2)` is given, prepared before the fork.
struct Image {
    path: CString,
    /// Null-terminated, as the next.
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    /// What the pointers lead to.
    _texts: [Vec<CString>; 2],
}

// SAFETY: the pointers lead to texts on the heap that nothing changes, and that live as long.
unsafe impl Send for Image {}
// SAFETY: as above.
unsafe impl Sync for Image {}

impl Image {
    /// # Errors
    /// `InvalidInput`: a text with a NUL byte.
    fn new(path: &Path, arguments: &[OsString], environment: Vec<OsString>) -> io::Result<Image> {
        let text = |text: &OsString| CString::new(text.clone().into_vec());
        let texts = [
            arguments.iter().map(text).collect::<Result<Vec<_>, _>>()?,
            environment.iter().map(text).collect::<Result<Vec<_>, _>>()?,
        ];
        let pointers = |texts: &[CString]| {
            texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
        };
        let (arguments, environment) = (pointers(&texts[0]), pointers(&texts[1]));
        let path = CString::new(path.as_os_str().as_bytes())?;
        Ok(Image { path, arguments, environment, _texts: texts })
    }

    /// Returns only on an error.
    fn execute(&self) -> io::Result<()> {
        let (arguments, environment) = (self.arguments.as_ptr(), self.environment.as_ptr());
        // SAFETY: all are texts that end in NUL, in lists that end in null.
        check(unsafe { libc::execve(self.path.as_ptr(), arguments, environment) }).map(drop)
    }
}

/// In the child, before it becomes the program.
fn prepare(kept: &[RawFd], mask: &sigset_t) -> io::Result<()> {
    for &fd in kept {
        // SAFETY: takes no pointer.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) })?;
    }
    for signal in IGNORED {
        // SAFETY: SIG_DFL runs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: the mask is initialised, and read during the call.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, mask, ptr::null_mut()) })?;
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
    fn a_file_that_is_no_program_is_an_error_and_not_run_by_a_shell() {
        let folder = env::temp_dir().join(format!("program-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        for text in ["", "echo run >run\n", "\x7fELF"] {
            let path = folder.join("damaged");
            std::fs::write(&path, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, mode).unwrap();
            // Another test's child may hold the file open for writing until it execs.
            let error = loop {
                let error = Program::new(&path, vec![]).start(&[], &[]).unwrap_err();
                if error.kind() != io::ErrorKind::ExecutableFileBusy {
                    break error;
                }
            };
            assert_eq!(crate::Errno::of(&error), Some(crate::Errno::ENOEXEC), "{text:?}: {error}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_program_begins_with_the_signals_blocked_that_it_reads() {
        let script = "kill -USR1 $$; exit 4";
        let mut child = shell(script).blocking(&[Signal::USR1]).start(&[], &[]).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(4));
    }

    #[test]
    fn signals_blocked_in_the_parent_are_not_blocked_in_the_child() {
        let signals = crate::Signals::new(&[crate::Signal::USR1]).unwrap();
        let mut child = shell("kill -USR1 $$; exit 0").start(&[], &[]).unwrap();
        assert_eq!(child.wait().unwrap().code(), None, "it was killed by the signal");
        drop(signals);
    }
}
