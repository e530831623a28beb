//! The event-driven driver: many connections, one loop, a state machine for each.
//!
//! ```text
//!            readiness                     whole request
//!  poller ─────────────► input::read ───► serve::serve ───► App::handle
//!                             ▲                                 │
//!                             │            response             ▼
//!  kernel ◄────────────── output::send_all ◄──────── out buffer + pieces
//! ```
//!
//! One `recv` into a buffer that all connections of the loop share, all requests in it answered,
//! one `send` of all their answers. What is left over (an unfinished head, an unsent answer) moves
//! into a buffer of its own; an idle connection owns none.
//!
//! A [`Driver`] is the table of connections, the listeners, and an `Engine`: everything that
//! serving one connection needs. Engine methods take the connection they are about.
//!
//! Files: `accept` (Task 1), `preface` (whom a balancer speaks for), `input`, `output` and `send`
//! (Task 2), `serve` and `body` (between Task 2 and Task 3), `workplace`, `offload` and `results`
//! (Task 3 elsewhere), `cold` (files that are not in memory), `deadline` (what may take how long),
//! `dry` (when the buffers are all in use), `setup` (what is set aside at the start), `closing` (how
//! a connection ends), `drain` (how a server does).

mod accept;
mod body;
mod closing;
mod cold;
mod connection;
mod deadline;
mod drain;
mod dry;
mod input;
mod offload;
mod output;
mod preface;
mod results;
mod send;
mod serve;
mod setup;
pub mod workplace;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use reactor::event_loop::LoopStats;
use reactor::net::Peer;
use reactor::{Buffer, BufferPool, EventLoop, Handler, Readiness, Signal, Token};
use slab::Slab;

use crate::access_log::AccessLog;
use crate::app::App;
use crate::app::clock::Clock;
use crate::app::response::Pieces;
use crate::metrics::{Counters, Metrics};
use crate::operation::listen::Listening;
use crate::operation::proxy_protocol::Trusted;
use crate::options::Options;

use accept::Acceptor;
use connection::{Connection, Exchange, Phase, flag};
use deadline::TimeoutsMs;
use drain::Drain;
pub use drain::Ending;
pub use offload::Placement;
use offload::{Desk, Handover};
use output::FileSending;
use setup::pool_classes;

/// Bytes of a small buffer: most unfinished heads fit.
const SMALL_BYTES: usize = 512;
/// Room that the output buffer has, beyond the longest target, before a response is begun: status
/// line, fields, and the target once more as a `Location`.
const HEAD_ROOM: usize = 4 * 1024;
/// Large buffers that one read can leave behind in use: an unfinished input and an unsent output.
const BUFFERS_A_READ: usize = 2;
/// Reads or writes of one connection before others get their turn.
const ROUNDS_PER_TURN: u32 = 16;

/// Indices of the pool's classes.
mod class {
    pub const SMALL: usize = 0;
    pub const LARGE: usize = 1;
}

/// What becomes of a connection after a step.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Step {
    /// There may be more to do at once.
    Again,
    /// Nothing until the next event or deadline.
    Blocked,
    /// It has ended.
    Close,
}

/// The driver: the [`Handler`] of an [`EventLoop`].
pub struct Driver<A: App> {
    /// By the token's slot; the loop checks generations before it calls.
    connections: Vec<Option<Connection>>,
    acceptors: Vec<Acceptor>,
    /// Housekeeping without a descriptor: its deadline is the loop's.
    chores: Token,
    drain: Option<Drain>,
    /// The slot at which the next search for slow heads begins.
    hand: usize,
    drain_ms: u64,
    connections_max: u32,
    /// `SO_LINGER` for accepted connections, when the operator asks for it.
    linger: Option<Duration>,
    /// With `--proxy-protocol`: whose connections begin with a header; others are refused.
    trusted: Option<Box<Trusted>>,
    /// Where all connections' input is received.
    scratch: Buffer,
    engine: Engine<A>,
}

/// What serving a connection needs besides the connection.
struct Engine<A: App> {
    app: Arc<A>,
    local: A::Local,
    head: http::Head,
    limits: http::Limits,
    clock: Clock,
    tally: Counters,
    log: AccessLog,
    /// Where a connection comes from, by slot; kept only when the log is on.
    peers: Vec<Option<Peer>>,
    /// Where responses are composed. Empty between turns.
    out: Buffer,
    /// What of the last response is not in `out`. None between turns.
    pieces: Pieces,
    exchanges: Slab<Exchange>,
    /// The workplace, where a model has one; else work is done inline.
    desk: Option<Box<Desk>>,
    /// Every request is for the workplace.
    offloads_all: bool,
    /// The request that [`Engine::serve`] was interrupted for.
    handover: Option<Handover>,
    pool: BufferPool,
    /// The pool holds enough for whatever one read or write can leave behind. Checked anew whenever
    /// a buffer was taken.
    stocked: bool,
    starved: VecDeque<Token>,
    /// Those of them that need one buffer only, and perhaps hold another that others wait for.
    starved_few: VecDeque<Token>,
    times: TimeoutsMs,
    /// Room in `out` before a response is begun, in bytes.
    response_room: usize,
    requests_max: u32,
    body_memory_max: usize,
    body_bytes_held: usize,
    files: FileSending,
    draining: bool,
    last_arrival_ms: u64,
    /// What the slot of counters had from earlier loops, of processes that have ended.
    before: LoopStats,
}

