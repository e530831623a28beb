//! AMPED: Asymmetric Multi-Process Event-Driven.
//!
//! ```text
//!            ┌────────────── the loop ───────────────┐
//!  clients ──┤ accept ─► read ─► parse ─┬───► write  ├──► clients
//!            └────▲─────────────────────│───▲────────┘
//!                 └──── epoll_wait      │   │
//!                                 rings ▼   │ rings
//!                              ┌────────────┴───┐
//!                              │ work     × N   │ threads
//!                              └────────────────┘
//! ```
//!
//! One loop does Tasks 1 and 2 for all clients, as in SPED. Task 3, where it would take time, is
//! handed to worker threads, so no client waits for another's work while a worker is free. Try
//! `/work?us=1000000` and `/plaintext` at the same time. The price is the handover: compare
//! `--offload all`, which hands over every request.
//!
//! The difference from SPED is one line: the driver gets an executor.
//!
//! Pai, Druschel and Zwaenepoel, "Flash: An Efficient and Portable Web Server", USENIX 1999,
//! section 3.4. Flash's helpers were processes, because kernel threads were rare then.

use std::io;
use std::sync::Arc;

use reactor::event_loop::Config;

use super::Server;
use crate::app::{App, Disk};
use crate::drivers::event::Driver;
use crate::metrics::Metrics;
use crate::model::ModelInfo;
use crate::operation::{self, upgrade::SingleProcess};
use crate::options::Options;
use crate::work::threads::{PoolSize, Workers};

/// AMPED's description.
pub static INFO: ModelInfo = ModelInfo {
    name: "amped",
    title: "Asymmetric Multi-Process Event-Driven",
    lesson: "One event loop does the network, threads do the work: no client waits for \
             another's work, and every handover has its price.",
    task1: "the loop",
    task2: "the loop, non-blocking",
    task3: "worker threads, reached over rings",
    in_flight: "as many connections as the descriptor limit allows; work: bounded by the rings",
    picture: "
            +--------- the loop ----------+
 clients -->| accept -> read -> write     |--> clients
            +-------------|-----^---------+
                    rings |     | rings
                        +-v-----+-+
                        |  work   | x N threads
                        +---------+",
    disk: Disk::Avoid,
};

/// Sources of a loop that are not connections: listeners, housekeeping.
const SOURCES_BESIDE_CONNECTIONS: u32 = 64;

/// The loop's counters, and its threads'.
///
/// # Errors
/// The mapping's, see `mmap(2)`.
pub fn metrics(options: &Options) -> io::Result<Metrics> {
    PoolSize::of(&options.workers).metrics()
}

/// Runs `app` in one loop on the calling thread, and its work on others, until a signal stops it.
///
/// # Errors
/// What the system refuses at startup (poller, buffers, threads), or a failing poller later.
pub fn run<A: App>(app: A, options: &Options, server: Server) -> io::Result<()> {
    let sandbox = operation::confine(options)?;
    let sources_max = options.limits.connections + SOURCES_BESIDE_CONNECTIONS;
    // Before there are threads: they inherit the sandbox and the blocked signals.
    let config = Config { sources_max, ..Config::default() };
    let mut ev = operation::event_loop(config, &operation::SIGNALS)?;
    let app = Arc::new(app);
    let metrics = &server.metrics;
    let workers = Some(Workers::start(&mut ev, &app, options, metrics)?);
    let listeners = server.listeners;
    let driver = Driver::with_executor(&mut ev, app, options, listeners, metrics, 0, workers)?;
    SingleProcess::new(&mut ev, server.service, driver)?.inside(sandbox).run(ev)
}
