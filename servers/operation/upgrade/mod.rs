//! A server is replaced by a newer version of itself while it serves (SIGUSR2).
//!
//! ```text
//!  old process                                     new process
//!  USR2 ─► starts the program again, with ───────► takes the listeners over,
//!          the listeners' descriptors              makes everything it needs
//!          and the writing end of a pipe                    │
//!  a byte: hands over, answers what it has   ◄──────────────┘ serves, and writes a byte
//!  the end without one: says so, goes on
//! ```
//!
//! The listeners are the same open sockets in both, so nobody who connects meanwhile notices
//! anything: whoever waits in a queue is accepted by the one or by the other. What is passed is named
//! in an environment variable ([`VARIABLE`]): the pipe's descriptor, then a line for each listener
//! with its descriptor and the address it was asked for by, and one for the pid file.
//!
//! *Not* guaranteed: that a new program with other addresses keeps the queues of the old ones: what
//! it does not take over is closed.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, PipeReader, Read as _, pipe};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::time::Duration;

use reactor::process::{Child, Program};
use reactor::{EventLoop, Interest, Signal, Token, Trigger};

use super::inherited::{PID_FILE, VARIABLE};
use super::listen::Listening;
use super::service::VARIABLES_OF_ONE;

mod single;

pub use single::{SingleProcess, Upgradable};

/// How long the new program may take to serve: it may have to read much, but an operator waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// The old process's side: starts its successor and waits for it to serve.
pub struct Upgrade {
    name: &'static str,
    program: io::Result<Program>,
    /// The source of what becomes of an attempt.
    token: Token,
    attempt: Option<Attempt>,
}

/// A successor that does not serve yet.
struct Attempt {
    child: Child,
    /// Where its byte will come from; `None` when it is known that none will.
    pipe: Option<PipeReader>,
}

impl Upgrade {
    /// To be made early: it remembers where the program is. `None` when the loop has no source left.
    pub fn new(ev: &mut EventLoop, name: &'static str) -> Option<Self> {
        let program = Program::this().map(|program| program.without(&VARIABLES_OF_ONE));
        let token = ev.reserve()?;
        Some(Upgrade { name, program, token, attempt: None })
    }

    /// Will start nobody, for a reason.
    pub fn give_up(&mut self, why: &'static str) {
        self.program = Err(io::Error::other(why));
    }

    /// Whether an event or a deadline is this one's.
    #[inline]
    pub fn is_for(&self, token: Token) -> bool {
        token == self.token
    }

    /// Starts the successor with `listeners` and the pid file, unless one is being started already.
    pub fn begin<'l>(
        &mut self,
        ev: &mut EventLoop,
        listeners: impl Iterator<Item = &'l Listening>,
        pid_file: Option<BorrowedFd<'_>>,
    ) {
        if self.attempt.is_some() {
            return eprintln!("{}: an upgrade is under way already; SIGUSR2 is ignored", self.name);
        }
        let listeners: Vec<&Listening> = listeners.collect();
        if listeners.is_empty() {
            return eprintln!("{}: this process is stopping; SIGUSR2 is ignored", self.name);
        }
        match self.start(ev, &listeners, pid_file) {
            Ok(attempt) => self.attempt = Some(attempt),
            Err(error) => self.say_failed(&error.to_string()),
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
        let child = program.start(&[(VARIABLE, OsStr::new(&text))], &kept).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", program.path().display()))
        })?;
        ev.watch(self.token, &reader, Interest::READABLE, Trigger::Level)?;
        ev.set_deadline(self.token, ev.now_ms() + PATIENCE.as_millis() as u64);
        eprintln!("{}: upgrade: started the new program as process {}", self.name, child.id());
        Ok(Attempt { child, pipe: Some(reader) })
    }

    /// Something has happened: the successor's number if it serves now, so that this process may
    /// end.
    pub fn proceed(&mut self, ev: &mut EventLoop) -> Option<u32> {
        let attempt = self.attempt.as_mut()?;
        let Some(pipe) = &mut attempt.pipe else {
            self.look_whether_ended(ev);
            return None;
        };
        let serves = matches!(pipe.read(&mut [0]), Ok(1));
        let _ = ev.unwatch(self.token, &*pipe);
        attempt.pipe = None;
        let pid = attempt.child.id();
        if serves {
            ev.clear_deadline(self.token);
            self.attempt = None;
            eprintln!("{}: upgrade: process {pid} serves; this one finishes", self.name);
            return Some(pid);
        }
        // It will not serve: how it ends is the better half of what there is to say.
        let _ = ev.watch(self.token, &attempt.child, Interest::READABLE, Trigger::Level);
        None
    }

    /// The successor has had its time.
    pub fn timeout(&mut self) {
        if let Some(attempt) = &self.attempt {
            // Its end is reported, and the failure with it.
            let _ = attempt.child.signal(Signal::KILL);
        }
    }

    fn look_whether_ended(&mut self, ev: &mut EventLoop) {
        let Some(attempt) = &mut self.attempt else { return };
        let Ok(Some(status)) = attempt.child.try_wait() else { return };
        let _ = ev.unwatch(self.token, &attempt.child);
        ev.clear_deadline(self.token);
        let pid = attempt.child.id();
        self.attempt = None;
        self.say_failed(&format!("process {pid} ended before it served ({status})"));
    }

    fn say_failed(&self, why: &str) {
        eprintln!("{}: the upgrade has failed: {why}; this process goes on serving", self.name);
    }
}
