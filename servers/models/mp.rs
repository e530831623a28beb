//! MP: a process for each connection.
//!
//! ```text
//!           parent: accept ─► fork ─► close its copy;  signals;  waits for those that have ended
//!                              │
//!              ┌───────────────┼───────────────┐
//!              ▼               ▼               ▼
//!  client ── child 0         child 1    …    child N ── client
//!            recv ─► parse ─► work ─► send ─┐
//!             ▲                             │      nothing but counters is shared
//!             └─────────────────────────────┘
//! ```
//!
//! The classic Unix server. A child is a copy of its parent at the moment of the fork: options,
//! application and buffers are there, none of it is shared, and nothing has to be locked. A child
//! that crashes, runs out of memory, or is killed takes its own client with it and no other.
//!
//! What it costs: a fork for each connection, some 100 µs and a page table; and what a child has
//! learned (the contents of files) is lost with it. What bounds it is `--max-children`: the next
//! connection waits in the kernel's queue until a child has ended, so as many idle clients keep all
//! others out until the idle timeout ends their children. When the system gives no more processes,
//! accepting pauses, and is tried again.
//!
//! What parent and children share is a page or two: counters, a slot for each child; the state of
//! each connection, by which the parent knows in a graceful stop which of them rest; and the flags
//! that tell children to finish, or to reopen the log. What a killed child had counted remains.
//!
//! All that is an account within a process is one for each connection here: `--body-memory` bounds
//! what a single client's requests hold, and each child has its own cache of files.
//!
//! The parent keeps no socket of a client, so no child inherits another client's, and a client's
//! connection ends with its child. The parent learns of a child's end by `SIGCHLD`: a descriptor
//! for each (`pidfd_open(2)`) would be four more system calls a connection, and each later fork
//! would copy them all.
//!
//! A signal that stops the server may reach the children, too: Ctrl-C and service managers send it
//! to all processes of a group. They ignore it: their parent stops the server, and ends those
//! whose connections rest by a signal of its own. A child whose parent is killed finishes its
//! request and ends; on macOS, where no signal tells it of that, it serves its client on.
//!
//! In the world: inetd and what it starts, CGI, the concurrent server of Stevens' "UNIX Network
//! Programming", OpenSSH, PostgreSQL.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reactor::event_loop::Config;
use reactor::process::connection_signals;

use super::Server;
use crate::app::{App, Disk};
use crate::drivers::accept::Acceptors;
use crate::drivers::blocking::Shared;
use crate::drivers::contexts::{Contexts, Slots};
use crate::drivers::forked::{Forks, Parent};
use crate::drivers::main_loop::MainLoop;
use crate::metrics::Metrics;
use crate::model::ModelInfo;
use crate::operation::{self, upgrade::SingleProcess};
use crate::options::Options;

/// What MP decides.
pub static INFO: ModelInfo = ModelInfo {
    name: "mp",
    title: "Multi-Process: a process per connection",
    lesson: "Isolation: a crash ends one client's connection only; the price is a fork and a page \
             table for every client.",
    task1: "the parent accepts, and forks",
    task2: "the connection's process, blocking",
    task3: "the connection's process",
    in_flight: "--max-children",
    picture: "
            +-- parent: accept, fork, wait --+
            |            |                   |
 clients -->| process    | process    …      | process: read -> work -> write |--> clients
            +------------+-------------------+--------------------------------+",
    disk: Disk::Wait,
};

/// Sources of the parent's loop: it has no connections.
const SOURCES_MAX: u32 = 256;

/// The counters of the parent, and of each child.
///
/// # Errors
/// The mapping's, see `mmap(2)`.
pub fn metrics(options: &Options) -> io::Result<Metrics> {
    Metrics::with_workers(1, options.children_max() as usize, 0)
}

/// Runs `app` in a process for each connection until a signal stops it.
///
/// # Errors
/// What the system refuses at the start (poller, buffers), or a failing poller later.
pub fn run<A: App>(app: A, options: &Options, server: Server) -> io::Result<()> {
    let Server { listeners, metrics, service } = server;
    let sandbox = operation::confine(options)?;
    let signals = [&operation::SIGNALS[..], &connection_signals::SENT];
    let config = Config::with_sources(SOURCES_MAX);
    let mut ev = operation::event_loop(config, &signals.concat())?;
    connection_signals::install()?;
    let epoch = ev.now() - Duration::from_millis(ev.now_ms());
    let places = options.children_max() as usize;
    let slots = Slots { main: 0, contexts: 1..2 };
    let contexts = Contexts::new(&Arc::new(app), options, &metrics, slots, epoch, None)?;
    // Of each child's buffers, its parent has none.
    let shared = Arc::new(Shared::new(contexts, options, (places, 1))?);
    let forks = Forks::new(metrics.clone())?;
    let parts = (Acceptors::new(options).blocking(), shared, forks);
    let main = MainLoop::new(&mut ev, options, listeners, &metrics, parts)?;
    let main = SingleProcess::new(&mut ev, service, main)?.inside(sandbox);
    Parent::new(ev, main, metrics).run()
}
