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
//! One `recv` into a buffer that all connections of the loop share, all requests in it answered, one
//! `send` of all their answers. What is left over (an unfinished head, an unsent answer) moves into a
//! buffer of its own; an idle connection owns none.
//!
//! Files: `accept` (Task 1), `input` and `output` (Task 2), `serve` and `body` (between Task 2 and
//! Task 3), `deadline` (what may take how long), `closing` (how a connection and a server end).

mod accept;
mod body;
mod closing;
mod connection;
mod deadline;
mod input;
mod output;
mod send;
mod serve;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use reactor::buffer::Class;
use reactor::{Buffer, BufferPool, EventLoop, Handler, Readiness, Signal, Token};
use slab::Slab;

use crate::access_log::AccessLog;
use crate::app::App;
use crate::clock::Clock;
use crate::counters::{Census, Tally};
use crate::listen::Listening;
use crate::options::{Limits, Options};
use crate::response::Pieces;

use accept::Acceptor;
use closing::Drain;
use connection::{Connection, Exchange, flag};

/// Bytes of a small buffer: most unfinished heads fit.
const SMALL_BYTES: usize = 512;
/// Room that the output buffer has, beyond the longest target, before a response is begun: status
/// line, fields, and the target once more as a `Location`.
pub(crate) const HEAD_ROOM: usize = 4 * 1024;
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

/// What serving a request needs, apart from the connection itself.
struct Service<A: App> {
    app: Arc<A>,
    local: A::Local,
    head: http::Head,
    clock: Clock,
    limits: http::Limits,
    log: AccessLog,
    /// Where all connections' input is received, and their output composed. `None` only while the
    /// pool is dry.
    scratch: Option<Buffer>,
    out: Option<Buffer>,
    pieces: Pieces,
    /// Room in `out` before a response is begun, in bytes.
    response_room: usize,
    requests_max: u32,
    draining: bool,
}

/// The driver: the [`Handler`] of an [`EventLoop`].
pub struct Driver<A: App> {
    service: Service<A>,
    /// By the token's slot; the loop checks generations before it calls.
    connections: Vec<Option<Connection>>,
    /// By slot, when the log is on: where a connection comes from.
    peers: Vec<connection::From>,
    exchanges: Slab<Exchange>,
    acceptors: Vec<Acceptor>,
    pool: BufferPool,
    starved: VecDeque<Token>,
    /// Housekeeping without a descriptor: its deadline is the loop's.
    chores: Token,
    drain: Option<Drain>,
    last_arrival_ms: u64,
    tally: Tally,
    timeouts: deadline::TimeoutsMs,
    caps: Limits,
    use_sendfile: bool,
    /// `SO_LINGER` for accepted connections, when the operator asks for it.
    linger: Option<Duration>,
    drain_ms: u64,
    body_bytes_held: usize,
}

impl<A: App> Driver<A> {
    /// Puts a driver on a loop: registers the listeners, allocates all tables.
    ///
    /// `slot` is the loop's number: its counters, and the application's local part.
    ///
    /// # Errors
    /// The buffer pool's mapping, or the registration of a listener.
    pub fn new(
        event_loop: &mut EventLoop,
        app: Arc<A>,
        options: &Options,
        listeners: Vec<Listening>,
        census: &Census,
        slot: usize,
    ) -> io::Result<Self> {
        let limits = http_limits(&options.limits)?;
        let connections_max = options.limits.connections as usize;
        let pool = BufferPool::new(&pool_classes(options))?;
        let out_of_slots = || io::Error::other("no slot left in the event loop");
        let chores = event_loop.reserve().ok_or_else(out_of_slots)?;
        let log = AccessLog::open(&options.log)?;
        let tally = Tally::new(census, slot)
            .ok_or_else(|| io::Error::other("the census has no slot for this loop"))?;
        let service = Service {
            local: app.local(slot),
            app,
            head: http::Head::new(&limits),
            clock: Clock::new(event_loop.now_ms()),
            limits,
            log,
            scratch: None,
            out: None,
            pieces: Pieces::new(),
            response_room: options.limits.target + HEAD_ROOM,
            requests_max: options.limits.requests,
            draining: false,
        };
        let mut driver = Driver {
            service,
            connections: Vec::with_capacity(connections_max),
            peers: Vec::new(),
            exchanges: Slab::with_capacity(connections_max),
            acceptors: Vec::new(),
            pool,
            starved: VecDeque::new(),
            chores,
            drain: None,
            last_arrival_ms: 0,
            tally,
            timeouts: deadline::TimeoutsMs::new(&options.timeouts),
            caps: options.limits.clone(),
            use_sendfile: options.sendfile,
            linger: options.tcp.linger,
            drain_ms: options.drain_timeout.as_millis() as u64,
            body_bytes_held: 0,
        };
        for listener in listeners {
            let acceptor = Acceptor::register(event_loop, listener)?;
            driver.acceptors.push(acceptor);
        }
        Ok(driver)
    }

    /// Both buffers of the loop are there, and enough in the pool for what one read can leave behind:
    /// an unfinished input and an unsent output. So whoever passes here cannot run dry later.
    #[inline]
    fn has_buffers(&mut self) -> bool {
        if self.service.scratch.is_none() {
            self.service.scratch = self.pool.take(class::LARGE);
        }
        if self.service.out.is_none() {
            self.service.out = self.pool.take(class::LARGE);
        }
        self.service.scratch.is_some()
            && self.service.out.is_some()
            && self.pool.available(class::LARGE) >= 2
    }

