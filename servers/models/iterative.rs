//! Iterative: one connection at a time, served to its end before the next.
//!
//! ```text
//!                    ┌───────────────── one thread ─────────────────┐
//!  client ───────────┤ accept ─► recv ─► parse ─► work ─► send ─┐   │
//!                    │             ▲                            │   │
//!  kernel's queue:   │             └──── until it closes ───────┘   │
//!  client, client, … │        waits for its client, or a signal     │
//!                    └──────────────────────────────────────────────┘
//! ```
//!
//! The server of the first chapter: no states, no table, no second stack, nothing that two clients
//! could disagree about. While it serves one, all others wait in the kernel's queue, and when that is
//! full their SYNs are dropped. One client that says nothing holds up everyone, until the idle
//! timeout (`--idle-timeout`) ends it: that is why there are eight other models.
//!
//! Even so it must notice a signal while its client is silent: after a tenth of a second it waits
//! for both with one poll(2). The listeners are out of the loop's poller meanwhile, for nothing would
//! take from their queues.
//!
//! In the world: the time and echo services of old, `nc -l`, Python's `http.server` until 3.7, and
//! metrics endpoints that one collector asks. Stevens, "UNIX Network Programming", calls it the
//! iterative server.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use reactor::event_loop::Config;

use super::Server;
use crate::app::{App, Disk};
use crate::drivers::accept::Acceptors;
use crate::drivers::blocking::Shared;
use crate::drivers::contexts::{Contexts, Slots};
use crate::drivers::main_loop::{Accepted, Carrier, MainLoop};
use crate::drivers::transport::Polled;
use crate::metrics::Metrics;
use crate::model::ModelInfo;
use crate::operation::{self, upgrade::SingleProcess};
use crate::options::Options;

/// What the iterative server decides.
pub static INFO: ModelInfo = ModelInfo {
    name: "iterative",
    title: "Iterative: one client at a time",
    lesson: "Without concurrency, one idle client stops everyone.",
    task1: "the one thread",
    task2: "the same, waiting for its client",
    task3: "the same",
    in_flight: "1",
    picture: "
            +--------------- one thread ---------------+
 client --->| accept -> read -> parse -> work -> write |--> client
            +--------------^----------------------|----+
 all others wait           +-- until it closes ---+",
    disk: Disk::Wait,
};

/// Sources of the loop beside the connection.
const SOURCES_MAX: u32 = 256;

/// The counters of the one thread.
///
/// # Errors
/// The mapping's, see `mmap(2)`.
pub fn metrics(_options: &Options) -> io::Result<Metrics> {
    Metrics::new(1)
}

/// Runs `app` for one client after another until a signal stops it.
///
/// # Errors
/// What the system refuses at the start (poller, buffers), or a failing poller later.
pub fn run<A: App>(app: A, options: &Options, server: Server) -> io::Result<()> {
    let Server { listeners, metrics, service } = server;
    let sandbox = operation::confine(options)?;
    let mut ev = operation::event_loop(Config::with_sources(SOURCES_MAX), &operation::SIGNALS)?;
    let (app, waker) = (Arc::new(app), operation::waker(&mut ev)?);
    let slots = Slots { main: 0, contexts: 0..1 };
    let epoch = ev.now() - Duration::from_millis(ev.now_ms());
    let contexts = Contexts::new(&app, options, &metrics, slots, epoch, Some(waker))?;
    let sizes = (options.limits.connections as usize, 1);
    let shared = Arc::new(Shared::new(contexts, options, sizes)?);
    let parts = (Acceptors::new(options).blocking(), Arc::clone(&shared), Queue::default());
    let main = MainLoop::new(&mut ev, options, listeners, &metrics, parts)?;
    let mut main = SingleProcess::new(&mut ev, service, main)?.inside(sandbox);
    main.announce(&mut ev);
    while !main.driver().is_stopped() {
        match main.driver_mut().carrier().next() {
            Some(accepted) => {
                let stream = accepted.stream();
                accepted.serve(&shared, Polled::new(stream, &mut ev, &mut main, epoch));
                accepted.end(&shared);
                main.driver_mut().carrier().busy = false;
                main.driver_mut().accept_next(&mut ev);
            }
            None => {
                ev.turn(&mut main, None)?;
            }
        }
    }
    Ok(())
}

/// Those that have been accepted: one at a time, but at the end of a server all that there are.
#[derive(Default)]
struct Queue {
    list: VecDeque<Accepted>,
    /// One of them is being served.
    busy: bool,
}

impl Queue {
    fn next(&mut self) -> Option<Accepted> {
        let accepted = self.list.pop_front()?;
        self.busy = true;
        Some(accepted)
    }
}

impl<A: App> Carrier<A> for Queue {
    fn has_place(&self, draining: bool) -> bool {
        draining || (self.list.is_empty() && !self.busy)
    }

    fn start(&mut self, _shared: &Arc<Shared<A>>, accepted: Accepted) -> Result<(), Accepted> {
        self.list.push_back(accepted);
        Ok(())
    }
}
