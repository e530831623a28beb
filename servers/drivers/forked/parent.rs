//! The parent of a process for each connection.
//!
//! ```text
//!  turn of the loop ─► wait for children that have ended ─► fork for what was accepted ─┐
//!       ▲                                                              └► child         │
//!       └───────────────────────────────────────────────────────────────────────────────┘
//! ```

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::Arc;

use reactor::process::connection_signals::{self, CUT_OFF, END};
use reactor::process::{self, Children, Fork, signal_when_parent_ends};
use reactor::signal::unblock_all;
use reactor::{EventLoop, Handler as _};

use super::child::{Forked, rest};
use super::deaths::Deaths;
use crate::access_log::Log;
use crate::app::App;
use crate::drivers::blocking::{Registry, Shared};
use crate::drivers::main_loop::{Accepted, Carrier, MainLoop};
use crate::failure::Retrying;
use crate::metrics::{Counters, Metrics};
use crate::operation::upgrade::SingleProcess;

/// How often the parent formats the date for its children. A child that begins in a new second
/// before that formats its own.
const KEEP_TIME_MS: u64 = 250;

/// The parent process.
pub struct Parent<A: App> {
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

/// There is no child for a connection now; it is tried again.
struct NotForked;

/// Forking, and waiting for what was forked.
pub struct Forks {
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
    forking: Retrying,
}

impl<A: App> Parent<A> {
    /// The process that has this loop and this handler on it.
    pub fn new(ev: EventLoop, main: SingleProcess<MainLoop<A, Forks>>, metrics: Metrics) -> Self {
        Parent { ev, main, metrics, time_kept_ms: 0 }
    }

    /// Serves until a signal has stopped it, and all children have ended. Children end here, too.
    ///
    /// # Errors
    /// A failing poller.
    pub fn run(mut self) -> io::Result<()> {
        let parent = std::process::id();
        self.main.announce(&mut self.ev);
        while !self.main.driver().is_stopped() {
            let now_ms = self.ev.now_ms();
            let max_wait = self.forks().deaths.next_report(now_ms);
            self.ev.turn(&mut self.main, max_wait)?;
            self.reap()?;
            self.keep_time();
            // Outside of the loop's turn, so that a child can take all of it apart.
            while let Some(accepted) = self.forks().next.pop_front() {
                match self.forks().fork(accepted.key()) {
                    Ok(None) => accepted.leave(self.main.driver().shared()),
                    Ok(Some(slot)) => self.become_child(accepted, slot, parent),
                    Err(NotForked) => {
                        let mut rest = mem::take(&mut self.forks().next);
                        rest.push_front(accepted);
                        self.main.driver_mut().put_back(&mut self.ev, rest);
                    }
                }
            }
        }
        self.forks().deaths.report_rest();
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

    /// Waits for the children that have ended, and has their places filled. Reports what is due.
    fn reap(&mut self) -> io::Result<()> {
        let now_ms = self.ev.now_ms();
        self.forks().deaths.report_due(now_ms);
        if !mem::take(&mut self.forks().some_ended) {
            return Ok(());
        }
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
        let (stream, rest) = (accepted.stream(), rest(accepted.connection()));
        connection_signals::while_serving(parent, stream, rest, || {
            ev.abandon();
            let (mut shared, forks) = main.abandon().abandon();
            forks.abandon();
            let own = Arc::get_mut(&mut shared).map(|shared| {
                shared.registry.leave_all();
                shared.contexts.count_in(&metrics, slot)
            });
            // The server's own wait in the parent; here they have handlers.
            let unblocked = unblock_all();
            let has_parent = signal_when_parent_ends(END, parent);
            if let (Some(Ok(())), Ok(()), Ok(())) = (own, unblocked, has_parent) {
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
            if let Some(counters) = metrics.slot(slot) {
                counters.log_lines_dropped.add(log.take_dropped());
            }
        }
        process::exit_at_once(0)
    }
}

impl Forks {
    /// A child for each slot of `metrics` but the first, at most.
    ///
    /// # Errors
    /// There is no slot; those of `sigaction(2)`.
    pub fn new(metrics: Metrics) -> io::Result<Self> {
        let none = || io::Error::other("no slot of counters left");
        Ok(Forks {
            next: VecDeque::new(),
            children: Children::new()?,
            free_slots: (1..metrics.slots()).rev().collect(),
            some_ended: false,
            counters: Counters::new(&metrics, 0).ok_or_else(none)?,
            metrics,
            deaths: Deaths::default(),
            forking: Retrying::default(),
        })
    }

    /// In a child: closes its copies of the connections that wait. See [`EventLoop::abandon`].
    fn abandon(self) {
        let Forks { mut next, children, free_slots, metrics, counters, .. } = self;
        next.drain(..).for_each(drop);
        mem::forget((next, children, free_slots, metrics, counters));
    }

    /// Forks for the connection of this key; in the child, returns its slot of counters.
    fn fork(&mut self, key: usize) -> Result<Option<usize>, NotForked> {
        // None: there are as many as may be. A server that stops accepts more connections.
        let slot = self.free_slots.last().copied().ok_or(NotForked)?;
        match self.children.fork(Place { key, slot }) {
            Ok(Fork::Child) => Ok(Some(slot)),
            Ok(Fork::Parent(())) => {
                self.free_slots.pop();
                self.forking.succeeded();
                Ok(None)
            }
            Err(error) => {
                self.forking.failed("cannot fork for a connection", &error);
                Err(NotForked)
            }
        }
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

    fn end_resting(&mut self, registry: &Registry, since_ms: u64) {
        self.children.signal(END, |place| registry.rests(place.key, since_ms));
    }

    fn cut_off(&mut self, _registry: &Registry) {
        self.children.signal(CUT_OFF, |_| true);
    }

    fn children_ended(&mut self) {
        self.some_ended = true;
    }

    fn has_children(&self) -> bool {
        true
    }
}
