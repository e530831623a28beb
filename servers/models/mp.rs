//! MP: a process for each connection.
//!
//! ```text
//!           parent: accept ─► fork ─► close its copy;  signals;  waits for those that have ended
//!                              │
//!              ┌───────────────┼───────────────┐
//!              ▼               ▼               ▼
//!  client ── child 0         child 1    …    child N ── client
//!            recv ─► parse ─► work ─► send ─┐
//!             ▲                             │      nothing but counters is shared
//!             └─────────────────────────────┘
//! ```
//!
//! The classic Unix server. A child is a copy of its parent at the moment of the fork: options,
//! application and buffers are there, none of it is shared, and nothing has to be locked. A child
//! that crashes, runs out of memory, or is killed takes its own client with it and no other.
//!
//! What it costs: a fork for each connection, some 100 µs and a page table; and what a child has
//! learned (the contents of files) is lost with it. What bounds it is `--max-children`: the next
//! connection waits in the kernel's queue until a child has ended, so as many idle clients keep all
//! others out until the idle timeout ends their children. When the system gives no more processes,
//! accepting pauses, and is tried again.
//!
//! What parent and children share is a page or two: counters, a slot for each child; the state of
//! each connection, by which the parent knows in a graceful stop which of them rest; and the flags
//! that tell children to finish, or to reopen the log. What a killed child had counted remains.
//!
//! All that is an account within a process is one for each connection here: `--body-memory` bounds
//! what a single client's requests hold, and each child has its own cache of files.
//!
//! The parent keeps no socket of a client, so no child inherits another client's, and a client's
//! connection ends with its child. The parent learns of a child's end by `SIGCHLD`: a descriptor
//! for each (`pidfd_open(2)`) would be four more system calls a connection, and each later fork
//! would copy them all. A child whose parent is killed finishes its request and ends.
//!
//! In the world: inetd and what it starts, CGI, the concurrent server of Stevens' "UNIX Network
//! Programming", OpenSSH, PostgreSQL.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use reactor::event_loop::Config;
use reactor::process::connection_signals::{self, CUT_OFF};
use reactor::process::{self, Children, Fork, signal_when_parent_ends};
use reactor::{EventLoop, Handler as _, Signal};

use super::Server;
use crate::access_log::Log;
use crate::app::{App, Disk};
use crate::drivers::accept::Acceptors;
use crate::drivers::blocking::{Registry, Shared};
use crate::drivers::contexts::Contexts;
use crate::drivers::forked::{Forked, rest};
use crate::drivers::main_loop::{Accepted, Carrier, MainLoop};
use crate::metrics::{Counters, Metrics};
use crate::model::ModelInfo;
use crate::operation::{self, upgrade::SingleProcess};
use crate::options::Options;
use crate::report::report;

/// What MP decides.
pub static INFO: ModelInfo = ModelInfo {
    name: "mp",
    title: "Multi-Process: a process per connection",
    lesson: "Isolation: a crash ends one client's connection only; the price is a fork and a page \
             table for every client.",
    task1: "the parent accepts, and forks",
    task2: "the connection's process, blocking",
    task3: "the connection's process",
    in_flight: "--max-children",
    picture: "
            +-- parent: accept, fork, wait --+
            |            |                   |
 clients -->| process    | process    …      | process: read -> work -> write |--> clients
            +------------+-------------------+--------------------------------+",
    disk: Disk::Wait,
};

/// Sources of the parent's loop: it has no connections.
const SOURCES_MAX: u32 = 256;
/// How often the parent formats the date for its children. A child that begins in a new second
/// before that formats its own.
const KEEP_TIME_MS: u64 = 250;
/// Dead children in a second that get a line each.
const DEATHS_REPORTED_MAX: u32 = 10;

/// The counters of the parent, and of each child.
///
/// # Errors
/// The mapping's, see `mmap(2)`.
pub fn metrics(options: &Options) -> io::Result<Metrics> {
    Metrics::with_workers(1, options.children_max() as usize, 0)
}

