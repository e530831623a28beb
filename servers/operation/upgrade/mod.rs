//! Replacing a running server with a new version of its binary (SIGUSR2).
//!
//! ```text
//!  old process                                     new process
//!  USR2 ─► re-executes the binary, with ─────────► takes over the listeners,
//!          the listeners' descriptors              sets itself up
//!          and the write end of a pipe                      │
//!  a byte: finishes requests in flight       ◄──────────────┘ serves, and writes a byte
//!  EOF without one: reports it, continues
//! ```
//!
//! The listeners are the same open sockets in both, so clients do not notice: a queued connection
//! is accepted by one process or the other. An environment variable (`STAMPEDE_UPGRADE`) describes what
//! is passed: the pipe's descriptor, then a line for each listener with its descriptor and the
//! address as configured, and one for the pid file.
//!
//! *Not* guaranteed: that a new program with other addresses keeps the old queues: listeners it
//! does not take over are closed.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, PipeReader, Read as _, pipe};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::time::Duration;

use reactor::process::{Child, Program};
use reactor::{Errno, EventLoop, Interest, Signal, Token, Trigger};

use super::SIGNALS;
use super::inherited::PID_FILE;
use super::listen::Listening;
use super::service::{Service, VARIABLES_OF_ONE};
use crate::options::passed::VARIABLE;
use crate::report::report;

mod single;

pub use single::{SingleProcess, Upgradable};

/// How long the new program may take to become ready: it may have much to load, but an operator is
/// waiting.
const PATIENCE: Duration = Duration::from_secs(60);

/// The old process's side: starts the successor and waits until it serves.
pub struct Upgrade {
    program: io::Result<Program>,
    /// The source of an attempt's outcome.
    token: Token,
    attempt: Option<Attempt>,
}

/// A successor that does not serve yet.
struct Attempt {
    child: Child,
    /// The pipe for its byte; `None` once that has failed.
    pipe: Option<PipeReader>,
}

impl Upgrade {
    /// To be created early: it records where the program is. There are no upgrades of a service
    /// that its surroundings know by this process.
    ///
    /// # Errors
    /// The loop has no source left.
    pub fn new(ev: &mut EventLoop, service: &Service) -> io::Result<Self> {
        let prepared = |program: Program| program.without(&VARIABLES_OF_ONE).blocking(&SIGNALS);
        let program = match service.is_tied_to_process() {
            Some(why) => Err(io::Error::other(why)),
            None => Program::this().map(prepared),
        };
        let token = ev.reserve()?;
        Ok(Upgrade { program, token, attempt: None })
    }

    /// In a forked child: closes its copies of the descriptors. See [`EventLoop::abandon`].
    pub fn abandon(self) {
        drop(self.attempt);
        std::mem::forget(self.program);
    }

    /// Refuses all upgrades, for a reason.
    pub fn disable(&mut self, why: &'static str) {
        self.program = Err(io::Error::other(why));
    }

    /// Whether an event or a deadline is for the upgrade.
    #[inline]
    pub fn is_for(&self, token: Token) -> bool {
        token == self.token
    }

    /// Starts the successor with `listeners` and the pid file, unless one is already starting.
    pub fn begin<'l>(
        &mut self,
        ev: &mut EventLoop,
        listeners: impl Iterator<Item = &'l Listening>,
        pid_file: Option<BorrowedFd<'_>>,
    ) {
        if self.attempt.is_some() {
            return report!("an upgrade is already in progress; SIGUSR2 is ignored");
        }
        let listeners: Vec<&Listening> = listeners.collect();
        if listeners.is_empty() {
            return report!("this process is stopping; SIGUSR2 is ignored");
        }
        match self.start(ev, &listeners, pid_file) {
            Ok(attempt) => self.attempt = Some(attempt),
            Err(error) => self.report_failure(&error.to_string()),
        }
    }

    fn start(
        &mut self,
        ev: &mut EventLoop,
        listeners: &[&Listening],
        pid_file: Option<BorrowedFd<'_>>,
    ) -> io::Result<Attempt> {
        let program = self.program.as_ref().map_err(|error| io::Error::other(error.to_string()))?;
        let (reader, writer) = pipe()?;
        let mut text = writer.as_raw_fd().to_string();
        let mut kept = vec![writer.as_fd()];
        for listening in listeners {
            let _ = write!(text, "\n{} {}", listening.listener.as_raw_fd(), listening.addr);
            kept.push(listening.listener.as_fd());
        }
        if let Some(file) = pid_file {
            let _ = write!(text, "\n{} {PID_FILE}", file.as_raw_fd());
            kept.push(file);
        }
        let child = program
            .start(&[(VARIABLE, OsStr::new(&text))], &kept)
            .map_err(|error| cannot_start(program, &error))?;
        ev.watch(self.token, &reader, Interest::READABLE, Trigger::Level)?;
        ev.set_deadline(self.token, ev.now_ms() + PATIENCE.as_millis() as u64);
        report!("upgrade: started the new program as process {}", child.id());
        Ok(Attempt { child, pipe: Some(reader) })
    }

    /// Handles an event; returns the successor's PID once it serves, so that this process may
    /// finish.
    pub fn proceed(&mut self, ev: &mut EventLoop) -> Option<u32> {
        let attempt = self.attempt.as_mut()?;
        let Some(pipe) = &mut attempt.pipe else {
            self.check_exit(ev);
            return None;
        };
        let serves = matches!(pipe.read(&mut [0]), Ok(1));
        let _ = ev.unwatch(self.token, &*pipe);
        attempt.pipe = None;
        let pid = attempt.child.id();
        if serves {
            ev.clear_deadline(self.token);
            self.attempt = None;
            report!("upgrade: process {pid} serves; this one is finishing");
            return Some(pid);
        }
        // It will not serve: wait for its exit status, which the report needs.
        let _ = ev.watch(self.token, &attempt.child, Interest::READABLE, Trigger::Level);
        None
    }

    /// The successor took too long.
    pub fn timeout(&mut self) {
        if let Some(attempt) = &self.attempt {
            // The failure is reported when it exits.
            let _ = attempt.child.signal(Signal::KILL);
        }
    }

    fn check_exit(&mut self, ev: &mut EventLoop) {
        let Some(attempt) = &mut self.attempt else { return };
        let Ok(Some(status)) = attempt.child.try_wait() else { return };
        let _ = ev.unwatch(self.token, &attempt.child);
        ev.clear_deadline(self.token);
        let pid = attempt.child.id();
        self.attempt = None;
        self.report_failure(&format!("process {pid} exited before it was ready ({status})"));
    }

    fn report_failure(&self, why: &str) {
        report!("upgrade failed: {why}; this process continues to serve");
    }
}

fn cannot_start(program: &Program, error: &io::Error) -> io::Error {
    let hint = match Errno::of(error) {
        Some(Errno::ENOEXEC) => "; is the file damaged, or for another kind of machine?",
        Some(Errno::EAGAIN) => "; more processes are needed (ulimit -u, TasksMax=)",
        _ => "",
    };
    io::Error::new(error.kind(), format!("{}: {error}{hint}", program.path().display()))
}
