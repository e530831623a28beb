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
use std::sync::Arc;

use reactor::net::{Peer, Stream};
use reactor::{EventLoop, Handler, Readiness, Signal, Token};

use super::accept::{Acceptors, Admission, Turn};
use super::blocking::{Beginning, Connection, Shared};
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

    /// Has it served.
    ///
    /// # Errors
    /// It cannot be now; it is tried again.
    fn start(&mut self, shared: &Arc<Shared<A>>, accepted: Accepted) -> Result<(), Accepted>;
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
    /// server does not stop, one at most.
    late: VecDeque<Accepted>,
    counters: Counters,
    /// A source without a descriptor: its deadline is the loop's own.
    housekeeping: Token,
    drain: Option<Drain>,
    drain_ms: u64,
    stopped: bool,
    /// The listener to ask first when there is a place again.
    first: usize,
}

impl Accepted {
    /// Its number among all that the server has had.
    pub fn number(&self) -> usize {
        self.connection.number()
    }

    /// Its socket.
    pub fn stream(&self) -> &Stream {
        self.connection.stream()
    }

    /// Serves it, waiting by way of `io`.
    pub fn serve<A: App>(&self, shared: &Shared<A>, io: impl Transport) {
        shared.serve(&self.connection, io, self.peer, self.beginning);
    }

    /// It has been served.
    pub fn end<A: App>(self, shared: &Shared<A>) {
        shared.end(self.key, self.connection);
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
    /// Puts the handler on a loop. It counts in slot 0.
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
        let missing = |what| io::Error::other(format!("no {what} left in the event loop"));
        let counters = Counters::new(metrics, 0).ok_or_else(|| missing("slot of counters"))?;
        let mut main = MainLoop {
            acceptors,
            shared,
            carrier,
            late: VecDeque::new(),
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
        self.counters.connections_accepted.add(1);
        self.counters.connections_open.add(1);
        let (key, connection) = self.shared.registry.insert(stream, ev.now_ms());
        self.late.push_back(Accepted { key, connection, peer, beginning });
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
        let (stats, counters) = (ev.stats(), &self.counters);
        counters.loop_turns.set(stats.turns);
        counters.loop_events.set(stats.events);
        counters.loop_events_turn_max.raise_to(u64::from(stats.events_turn_max));
        counters.loop_events_stale.set(stats.stale_events);
        counters.loop_timers.set(stats.timeouts);
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
                if let Err(error) = self.shared.contexts.log().reopen() {
                    report!("the access log could not be reopened: {error}");
                }
            }
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

    fn hand_over(&mut self, ev: &mut EventLoop) {
        self.drain(ev, Ending::HandOver);
    }
}
