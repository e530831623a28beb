//! `--accept pass`: the master accepts, and passes each connection to the worker with the fewest.
//!
//! ```text
//! queue ─ accept ─► master ─ SCM_RIGHTS ─► channel ─► worker
//!                     │ no worker has room: hold it, pause briefly
//!                     ▼
//! worker dies: the master, which keeps a copy of its end of the channel, reads what it left there
//! ```

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd as _;

use reactor::net::{Accept, Stream};
use reactor::process::{Message, Received};
use reactor::{EventLoop, Interest, Token, Trigger};

use super::Master;
use super::control::ControlMessage;
use super::workers::{Phase, Worker, Workers};
use crate::failure::{Retrying, none_lasts};
use crate::operation::listen::Listening;
use crate::options::Options;

/// Connections accepted from one listener in one turn, at most.
const ACCEPTS_PER_TURN: u32 = 64;
/// How long the master pauses when no worker has room, or no descriptor is left.
const PAUSE_MS: u64 = 10;

/// The master's side of passing.
pub struct Passing {
    /// The listeners' sources, in the same order.
    tokens: Vec<Token>,
    /// Whether they are watched.
    watched: bool,
    /// Accepted, but not passed yet.
    held: VecDeque<Stream>,
    /// The source whose deadline ends a pause.
    rest: Token,
    /// Limit per worker.
    connections_max: u64,
    accepting: Retrying,
}

impl Passing {
    pub fn new(ev: &mut EventLoop, listeners: usize, options: &Options) -> io::Result<Passing> {
        let tokens = (0..listeners).map(|_| ev.reserve()).collect::<io::Result<_>>()?;
        let (rest, connections_max) = (ev.reserve()?, options.limits.connections.into());
        let (held, accepting) = (VecDeque::new(), Retrying::default());
        Ok(Passing { tokens, watched: false, held, rest, connections_max, accepting })
    }

    /// Stops accepting.
    pub fn end(&mut self, ev: &mut EventLoop, listeners: &[Listening]) {
        for (token, listening) in self.tokens.drain(..).zip(listeners) {
            if self.watched {
                let _ = ev.unwatch(token, &listening.listener);
            }
            ev.release(token);
        }
    }

    fn report(&mut self, url: &str, error: Option<io::Error>) {
        match error {
            None => self.accepting.succeeded(),
            Some(error) => {
                self.accepting.failed(format_args!("cannot accept connections ({url})"), &error);
            }
        }
    }

    /// Passes what is held; returns whether all of it went.
    fn pass_held(&mut self, workers: &mut Workers) -> bool {
        while let Some(stream) = self.held.pop_front() {
            if let Err(stream) = pass(workers, stream, self.connections_max) {
                self.held.push_front(stream);
                return false;
            }
        }
        true
    }

    fn watch(&mut self, ev: &mut EventLoop, listeners: &[Listening], watched: bool) {
        if self.watched == watched {
            return;
        }
        self.watched = watched;
        for (token, listening) in self.tokens.iter().zip(listeners) {
            let result = match watched {
                true => ev.watch(*token, &listening.listener, Interest::READABLE, Trigger::Level),
                false => ev.unwatch(*token, &listening.listener),
            };
            if result.is_err() {
                ev.set_deadline(self.rest, ev.now_ms() + PAUSE_MS);
            }
        }
    }

    fn pause(&mut self, ev: &mut EventLoop, listeners: &[Listening]) {
        self.watch(ev, listeners, false);
        ev.set_deadline(self.rest, ev.now_ms() + PAUSE_MS);
    }
}

/// Passes a connection to the worker with the fewest, or returns it if none has room.
fn pass(workers: &mut Workers, stream: Stream, connections_max: u64) -> Result<(), Stream> {
    let Workers { processes, metrics, .. } = workers;
    let load = |worker: &Worker| worker.load(metrics);
    let mut candidates: Vec<(u64, &mut Worker)> = processes
        .iter_mut()
        .filter(|worker| worker.phase == Phase::Serving)
        .map(|worker| (load(worker), worker))
        .filter(|(load, _)| *load < connections_max)
        .collect();
    candidates.sort_by_key(|(load, _)| *load);
    for (_, worker) in candidates {
        // The channel is full, or too many descriptors are in flight: try the next worker.
        if ControlMessage::Connection.send(&worker.channel, Some(stream.as_fd())).is_ok() {
            worker.passed += 1;
            return Ok(());
        }
    }
    Err(stream)
}

impl Master {
    /// A listener is ready.
    pub(super) fn accept(&mut self, ev: &mut EventLoop, token: Token) {
        let Some(passing) = &mut self.passing else { return };
        let Some(index) = passing.tokens.iter().position(|known| *known == token) else { return };
        let Some(listening) = self.listeners.get(index) else { return };
        let accepted = accept_some(listening, &mut passing.held, ACCEPTS_PER_TURN);
        let all = accepted.is_ok();
        passing.report(&listening.url, accepted.err());
        if !passing.pass_held(&mut self.workers) || !all {
            passing.pause(ev, &self.listeners);
        }
    }

    /// Resumes after a pause, or when a worker becomes ready.
    pub(super) fn pass_on(&mut self, ev: &mut EventLoop) {
        let Some(passing) = &mut self.passing else { return };
        if passing.pass_held(&mut self.workers) {
            passing.watch(ev, &self.listeners, true);
        } else {
            passing.pause(ev, &self.listeners);
        }
    }

    /// Passes the connections still queued, before the listeners are closed.
    pub(super) fn pass_rest(&mut self, ev: &mut EventLoop) {
        let Some(passing) = &mut self.passing else { return };
        for (_, listening) in passing.tokens.iter().zip(&self.listeners) {
            while let Ok(true) = accept_some(listening, &mut passing.held, ACCEPTS_PER_TURN) {}
        }
        passing.end(ev, &self.listeners);
        passing.pass_held(&mut self.workers);
    }

    /// Passes what a dead worker had not received to the others.
    pub(super) fn deliver_again(&mut self, ev: &mut EventLoop, worker: &mut Worker) {
        let (Some(passing), Some(far)) = (&mut self.passing, worker.far.take()) else { return };
        while let Ok(Received::Message(Message { tag, fd })) = far.recv() {
            if let (Some(ControlMessage::Connection), Some(fd)) = (ControlMessage::of(tag), fd) {
                passing.held.push_back(Stream::from(fd));
            }
        }
        self.pass_on(ev);
    }
}

/// Accepts at most `count` connections; returns whether there may be more. One that ended before it
/// was accepted is skipped; if all of them did, that is an error.
fn accept_some(listening: &Listening, held: &mut VecDeque<Stream>, count: u32) -> io::Result<bool> {
    let mut aborted = 0;
    for _ in 0..count {
        match listening.listener.accept()? {
            Accept::Stream(stream, _) => held.push_back(stream),
            Accept::Empty => return Ok(false),
            Accept::Aborted => aborted += 1,
            Accept::Exhausted(error) => return Err(error),
        }
    }
    if aborted < count { Ok(true) } else { Err(none_lasts()) }
}
