//! SYMPED: SYmmetric Multi-Process Event-Driven.
//!
//! ```text
//!             ┌──────── master: forks, monitors, replaces; signals ────────────┐
//!             │                       │                                        │
//!             ▼                       ▼                                        ▼
//!  worker 0 ┌──────────────────────────────────────────────┐   worker 1 ┌──────────────
//!  clients ─┤ accept ─► read ─► parse ─► work ─► write     ├─►  clients ┤ the same …
//!           └────▲─────────────────────────────┬───────────┘            └──────────────
//!                └──────── epoll_wait ◄────────┘
//! ```
//!
//! As many SPED servers as there are cores, each a process of its own: they share nothing but the
//! port and a page of counters, so they neither lock nor wait for each other, and a crash costs
//! only the crashed worker's clients. A server of N workers never uses more than N cores. What
//! SYMPED changes in SPED is on this page; the rest is what an operator expects of a master.
//!
//! How connections reach the workers (`--accept`):
//!
//! | mode | accepted by | balance | when a worker dies |
//! |---|---|---|---|
//! | `reuseport` | each worker on its own listener; the kernel picks one by a hash of the addresses | even on average: a worker's share varies by its square root | its queue waits for its successor |
//! | `shared` | all workers on one listener; the kernel wakes one (EPOLLEXCLUSIVE) | workers that are awake take most | the others go on |
//! | `pass` | the master, which passes each to the worker with the fewest | even to within one connection | connections it had not received go to the others |
//!
//! None of them loses a connection: the master keeps every listener open itself (closing one resets
//! its queue), including that of a worker in back-off, which another worker serves meanwhile. The
//! default is `reuseport`, which balances well from some hundred connections on and costs a
//! connection nothing; `pass` costs each a descriptor passed through the master, which becomes a
//! bottleneck for short connections; `shared` leaves most of the work to one worker unless there is
//! enough for all. Where the kernel does not balance (anything but Linux and FreeBSD), `shared` is
//! the default. Unix sockets and inherited ones are always shared. `pass` is refused on macOS, which
//! can lose a descriptor that the master closes before the worker has it.
//!
//! The processes themselves are the `supervisor` module's business: starting and replacing workers,
//! stopping, passing connections, and the messages between master and workers.

use std::io;
use std::sync::Arc;
use std::thread::available_parallelism;

use reactor::EventLoop;
use reactor::net::Stream;

use super::{Server, sped};
use crate::app::{App, Disk};
use crate::drivers::event::Driver;
use crate::metrics::Metrics;
use crate::model::ModelInfo;
use crate::operation::listen::Listening;
use crate::operation::sandbox::{Sandbox, Who};
use crate::operation::{self, Ending};
use crate::options::{Accept, Options};
use crate::supervisor::{self, SLOTS_PER_POST, Supervised, WorkerSetup};

/// SYMPED's description.
pub static INFO: ModelInfo = ModelInfo {
    name: "symped",
    title: "SYmmetric Multi-Process Event-Driven",
    lesson: "An event loop for each core, each a process: no locks, no waiting for each other, and \
             a crash costs one worker's clients only.",
    task1: "each worker (or the master, with --accept pass)",
    task2: "each worker, non-blocking",
    task3: "inline in each worker",
    in_flight: "workers × as many connections as the descriptor limit allows",
    picture: "
            +------------ worker: one process ---------+
 clients -->| accept -> read -> parse -> work -> write |--> clients
            +--------^-----------------------+---------+
                     +------ epoll_wait <----+
            +------------ worker: the same ------------+
 clients -->| accept -> read -> parse -> work -> write |--> clients
            +------------------------------------------+
 master: forks them, replaces who dies, hears the operator's signals",
    disk: Disk::Wait,
};

/// The number of workers.
fn workers(options: &Options) -> usize {
    let cores = || available_parallelism().map_or(1, |count| count.get());
    options.workers.count.unwrap_or_else(cores)
}

/// The workers' counters, and their process table.
///
/// # Errors
/// The mapping's, see `mmap(2)`.
pub fn metrics(options: &Options) -> io::Result<Metrics> {
    let workers = workers(options);
    Metrics::with_processes(workers, workers * SLOTS_PER_POST, 1)
}

/// The number of listeners per port.
pub fn queues(options: &Options) -> usize {
    match options.workers.accept {
        Accept::ReusePort => workers(options),
        Accept::Shared | Accept::Pass => 1,
    }
}

/// Runs `app` in worker processes until a signal stops them; returns in each of them, too.
///
/// # Errors
/// In the master, what the system refuses at startup; in a worker, the same as SPED's.
pub fn run<A: App>(app: A, options: &Options, server: Server) -> io::Result<()> {
    // Report once, here, what each worker would report.
    operation::trial::run(options)?;
    let Server { listeners, metrics, service } = server;
    let sandbox = Sandbox::prepare(options, Who::Workers)?;
    supervisor::run(options, options.workers.accept, listeners, metrics, service, |setup| {
        work(app, options, setup, sandbox.as_ref())
    })
}

/// A worker: SPED, and it obeys its master.
fn work<A: App>(
    app: A,
    options: &Options,
    setup: WorkerSetup,
    sandbox: Option<&Sandbox>,
) -> io::Result<()> {
    setup.pin(options);
    // The root may be another directory than when the master started.
    app.reload();
    let sandbox = sandbox.map(|sandbox| sandbox.renewed(options)).transpose()?;
    operation::confine_worker(options, sandbox.as_ref())?;
    let mut event_loop = sped::event_loop(options)?;
    let lifetime = setup.lifetime(options);
    let WorkerSetup { metrics, slot, listeners, channel, .. } = setup;
    let app = Arc::new(app);
    let driver = Driver::new(&mut event_loop, app, options, listeners, &metrics, slot)?;
    supervisor::serve(event_loop, driver, channel, lifetime)
}

impl<A: App> Supervised for Driver<A> {
    fn receive(&mut self, ev: &mut EventLoop, stream: Stream) {
        Driver::receive(self, ev, stream);
    }

    fn adopt(&mut self, ev: &mut EventLoop, listening: Listening) -> io::Result<()> {
        Driver::adopt(self, ev, listening)
    }

    fn disown(&mut self, ev: &mut EventLoop) {
        Driver::disown(self, ev);
    }

    fn end(&mut self, ev: &mut EventLoop, how: Ending) {
        self.drain(ev, how);
    }
}
