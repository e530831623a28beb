//! Task 1: accepting, and pausing when the system has nothing left to accept with.
//!
//! Listeners are level-triggered: what one turn leaves in the queue is reported again. An `accept4(2)`
//! that finds nothing costs as much as a whole request's user time, so a turn takes as many as the
//! recent ones found and one more, instead of draining until `EAGAIN`.
//!
//! At `EMFILE`, `ENFILE`, `ENOBUFS` and `ENOMEM` a level-triggered listener would spin: the queue is not
//! empty and cannot be emptied. The listener is taken out of the poller and put back when a
//! connection has closed or a moment has passed. The connections in its queue lose nothing but time.

use std::io;

use reactor::net::{Accept, Peer, Stream};
use reactor::{EventLoop, Interest, Token, Trigger};

use super::connection::{self, Connection, flag};
use super::{Driver, Step};
use crate::app::App;
use crate::listen::Listening;

/// Connections accepted from one listener in one turn, at most.
const ACCEPTS_PER_TURN_MAX: u32 = 64;
/// How long accepting rests when the system is out of descriptors or memory.
const PAUSE_MS: u64 = 100;

/// A listener and how many connections the next turn should expect of it.
pub(super) struct Acceptor {
    pub bound: Listening,
    pub token: Token,
    budget: u32,
    pub paused: bool,
}

impl Acceptor {
    pub fn register(ev: &mut EventLoop, bound: Listening) -> io::Result<Self> {
        let token = ev.reserve().ok_or_else(|| io::Error::other("too many listeners"))?;
        ev.watch(token, &bound.listener, Interest::READABLE, Trigger::Level)?;
        Ok(Acceptor { bound, token, budget: 1, paused: false })
    }
}

/// Why a turn of accepting ended.
enum Enough {
    Budget,
    Empty,
    /// No descriptor, memory or slot for one more.
    Exhausted,
}

impl<A: App> Driver<A> {
    pub(super) fn accept_ready(&mut self, ev: &mut EventLoop, token: Token) {
        let Some(index) = self.acceptors.iter().position(|a| a.token == token) else { return };
        let budget = self.acceptors[index].budget;
        let (taken, enough) = self.accept_some(ev, index, budget);
        // One more than was there; twice as many when there were as many as expected.
        self.acceptors[index].budget = match enough {
            Enough::Budget => (budget * 2).min(ACCEPTS_PER_TURN_MAX),
            Enough::Empty => (taken + 1).clamp(1, ACCEPTS_PER_TURN_MAX),
            Enough::Exhausted => 1,
        };
        if matches!(enough, Enough::Exhausted) {
            self.pause_accepting(ev);
        }
    }

    fn accept_some(&mut self, ev: &mut EventLoop, index: usize, budget: u32) -> (u32, Enough) {
        let mut taken = 0;
        while taken < budget {
            if !self.has_place() {
                return (taken, Enough::Exhausted);
            }
            match self.acceptors[index].bound.listener.accept() {
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
        self.tally.connections_open.get() < u64::from(self.caps.connections)
    }

    /// A new connection: read at once, for its request is often there already.
    fn admit(&mut self, ev: &mut EventLoop, stream: Stream, peer: Peer) {
        let Some(token) = ev.reserve() else {
            self.tally.connections_refused.add(1);
            return;
        };
        if let Some(linger) = self.linger {
            // Best effort: a Unix socket has no such option.
            let _ = stream.set_linger(Some(linger));
        }
        self.tally.connections_accepted.add(1);
        self.tally.connections_open.add(1);
        self.last_arrival_ms = ev.now_ms();
        let slot = token.slot() as usize;
        if self.connections.len() <= slot {
            self.connections.resize_with(slot + 1, || None);
        }
        self.connections[slot] = Some(Connection::new(stream, token, ev.now_ms()));
        if self.service.log.is_on() {
            if self.peers.len() <= slot {
                self.peers.resize(slot + 1, connection::From(None));
            }
            self.peers[slot] = connection::From(Some(peer));
        }
        self.progress(ev, token);
    }

    /// Registers a connection that outlives its first turn, once and for both directions.
    pub(super) fn watch(&mut self, ev: &mut EventLoop, token: Token) -> bool {
        let Some(connection) = self.connection(token) else { return false };
        connection.set(flag::WATCHED);
        let both = Interest::READABLE | Interest::WRITABLE;
        ev.watch(token, &connection.stream, both, Trigger::Edge).is_ok()
    }

    #[cold]
    fn pause_accepting(&mut self, ev: &mut EventLoop) {
        self.tally.accept_pauses.add(1);
        for acceptor in &mut self.acceptors {
            if !acceptor.paused {
                acceptor.paused = true;
                // A listener that could not be taken out is reported again: worse, not wrong.
                let _ = ev.unwatch(acceptor.token, &acceptor.bound.listener);
            }
            ev.set_deadline(acceptor.token, ev.now_ms() + PAUSE_MS);
        }
    }

    /// Puts paused listeners back, unless there is still no place for a connection.
    pub(super) fn resume_accepting(&mut self, ev: &mut EventLoop) {
        let has_place = self.has_place();
        for acceptor in &mut self.acceptors {
            if !acceptor.paused {
                continue;
            }
            let (readable, level) = (Interest::READABLE, Trigger::Level);
            let back =
                has_place && ev.watch(acceptor.token, &acceptor.bound.listener, readable, level).is_ok();
            if back {
                acceptor.paused = false;
                ev.clear_deadline(acceptor.token);
            } else {
                ev.set_deadline(acceptor.token, ev.now_ms() + PAUSE_MS);
            }
        }
    }

    /// A wait has no use for events but one: the client is gone.
    pub(super) fn waiting(&mut self, _token: Token) -> Step {
        Step::Blocked
    }
}
