//! A running server as seen from outside: the startup message, the pid file, and notifications to
//! the service manager.
//!
//! ```text
//!             announce()                    stopping()                    drop
//!  starting ─────────────► serving ────────────────────────► finishing ─────────► pid file removed
//!     │  pid file,           │  ▲ │
//!     │  "listening on …",   └──┘ │ replaced_by()
//!     │  READY=1,       reloading └─ a successor serves ───► finishing, without notifications
//!     │  the predecessor is dismissed
//!     └─ fails: nothing was announced
//! ```
//!
//! It belongs to the main process: under SYMPED that is the master; the copies in its workers do
//! nothing.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use reactor::process::{inherits_orphans, monotonic_us};
use reactor::{EventLoop, Token};

use crate::operation::inherited::Predecessor;
use crate::operation::listen::Listening;
use crate::operation::orphans;
use crate::report::report;

mod manager;
mod pid_file;

pub use manager::{Manager, VARIABLES_OF_ONE};
pub use pid_file::PidFile;

/// The server as seen from outside.
#[derive(Debug)]
pub struct Service {
    /// Where it listens.
    urls: Vec<String>,
    /// The process to dismiss when this one serves; `None` once it does.
    predecessor: Option<Predecessor>,
    pid_file: Option<PidFile>,
    manager: Option<Manager>,
    watchdog: Option<Watchdog>,
    state: State,
    /// Why no other process can take this one's place, if so.
    tie: Option<&'static str>,
}

/// When process 1 ends, the kernel kills all others of its PID namespace.
const IS_FIRST: &str = "this is process 1, with which its container ends; \
                        start another container instead";
/// Supervisors that know the service by a process that they have started: runit, supervisord,
/// systemd without Type=notify.
const NOT_WANTED: &str = "--no-upgrade; restart the service instead";

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum State {
    Serving,
    Reloading,
    Finishing,
}

/// The schedule of watchdog messages.
#[derive(Copy, Clone, Debug)]
struct Watchdog {
    /// The source with the deadline.
    token: Token,
    every_ms: u64,
}

impl Service {
    /// For a server that does not serve yet.
    pub fn new(
        listeners: &[Listening],
        predecessor: Predecessor,
        pid_file: Option<PidFile>,
        manager: Option<Manager>,
    ) -> Self {
        let first = listeners.iter().filter(|listening| listening.queue == 0);
        let urls = first.map(|listening| listening.url.clone()).collect();
        let predecessor = Some(predecessor);
        let (watchdog, state) = (None, State::Serving);
        let tie = inherits_orphans().then_some(IS_FIRST);
        Service { urls, predecessor, pid_file, manager, watchdog, state, tie }
    }

    /// Without upgrades, if they are not wanted.
    pub fn with_upgrades(mut self, wanted: bool) -> Self {
        self.tie = self.tie.or((!wanted).then_some(NOT_WANTED));
        self
    }

    /// Why no other process can take this one's place, if so.
    pub fn is_tied_to_process(&self) -> Option<&'static str> {
        self.tie
    }

    /// In a forked child: closes its copies of the descriptors. See [`EventLoop::abandon`].
    pub fn abandon(self) {
        let Service { urls, predecessor, pid_file, manager, .. } = self;
        drop((predecessor, pid_file, manager));
        std::mem::forget(urls);
    }

    /// Reserves its source on a loop.
    ///
    /// # Errors
    /// The loop has no source left.
    pub fn join(&mut self, ev: &mut EventLoop) -> io::Result<()> {
        let Some(every) = self.manager.as_ref().and_then(Manager::watchdog) else { return Ok(()) };
        let every_ms = (every.as_millis() as u64).max(1);
        self.watchdog = Some(Watchdog { token: ev.reserve()?, every_ms });
        Ok(())
    }

    /// Announces that the server is ready, on standard error, to the service manager and to the
    /// predecessor. Only the first call has an effect.
    pub fn announce(&mut self, ev: &mut EventLoop) {
        let Some(predecessor) = self.predecessor.take() else { return };
        if let Some(pid_file) = &mut self.pid_file
            && let Err(error) = pid_file.take_over()
        {
            report!("the pid file still names the previous process: {error}");
        }
        for url in &self.urls {
            report!("listening on {url}");
        }
        self.tell(|service| format!("READY=1\nSTATUS=listening on {}", service.urls.join(", ")));
        self.beat(ev);
        predecessor.dismiss();
        orphans::reap();
    }

    /// Whether [`Service::announce`] has been called.
    pub fn is_announced(&self) -> bool {
        self.predecessor.is_none()
    }

    /// The pid file's descriptor, for a successor.
    pub fn pid_file(&self) -> Option<BorrowedFd<'_>> {
        self.pid_file.as_ref().map(|file| file.as_fd())
    }

    /// A reload (HUP) begins.
    pub fn reloading(&mut self) {
        if self.state == State::Serving {
            self.state = State::Reloading;
            self.tell(|_| format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us()));
        }
    }

    /// The reload is complete.
    pub fn reloaded(&mut self) {
        if self.state == State::Reloading {
            self.state = State::Serving;
            self.tell(|_| "READY=1".to_owned());
        }
    }

    /// The server has begun to stop.
    pub fn stopping(&mut self) {
        if self.state != State::Finishing {
            self.state = State::Finishing;
            self.tell(|_| "STOPPING=1\nSTATUS=finishing requests in flight".to_owned());
        }
    }

    /// Another process serves in its place: the service continues.
    pub fn replaced_by(&mut self, successor: u32) {
        if self.state != State::Finishing {
            // The successor's first beat may arrive before systemd knows its new PID.
            self.tell(|_| format!("MAINPID={successor}\nWATCHDOG=1"));
        }
        (self.state, self.manager) = (State::Finishing, None);
    }

    /// Whether this is the watchdog's source.
    #[inline]
    pub fn is_for(&self, token: Token) -> bool {
        self.watchdog.is_some_and(|watchdog| watchdog.token == token)
    }

    /// Sends a watchdog message, from the loop.
    pub fn beat(&mut self, ev: &mut EventLoop) {
        if let (Some(watchdog), true) = (self.watchdog, self.manager.is_some()) {
            self.tell(|_| "WATCHDOG=1".to_owned());
            ev.set_deadline(watchdog.token, ev.now_ms() + watchdog.every_ms);
        }
    }

    fn tell(&mut self, message: impl FnOnce(&Self) -> String) {
        if self.manager.is_some() {
            let message = message(self);
            self.manager.iter_mut().for_each(|manager| manager.send(&message));
        }
    }
}
