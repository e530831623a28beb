//! The main thread of a server whose connections are served by code that waits: it accepts, hears
//! signals, and sees to what belongs to no connection.
//!
//! ```text
//!  listeners ─► accept ─► Registry ─► Carrier: a thread, or this one later
//!  signals   ─► drain, log, upgrade      ▲
//!  wakers    ◄───────────────────────────┴─ "there is a place again", "there are lines to write"
//! ```
//!
//! It is an event loop without clients, so stopping, upgrades, the service manager and the log
//! work as under the models whose loop does everything. When there is no place for one more
//! connection, the listeners are taken out of the poller, and what arrives waits in the kernel's
//! queue.
//!
//! Files: `drain` (how a server stops).

mod drain;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::Arc;

use reactor::event_loop::LoopStats;
use reactor::net::{Peer, Stream};
use reactor::{EventLoop, Handler, Readiness, Signal, Token};

use super::accept::{Acceptors, Admission, Turn};
use super::blocking::{Beginning, Connection, Registry, Shared};
use super::transport::{Stop, Transport};
use crate::app::App;
use crate::metrics::{Counters, Metrics};
use crate::operation::Ending;
use crate::operation::listen::Listening;
use crate::operation::upgrade::{SingleProcess, Upgradable};
use crate::options::Options;
use crate::report::report;

use drain::Drain;

/// Where accepted connections are served.
pub trait Carrier<A: App> {
    /// It takes one more. `draining`: it is one of the last, which must not be left behind.
    fn has_place(&self, draining: bool) -> bool;

    /// Where it accepts by itself, as well: it does no longer.
    fn stop_accepting(&mut self) {}

    /// Has it served.
    ///
    /// # Errors
    /// It cannot be now; it is tried again.
    fn start(&mut self, shared: &Arc<Shared<A>>, accepted: Accepted) -> Result<(), Accepted>;

    /// Ends the connections that have rested since `since_ms` or longer.
    fn end_resting(&mut self, registry: &Registry, since_ms: u64) {
        registry.end_resting(since_ms);
    }

    /// Ends all connections, whatever they do.
    fn cut_off(&mut self, registry: &Registry) {
        registry.cut_off();
    }

    /// Child processes have ended (`SIGCHLD`).
    fn children_ended(&mut self) {}

    /// Whether it has [`Children`](reactor::process::Children), which see to orphans.
    fn has_children(&self) -> bool {
        false
    }
}

/// A connection that is to be served.
#[derive(Clone)]
pub struct Accepted {
    key: usize,
    connection: Arc<Connection>,
    peer: Peer,
    beginning: Beginning,
}

/// The main thread's handler.
pub struct MainLoop<A: App, C> {
    acceptors: Acceptors,
    shared: Arc<Shared<A>>,
    carrier: C,
    /// Accepted, and to be started as soon as the system allows and there is a place; while the
    /// server does not stop, few.
    late: VecDeque<Accepted>,
    counters: Counters,
    /// What earlier processes have left in these counters.
    earlier: LoopStats,
    /// A source without a descriptor: its deadline is the loop's own.
    housekeeping: Token,
    drain: Option<Drain>,
    drain_ms: u64,
    stopped: bool,
    /// The listener to ask first when there is a place again.
    first: usize,
}

impl Accepted {
    /// One that has just been accepted, and is now among the server's connections. `None`: there
    /// are too many, and it is closed.
    pub fn new<A: App>(
        shared: &Shared<A>,
        stream: Stream,
        (peer, beginning): (Peer, Beginning),
        now_ms: u64,
    ) -> Option<Self> {
        let (key, connection) = shared.registry.insert(stream, now_ms)?;
        Some(Accepted { key, connection, peer, beginning })
    }

    /// Its number among all that the server has had.
    pub fn number(&self) -> usize {
        self.connection.number()
    }

    /// Its key in the [`Registry`].
    pub fn key(&self) -> usize {
        self.key
    }

    /// Its entry there.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Its socket.
    pub fn stream(&self) -> &Stream {
        self.connection.stream()
    }

    /// Its entry in the registry.
    pub(in crate::drivers) fn entry(&self) -> &Connection {
        &self.connection
    }

    /// Its client, and what it sends first.
    pub(in crate::drivers) fn opening(&self) -> (Peer, Beginning) {
        (self.peer, self.beginning)
    }

    /// Serves it, waiting by way of `io`.
    pub fn serve<A: App>(&self, shared: &Shared<A>, io: impl Transport) {
        shared.serve(&self.connection, io, self.peer, self.beginning);
    }

    /// It has been served.
    pub fn end<A: App>(self, shared: &Shared<A>) {
        shared.end(self.key, self.connection);
    }

    /// A child process serves it: closes it here.
    pub fn leave<A: App>(self, shared: &Shared<A>) {
        shared.registry.leave(self.key, self.connection);
    }
}

