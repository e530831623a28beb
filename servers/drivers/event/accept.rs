//! Task 1: accepting, and pausing when the system has nothing left to accept with.
//!
//! Listeners are level-triggered: what one turn leaves in the queue is reported again. So a turn
//! takes what it may expect (see [`Budget`]) instead of draining until `EAGAIN`.
//!
//! At `EMFILE`, `ENFILE`, `ENOBUFS` and `ENOMEM` a level-triggered listener would spin: the queue
//! is not empty and cannot be emptied. The listener is taken out of the poller and put back when a
//! connection has closed or a moment has passed. The connections in its queue lose nothing but
//! time.

use std::io;

use reactor::net::{Accept, Peer, Stream};
use reactor::{EventLoop, Interest, Token, Trigger};

use super::connection::Connection;
use super::{Driver, missing, preface};
use crate::app::App;
use crate::operation::listen::Listening;

/// Connections accepted from one listener in one turn, at most.
const ACCEPTS_PER_TURN_MAX: u32 = 64;
/// How long accepting rests when the system is out of descriptors or memory.
const PAUSE_MS: u64 = 100;

/// A listener and how many connections the next turn should expect of it.
pub(super) struct Acceptor {
    pub listening: Listening,
    pub token: Token,
    budget: Budget,
    pub paused: bool,
    /// Another worker's, of whom we take care for a while.
    adopted: bool,
}

/// How many connections a turn takes from a listener.
///
/// Measured, an `accept4(2)` that finds nothing costs 4 µs and one more `epoll_wait(2)` 0.13 µs. So
/// the budget is what was there last time; it doubles after some turns that have all used it up;
/// and whenever that turns out to be too much, the next attempt comes twice as late.
struct Budget {
    accepts: u32,
    /// Turns in a row that have used it up.
    used_up: u32,
    /// So many of them make it grow.
    patience: u32,
}

/// One `EAGAIN` in so many turns, when connections come singly.
const PATIENCE_MAX: u32 = 64;

impl Budget {
    const fn new() -> Self {
        Budget { accepts: 1, used_up: 0, patience: 1 }
    }

    /// All of it was there.
    fn met(&mut self) {
        self.used_up += 1;
        if self.used_up >= self.patience {
            self.used_up = 0;
            self.accepts = (self.accepts * 2).min(ACCEPTS_PER_TURN_MAX);
            self.patience = (self.patience / 2).max(1);
        }
    }

    /// Only so many were there.
    fn missed(&mut self, taken: u32) {
        // Twice what growing has taken off.
        self.patience = (self.patience * 4).min(PATIENCE_MAX);
        self.used_up = 0;
        self.accepts = taken.max(1);
    }
}

impl Acceptor {
    pub fn register(ev: &mut EventLoop, listening: Listening) -> io::Result<Self> {
        let token = ev.reserve().ok_or_else(|| missing("source"))?;
        ev.watch(token, &listening.listener, Interest::READABLE, trigger(&listening))?;
        Ok(Acceptor { listening, token, budget: Budget::new(), paused: false, adopted: false })
    }

    /// Accepts no more from it, whoever else may.
    pub fn end(self, ev: &mut EventLoop) {
        if !self.paused {
            // It is closed right after: a failure has nothing to spoil.
            let _ = ev.unwatch(self.token, &self.listening.listener);
        }
        ev.release(self.token);
    }

    fn pause(&mut self, ev: &mut EventLoop) {
        if !self.paused {
            self.paused = true;
            // A listener that could not be taken out is reported again: worse, not wrong.
            let _ = ev.unwatch(self.token, &self.listening.listener);
        }
        ev.set_deadline(self.token, ev.now_ms() + PAUSE_MS);
    }

    fn resume(&mut self, ev: &mut EventLoop) {
        let (readable, trigger) = (Interest::READABLE, trigger(&self.listening));
        if ev.watch(self.token, &self.listening.listener, readable, trigger).is_ok() {
            self.paused = false;
            ev.clear_deadline(self.token);
        } else {
            ev.set_deadline(self.token, ev.now_ms() + PAUSE_MS);
        }
    }
}

/// Of the processes that share a queue, one is enough for one connection.
fn trigger(listening: &Listening) -> Trigger {
    if listening.shared { Trigger::LevelExclusive } else { Trigger::Level }
}

/// Why a turn of accepting ended.
enum Enough {
    Budget,
    Empty,
    /// No descriptor, memory or slot for one more.
    Exhausted,
}

impl<A: App> Driver<A> {
    /// The listeners, until a drain has begun.
    pub fn listeners(&self) -> impl Iterator<Item = &Listening> {
        self.acceptors.iter().map(|acceptor| &acceptor.listening)
    }

    /// Accepts from one more listener, until [`Driver::disown`].
    ///
    /// # Errors
    /// It cannot be watched.
    pub fn adopt(&mut self, ev: &mut EventLoop, listening: Listening) -> io::Result<()> {
        if self.drain.is_none() {
            let acceptor = Acceptor::register(ev, listening)?;
            self.acceptors.push(Acceptor { adopted: true, ..acceptor });
        }
        Ok(())
    }

    /// Gives back all that was adopted.
    pub fn disown(&mut self, ev: &mut EventLoop) {
        for acceptor in self.acceptors.extract_if(.., |acceptor| acceptor.adopted) {
            acceptor.end(ev);
        }
    }