impl<A: App> Driver<A> {
    /// Puts a driver on a loop: registers the listeners, allocates all tables.
    ///
    /// `slot` is the loop's number: its counters, and the application's local part.
    ///
    /// # Errors
    /// The buffer pool's mapping, or the registration of a listener.
    pub fn new(
        ev: &mut EventLoop,
        app: Arc<A>,
        options: &Options,
        listeners: Vec<Listening>,
        census: &Metrics,
        slot: usize,
    ) -> io::Result<Self> {
        Driver::with_workplace(ev, app, options, listeners, census, slot, None)
    }

    /// The same with a place where work runs, instead of inline.
    ///
    /// # Errors
    /// The buffer pool's mapping, or the registration of a listener.
    pub fn with_workplace(
        ev: &mut EventLoop,
        app: Arc<A>,
        options: &Options,
        listeners: Vec<Listening>,
        census: &Metrics,
        slot: usize,
        placement: Option<Placement>,
    ) -> io::Result<Self> {
        let jobs_max = placement.as_ref().map_or(0, |placement| placement.jobs_max);
        let pool = BufferPool::new(&pool_classes(options, jobs_max))?;
        let scratch = pool.take(class::LARGE).ok_or_else(|| missing("buffer"))?;
        let connections_max = options.limits.connections;
        let mut driver = Driver {
            connections: Vec::with_capacity(connections_max as usize),
            acceptors: Vec::new(),
            chores: ev.reserve().ok_or_else(|| missing("source"))?,
            drain: None,
            hand: 0,
            drain_ms: options.drain_timeout.as_millis() as u64,
            connections_max,
            linger: options.tcp.linger,
            trusted: preface::trusted(options),
            scratch,
            engine: Engine::new(ev, app, options, census, slot, pool)?,
        };
        if let Some(placement) = placement {
            let watch = ev.reserve().ok_or_else(|| missing("source"))?;
            driver.engine.furnish(placement, watch)?;
        }
        for listening in listeners {
            driver.acceptors.push(Acceptor::register(ev, listening)?);
        }
        Ok(driver)
    }

    #[inline]
    fn connection(&mut self, token: Token) -> Option<&mut Connection> {
        self.connections.get_mut(token.slot() as usize)?.as_mut()
    }

    /// Goes on with a connection until it blocks, ends or has had its turn.
    #[inline]
    fn progress(&mut self, ev: &mut EventLoop, token: Token) {
        let slot = token.slot() as usize;
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        if !self.engine.progress(ev, connection, &mut self.scratch) {
            self.close(ev, token);
        }
    }

    fn log_turn_ended(&mut self, ev: &mut EventLoop) {
        let now_ms = ev.now_ms();
        let log = &mut self.engine.log;
        log.turn_ended(now_ms);
        let next = log.next_flush_ms();
        self.engine.tally.log_lines_dropped.add(log.take_dropped());
        if let Some(at) = next
            && self.drain.is_none()
        {
            ev.set_deadline(self.chores, at.max(now_ms + 1));
        }
    }
}

fn missing(what: &str) -> io::Error {
    io::Error::other(format!("no {what} left in the event loop"))
}

impl<A: App> Engine<A> {
    /// Goes on with a connection until it blocks or has had its turn; `false` when it has ended.
    #[inline(never)]
    fn progress(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        scratch: &mut Buffer,
    ) -> bool {
        for _ in 0..ROUNDS_PER_TURN {
            let step = match connection.phase {
                Phase::Head | Phase::Body => self.read(ev, connection, scratch),
                Phase::Preface => self.read_preface(ev, connection, scratch),
                Phase::Send => self.send_rest(ev, connection),
                Phase::Wait | Phase::Queue | Phase::Work | Phase::Fill => Step::Blocked,
                Phase::Linger => self.linger(connection, scratch),
            };
            match step {
                Step::Again => {}
                Step::Blocked => return self.settle(ev, connection),
                Step::Close => return false,
            }
        }
        ev.defer(connection.token, Readiness::default());
        self.settle(ev, connection)
    }

