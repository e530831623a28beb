//! Prefork: processes that were forked before the first client came.
//!
//! ```text
//!             ┌───────── master: forks, monitors, replaces; signals ──────────┐
//!             │                        │                                      │
//!             ▼                        ▼                                      ▼
//!  process 0: accept ─► one client ─► close     process 1: the same    process N …
//!                ▲                      │             ▲
//!                └──────────────────────┘             │
//!  kernel's queue: client, client, … ─────────────────┴─► to whichever accepts next
//! ```
//!
//! The program in a process is the iterative one, which serves a client to its end before the next:
//! no locks, nothing shared, and a crash or a leak ends one client. That there are many of them
//! makes it a server; that they are there already makes it quicker than one that forks for each
//! connection. No process is started while clients wait for it, and connection N + 1 waits in the
//! kernel's queue, from which the first process that is free takes it.
//!
//! What it costs: a process for each client, also an idle one. `--threads M` has M clients share a
//! process, which saves memory and has a crash end M of them: Apache calls the first of these
//! modules prefork and the second worker.
//!
//! Every thread that serves also accepts, and only while it has no client: nothing is handed over,
//! and the kernel wakes one of those that wait, in whichever process ([`ServingThreads`]).
//!
//! A process has one thread more than it has clients. That one follows the master, ends the others'
//! connections at a stop, and writes the log: a thread that waits in `recv(2)` for its client would
//! notice nothing else. (Apache's classic processes have none, and notice a graceful stop between
//! two clients; its worker has one, which also accepts.)
//!
//! How it fails:
//!
//! | what | then |
//! |---|---|
//! | a process dies | its M clients are cut off, no others: the queue is shared; it is replaced |
//! | the application leaks | `--max-requests`: a process is replaced after that many, while it serves |
//! | a panic | ends one connection; the thread and the process go on |
//! | N × M idle or slow clients | all others wait until a timeout frees a thread: raise `--workers`, shorten `--idle-timeout`, or put a proxy in front |
//!
//! In the world: Apache's prefork and worker, PHP-FPM, Unicorn and gunicorn's sync workers (which
//! close each connection after one response, and so want a proxy in front); PostgreSQL's pooled
//! backends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reactor::EventLoop;
use reactor::event_loop::Config;

use super::Server;
use crate::app::{App, Disk};
use crate::drivers::accept::{Acceptors, Admissions};
use crate::drivers::blocking::Shared;
use crate::drivers::contexts::{Contexts, Slots};
use crate::drivers::main_loop::MainLoop;
use crate::drivers::serving_threads::ServingThreads;
use crate::metrics::Metrics;
use crate::model::ModelInfo;
use crate::operation::sandbox::{Sandbox, Who};
use crate::operation::{self, Ending};
use crate::options::{Accept, Options};
use crate::supervisor::{self, SLOTS_PER_POST, Supervised, WorkerSetup};

/// Prefork's description.
pub static INFO: ModelInfo = ModelInfo {
    name: "prefork",
    title: "Preforked: a pool of processes",
    lesson: "Processes that are there before their clients cost no fork per connection, and keep \
             a crash to the clients of one; the price is a process for each client, also an idle \
             one.",
    task1: "each process (with --threads, each thread), on one shared listener",
    task2: "the same, waiting for its client",
    task3: "the same",
    in_flight: "--workers × --threads",
    picture: "
            +------- process: one client at a time ------+
 clients -->| accept -> read -> work -> write -> close   |--> clients
            +---^-------------------------------+--------+
                +---------- the next one <------+
            +------- process: the same ------------------+
 clients -->| accept -> read -> work -> write -> close   |--> clients
            +--------------------------------------------+
 master: forks them beforehand, replaces those that die",
    disk: Disk::Wait,
};

/// Sources of a process's loop: it has no connections.
const SOURCES_MAX: u32 = 256;

/// The counters of each process (its first thread's, and those of its contexts), and their table.
///
/// # Errors
/// The mapping's, see `mmap(2)`.
pub fn metrics(options: &Options) -> io::Result<Metrics> {
    let (processes, slots) = (options.serving_processes(), 1 + options.serving_contexts());
    Metrics::with_processes(processes, processes * SLOTS_PER_POST, slots)
}

/// Runs `app` in processes until a signal stops them; returns in each of them, too.
///
/// # Errors
/// In the master, what the system refuses at startup; in a worker, the same as `mt`'s.
pub fn run<A: App>(app: A, options: &Options, server: Server) -> io::Result<()> {
    // Report once, here, what each worker would report.
    operation::trial::run(options)?;
    let Server { listeners, metrics, service } = server;
    let sandbox = Sandbox::prepare(options, Who::Workers)?;
    supervisor::run(options, Accept::Shared, listeners, metrics, service, |setup| {
        work(app, options, setup, sandbox.as_ref())
    })
}

/// A process: starts its threads, and follows its master.
fn work<A: App>(
    app: A,
    options: &Options,
    setup: WorkerSetup,
    sandbox: Option<&Sandbox>,
) -> io::Result<()> {
    setup.pin(options);
    // Threads inherit the sandbox, and that signals are not for them.
    // The root may be another directory than when the master started.
    app.reload();
    let sandbox = sandbox.map(|sandbox| sandbox.renewed(options)).transpose()?;
    operation::confine_worker(options, sandbox.as_ref())?;
    let mut ev = operation::event_loop(Config::with_sources(SOURCES_MAX), &operation::SIGNALS)?;
    let lifetime = setup.lifetime(options);
    let WorkerSetup { metrics, slot, listeners, channel, .. } = setup;
    let (app, waker, threads) =
        (Arc::new(app), operation::waker(&mut ev)?, options.serving_threads());
    let epoch = ev.now() - Duration::from_millis(ev.now_ms());
    let first = slot + 1;
    let slots = Slots { main: slot, contexts: first..first + options.serving_contexts() };
    let contexts = Contexts::new(&app, options, &metrics, slots, epoch, Some(waker))?;
    let shared = Arc::new(Shared::new(contexts, options, (threads, threads))?);
    let (sizes, admissions) = ((threads, options.threads.stack), Admissions::new(options));
    let pool = ServingThreads::start(sizes, &listeners, admissions, &shared)?;
    let parts = (Acceptors::new(options).blocking(), shared, pool);
    let main = MainLoop::new(&mut ev, options, listeners, &metrics, parts)?;
    let main = main.without_accepting(&mut ev);
    supervisor::serve(ev, main, channel, lifetime)
}

impl<A: App> Supervised for MainLoop<A, ServingThreads> {
    fn end(&mut self, ev: &mut EventLoop, how: Ending) {
        self.drain(ev, how);
    }
}