/// A connection that a thread of its own serves: it ends with that, also when that panics.
pub struct Served<'s, A: App> {
    key: usize,
    /// Until it is dropped.
    connection: Option<Arc<Connection>>,
    peer: Peer,
    beginning: Beginning,
    shared: &'s Shared<A>,
}

impl<'s, A: App> Served<'s, A> {
    /// To be served now.
    pub fn new(accepted: Accepted, shared: &'s Shared<A>) -> Self {
        let Accepted { key, connection, peer, beginning } = accepted;
        Served { key, connection: Some(connection), peer, beginning, shared }
    }

    /// Its socket.
    pub fn stream(&self) -> &Stream {
        self.connection().stream()
    }

    /// Serves it, waiting by way of `io`.
    pub fn serve(&self, io: impl Transport) {
        self.shared.serve(self.connection(), io, self.peer, self.beginning);
    }

    fn connection(&self) -> &Connection {
        self.connection.as_ref().expect("it is not dropped")
    }
}

impl<A: App> Drop for Served<'_, A> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.shared.end(self.key, connection);
        }
    }
}

impl<A: App, C: Carrier<A>> MainLoop<A, C> {
    /// Puts the handler on a loop. It counts in the contexts' main slot.
    ///
    /// # Errors
    /// The registration of a listener.
    pub fn new(
        ev: &mut EventLoop,
        options: &Options,
        listeners: Vec<Listening>,
        metrics: &Metrics,
        (acceptors, shared, carrier): (Acceptors, Arc<Shared<A>>, C),
    ) -> io::Result<Self> {
        let main_slot = shared.contexts.main_slot();
        let missing = |what| io::Error::other(format!("no {what} left in the event loop"));
        let counters =
            Counters::new(metrics, main_slot).ok_or_else(|| missing("slot of counters"))?;
        let mut main = MainLoop {
            acceptors,
            shared,
            carrier,
            late: VecDeque::new(),
            earlier: counters.loop_stats(),
            counters,
            housekeeping: ev.reserve()?,
            drain: None,
            drain_ms: options.drain_timeout.as_millis() as u64,
            stopped: false,
            first: 0,
        };
        for listening in listeners {
            main.acceptors.add(ev, listening)?;
        }
        Ok(main)
    }

    /// Leaves accepting to the carrier, as long as it has no place for what is accepted here.
    pub fn without_accepting(mut self, ev: &mut EventLoop) -> Self {
        self.acceptors.suspend(ev);
        self
    }

    /// In a forked child: closes its copies of the listeners and of what waits to be served. Returns
    /// what connections are served with, and where. See [`EventLoop::abandon`].
    pub fn abandon(self) -> (Arc<Shared<A>>, C) {
        let MainLoop { acceptors, shared, carrier, mut late, counters, .. } = self;
        acceptors.abandon();
        late.drain(..).for_each(drop);
        mem::forget((late, counters));
        (shared, carrier)
    }

    /// Where connections are served.
    pub fn carrier(&mut self) -> &mut C {
        &mut self.carrier
    }

    /// What they are served with.
    pub fn shared(&self) -> &Arc<Shared<A>> {
        &self.shared
    }

