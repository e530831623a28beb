//! The event-driven driver: many connections in one loop, a session for each.
//!
//! ```text
//!            readiness                    bytes
//!  poller ─────────────► receive::read ────────► Session::feed ───► App::handle
//!                             ▲                                        │
//!                             │                                        ▼
//!  kernel ◄────────────── send::flush ◄────────────────────────── the loop's output
//! ```
//!
//! One `recv` into a buffer that all connections of the loop share, all requests in it answered,
//! one `send` of all their answers. Leftovers (an unfinished head, an unsent answer) move into a
//! buffer of the connection's own; an idle connection owns none.
//!
//! A [`Driver`] holds the table of connections, the listeners, and an `Engine`: what serving one
//! connection needs. Engine methods take the connection they work on, and return a `Step`; only
//! `Driver::run` turns steps into instructions to the event loop: what to watch for, until when,
//! whether to come back in the next turn. The rules of HTTP are [`crate::session`]'s business.
//!
//! Files: `connection` (a connection's state), `receive`, `proxy_header`, `send`, `lingering_close`
//! (Task 2), `buffers` (and what happens when they are all in use), `offload` and `results` (Task 3
//! elsewhere), `housekeeping` (accepting, log writes), `drain` (how a server stops).

mod buffers;
mod connection;
mod drain;
mod housekeeping;
mod lingering_close;
mod offload;
mod proxy_header;
mod receive;
mod results;
mod send;
mod setup;

use reactor::event_loop::LoopStats;
use reactor::net::Peer;
use reactor::{Buffer, EventLoop, Handler, Readiness, Signal, Token};

use super::accept::Acceptors;
use super::send::FileSending;
use crate::app::App;
use crate::app::response::Output;
use crate::operation::Ending;
use crate::report::report;
use crate::session::{Context, NEVER, Next, Phase};
use crate::work::request::PendingRequest;

use buffers::Buffers;
use connection::{Connection, Stage};
use drain::Drain;
pub(crate) use drain::QUIET_MS;
use offload::Offload;

/// Reads or writes of one connection before the others get their turn.
const ROUNDS_PER_TURN: u32 = 16;
/// Bytes of a small buffer: most unfinished heads fit.
const SMALL_BYTES: usize = 512;

/// What a connection does after a step.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Step {
    /// There may be more to do right away.
    Again,
    /// There is more to do, but others go first.
    Defer,
    /// Nothing until the next event or deadline.
    Blocked,
    /// It needs a buffer, and there is none.
    NoBuffer,
    /// The request at this place in the scratch buffer (or a saved one) is to be answered outside
    /// of the session.
    Work(usize, PendingRequest),
    /// The next piece of its response is not in memory.
    Fill,
    /// It has ended.
    Close,
}

/// The driver: the [`Handler`] of an [`EventLoop`].
pub struct Driver<A: App> {
    /// By the token's slot; the loop checks generations before it calls the handler.
    connections: Vec<Option<Connection>>,
    acceptors: Acceptors,
    /// Clients by slot; kept only when the log is on.
    peers: Vec<Option<Peer>>,
    /// A source without a descriptor: its deadline is the loop's own.
    housekeeping: Token,
    drain: Option<Drain>,
    drain_ms: u64,
    /// The slot at which the next search for slow heads begins.
    scan_from: usize,
    /// What earlier processes have left in this slot's loop counters.
    earlier: LoopStats,
    engine: Engine<A>,
}

/// What serving a connection needs besides the connection.
struct Engine<A: App> {
    cx: Context<A>,
    /// Where all connections' input is received.
    scratch: Buffer,
    /// Where responses are composed. Empty between two connections' steps.
    out: Output,
    buffers: Buffers,
    /// Where work is handed over, in a model that has an executor; otherwise it runs inline.
    offload: Option<Box<Offload>>,
    files: FileSending,
    last_arrival_ms: u64,
}

impl<A: App> Driver<A> {
    /// The connection of a token, unless it has ended.
    fn connection(&mut self, ev: &EventLoop, token: Token) -> Option<&mut Connection> {
        if !ev.contains(token) {
            return None;
        }
        self.connections.get_mut(token.slot() as usize)?.as_mut()
    }

    /// Runs a connection from a step until it blocks, ends or has used up its turn.
    #[inline(never)]
    fn run(&mut self, ev: &mut EventLoop, token: Token, mut step: Step) {
        let slot = token.slot() as usize;
        let mut rounds = 0;
        loop {
            let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
            let engine = &mut self.engine;
            let introduces = connection.stage == Stage::ProxyHeader;
            step = match step {
                Step::Again if rounds < ROUNDS_PER_TURN => {
                    rounds += 1;
                    engine.step(connection)
                }
                Step::Work(at, request) => engine.work(ev, token, connection, at, request),
                Step::Fill => engine.fill(token, connection),
                Step::Close => return self.close(ev, token),
                Step::Again | Step::Defer => {
                    ev.defer(token, Readiness::default());
                    break;
                }
                Step::NoBuffer => {
                    engine.wait_for_buffer(token, connection);
                    break;
                }
                Step::Blocked => break,
            };
            if introduces && let Some(peer) = self.peers.get_mut(slot) {
                *peer = self.engine.cx.peer;
            }
        }
        self.stay(ev, token);
    }

