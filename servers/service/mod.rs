//! What others know of a running server: where it listens, whom it replaces, its pid file.
//!
//! ```text
//!              announce()                              drop
//!  starting ───────────────► serving ───────────────► the pid file goes
//!     │  pid file, "listening on …",    │
//!     │  the predecessor is dismissed   └─ a successor serves: everything stays as it is
//!     └─ fails: nobody has heard anything
//! ```
//!
//! It belongs to the process that the operator knows: SYMPED's master, and not its workers, whose
//! copies do nothing.

use std::os::fd::{AsFd as _, BorrowedFd};

use crate::listen::Listening;
use crate::upgrade::Predecessor;

mod pid_file;

pub use pid_file::PidFile;

/// What others know of this server.
#[derive(Debug)]
pub struct Service {
    /// The server's name, as it begins a line for the operator.
    pub name: &'static str,
    /// Where it listens, a line each.
    text: String,
    /// Whom to tell when it serves; `None`: it does.
    predecessor: Option<Predecessor>,
    pid_file: Option<PidFile>,
}

impl Service {
    /// Of a server that does not serve yet.
    pub fn new(
        name: &'static str,
        listeners: &[Listening],
        predecessor: Predecessor,
        pid_file: Option<PidFile>,
    ) -> Self {
        let first = listeners.iter().filter(|listening| listening.queue == 0);
        let line = |listening: &Listening| format!("{name}: listening on {}\n", listening.url);
        let text = first.map(line).collect();
        Service { name, text, predecessor: Some(predecessor), pid_file }
    }

    /// It is ready to serve, and to be stopped: says so on standard error, and to whoever waits
    /// for it. The first time; then nothing.
    pub fn announce(&mut self) {
        let Some(predecessor) = self.predecessor.take() else { return };
        if let Some(pid_file) = &mut self.pid_file
            && let Err(error) = pid_file.take_over()
        {
            eprintln!("{}: the pid file still names the process before this: {error}", self.name);
        }
        eprint!("{}", self.text);
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
}