    /// The drain is complete.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    fn has_place(&self) -> bool {
        self.late.is_empty()
            && self.carrier.has_place(self.drain.is_some())
            && self.shared.registry.has_place()
    }

    fn accept_ready(&mut self, ev: &mut EventLoop, token: Token) {
        let Some(mut turn) = self.acceptors.turn(token) else { return };
        self.take_turn(ev, &mut turn);
        if self.acceptors.end_turn(ev, turn) {
            self.counters.accept_pauses.add(1);
        } else if !self.has_place() {
            self.hold(ev);
        }
    }

    fn take_turn(&mut self, ev: &mut EventLoop, turn: &mut Turn) {
        while self.has_place()
            && let Some((stream, peer)) = self.acceptors.next(turn, true)
        {
            self.admit(ev, stream, peer);
        }
    }

    /// Accepts nothing until there is a place; until a moment has passed, if the system has refused
    /// one.
    fn hold(&mut self, ev: &mut EventLoop) {
        if self.late.is_empty() {
            return self.acceptors.suspend(ev);
        }
        self.counters.accept_pauses.add(1);
        self.acceptors.pause(ev);
    }

    fn admit(&mut self, ev: &EventLoop, stream: Stream, peer: Peer) {
        let beginning = match self.acceptors.admission(&stream, peer) {
            Admission::Serve => Beginning::Request,
            Admission::ProxyHeader => Beginning::ProxyHeader,
            Admission::Refuse => return self.counters.connections_refused.add(1),
        };
        let beginning = (peer, beginning);
        let Some(accepted) = Accepted::new(&self.shared, stream, beginning, ev.now_ms()) else {
            return self.counters.connections_refused.add(1);
        };
        self.counters.connections_accepted.add(1);
        self.counters.connections_open.add(1);
        self.late.push_back(accepted);
        self.start_late();
    }

    /// Starts those that wait, the oldest first, as far as there is a place and the system allows.
    fn start_late(&mut self) {
        let registry = &self.shared.registry;
        while registry.len().saturating_sub(self.late.len()) < registry.max()
            && let Some(accepted) = self.late.pop_front()
        {
            if let Err(accepted) = self.carrier.start(&self.shared, accepted) {
                return self.late.push_front(accepted);
            }
        }
        if !self.late.is_empty() {
            // Asks for a wake-up at the end of the next one.
            let _full = self.shared.registry.has_place();
        }
    }

    /// Those that the carrier had taken cannot be served now: they are tried again in a moment,
    /// before all others.
    pub fn put_back(&mut self, ev: &mut EventLoop, taken: VecDeque<Accepted>) {
        taken.into_iter().rev().for_each(|accepted| self.late.push_front(accepted));
        self.hold(ev);
    }

    /// There is a place again: takes what waits in a queue, without the poller; only if there is
    /// nothing, listens again.
    pub fn accept_next(&mut self, ev: &mut EventLoop) {
        ev.refresh_clock();
        for _ in 0..self.acceptors.len() {
            let mut turn = self.acceptors.whole_queue(self.first % self.acceptors.len());
            self.first += 1;
            self.take_turn(ev, &mut turn);
            if !self.has_place() {
                return;
            }
        }
        self.resume_accepting(ev);
    }

    /// Goes on accepting if there is a place again.
    fn resume_accepting(&mut self, ev: &mut EventLoop) {
        self.start_late();
        if !self.acceptors.are_paused() {
            return;
        }
        if self.has_place() {
            self.acceptors.resume(ev, true);
        } else if !self.late.is_empty() {
            self.acceptors.pause(ev);
        }
    }

    /// Writes the log if its time has come, and comes back when it has.
    fn see_to_log(&mut self, ev: &mut EventLoop) {
        let now_ms = ev.now_ms();
        let log = self.shared.contexts.log();
        let next = log.turn_ended(now_ms);
        self.counters.log_lines_dropped.add(log.take_dropped());
        if let Some(at) = next
            && self.drain.is_none()
        {
            ev.set_deadline(self.housekeeping, at.max(now_ms + 1));
        }
    }

    fn count_turn(&self, ev: &EventLoop) {
        let (stats, earlier, counters) = (ev.stats(), &self.earlier, &self.counters);
        counters.loop_turns.set(earlier.turns + stats.turns);
        counters.loop_events.set(earlier.events + stats.events);
        counters.loop_events_turn_max.raise_to(u64::from(stats.events_turn_max));
        counters.loop_events_stale.set(earlier.stale_events + stats.stale_events);
        counters.loop_timers.set(earlier.timeouts + stats.timeouts);
    }
}

impl<A: App, C: Carrier<A>> Handler for MainLoop<A, C> {
    fn ready(&mut self, ev: &mut EventLoop, token: Token, _readiness: Readiness) {
        self.accept_ready(ev, token);
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        if token == self.housekeeping {
            self.look_at_drain(ev);
        } else {
            self.resume_accepting(ev);
        }
    }

    /// A thread has ended, or there are lines to be written: the turn's end sees to those.
    fn woken(&mut self, ev: &mut EventLoop) {
        self.resume_accepting(ev);
    }

    fn signal(&mut self, ev: &mut EventLoop, signal: Signal) {
        match signal {
            Signal::TERM | Signal::INT => self.drain(ev, Ending::Stop),
            Signal::QUIT => self.drain(ev, Ending::Quit),
            Signal::HUP | Signal::USR1 => {
                self.shared.contexts.app().reload();
                if let Err(error) = self.shared.contexts.reopen_log() {
                    report!("the access log could not be reopened: {error}");
                }
            }
            Signal::CHLD => self.carrier.children_ended(),
            _ => {}
        }
    }

    fn turn_ended(&mut self, ev: &mut EventLoop) {
        if self.shared.contexts.log().is_on() {
            self.see_to_log(ev);
        }
        self.count_turn(ev);
    }
}

impl<A: App, C: Carrier<A>> Stop for SingleProcess<MainLoop<A, C>> {
    fn is_stopped(&self) -> bool {
        self.driver().is_stopped()
    }
}

impl<A: App, C: Carrier<A>> Upgradable for MainLoop<A, C> {
    fn listeners(&self) -> impl Iterator<Item = &Listening> {
        self.acceptors.listeners()
    }

    fn has_children(&self) -> bool {
        self.carrier.has_children()
    }

    fn hand_over(&mut self, ev: &mut EventLoop) {
        self.drain(ev, Ending::HandOver);
    }
}