/// Runs `app` in a process for each connection until a signal stops it.
///
/// # Errors
/// What the system refuses at the start (poller, buffers), or a failing poller later.
pub fn run<A: App>(app: A, options: &Options, server: Server) -> io::Result<()> {
    let Server { listeners, metrics, service } = server;
    let sandbox = operation::confine(options)?;
    let mut ev = EventLoop::new(Config::with_sources(SOURCES_MAX))?;
    ev.handle_signals(&[&operation::SIGNALS[..], &[Signal::CHLD]].concat())?;
    connection_signals::install()?;
    let epoch = ev.now() - Duration::from_millis(ev.now_ms());
    let places = options.children_max() as usize;
    let contexts = Contexts::new(&Arc::new(app), options, &metrics, 1..2, epoch, None)?;
    // Of each child's buffers, its parent has none.
    let shared = Arc::new(Shared::new(contexts, options, (places, 1))?);
    let forks = Forks::new(metrics.clone())?;
    let parts = (Acceptors::new(options).blocking(), shared, forks);
    let main = MainLoop::new(&mut ev, options, listeners, &metrics, parts)?;
    let main = SingleProcess::new(&mut ev, service, main)?.inside(sandbox);
    Parent { ev, main, metrics, time_kept_ms: 0 }.run()
}

/// The parent process.
struct Parent<A: App> {
    ev: EventLoop,
    main: SingleProcess<MainLoop<A, Forks>>,
    metrics: Metrics,
    /// When the contexts were last shown the time.
    time_kept_ms: u64,
}

/// Where a child belongs.
#[derive(Copy, Clone, Debug)]
struct Place {
    /// Its connection's key in the registry.
    key: usize,
    /// Its slot of counters.
    slot: usize,
}

/// Forking, and waiting for what was forked.
struct Forks {
    /// Accepted, and to be forked for after the loop's turn.
    next: VecDeque<Accepted>,
    children: Children<Place>,
    /// Slots of counters that no child has; the one used last is the next.
    free_slots: Vec<usize>,
    /// A child has ended.
    some_ended: bool,
    metrics: Metrics,
    counters: Counters,
    deaths: Deaths,
}

impl<A: App> Parent<A> {
    fn run(mut self) -> io::Result<()> {
        let parent = std::process::id();
        self.main.announce(&mut self.ev);
        while !self.main.driver().is_stopped() {
            self.ev.turn(&mut self.main, None)?;
            self.reap()?;
            self.keep_time();
            // Outside of the loop's turn, so that a child can take all of it apart.
            while let Some(accepted) = self.forks().next.pop_front() {
                match self.forks().fork(accepted.key()) {
                    Ok(None) => accepted.leave(self.main.driver().shared()),
                    Ok(Some(slot)) => self.become_child(accepted, slot, parent),
                    Err(_) => {
                        let mut rest = mem::take(&mut self.forks().next);
                        rest.push_front(accepted);
                        self.main.driver_mut().put_back(&mut self.ev, rest);
                    }
                }
            }
        }
        self.forks().children.kill()
    }

    fn forks(&mut self) -> &mut Forks {
        self.main.driver_mut().carrier()
    }

    /// Now and then, if something is to be forked.
    fn keep_time(&mut self) {
        let now_ms = self.ev.now_ms();
        if !self.forks().next.is_empty() && now_ms >= self.time_kept_ms + KEEP_TIME_MS {
            self.time_kept_ms = now_ms;
            self.main.driver().shared().contexts.keep_time();
        }
    }

    /// Waits for the children that have ended, and has their places filled.
    fn reap(&mut self) -> io::Result<()> {
        if !mem::take(&mut self.forks().some_ended) {
            return Ok(());
        }
        let now_ms = self.ev.now_ms();
        while let Some(key) = self.forks().next_ended(now_ms)? {
            self.main.driver().shared().registry.remove_left(key);
        }
        self.main.woken(&mut self.ev);
        Ok(())
    }