    /// A connection that stays: watched from now on, with the deadline that its phase has.
    #[inline]
    fn settle(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> bool {
        if !connection.is(flag::WATCHED) && !connection.watch(ev) {
            return false;
        }
        self.arm(ev, connection);
        true
    }

    /// Enough buffers for what one read can leave behind, an unfinished input and an unsent output,
    /// and one more for [`Engine::may_go_on`]. So whoever passes here cannot run dry later.
    #[inline]
    fn has_buffers(&mut self) -> bool {
        self.stocked || self.take_stock()
    }

    #[cold]
    fn take_stock(&mut self) -> bool {
        self.stocked = self.pool.available(class::LARGE) > BUFFERS_A_READ;
        self.stocked
    }

    /// Whether a connection that has a large buffer already may go on although the pool is all but
    /// dry. It adds an output at most, and gives its input back. Were it to wait for others, and
    /// they for it, nobody would ever go on.
    #[cold]
    fn may_go_on(&self, connection: &Connection) -> bool {
        connection.holds_large_input() && self.pool.available(class::LARGE) > 0
    }

    /// Takes a buffer from the pool, on the strength of [`Engine::has_buffers`].
    fn take_buffer(&mut self, class: usize) -> Option<Buffer> {
        self.stocked = false;
        self.pool.take(class)
    }

    #[inline]
    fn count_turn(&mut self, ev: &EventLoop) {
        let (stats, before) = (ev.stats(), &self.before);
        let tally = &self.tally;
        tally.loop_turns.set(before.turns + stats.turns);
        tally.loop_events.set(before.events + stats.events);
        tally.loop_events_turn_max.raise_to(u64::from(stats.events_turn_max));
        tally.loop_events_stale.set(before.stale_events + stats.stale_events);
        tally.loop_timers.set(before.timeouts + stats.timeouts);
        tally.buffers_small_used.set(self.pool.in_use(class::SMALL) as u64);
        let of_jobs = self.desk.as_ref().map_or(0, |desk| desk.buffers());
        tally.buffers_large_used.set((self.pool.in_use(class::LARGE) - of_jobs) as u64);
        tally.body_bytes_held.set(self.body_bytes_held as u64);
    }
}

impl<A: App> Handler for Driver<A> {
    #[inline]
    fn ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        self.engine.clock.update(ev.now_ms());
        let slot = token.slot() as usize;
        let Some(Some(connection)) = self.connections.get_mut(slot) else {
            return self.accept_ready(ev, token);
        };
        connection.note(readiness);
        if readiness.is_error() && connection.phase != Phase::Head {
            self.engine.tally.connections_reset.add(1);
            return self.close(ev, token);
        }
        // The usual event, a request on an idle connection, is served right here: all of its way,
        // to the send, is one function, which saves a hundred instructions.
        let idle = connection.phase == Phase::Head && connection.input.is_none();
        let step = match idle {
            true => self.engine.read(ev, connection, &mut self.scratch),
            false => Step::Again,
        };
        let stays = match step {
            Step::Blocked => self.engine.settle(ev, connection),
            Step::Again => self.engine.progress(ev, connection, &mut self.scratch),
            Step::Close => false,
        };
        if !stays {
            self.close(ev, token);
        }
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        self.engine.clock.update(ev.now_ms());
        let slot = token.slot() as usize;
        if token == self.chores {
            self.do_chores(ev);
        } else if let Some(Some(connection)) = self.connections.get_mut(slot) {
            if self.engine.expired(ev, connection) {
                self.progress(ev, token);
            } else {
                self.close(ev, token);
            }
        } else if self.engine.desk.as_ref().is_some_and(|desk| desk.watch == token) {
            self.watch_jobs(ev);
        } else {
            self.resume_accepting(ev);
        }
    }

    fn signal(&mut self, ev: &mut EventLoop, signal: Signal) {
        self.engine.clock.update(ev.now_ms());
        match signal {
            Signal::TERM | Signal::INT => self.drain(ev, Ending::Stop),
            Signal::QUIT => self.drain(ev, Ending::Quit),
            Signal::HUP | Signal::USR1 => {
                if let Err(error) = self.engine.log.reopen() {
                    eprintln!("stampede: the access log could not be reopened: {error}");
                }
            }
            _ => {}
        }
    }

    fn has_work(&self) -> bool {
        self.engine.has_results()
    }

    fn woken(&mut self, ev: &mut EventLoop) {
        self.engine.clock.update(ev.now_ms());
        self.exchange_jobs(ev);
    }

    #[inline]
    fn turn_ended(&mut self, ev: &mut EventLoop) {
        if self.engine.log.is_on() {
            self.log_turn_ended(ev);
        }
        if !self.engine.starved.is_empty() || !self.engine.starved_few.is_empty() {
            self.feed_starved(ev);
        }
        if self.engine.desk.is_some() {
            self.jobs_submitted(ev);
        }
        self.engine.count_turn(ev);
    }
}