    /// A connection stays open: watches it, and sets its current deadline.
    #[inline(always)]
    fn stay(&mut self, ev: &mut EventLoop, token: Token) {
        let slot = token.slot() as usize;
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        debug_assert!(self.engine.out.is_empty(), "output is left between two connections");
        connection.check();
        if !connection.watch(ev, token) {
            return self.close(ev, token);
        }
        match self.engine.deadline_ms(connection) {
            NEVER => ev.clear_deadline(token),
            at => ev.set_deadline(token, at),
        }
    }
}

impl<A: App> Engine<A> {
    /// Takes a connection's next step, unless it is waiting for something.
    fn step(&mut self, connection: &mut Connection) -> Step {
        match (connection.stage, connection.session.phase()) {
            (Stage::ProxyHeader, _) => self.read_proxy_header(connection),
            (Stage::Queued | Stage::Filling, _) => Step::Blocked,
            (Stage::Serving, Phase::Idle | Phase::Head | Phase::Body) => self.read(connection),
            (Stage::Serving, Phase::Send) => self.send_rest(connection),
            (Stage::Serving, Phase::Wait | Phase::Work) => Step::Blocked,
            (Stage::Serving, Phase::Linger) => self.linger(connection),
        }
    }

    /// Does what the session asks for next, as far as possible now.
    #[inline(never)]
    fn follow(&mut self, connection: &mut Connection, next: Next) -> Step {
        match next {
            Next::Read => connection.more_input(),
            Next::Write => self.flush(connection),
            Next::Sleep => Step::Blocked,
            Next::Work(request) => Step::Work(0, request),
            Next::Linger => self.finish(connection, true),
            Next::Close => self.finish(connection, false),
            Next::Reset => {
                connection.reset_on_close();
                Step::Close
            }
        }
    }

    /// The session's deadline; while a file is being read, the client waits for us, and only the
    /// whole request has one.
    #[inline(always)]
    fn deadline_ms(&self, connection: &Connection) -> u64 {
        match connection.stage {
            Stage::Filling => connection.session.request_deadline_ms(&self.cx),
            _ => connection.session.deadline_ms(&self.cx),
        }
    }

    /// Before a connection's step: sets the client's address for the log.
    #[inline(always)]
    fn enter(&mut self, peers: &[Option<Peer>], token: Token) {
        if self.cx.log.is_on() {
            self.cx.peer = peers.get(token.slot() as usize).copied().flatten();
        }
    }
}

impl<A: App> Handler for Driver<A> {
    #[inline]
    fn ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        self.engine.cx.clock.update(ev.now_ms());
        let slot = token.slot() as usize;
        let Some(Some(connection)) = self.connections.get_mut(slot) else {
            return self.accept_ready(ev, token);
        };
        self.engine.enter(&self.peers, token);
        connection.on_event(readiness);
        let phase = connection.session.phase();
        if readiness.is_error() && !matches!(phase, Phase::Idle | Phase::Head) {
            self.engine.cx.counters.connections_reset.add(1);
            return self.close(ev, token);
        }
        // Fast path, a request on an idle connection: everything up to the send is one function,
        // which saves a hundred instructions.
        let step = match phase == Phase::Idle && connection.input.is_none() {
            true => self.engine.read(connection),
            false => Step::Again,
        };
        match step {
            Step::Blocked => self.stay(ev, token),
            step => self.run(ev, token, step),
        }
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        self.engine.cx.clock.update(ev.now_ms());
        let slot = token.slot() as usize;
        if token == self.housekeeping {
            self.keep_house(ev);
        } else if self.connections.get(slot).is_some_and(Option::is_some) {
            self.expired(ev, token);
        } else if self.engine.offload.as_ref().is_some_and(|offload| offload.watch == token) {
            self.watch_jobs(ev);
        } else {
            self.resume_accepting(ev);
        }
    }

    fn signal(&mut self, ev: &mut EventLoop, signal: Signal) {
        self.engine.cx.clock.update(ev.now_ms());
        match signal {
            Signal::TERM | Signal::INT => self.drain(ev, Ending::Stop),
            Signal::QUIT => self.drain(ev, Ending::Quit),
            Signal::HUP | Signal::USR1 => {
                self.engine.cx.app.reload();
                if let Err(error) = self.engine.cx.log.reopen() {
                    report!("the access log could not be reopened: {error}");
                }
            }
            _ => {}
        }
    }

    fn has_work(&self) -> bool {
        self.engine.has_results()
    }

    fn woken(&mut self, ev: &mut EventLoop) {
        self.engine.cx.clock.update(ev.now_ms());
        self.exchange_jobs(ev);
    }

    #[inline]
    fn turn_ended(&mut self, ev: &mut EventLoop) {
        if self.engine.cx.log.is_on() {
            self.log_turn_ended(ev);
        }
        if self.engine.buffers.are_waited_for() {
            self.resume_waiting(ev);
        }
        if self.engine.offload.is_some() {
            self.jobs_submitted(ev);
        }
        self.count_turn(ev);
    }
}
