//! SYMPED: SYmmetric Multi-Process Event-Driven.
//!
//! ```text
//!             ┌──────── master: forks, watches over, replaces; signals ────────┐
//!             │                       │                                        │
//!             ▼                       ▼                                        ▼
//!  worker 0 ┌──────────────────────────────────────────────┐   worker 1 ┌──────────────
//!  clients ─┤ accept ─► read ─► parse ─► work ─► write     ├─►  clients ┤ the same …
//!           └────▲─────────────────────────────┬───────────┘            └──────────────
//!                └──────── epoll_wait ◄────────┘
//! ```
//!
//! As many SPED servers as there are cores, each a process of its own: they share nothing but the
//! port and a page of counters, so they neither lock nor wait for each other, and what kills one of
//! them costs its own clients only. A server of N workers never uses more than N cores. What SYMPED
//! changes in SPED is on this page; the rest is what an operator needs of a master.
//!
//! How connections come to the workers (`--accept`):
//!
//! | mode | who accepts | balance | when a worker dies |
//! |---|---|---|---|
//! | `reuseport` | each its own listener; the kernel's hash of the addresses chooses | even in the mean: a worker's share scatters by its square root | its queue waits for its successor |
//! | `shared` | all of them one listener; the kernel wakes one (EPOLLEXCLUSIVE) | who is awake takes most | the others go on |
//! | `pass` | the master, which passes each to the worker that has the fewest | even to one connection | what it had not received goes to the others |
//!
//! Nothing is lost in any of them, for the master keeps every listener open itself (the queue of a
//! closed one would be reset), also the one whose worker is in back-off: another worker serves it
//! meanwhile. The default is `reuseport`, which balances well from some hundred connections on and
//! costs a connection nothing; `pass` costs it a descriptor's way through the master, and makes the
//! master a bottleneck for connections that are short; `shared` leaves most of the work to one
//! worker unless there is enough for all. Where the kernel does not spread (not Linux, not
//! FreeBSD), `shared` is the default. Unix sockets and inherited ones are always shared.
//!
//! The processes are the `supervisor`'s: who decides, posts and the workers in them, replacing and
//! ending, connections, what the processes say.

use std::io;
use std::thread::available_parallelism;

use reactor::EventLoop;
use reactor::event_loop::Config;

use super::sped;
use crate::access_log::AccessLog;
use crate::app::App;
use crate::metrics::Metrics;
use crate::model::{ModelInfo, Server};
use crate::operation::sandbox::{Sandbox, Who};
use crate::options::{Accept, Options};
use crate::supervisor::master::Master;
use crate::supervisor::worker;

/// What SYMPED decides.
pub static INFO: ModelInfo = ModelInfo {
    name: "symped",
    title: "SYmmetric Multi-Process Event-Driven",
    lesson: "An event loop for each core, each a process: no locks, no waiting for each other, and \
             a crash costs one worker's clients only.",
    task1: "each worker (or the master, with --accept pass)",
    task2: "each worker, non-blocking",
    task3: "inline in each worker",
    in_flight: "workers × connections that the descriptor limit allows",
    picture: "
            +------------ worker: one process ---------+
 clients -->| accept -> read -> parse -> work -> write |--> clients
            +--------^-----------------------+---------+
                     +------ epoll_wait <----+
            +------------ worker: the same ------------+
 clients -->| accept -> read -> parse -> work -> write |--> clients
            +------------------------------------------+
 master: forks them, replaces who dies, hears the operator's signals",
};

/// Slots of counters for each post: its worker and those of its predecessors that still finish what
/// they have in hand. When all are taken, the next replacement waits for one of them to end.
const SLOTS_PER_POST: usize = 4;
/// Sources of the master's loop: two for each worker, and a few. It has no connections.
const MASTER_SOURCES_MAX: u32 = 16 * 1024;

/// How many workers there are.
fn workers(options: &Options) -> usize {
    let cores = || available_parallelism().map_or(1, |count| count.get());
    options.workers.count.unwrap_or_else(cores)
}

/// The workers' counters, and who they are.
///
/// # Errors
/// The mapping's, see `mmap(2)`.
pub fn metrics(options: &Options) -> io::Result<Metrics> {
    let workers = workers(options);
    Metrics::with_processes(workers, workers * SLOTS_PER_POST)
}

/// How many listeners there are on a port.
pub fn queues(options: &Options) -> usize {
    match options.workers.accept {
        Accept::ReusePort => workers(options),
        Accept::Shared | Accept::Pass => 1,
    }
}

/// Runs `app` in worker processes until a signal stops them; returns in each of them, too.
///
/// # Errors
/// In the master what the system refuses at the start; in a worker what SPED would say.
pub fn run<A: App>(app: A, options: &Options, server: Server) -> io::Result<()> {
    // Each worker has its own; that there can be none is to be said once.
    drop(AccessLog::open(&options.log)?);
    let sandbox = Sandbox::prepare(server.service.name, options, Who::Workers)?;
    let mut event_loop = EventLoop::new(Config::with_sources(MASTER_SOURCES_MAX))?;
    event_loop.handle_signals(&sped::SIGNALS)?;
    let mut master = Master::new(&mut event_loop, options, server)?;
    while !master.is_done() {
        while let Some(post) = master.next_vacancy() {
            if let Some(setup) = master.fill(&mut event_loop, post) {
                // This is the worker. What its master holds is none of its business.
                drop((master, event_loop));
                return worker::run(app, options, setup, sandbox, sped::event_loop);
            }
        }
        event_loop.run(&mut master)?;
    }
    master.result()
}
