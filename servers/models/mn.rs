//! MN: a green thread for each connection, many of them on a few kernel threads (M:N threads).
//!
//! ```text
//!   main thread: accept ─► spawn on the least loaded core;  signals, log
//!                  │
//!      ┌───────────┴────────────┐
//!      ▼                        ▼
//!   core 0: event loop       core 1: event loop          client ─► readable ─► its fiber is queued
//!    run queue [f f f]  ◄──steals── run queue [ ]
//!      ▼                        ▼
//!   carrier 0                carrier 1      (spare carriers, for cores whose carrier is held up)
//!    fiber: recv ─► parse ─► work ─► send ─┐
//!             ▲      code that seems to wait; when it does, the carrier switches to another fiber
//!             └─────────────────────────────┘
//! ```
//!
//! The program reads as a thread's does: the driver is the same as MT's, to the letter. What MT
//! leaves to the kernel's scheduler is done here in user space: a wait saves a few registers and
//! goes on with another stack, and an event loop knows when to come back. So an idle client costs
//! two pages of stack instead of a kernel thread, and a switch a few nanoseconds instead of a
//! microsecond.
//!
//! What can go wrong:
//!
//! * A fiber that computes, or blocks in the kernel (a file that is not in memory), holds its
//!   carrier: nothing interrupts it. So its core goes to a spare carrier: at once for what the
//!   application marks as work; for the rest after 5 to 10 ms, by a monitor, and other connections
//!   wait for that long, not for the fiber. With 64 spares at work too, they do wait. So they do if
//!   `handle` computes, which it must not: each such call holds a context, and there are few.
//! * A stack has a fixed size. An overflow hits the guard page, is reported with the request, and
//!   ends the process with all connections: as it would be with threads.
//! * There is a stack for each connection, `--max-fibers` of them. The next connection waits in the
//!   kernel's queue.
//! * What belongs to a kernel thread (thread-local values, the owner of a lock) must not be kept
//!   over a wait: the fiber may go on elsewhere. The driver keeps no context over one.
//!
//! In the world: Go's goroutines, Java's virtual threads and Erlang's processes, each with a
//! compiler or a runtime that makes every wait a switch; State Threads and GNU Pth, in C, on one
//! kernel thread. As the threads of an operating system M:N was given up again: Solaris went back
//! to 1:1 in version 9, and NPTL was preferred to the M:N library NGPT for Linux, because two
//! schedulers that do not know of each other cost more than cheap kernel threads. It pays where
//! there are far more waits than a kernel wants threads.

use std::io;
use std::process;
use std::sync::Arc;
use std::time::Duration;

use reactor::event_loop;
use reactor::scheduler::{self, Running, Scheduler};

use super::Server;
use crate::app::{App, Disk};
use crate::drivers::accept::Acceptors;
use crate::drivers::blocking::Shared;
use crate::drivers::contexts::{Contexts, Slots};
use crate::drivers::main_loop::{Accepted, Carrier, MainLoop, Served};
use crate::drivers::parking::Parking;
use crate::failure::Named as _;
use crate::metrics::Metrics;
use crate::model::ModelInfo;
use crate::operation::{self, upgrade::SingleProcess};
use crate::options::Options;
use crate::report::report;

/// What MN decides.
pub static INFO: ModelInfo = ModelInfo {
    name: "mn",
    title: "M:N green threads: a fiber per connection, on a few carriers",
    lesson: "Code that seems to wait, at an event loop's cost: a wait is a switch of stacks in \
             user space.",
    task1: "the main thread accepts, and starts a fiber",
    task2: "the connection's fiber; it parks where a thread would block",
    task3: "the connection's fiber",
    in_flight: "--max-fibers",
    picture: "
            +- main thread: accept -+
            |                       |
 clients -->| core 0: loop, queue   | core 1: loop, queue   ...
            |   carrier: [f][f][f]  |   carrier: [f][f]     |--> clients
            +-----------------------+-----------------------+
                fiber: read -> work -> write, parked while it waits",
    disk: Disk::Avoid,
};

/// Sources of the main thread's loop: it has no connections.
const SOURCES_MAX: u32 = 256;

/// Contexts beyond one for each core: of a core that is taken over, its old carrier may have one.
const CONTEXTS_MORE: usize = 4;

/// The main thread's counters, and those of each context.
///
/// # Errors
/// The mapping's, see `mmap(2)`.
pub fn metrics(options: &Options) -> io::Result<Metrics> {
    Metrics::with_workers(1, options.cores() + CONTEXTS_MORE, 0)
}

/// Runs `app` on a green thread for each connection until a signal stops it.
///
/// # Errors
/// What the system refuses at the start (pollers, stacks, threads), or a failing poller later.
pub fn run<A: App>(app: A, options: &Options, server: Server) -> io::Result<()> {
    let Server { listeners, metrics, service } = server;
    // Carriers inherit the sandbox, and that signals are not for them.
    let sandbox = operation::confine(options)?;
    let mut ev =
        operation::event_loop(event_loop::Config::with_sources(SOURCES_MAX), &operation::SIGNALS)?;
    let (app, waker, fibers) =
        (Arc::new(app), operation::waker(&mut ev)?, options.fibers_max() as usize);
    let epoch = ev.now() - Duration::from_millis(ev.now_ms());
    let config = scheduler::Config {
        name: INFO.name,
        overflow_hint: "a larger --stack-size helps",
        epoch,
        ..scheduler::Config::new(options.cores(), fibers, options.fibers.stack)
    };
    let scheduler = Scheduler::new(config, ended).map_err(|error| no_room(fibers, error))?;
    let slots = Slots { main: 0, contexts: 1..metrics.slots() };
    let contexts = Contexts::new(&app, options, &metrics, slots, epoch, Some(waker))?;
    let shared = Arc::new(Shared::new(contexts, options, (fibers, fibers))?);
    let carrier = Fibers { scheduler };
    let parts = (Acceptors::new(options), shared, carrier);
    let main = MainLoop::new(&mut ev, options, listeners, &metrics, parts)?;
    SingleProcess::new(&mut ev, service, main)?.inside(sandbox).run(ev)
}

/// As a rule the stacks are more than the system allows: in addresses, or in mappings where a guard
/// takes two of them (Linux before 6.13).
fn no_room(fibers: usize, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::OutOfMemory {
        let error = Err::<(), _>(error).named("cannot start the carriers of green threads");
        return error.unwrap_err();
    }
    io::Error::other(format!(
        "--max-fibers {fibers}: {error}; fewer, or a smaller --stack-size, or a larger \
         vm.max_map_count, may help"
    ))
}

/// No connection is served any more.
fn ended(error: io::Error) {
    report!("a carrier's poller failed: {error}");
    process::exit(1);
}

/// A green thread for each connection.
struct Fibers {
    scheduler: Scheduler,
}

impl<A: App> Carrier<A> for Fibers {
    fn has_place(&self, _draining: bool) -> bool {
        true
    }

    fn start(&mut self, shared: &Arc<Shared<A>>, accepted: Accepted) -> Result<(), Accepted> {
        let (its, shared) = (accepted.clone(), Arc::clone(shared));
        let started = self.scheduler.spawn(move |running| serve(its, &shared, running));
        started.map_err(|_| accepted)
    }
}

/// What a green thread does: all of a connection.
fn serve<A: App>(accepted: Accepted, shared: &Shared<A>, running: &Running<'_>) {
    let served = Served::new(accepted, shared);
    served.serve(Parking::new(served.stream(), running));
}
