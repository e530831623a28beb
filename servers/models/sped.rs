//! SPED: Single Process Event-Driven.
//!
//! ```text
//!            ┌──────────────── one thread ────────────────┐
//!  clients ──┤ accept ─► read ─► parse ─► work ─► write   ├──► clients
//!            └──────────▲─────────────────────────┬───────┘
//!                       └────── epoll_wait ◄──────┘
//! ```
//!
//! One loop does all three tasks for all clients. It never waits for a client, so ten thousand idle
//! or slow ones cost it nothing; but while it works for one, all the others wait. That is the
//! lesson: try `/work?us=1000000` and `/plaintext` at the same time.
//!
//! Pai, Druschel and Zwaenepoel, "Flash: An Efficient and Portable Web Server", USENIX 1999,
//! section 3.3.

use std::io;
use std::sync::Arc;

use reactor::EventLoop;
use reactor::event_loop::Config;

use super::Server;
use crate::app::{App, Disk};
use crate::drivers::event::Driver;
use crate::metrics::Metrics;
use crate::model::ModelInfo;
use crate::operation::{self, upgrade::SingleProcess};
use crate::options::Options;

/// SPED's description.
pub static INFO: ModelInfo = ModelInfo {
    name: "sped",
    title: "Single Process Event-Driven",
    lesson: "One event loop does everything: no client waits for another's network, \
             every client waits for another's work.",
    task1: "the loop",
    task2: "the loop, non-blocking",
    task3: "inline in the loop",
    in_flight: "as many connections as the descriptor limit allows",
    picture: "
            +--------------- one thread ---------------+
 clients -->| accept -> read -> parse -> work -> write |--> clients
            +--------^-----------------------+---------+
                     +------ epoll_wait <----+",
    disk: Disk::Wait,
};

/// Sources of a loop that are not connections: listeners, housekeeping.
const SOURCES_BESIDE_CONNECTIONS: u32 = 64;

/// The loop's counters.
///
/// # Errors
/// The mapping's, see `mmap(2)`.
pub fn metrics(_options: &Options) -> io::Result<Metrics> {
    Metrics::new(1)
}

/// Runs `app` in one loop on the calling thread until a signal stops it.
///
/// # Errors
/// What the system refuses at startup (poller, buffers), or a failing poller later.
pub fn run<A: App>(app: A, options: &Options, server: Server) -> io::Result<()> {
    let sandbox = operation::confine(options)?;
    let mut event_loop = event_loop(options)?;
    let (app, metrics) = (Arc::new(app), &server.metrics);
    let driver = Driver::new(&mut event_loop, app, options, server.listeners, metrics, 0)?;
    SingleProcess::new(&mut event_loop, server.service, driver)?.inside(sandbox).run(event_loop)
}

/// A loop for as many connections as the options allow, which handles the operator's signals.
pub(super) fn event_loop(options: &Options) -> io::Result<EventLoop> {
    let sources_max = options.limits.connections + SOURCES_BESIDE_CONNECTIONS;
    let config = Config { sources_max, ..Config::default() };
    operation::event_loop(config, &operation::SIGNALS)
}
