//! What others know of a running server: where it listens, its pid file, what its service manager is
//! told of it.
//!
//! ```text
//!             announce()                    stopping()                    drop
//!  starting ─────────────► serving ────────────────────────► finishing ─────────► the pid file goes
//!     │  pid file,           │  ▲ │
//!     │  "listening on …",   └──┘ │ replaced_by()
//!     │  READY=1,       reloading └─ a successor serves ───► finishing: nobody hears of it any more
//!     │  the predecessor is dismissed
//!     └─ fails: nobody has heard anything
//! ```
//!
//! It belongs to the process that the operator knows: SYMPED's master, and not its workers, whose
//! copies do nothing.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use reactor::process::monotonic_us;
use reactor::{EventLoop, Token};

use crate::operation::inherited::Predecessor;
use crate::operation::listen::Listening;

mod manager;
mod pid_file;

pub use manager::{Manager, VARIABLES_OF_ONE};
pub use pid_file::PidFile;

/// What others know of this server.
#[derive(Debug)]
pub struct Service {
    /// The server's name, as it begins a line for the operator.
    pub name: &'static str,
    /// Where it listens.
    urls: Vec<String>,
    /// Whom to tell when it serves; `None`: it does.
    predecessor: Option<Predecessor>,
    pid_file: Option<PidFile>,
    manager: Option<Manager>,
    watchdog: Option<Watchdog>,
    state: State,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum State {
    Serving,
    Reloading,
    Finishing,
}

/// When the service manager is to hear that the loop turns.
#[derive(Copy, Clone, Debug)]
struct Watchdog {
    /// The source whose deadline it is.
    token: Token,
    every_ms: u64,
}

impl Service {
    /// Of a server that does not serve yet.
    pub fn new(
        name: &'static str,
        listeners: &[Listening],
        predecessor: Predecessor,
        pid_file: Option<PidFile>,
        manager: Option<Manager>,
    ) -> Self {
        let first = listeners.iter().filter(|listening| listening.queue == 0);
        let urls = first.map(|listening| listening.url.clone()).collect();
        let predecessor = Some(predecessor);
        let (watchdog, state) = (None, State::Serving);
        Service { name, urls, predecessor, pid_file, manager, watchdog, state }
    }

    /// Makes room for itself on a loop.
    ///
    /// # Errors
    /// The loop has no source left.
    pub fn join(&mut self, ev: &mut EventLoop) -> io::Result<()> {
        let Some(every) = self.manager.as_ref().and_then(Manager::watchdog) else { return Ok(()) };
        let missing = || io::Error::other("no source left in the event loop");
        let every_ms = (every.as_millis() as u64).max(1);
        self.watchdog = Some(Watchdog { token: ev.reserve().ok_or_else(missing)?, every_ms });
        Ok(())
    }

    /// It is ready to serve, and to be stopped: says so on standard error, and to whoever waits
    /// for it. The first time; then nothing.
    pub fn announce(&mut self, ev: &mut EventLoop) {
        let Some(predecessor) = self.predecessor.take() else { return };
        if let Some(pid_file) = &mut self.pid_file
            && let Err(error) = pid_file.take_over()
        {
            eprintln!("{}: the pid file still names the process before this: {error}", self.name);
        }
        for url in &self.urls {
            eprintln!("{}: listening on {url}", self.name);
        }
        self.tell(|service| format!("READY=1\nSTATUS=listening on {}", service.urls.join(", ")));
        self.beat(ev);
        predecessor.dismiss();
    }

    /// Whether it has been.
    pub fn is_announced(&self) -> bool {
        self.predecessor.is_none()
    }

    /// The pid file's descriptor, for a successor.
    pub fn pid_file(&self) -> Option<BorrowedFd<'_>> {
        self.pid_file.as_ref().map(|file| file.as_fd())
    }

    /// It begins everything anew that it can without a new process (HUP).
    pub fn reloading(&mut self) {
        if self.state == State::Serving {
            self.state = State::Reloading;
            self.tell(|_| format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic_us()));
        }
    }

    /// That is done.
    pub fn reloaded(&mut self) {
        if self.state == State::Reloading {
            self.state = State::Serving;
            self.tell(|_| "READY=1".to_owned());
        }
    }

    /// It finishes.
    pub fn stopping(&mut self) {
        if self.state != State::Finishing {
            self.state = State::Finishing;
            self.tell(|_| "STOPPING=1\nSTATUS=finishing what is in hand".to_owned());
        }
    }

    /// Another process serves in its place: the service goes on.
    pub fn replaced_by(&mut self, successor: u32) {
        if self.state != State::Finishing {
            // The new one's own first beat may come too early to be taken for the main process's.
            self.tell(|_| format!("MAINPID={successor}\nWATCHDOG=1"));
        }
        (self.state, self.manager) = (State::Finishing, None);
    }

    /// Whether a deadline is this one's.
    #[inline]
    pub fn is_for(&self, token: Token) -> bool {
        self.watchdog.is_some_and(|watchdog| watchdog.token == token)
    }

    /// The loop turns.
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