    /// Serves a connection in the child, and ends that.
    fn become_child(self, accepted: Accepted, slot: usize, parent: u32) -> ! {
        let Parent { ev, main, metrics, .. } = self;
        let mut log = None;
        connection_signals::while_serving(accepted.stream(), rest(accepted.connection()), || {
            ev.abandon();
            let (mut shared, forks) = main.abandon().abandon();
            forks.abandon();
            let own = Arc::get_mut(&mut shared).map(|shared| {
                shared.registry.leave_all();
                shared.contexts.count_in(&metrics, slot)
            });
            let has_parent = signal_when_parent_ends(Signal::TERM, parent);
            if let (Some(Ok(())), Ok(())) = (own, has_parent) {
                let io = Forked::new(accepted.connection(), &shared.contexts);
                accepted.serve(&shared, io);
            }
            log = Some(shared.contexts.log().clone());
            mem::forget(shared);
        });
        // Its client does not wait for the process's end.
        drop(accepted);
        if let Some(log) = log.filter(Log::is_on) {
            log.finish();
        }
        process::exit_at_once(0)
    }
}

impl Forks {
    fn new(metrics: Metrics) -> io::Result<Self> {
        let none = || io::Error::other("no slot of counters left");
        Ok(Forks {
            next: VecDeque::new(),
            children: Children::new()?,
            free_slots: (1..metrics.slots()).rev().collect(),
            some_ended: false,
            counters: Counters::new(&metrics, 0).ok_or_else(none)?,
            metrics,
            deaths: Deaths::default(),
        })
    }

    /// In a child: closes its copies of the connections that wait. See [`EventLoop::abandon`].
    fn abandon(self) {
        let Forks { mut next, children, free_slots, metrics, counters, .. } = self;
        next.drain(..).for_each(drop);
        mem::forget((next, children, free_slots, metrics, counters));
    }

    /// Forks for the connection of this key; in the child, returns its slot of counters.
    fn fork(&mut self, key: usize) -> io::Result<Option<usize>> {
        let slot = self.free_slots.last().copied();
        let slot = slot.ok_or_else(|| io::Error::other("there are as many children as may be"))?;
        Ok(match self.children.fork(Place { key, slot })? {
            Fork::Child => Some(slot),
            Fork::Parent(()) => {
                self.free_slots.pop();
                None
            }
        })
    }

    /// Waits for the next child that has ended, and counts it out; returns its connection's key.
    fn next_ended(&mut self, now_ms: u64) -> io::Result<Option<usize>> {
        let Some(ended) = self.children.next_ended()? else { return Ok(None) };
        let Place { key, slot } = ended.what;
        // A child that has come to its end has taken its connection off the gauge in its own slot.
        if let Some(counters) = self.metrics.slot(slot) {
            counters.reset_gauges();
        }
        self.counters.connections_open.sub(1);
        self.free_slots.push(slot);
        if !ended.status.success() {
            self.deaths.report(now_ms, ended.pid, ended.status);
        }
        Ok(Some(key))
    }
}

impl<A: App> Carrier<A> for Forks {
    fn has_place(&self, _draining: bool) -> bool {
        true
    }

    fn start(&mut self, _shared: &Arc<Shared<A>>, accepted: Accepted) -> Result<(), Accepted> {
        self.next.push_back(accepted);
        Ok(())
    }

    fn end_resting(&mut self, registry: &Registry) {
        self.children.signal(Signal::TERM, |place| registry.rests(place.key));
    }

    fn cut_off(&mut self, _registry: &Registry) {
        self.children.signal(CUT_OFF, |_| true);
    }

    fn children_ended(&mut self) {
        self.some_ended = true;
    }
}

/// Messages about children that have died, a few a second at most.
#[derive(Default)]
struct Deaths {
    since_ms: u64,
    reported: u32,
    unreported: u64,
}

impl Deaths {
    fn report(&mut self, now_ms: u64, pid: u32, status: ExitStatus) {
        if now_ms >= self.since_ms + 1000 {
            (self.since_ms, self.reported) = (now_ms, 0);
        }
        if self.reported == DEATHS_REPORTED_MAX {
            self.unreported += 1;
            return;
        }
        self.reported += 1;
        match mem::take(&mut self.unreported) {
            0 => report!("child {pid} has died ({status}), and its connection with it"),
            more => {
                report!(
                    "child {pid} has died ({status}), and its connection with it; {more} others before"
                );
            }
        }
    }
}
