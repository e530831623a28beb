//! Task 1: accepting, and pausing when descriptors or memory run out; for every model.
//!
//! Listeners are level-triggered: what one turn leaves in the queue is reported again. So a turn
//! accepts as many as it can expect (see `Budget`) instead of draining until `EAGAIN`.
//!
//! ```text
//! turn(token) ──► next, next, …  ──► end_turn
//!                   └ a stream and its peer: admission() says how it is served
//! ```
//!
//! At `EMFILE`, `ENFILE`, `ENOBUFS` and `ENOMEM` a level-triggered listener would spin: the queue
//! is not empty and cannot be emptied. The listeners are removed from the poller and added again
//! when a connection has closed or `PAUSE_MS` have passed. Connections in their queues only wait.

use std::io;
use std::mem;
use std::time::Duration;

use reactor::net::{Accept, Peer, Stream};
use reactor::{EventLoop, Interest, Token, Trigger};

use super::accept_budget::Budget;
use crate::failure::{Retrying, none_lasts};
use crate::operation::listen::Listening;
use crate::options::{Options, Trusted};

/// How long accepting pauses when the system is out of descriptors or memory.
const PAUSE_MS: u64 = 100;

/// How a new connection begins.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Admission {
    /// With a request.
    Serve,
    /// With a balancer's header (`--proxy-protocol`).
    ProxyHeader,
    /// Not at all: its peer is not a trusted balancer.
    Refuse,
}

/// How connections are admitted, by the options.
pub struct Admissions {
    /// `SO_LINGER` for accepted connections, when the operator asks for it.
    linger: Option<Duration>,
    /// With `--proxy-protocol`: peers whose connections begin with a header; others are refused.
    trusted: Option<Box<Trusted>>,
}

/// All listeners of one loop, and the settings for connections from them.
pub struct Acceptors {
    list: Vec<Acceptor>,
    connections_max: u32,
    admissions: Admissions,
    /// Accepted connections are blocking sockets.
    blocking: bool,
    /// Accepting: connections wait in the queue while it fails.
    failing: Retrying,
}

/// A listener and how many connections the next turn should expect of it.
struct Acceptor {
    listening: Listening,
    token: Token,
    budget: Budget,
    paused: bool,
    /// Another worker's, served here until that worker is replaced.
    adopted: bool,
}

/// Connections of a turn that may end before they are accepted. Few do; but some sandboxes refuse
/// `accept(2)` by the same error (`EPERM`), and the queue is never empty then.
pub(super) const ABORTED_MAX: u32 = 16;

/// A turn of accepting from one listener.
pub struct Turn {
    index: usize,
    budget: u32,
    taken: u32,
    /// Of these, connections that ended before they were accepted.
    aborted: u32,
    ended: Ended,
    /// Why the system gave none, if it did not.
    error: Option<io::Error>,
}

/// Why a turn ended.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Ended {
    Budget,
    Empty,
    /// No descriptor, memory or slot for one more.
    Exhausted,
}

impl Admissions {
    /// As the options say.
    pub fn new(options: &Options) -> Self {
        let operation = &options.operation;
        let trusted = operation.proxy_protocol.then(|| Box::new(operation.trusted.clone()));
        Admissions { linger: options.tcp.linger, trusted }
    }

    /// How a connection from this peer begins. Also applies `--linger` to it.
    pub fn admission(&self, stream: &Stream, peer: Peer) -> Admission {
        if let Some(time) = self.linger {
            // Any time but zero is switched off, even if inherited from the listener: `close` would
            // block the loop, although the socket is non-blocking (`socket(7)`). Best effort: a
            // Unix socket has no such option.
            let _ = stream.set_linger(time.is_zero().then_some(time));
        }
        match &self.trusted {
            None => Admission::Serve,
            Some(trusted) if trusted.includes(peer) => Admission::ProxyHeader,
            Some(_) => Admission::Refuse,
        }
    }
}

impl Acceptors {
    /// No listeners yet.
    pub fn new(options: &Options) -> Self {
        let (connections_max, admissions) = (options.limits.connections, Admissions::new(options));
        Acceptors {
            list: Vec::new(),
            connections_max,
            admissions,
            blocking: false,
            failing: Retrying::default(),
        }
    }

    /// The same for blocking connections.
    pub fn blocking(self) -> Self {
        Acceptors { blocking: true, ..self }
    }

    /// Accepts from one more listener.
    ///
    /// # Errors
    /// It cannot be watched.
    pub fn add(&mut self, ev: &mut EventLoop, listening: Listening) -> io::Result<()> {
        self.list.push(Acceptor::register(ev, listening)?);
        Ok(())
    }

    /// The same until [`Acceptors::disown`].
    ///
    /// # Errors
    /// It cannot be watched.
    pub fn adopt(&mut self, ev: &mut EventLoop, listening: Listening) -> io::Result<()> {
        let acceptor = Acceptor::register(ev, listening)?;
        self.list.push(Acceptor { adopted: true, ..acceptor });
        Ok(())
    }

    /// Gives back all that was adopted.
    pub fn disown(&mut self, ev: &mut EventLoop) {
        for acceptor in self.list.extract_if(.., |acceptor| acceptor.adopted) {
            acceptor.end(ev);
        }
    }

