//! MT: a thread for each connection.
//!
//! ```text
//!             main thread: accept ─► start a thread;  signals, log
//!                            │
//!              ┌─────────────┼──────────────┐
//!              ▼             ▼              ▼
//!  client ── thread 0     thread 1   …   thread N ── client
//!            recv ─► parse ─► work ─► send ─┐
//!             ▲                             │      each waits in the kernel, for its own client
//!             └─────────────────────────────┘
//! ```
//!
//! The program reads as it is thought: receive, answer, send, again. What the event-driven models do
//! with states and tables, the kernel's scheduler does with stacks. A slow client or a slow request
//! delays no other client, and all processors are used without further ado.
//!
//! What it costs: starting a thread for each connection, a switch or two for each request, a stack
//! for each client that may be idle. What bounds it is `--max-threads`: the next connection waits in
//! the kernel's queue until another one has ended, so as many idle clients keep all others out
//! until the idle timeout frees their threads. When the system gives no more threads, accepting
//! pauses, and is tried again. A panic ends its own connection; memory that is corrupted, or a stack
//! that overflows, ends them all.
//!
//! The application's caches are not each thread's: some contexts are shared ([`Contexts`]), and
//! borrowed for a step. Work runs without one.
//!
//! In the world: Apache's worker MPM and Tomcat's connectors, with pools of threads; MariaDB and
//! most of what is written with blocking sockets, with a thread for each connection.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use reactor::event_loop::Config;

use super::Server;
use crate::app::{App, Disk};
use crate::drivers::accept::Acceptors;
use crate::drivers::blocking::Shared;
use crate::drivers::contexts::{Contexts, Slots};
use crate::drivers::main_loop::{Accepted, Carrier, MainLoop, Served};
use crate::drivers::transport::Blocking;
use crate::failure::Retrying;
use crate::metrics::Metrics;
use crate::model::ModelInfo;
use crate::operation::{self, upgrade::SingleProcess};
use crate::options::Options;

/// What MT decides.
pub static INFO: ModelInfo = ModelInfo {
    name: "mt",
    title: "Multi-Threaded: a thread per connection",
    lesson: "Code that waits is code that reads like its task; the price is a stack and a place in \
             the scheduler for every client.",
    task1: "the main thread accepts, and starts a thread",
    task2: "the connection's thread, blocking",
    task3: "the connection's thread",
    in_flight: "--max-threads",
    picture: "
            +-- main thread: accept --+
            |           |             |
 clients -->| thread    | thread    … | thread: read -> work -> write |--> clients
            +-----------+-------------+-------------------------------+",
    disk: Disk::Avoid,
};

/// Sources of the main thread's loop: it has no connections.
const SOURCES_MAX: u32 = 256;

/// The main thread's counters, and those of each context.
///
/// # Errors
/// The mapping's, see `mmap(2)`.
pub fn metrics(options: &Options) -> io::Result<Metrics> {
    Metrics::with_workers(1, options.contexts(), 0)
}

/// Runs `app` on a thread for each connection until a signal stops it.
///
/// # Errors
/// What the system refuses at the start (poller, buffers), or a failing poller later.
pub fn run<A: App>(app: A, options: &Options, server: Server) -> io::Result<()> {
    let Server { listeners, metrics, service } = server;
    // Threads inherit the sandbox, and that signals are not for them.
    let sandbox = operation::confine(options)?;
    let mut ev = operation::event_loop(Config::with_sources(SOURCES_MAX), &operation::SIGNALS)?;
    let (app, waker, threads) =
        (Arc::new(app), operation::waker(&mut ev)?, options.threads_max() as usize);
    let epoch = ev.now() - Duration::from_millis(ev.now_ms());
    let slots = Slots { main: 0, contexts: 1..metrics.slots() };
    let contexts = Contexts::new(&app, options, &metrics, slots, epoch, Some(waker))?;
    let shared = Arc::new(Shared::new(contexts, options, (threads, threads))?);
    let carrier = Threads { stack_bytes: options.threads.stack, starting: Retrying::default() };
    let parts = (Acceptors::new(options).blocking(), shared, carrier);
    let main = MainLoop::new(&mut ev, options, listeners, &metrics, parts)?;
    SingleProcess::new(&mut ev, service, main)?.inside(sandbox).run(ev)
}

/// A thread for each connection.
struct Threads {
    stack_bytes: usize,
    starting: Retrying,
}

impl<A: App> Carrier<A> for Threads {
    fn has_place(&self, _draining: bool) -> bool {
        true
    }

    fn start(&mut self, shared: &Arc<Shared<A>>, accepted: Accepted) -> Result<(), Accepted> {
        let (its, shared) = (accepted.clone(), Arc::clone(shared));
        let name = format!("mt {}", its.number());
        let thread = thread::Builder::new().name(name).stack_size(self.stack_bytes);
        match thread.spawn(move || serve(its, &shared)) {
            Ok(_) => {
                self.starting.succeeded();
                Ok(())
            }
            Err(error) => {
                self.starting.failed("cannot start a thread for a connection", &error);
                Err(accepted)
            }
        }
    }
}

/// What a thread does: all of a connection.
fn serve<A: App>(accepted: Accepted, shared: &Shared<A>) {
    let served = Served::new(accepted, shared);
    served.serve(Blocking::new(served.stream(), shared.contexts.epoch()));
}