    pub(super) fn accept_ready(&mut self, ev: &mut EventLoop, token: Token) {
        let Some(index) = self.acceptors.iter().position(|a| a.token == token) else { return };
        let accepts = self.acceptors[index].budget.accepts;
        let (taken, enough) = self.accept_some(ev, index, accepts);
        let budget = &mut self.acceptors[index].budget;
        match enough {
            Enough::Budget => budget.met(),
            Enough::Empty => budget.missed(taken),
            Enough::Exhausted => self.pause_accepting(ev),
        }
    }

    fn accept_some(&mut self, ev: &mut EventLoop, index: usize, budget: u32) -> (u32, Enough) {
        let mut taken = 0;
        while taken < budget {
            if !self.has_place() {
                return (taken, Enough::Exhausted);
            }
            match self.acceptors[index].listening.listener.accept() {
                Ok(Accept::Stream(stream, peer)) => {
                    taken += 1;
                    self.admit(ev, stream, peer);
                }
                Ok(Accept::Empty) => return (taken, Enough::Empty),
                Ok(Accept::Aborted) => taken += 1,
                Ok(Accept::Exhausted(_)) | Err(_) => return (taken, Enough::Exhausted),
            }
        }
        (taken, Enough::Budget)
    }

    /// Accepts what the queues hold, before the listeners close.
    pub(super) fn accept_rest(&mut self, ev: &mut EventLoop) {
        for index in 0..self.acceptors.len() {
            while let (_, Enough::Budget) = self.accept_some(ev, index, ACCEPTS_PER_TURN_MAX) {}
        }
    }

    fn has_place(&self) -> bool {
        self.engine.tally.connections_open.get() < u64::from(self.connections_max)
    }

    /// Takes in a connection that was accepted elsewhere.
    pub fn receive(&mut self, ev: &mut EventLoop, stream: Stream) {
        self.engine.clock.update(ev.now_ms());
        match stream.peer() {
            Ok(peer) => self.admit(ev, stream, peer),
            // It was reset on its way here.
            Err(_) => self.engine.tally.connections_reset.add(1),
        }
    }

    /// A new connection: read at once, for its request is often there already.
    fn admit(&mut self, ev: &mut EventLoop, stream: Stream, peer: Peer) {
        let phase = preface::first_phase(self.trusted.as_deref(), peer);
        let (Some(phase), Some(token)) = (phase, ev.reserve()) else {
            self.engine.tally.connections_refused.add(1);
            return;
        };
        if let Some(time) = self.linger {
            // Any time but zero is undone, also where the listener hands it down: `close` would
            // block for it, with all other clients, although the socket is non-blocking
            // (`socket(7)`). Best effort: a Unix socket has no such option.
            let _ = stream.set_linger(time.is_zero().then_some(time));
        }
        self.engine.admitted(ev.now_ms(), token, peer);
        let slot = token.slot() as usize;
        if self.connections.len() <= slot {
            self.connections.resize_with(slot + 1, || None);
        }
        let connection = Connection { phase, ..Connection::new(stream, token, ev.now_ms()) };
        self.connections[slot] = Some(connection);
        self.progress(ev, token);
    }

    #[cold]
    fn pause_accepting(&mut self, ev: &mut EventLoop) {
        self.engine.tally.accept_pauses.add(1);
        for acceptor in &mut self.acceptors {
            acceptor.pause(ev);
        }
    }

    /// Puts paused listeners back, unless there is still no place for a connection.
    pub(super) fn resume_accepting(&mut self, ev: &mut EventLoop) {
        let has_place = self.has_place();
        for acceptor in self.acceptors.iter_mut().filter(|acceptor| acceptor.paused) {
            if has_place {
                acceptor.resume(ev);
            } else {
                acceptor.pause(ev);
            }
        }
    }
}

impl<A: App> super::Engine<A> {
    fn admitted(&mut self, now_ms: u64, token: Token, peer: Peer) {
        self.tally.connections_accepted.add(1);
        self.tally.connections_open.add(1);
        self.last_arrival_ms = now_ms;
        if self.log.is_on() {
            let slot = token.slot() as usize;
            if self.peers.len() <= slot {
                self.peers.resize(slot + 1, None);
            }
            self.peers[slot] = Some(peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns it takes to accept what arrives, and how many accepts find nothing meanwhile.
    fn run(budget: &mut Budget, arrivals: impl Iterator<Item = u32>) -> (u32, u32) {
        let (mut queue, mut turns, mut in_vain) = (0, 0, 0);
        for arrived in arrivals {
            queue += arrived;
            if queue == 0 {
                continue;
            }
            turns += 1;
            if queue >= budget.accepts {
                queue -= budget.accepts;
                budget.met();
            } else {
                in_vain += 1;
                budget.missed(queue);
                queue = 0;
            }
        }
        assert_eq!(queue, 0);
        (turns, in_vain)
    }

    #[test]
    fn connections_that_come_singly_cost_hardly_an_accept_in_vain() {
        let (_, in_vain) = run(&mut Budget::new(), std::iter::repeat_n(1, 10_000));
        assert!(in_vain <= 10_000 / 60, "{in_vain}");
    }

    #[test]
    fn a_burst_is_taken_in_few_turns_after_whatever_came_before() {
        let mut budget = Budget::new();
        run(&mut budget, std::iter::repeat_n(1, 1_000));
        let burst = std::iter::once(10_000).chain(std::iter::repeat_n(0, 1_000));
        let (turns, in_vain) = run(&mut budget, burst);
        assert!(turns <= 10_000 / 64 + 130, "{turns}");
        assert!(in_vain <= 1);
    }
}
