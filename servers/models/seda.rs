//! SEDA: Staged Event-Driven Architecture.
//!
//! ```text
//!            ┌──── to wait: for the next request, for room, for a time to pass ───┐
//!            ▼                                                                    │
//!  accept ─► read, ─▐▐▐▐─► handle ─▐▐▐▐─────────────────────────────▐▐▐▐─► write ─┴─► clients
//!            parse            └────▐▐▐▐─► work ─────────────────────▲      │ ▲
//!             ▐▐▐▐ a bounded queue                                         ▼ │
//!                                                                   ▐▐▐▐─► files
//! ```
//!
//! Each stage is a queue of bounded length, a pool of threads, and a controller that adds threads
//! under a backlog, takes idle ones away and sets how many events are taken at a time. What moves
//! is the connection itself, with its request and its response; the stage that has it is the only
//! one that can touch it (`drivers/staged`).
//!
//! What that buys is *conditioning*: the place at which a server is overloaded is a queue that can
//! be seen (`/status` draws them), and at a full queue a request costs a 503 with `Retry-After`,
//! not a longer wait for all. Try `/work?us=200000` from some hundred clients at once: `/plaintext`
//! is as quick as before, and what cannot be done in time is refused at once.
//!
//! # What each stage costs
//!
//! Every arrow is a hand-over: a push, a pop, perhaps a futex(2) and a thread switch. Measured with
//! `/plaintext`, beside SPED on two cores, in CPU time:
//!
//! | | SPED | SEDA | its three hand-overs, each |
//! |---|---|---|---|
//! | one client, each stage sleeps between two events | 4.3 µs | 16 to 20 µs | 4 to 5 µs |
//! | 64 clients, events are taken in batches | 2.6 µs | 5.5 µs | 1 µs |
//!
//! So a stage pays where its events take much longer than that, or wait for something: `work` and
//! `files`. `handle` does not, and `write` only where sockets are full; they are stages of their
//! own because that is the textbook's model. There are not more of them: Haboob had stages for a
//! cache, for parsing and for finding the right handler, too.
//!
//! Pipelined requests go round one after the other: each costs its own three hand-overs.
//!
//! An idle connection is with its reader, and takes 280 bytes (SPED: 128) and no buffer.
//!
//! # What goes wrong
//!
//! * Requests that never end occupy the threads of `work` permanently, `--stage-threads` of them.
//!   After that all other work is shed, and everything else goes on.
//! * The queue of `work` hides latency before it sheds: 256 requests (`--work-queue`) of 5 ms are
//!   more than half a second on two cores.
//! * Threads that compute do not get faster by being more: while they keep the processors busy, the
//!   controller adds none. Beside other busy programs it cannot tell. `work` runs at a lower
//!   priority (`--worker-priority`), so that it does not starve the stages that are quick.
//! * When all jobs of a reader (`--buffers`) are in flight, nothing is read. Clients that do not
//!   read their responses keep one each until `--write-timeout`, unless what is left is a file.
//! * A file whose name is not in the kernel's caches is opened by [`App::work`], behind other work;
//!   only the reading of its contents is a stage of its own.
//! * A panic in `handle` or `work` is a 500; a thread that dies otherwise takes its batch along.
//!
//! # In the world
//!
//! Welsh, "An Architecture for Highly Concurrent, Well-Conditioned Internet Services", 2002 (the
//! thesis; SOSP 2001 with Culler and Brewer), and its server Haboob. Von Behren, Condit and Brewer
//! ("Why Events Are A Bad Idea", HotOS 2003) counted 30,000 context switches a second in it.
//! Cassandra had a stage for reads, one for mutations, and so on; Mule and many pipelines of queues
//! and pools are its relatives. Welsh's own retrospective (2010) keeps the queues where something
//! is slow or has to be refused, would serve several stages with one pool of threads, and would
//! have the rest of them call each other directly. AMPED is about that.

use std::io;
use std::sync::Arc;
use std::time::Duration;

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
    in_flight: "as many connections as the descriptor limit allows; requests: bounded by queues",
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
    let mut ev = operation::event_loop(Config::with_sources(SOURCES_MAX), &operation::SIGNALS)?;
    let (app, waker) = (Arc::new(app), operation::waker(&mut ev)?);
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
