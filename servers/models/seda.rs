//! SEDA: Staged Event-Driven Architecture.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reactor::EventLoop;
use reactor::event_loop::Config;

use super::Server;
use crate::app::{App, Disk};
use crate::drivers::accept::Acceptors;
use crate::drivers::blocking::Shared;
use crate::drivers::contexts::{Contexts, Slots};
use crate::drivers::main_loop::MainLoop;
use crate::drivers::staged::{self, Readers};
use crate::metrics::Metrics;
use crate::model::ModelInfo;
use crate::operation::{self, upgrade::SingleProcess};
use crate::options::Options;

/// SEDA's description.
pub static INFO: ModelInfo = ModelInfo {
    name: "seda",
    title: "Staged Event-Driven Architecture",
    lesson: "Stages with a queue each: what is overloaded is seen, and sheds load before it fails; \
             the price is a hand-over between any two.",
    task1: "the main thread accepts",
    task2: "a stage that reads and parses, a stage that writes",
    task3: "a stage that handles, one that works, one that waits for disks",
    in_flight: "as many connections as the descriptor limit allows; requests: bounded by the queues",
    picture: "
             accept --> [read, parse] --> [handle] --+--------> [write] --> clients
 clients ----^              ^                        v           ^  |
                            |                     [work] --------+  v
                            +------------------------------- [files]

                            [ ]: a bounded queue, a pool of threads, a controller",
    disk: Disk::Avoid,
};

/// Sources of the main thread's loop: it has no connections.
const SOURCES_MAX: u32 = 256;

/// The main thread's counters, and those of each context.
///
/// # Errors
/// The mapping's, see `mmap(2)`.
pub fn metrics(options: &Options) -> io::Result<Metrics> {
    Metrics::with_workers(1, options.contexts(), 0)?.with_stages(&staged::STAGES)
}

/// Runs `app` in stages until a signal stops it.
///
/// # Errors
/// What the system refuses at the start (pollers, buffers, threads), or a failing poller later.
pub fn run<A: App>(app: A, options: &Options, server: Server) -> io::Result<()> {
    let Server { listeners, metrics, service } = server;
    // Threads inherit the sandbox, and that signals are not for them.
    let sandbox = operation::confine(options)?;
    let mut ev = EventLoop::new(Config::with_sources(SOURCES_MAX))?;
    ev.handle_signals(&operation::SIGNALS)?;
    let (app, waker) = (Arc::new(app), ev.waker()?);
    let epoch = ev.now() - Duration::from_millis(ev.now_ms());
    let slots = Slots { main: 0, contexts: 1..metrics.slots() };
    let contexts = Contexts::new(&app, options, &metrics, slots, epoch, Some(waker))?;
    let contexts = contexts.offload_all();
    // The readers have the buffers.
    let connections = options.limits.connections as usize;
    let shared = Arc::new(Shared::new(contexts, options, (connections, 1))?);
    let readers = Readers::start(&shared, options, &metrics)?;
    let parts = (Acceptors::new(options), shared, readers);
    let main = MainLoop::new(&mut ev, options, listeners, &metrics, parts)?;
    SingleProcess::new(&mut ev, service, main)?.inside(sandbox).run(ev)
}