    /// Puts a connection on the list of those that wait for a buffer.
    #[cold]
    fn starve(&mut self, token: Token) {
        let Some(connection) = self.connection(token) else { return };
        if !connection.is(flag::STARVED) {
            connection.set(flag::STARVED);
            self.starved.push_back(token);
            self.tally.buffers_starved.add(1);
        }
    }

    /// Lets those go on for whom there are buffers again.
    #[cold]
    fn feed_starved(&mut self, ev: &mut EventLoop) {
        let mut portions = self.pool.available(class::LARGE) / 2;
        while portions > 0 && self.has_buffers() {
            let Some(token) = self.starved.pop_front() else { return };
            if let Some(connection) = self.connection(token) {
                connection.unset(flag::STARVED);
                ev.defer(token, Readiness::default());
                portions -= 1;
            }
        }
    }

    #[inline]
    fn connection(&mut self, token: Token) -> Option<&mut Connection> {
        self.connections.get_mut(token.slot() as usize)?.as_mut()
    }

    /// Goes on with a connection until it blocks, ends or has had its turn.
    fn progress(&mut self, ev: &mut EventLoop, token: Token) {
        for _ in 0..ROUNDS_PER_TURN {
            let Some(connection) = self.connection(token) else { return };
            let step = match connection.phase {
                connection::Phase::Head | connection::Phase::Body => self.read(ev, token),
                connection::Phase::Send => self.send_rest(ev, token),
                connection::Phase::Wait => self.waiting(token),
                connection::Phase::Linger => self.linger(token),
            };
            match step {
                Step::Again => {}
                Step::Blocked => return self.settle(ev, token),
                Step::Close => return self.close(ev, token),
            }
        }
        ev.defer(token, Readiness::default());
        self.settle(ev, token);
    }

    /// A connection that stays: watched from now on, with the deadline that its phase has.
    #[inline]
    fn settle(&mut self, ev: &mut EventLoop, token: Token) {
        let Some(connection) = self.connection(token) else { return };
        if !connection.is(flag::WATCHED) && !self.watch(ev, token) {
            return self.close(ev, token);
        }
        self.arm(ev, token);
    }
}

/// The parser's limits.
fn http_limits(limits: &Limits) -> io::Result<http::Limits> {
    http::Limits::new(limits.head, limits.fields, limits.target, limits.body)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// The pool's capacity, by who holds what.
fn pool_classes(options: &Options) -> [Class; 2] {
    [
        // Every connection may be in the middle of a head.
        Class { size: SMALL_BYTES, count: options.limits.connections as usize },
        // Unfinished inputs beyond a small buffer and unsent outputs, as many as the operator grants;
        // the loop's two own; two in reserve, so that what a read leaves behind always finds a place.
        Class { size: options.buffers.size, count: options.buffers.count + 4 },
    ]
}

impl<A: App> Handler for Driver<A> {
    #[inline]
    fn ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        self.service.clock.update(ev.now_ms());
        let Some(connection) = self.connection(token) else {
            return self.accept_ready(ev, token);
        };
        if readiness.is_readable() || readiness.is_read_closed() || readiness.is_error() {
            connection.set(flag::READABLE);
            if readiness.is_read_closed() || readiness.is_error() {
                connection.set(flag::PEER_FIN);
            }
        }
        if readiness.is_error() && connection.phase != connection::Phase::Head {
            return self.reset_by_peer(ev, token);
        }
        self.progress(ev, token);
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        self.service.clock.update(ev.now_ms());
        if token == self.chores {
            self.do_chores(ev);
        } else if self.connection(token).is_some() {
            self.expired(ev, token);
        } else {
            self.resume_accepting(ev);
        }
    }

    fn signal(&mut self, ev: &mut EventLoop, signal: Signal) {
        self.service.clock.update(ev.now_ms());
        match signal {
            Signal::TERM | Signal::INT => self.begin_drain(ev),
            Signal::HUP => {
                if let Err(error) = self.service.log.reopen() {
                    eprintln!("stampede: the access log could not be reopened: {error}");
                }
            }
            _ => {}
        }
    }

    fn turn_ended(&mut self, ev: &mut EventLoop) {
        if !self.starved.is_empty() {
            self.feed_starved(ev);
        }
        if self.service.log.is_on() {
            self.log_turn_ended(ev);
        }
        self.count_turn(ev);
    }
}

impl<A: App> Driver<A> {
    #[inline]
    fn count_turn(&mut self, ev: &EventLoop) {
        let stats = ev.stats();
        let counters = &self.tally;
        counters.loop_turns.set(stats.turns);
        counters.loop_events.set(stats.events);
        counters.loop_events_turn_max.set(u64::from(stats.events_turn_max));
        counters.loop_events_stale.set(stats.stale_events);
        counters.loop_timers.set(stats.timeouts);
        counters.buffers_small_used.set(self.pool.in_use(class::SMALL) as u64);
        counters.buffers_large_used.set(self.pool.in_use(class::LARGE) as u64);
        counters.body_bytes_held.set(self.body_bytes_held as u64);
    }

    fn log_turn_ended(&mut self, ev: &mut EventLoop) {
        let now_ms = ev.now_ms();
        self.service.log.turn_ended(now_ms);
        let dropped = self.service.log.take_dropped();
        self.tally.log_lines_dropped.add(dropped);
        if let Some(at) = self.service.log.next_flush_ms() {
            ev.set_deadline(self.chores, at.max(now_ms + 1));
        }
    }
}