    /// The listeners.
    pub fn listeners(&self) -> impl Iterator<Item = &Listening> {
        self.list.iter().map(|acceptor| &acceptor.listening)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// There are none left, or there never were.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Connections that may be open at once.
    pub fn connections_max(&self) -> u32 {
        self.connections_max
    }

    /// Leaves the files of Unix sockets in place: another process goes on using them.
    pub fn leave_files(&mut self) {
        self.list.iter_mut().for_each(|acceptor| acceptor.listening.leave_file());
    }

    /// Closes all of them.
    pub fn close(&mut self, ev: &mut EventLoop) {
        for acceptor in self.list.drain(..) {
            acceptor.end(ev);
        }
    }

    /// In a forked child: closes its copies of the listeners. See [`EventLoop::abandon`].
    pub fn abandon(self) {
        let Acceptors { mut list, admissions, .. } = self;
        for acceptor in list.drain(..) {
            let Listening { listener, addr, url, file, .. } = acceptor.listening;
            drop(listener);
            mem::forget((addr, url, file));
        }
        mem::forget((list, admissions));
    }

    /// The turn of the listener that an event was for.
    pub fn turn(&self, token: Token) -> Option<Turn> {
        let index = self.list.iter().position(|acceptor| acceptor.token == token)?;
        let budget = self.list[index].budget.accepts;
        Some(Turn { index, budget, taken: 0, aborted: 0, ended: Ended::Budget, error: None })
    }

    /// A turn that drains the queue.
    pub fn whole_queue(&self, index: usize) -> Turn {
        Turn { index, budget: u32::MAX, taken: 0, aborted: 0, ended: Ended::Budget, error: None }
    }

    /// The next connection of a turn; `None` when the turn is over.
    pub fn next(&self, turn: &mut Turn, has_place: bool) -> Option<(Stream, Peer)> {
        while turn.taken < turn.budget {
            if !has_place {
                turn.ended = Ended::Exhausted;
                return None;
            }
            let listener = &self.list.get(turn.index)?.listening.listener;
            let accepted =
                if self.blocking { listener.accept_blocking() } else { listener.accept() };
            match accepted {
                Ok(Accept::Stream(stream, peer)) => {
                    turn.taken += 1;
                    return Some((stream, peer));
                }
                Ok(Accept::Aborted) if turn.aborted < ABORTED_MAX => {
                    (turn.taken, turn.aborted) = (turn.taken + 1, turn.aborted + 1);
                }
                Ok(Accept::Aborted) => {
                    (turn.ended, turn.error) = (Ended::Exhausted, Some(none_lasts()));
                    return None;
                }
                Ok(Accept::Empty) => {
                    turn.ended = Ended::Empty;
                    return None;
                }
                Ok(Accept::Exhausted(error)) | Err(error) => {
                    (turn.ended, turn.error) = (Ended::Exhausted, Some(error));
                    return None;
                }
            }
        }
        None
    }

    /// Learns from a turn; `true`: there was no room for one more, and all accepting is paused.
    pub fn end_turn(&mut self, ev: &mut EventLoop, turn: Turn) -> bool {
        // A turn may have closed listeners, by what it accepted.
        let Some(acceptor) = self.list.get_mut(turn.index) else { return false };
        match &turn.error {
            Some(error) => self.failing.failed(cannot_accept(&acceptor.listening.url), error),
            None if turn.taken > 0 => self.failing.succeeded(),
            None => {}
        }
        match turn.ended {
            Ended::Budget => acceptor.budget.met(),
            Ended::Empty => acceptor.budget.missed(turn.taken),
            Ended::Exhausted => self.pause(ev),
        }
        turn.ended == Ended::Exhausted
    }

    /// How a connection from this peer begins.
    pub fn admission(&self, stream: &Stream, peer: Peer) -> Admission {
        self.admissions.admission(stream, peer)
    }

    /// Whether other processes accept from one of them, too.
    pub fn are_shared(&self) -> bool {
        self.listeners().any(|listening| listening.shared)
    }

    /// Accepts nothing for a moment.
    #[cold]
    pub fn pause(&mut self, ev: &mut EventLoop) {
        self.list.iter_mut().for_each(|acceptor| acceptor.pause(ev));
    }

    /// Accepts nothing until [`Acceptors::resume`].
    pub fn suspend(&mut self, ev: &mut EventLoop) {
        for acceptor in &mut self.list {
            acceptor.pause(ev);
            ev.clear_deadline(acceptor.token);
        }
    }

    /// Some of them are paused.
    pub fn are_paused(&self) -> bool {
        self.list.iter().any(|acceptor| acceptor.paused)
    }

    /// Resumes paused listeners, unless there is still no room for a connection.
    pub fn resume(&mut self, ev: &mut EventLoop, has_place: bool) {
        for acceptor in self.list.iter_mut().filter(|acceptor| acceptor.paused) {
            if has_place {
                acceptor.resume(ev);
            } else {
                acceptor.pause(ev);
            }
        }
    }
}

impl Acceptor {
    fn register(ev: &mut EventLoop, listening: Listening) -> io::Result<Self> {
        let (readable, trigger) = (Interest::READABLE, trigger(&listening));
        let token = ev.register(&listening.listener, readable, trigger)?;
        Ok(Acceptor { listening, token, budget: Budget::new(), paused: false, adopted: false })
    }

    /// Stops accepting from it in this process.
    fn end(self, ev: &mut EventLoop) {
        if !self.paused {
            // A failure does no harm: it is closed right after.
            let _ = ev.unwatch(self.token, &self.listening.listener);
        }
        ev.release(self.token);
    }

    fn pause(&mut self, ev: &mut EventLoop) {
        if !self.paused {
            self.paused = true;
            // If this fails, the listener is merely reported again.
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

/// For a message.
pub fn cannot_accept(from: &str) -> String {
    format!("cannot accept connections ({from})")
}

/// Of the processes that share a queue, waking one per connection is enough.
fn trigger(listening: &Listening) -> Trigger {
    if listening.shared { Trigger::LevelExclusive } else { Trigger::Level }
}
