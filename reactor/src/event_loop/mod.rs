//! The reactor pattern: wait for events, call the handler of each source, repeat.
//!
//! ```text
//!           ┌──────────────────────────── one turn ───────────────────────────┐
//!           │ wait ─► clock ─► events ─► ready list ─► timers ─► woken,       │
//!           │  ▲                                                 signals  ─►  │ turn_ended
//!           └──│──────────────────────────────────────────────────────────────┘
//!              └ not at all, if the ready list is not empty; else until the next deadline
//! ```
//!
//! The loop knows *sources*: a slot with a generation (the [`Token`]), perhaps watched by the
//! [`Poller`], perhaps with a deadline, perhaps on the ready list. It owns no descriptor, and it
//! does not know what a source is: a [`Handler`] keeps that in its own tables, indexed by
//! [`Token::slot`].
//!
//! * [`reserve`](EventLoop::reserve) creates a source without a system call. A connection that is
//!   answered at once and closed is never registered with the kernel at all.
//! * An event reaches only the source it was meant for. When a handler closes another source whose
//!   event is still in the batch, and slot and descriptor number are reused at once, the old event
//!   carries the old generation and is dropped (counted in [`LoopStats::stale_events`]).
//! * A handler that has used up its budget calls [`defer`](EventLoop::defer) and is called again
//!   next turn. With edge triggering the kernel would not repeat the event. All other sources run
//!   first: what is deferred during a turn is not served in it.
//! * One deadline per source; moving it later costs a compare and a store.
//! * The clock is read after waiting, and before a wait that a timer bounds. In between,
//!   [`EventLoop::now_ms`] lags behind by the time the handlers of this turn have taken; after long
//!   work call [`EventLoop::refresh_clock`].
//! * A handler's panic leaves through `turn`. If the caller catches it, nothing else is lost: the
//!   next turn, which does not wait, makes the calls that this one has not.
//!
//! Not guaranteed: that a readiness is true (it is a hint: the read may return `WouldBlock`), that
//! events come in any order, or that a deadline is met to the millisecond: it is never early, and
//! late by the length of a turn at most.
//!
//! Per source the loop itself keeps 44 bytes. Nothing is allocated after [`EventLoop::new`].

mod clock;
mod delegate;
mod relative;
mod reservation;
mod source;
#[cfg(test)]
mod tests;
mod turn;

use crate::poller::{Events, Interest, Poller, Readiness, Trigger};
use crate::signal::{Signal, Signals};
use crate::sleep::Doorbell;
use crate::token::Token;
use crate::waker::Waker;
use clock::Clock;
use source::Sources;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

pub use reservation::Reservation;

/// The token of the loop's waker. No source has it: slots are counted from 0 and stay below.
const WAKER: Token = Token::new(u32::MAX, 0);
/// The token of the loop's signals.
const SIGNALS: Token = Token::new(u32::MAX - 1, 0);
/// The slots above are the loop's own.
const SOURCES_LIMIT: u32 = u32::MAX - 1;

/// What a loop is made for.
#[derive(Copy, Clone, Debug)]
pub struct Config {
    /// How many sources there can be at a time, at most 4,294,967,294. Costs address space, and
    /// memory as they are used.
    pub sources_max: u32,
    /// How many events one wait fetches, 1 to 65,536. The rest come with the next turn, so this bounds how long
    /// timers and the ready list wait; and 12 bytes each stay in the cache.
    pub events_per_turn: u32,
}

impl Config {
    /// For this many sources, and 256 events a turn.
    pub const fn with_sources(sources_max: u32) -> Self {
        Config { sources_max, events_per_turn: 256 }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config::with_sources(16 * 1024)
    }
}

/// The callbacks through which the loop reports what happens.
///
/// Every method may reserve, watch, defer and release any source, its own included; none may call
/// [`EventLoop::turn`]. A call that panics has been made: it is not repeated, but for `woken`.
pub trait Handler {
    /// The source is ready, or was deferred with this readiness.
    fn ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness);

    /// The source's deadline has come. It has none now.
    fn timeout(&mut self, ev: &mut EventLoop, token: Token);

    /// A [`Waker`] of this loop was used, once or more often; or the handler [has
    /// work](Handler::has_work). May be spurious; and is called again after a panic of its own, as
    /// what it had not looked at by then is announced no more.
    fn woken(&mut self, _ev: &mut EventLoop) {}

    /// Whether other threads have left work, which `woken` then does: all of it, or the loop comes
    /// back to it in the next turn without waiting.
    ///
    /// Asked in every turn of a loop with a [`Doorbell`], before it waits and after the events.
    fn has_work(&self) -> bool {
        false
    }

    /// One of the signals given to [`EventLoop::handle_signals`] arrived.
    fn signal(&mut self, _ev: &mut EventLoop, _signal: Signal) {}

    /// The turn is over; the next thing is to wait. The place to flush batched work.
    fn turn_ended(&mut self, _ev: &mut EventLoop) {}
}

/// Counts since the start of the loop.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct LoopStats {
    /// Rounds of waiting and dispatching.
    pub turns: u64,
    /// Events of sources, the stale ones not counted.
    pub events: u64,
    /// Events fetched by the last wait.
    pub events_last_turn: u32,
    /// The most that one wait has fetched.
    pub events_turn_max: u32,
    /// Events that came too late: their source had been released.
    pub stale_events: u64,
    /// Deadlines that came.
    pub timeouts: u64,
    /// Calls from the ready list.
    pub deferred: u64,
    /// How often the loop was woken by a waker.
    pub wakeups: u64,
    /// Entries on the ready list at present.
    pub ready_len: usize,
    /// Sources at present.
    pub sources: usize,
}

/// Sources, the poller that watches them, the clock. Stays on one thread, as its signals do. (One
/// without signals may move between turns: so do the cores of a [`scheduler`](crate::scheduler).)
pub struct EventLoop {
    sources: Sources,
    clock: Clock,
    stats: LoopStats,
    events: Events,
    poller: Poller,
    waker: Option<Waker>,
    /// If there is one, other threads leave work in rings: see [`Handler::has_work`].
    doorbell: Option<Doorbell>,
    signals: Option<Signals>,
    /// The waker fired in this turn.
    woken: bool,
    /// The signals' descriptor was reported in this turn.
    signalled: bool,
    stopping: bool,
}

impl EventLoop {
    /// A loop without sources.
    ///
    /// # Errors
    ///
    /// The poller's, and `OutOfMemory` where there is not as much as `sources_max` would take.
    pub fn new(config: Config) -> io::Result<Self> {
        let sources_max = config.sources_max.min(SOURCES_LIMIT);
        Ok(EventLoop {
            sources: Sources::new(sources_max)?,
            clock: Clock::new(),
            stats: LoopStats::default(),
            events: Events::with_capacity(config.events_per_turn as usize),
            poller: Poller::new()?,
            waker: None,
            doorbell: None,
            signals: None,
            woken: false,
            signalled: false,
            stopping: false,
        })
    }

    /// Ends it in a forked child, as dropping it does: closes the descriptors that it shares with
    /// the parent, and restores the signal mask. Its memory is left alone: most of it is the
    /// parent's still, and freeing it would copy it first.
    pub fn abandon(self) {
        let EventLoop { sources, events, poller, waker, doorbell, signals, .. } = self;
        drop((signals, doorbell, waker, poller));
        std::mem::forget((sources, events));
    }

    // Sources

    /// A new source, which is not watched yet.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` when there are `sources_max` of them.
    pub fn reserve(&mut self) -> io::Result<Token> {
        let full =
            || io::Error::new(io::ErrorKind::OutOfMemory, "no source left in the event loop");
        self.sources.reserve().ok_or_else(full)
    }

    /// Asks the kernel to report when `fd` is ready. Until it is [unwatched](EventLoop::unwatch) or
    /// closed, events for it come as `token`'s.
    ///
    /// The kernel's list is by descriptor: a source may have several, which all report to it, and
    /// the loop does not know which they are.
    ///
    /// # Errors
    ///
    /// `NotFound` if the token's source was released; otherwise what [`Poller::add`] says.
    pub fn watch(
        &mut self,
        token: Token,
        fd: impl AsFd,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<()> {
        self.must_exist(token)?;
        self.poller.add(fd, token, interest, trigger)
    }

    /// Changes what is reported for a descriptor that is watched, and to which source.
    ///
    /// # Errors
    ///
    /// As for [`EventLoop::watch`].
    pub fn rewatch(
        &mut self,
        token: Token,
        fd: impl AsFd,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<()> {
        self.must_exist(token)?;
        self.poller.modify(fd, token, interest, trigger)
    }

    /// Stops the reports for `fd`; the source remains, with its deadline. An event of the current
    /// batch may still come.
    pub fn unwatch(&mut self, token: Token, fd: impl AsFd) -> io::Result<()> {
        self.must_exist(token)?;
        self.poller.delete(fd)
    }

    /// Releases the source: no event, no timeout and no deferred call comes for `token` any more. A
    /// token that is dead already is ignored.
    ///
    /// No system call is made: its descriptor is about to be closed, and a closed descriptor is no
    /// longer watched. That does not hold if the descriptor is open elsewhere (a duplicate, a
    /// forked child): then [unwatch](EventLoop::unwatch) it first.
    pub fn release(&mut self, token: Token) {
        self.sources.release(token);
    }

    /// Whether the token's source is there: it has not been released.
    #[inline]
    pub fn contains(&self, token: Token) -> bool {
        self.sources.contains(token)
    }

    /// The token of the source in a slot, if there is one.
    pub fn token_at(&self, slot: u32) -> Option<Token> {
        self.sources.token_at(slot)
    }

    /// How many sources there are.
    pub fn sources(&self) -> usize {
        self.sources.len()
    }

    fn must_exist(&self, token: Token) -> io::Result<()> {
        match self.sources.contains(token) {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::NotFound, "the source was released")),
        }
    }

    // Deadlines and deferred calls

    /// The handler's `timeout` is called once [`EventLoop::now_ms`] has reached `deadline_ms`. A
    /// source has one deadline; this replaces it.
    ///
    /// None is too far away: what is beyond the machine's life does not come. `u64::MAX` is none at
    /// all, as [cleared](EventLoop::clear_deadline): so a sum that may not fit is to saturate
    /// (`saturating_add`), since one that wraps around is in the past, and due at once.
    ///
    /// Moving it later costs a compare and a store. Moving it earlier than its timer is armed for
    /// costs a change of the timing wheel: a few nanoseconds more, but no system call either.
    #[inline]
    pub fn set_deadline(&mut self, token: Token, deadline_ms: u64) {
        self.sources.set_deadline(token, deadline_ms);
    }

    /// Clears the source's deadline.
    #[inline]
    pub fn clear_deadline(&mut self, token: Token) {
        self.sources.clear_deadline(token);
    }

    /// The source's deadline, if it has one.
    pub fn deadline(&self, token: Token) -> Option<u64> {
        self.sources.deadline(token)
    }

    /// Has the source called again in the next turn, with this readiness (or more, if an event for
    /// it comes as well: both are reported in one call). The loop does not wait before that.
    pub fn defer(&mut self, token: Token, readiness: Readiness) {
        self.sources.defer(token, readiness);
    }

    // The clock

    /// The time at which the last wait ended.
    #[inline]
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The same in milliseconds since the loop was created: the clock of deadlines.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// When the next deadline comes, or a little before: for one who waits for the loop's poller and
    /// something else, and then takes a [`turn`](EventLoop::turn). To be reckoned from a clock that
    /// was [read](EventLoop::refresh_clock) just before.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        if self.has_calls_left() {
            return Some(self.clock.now_ms());
        }
        self.sources.next_timer()
    }

    /// Reads the clock, for a handler that has been running for long.
    pub fn refresh_clock(&mut self) {
        self.clock.read();
    }

    // Wakers, signals, the poller

    /// A handle by which other threads make the loop call [`Handler::woken`].
    pub fn waker(&mut self) -> io::Result<Waker> {
        if let Some(waker) = &self.waker {
            return Ok(waker.clone());
        }
        let waker = Waker::new(&self.poller, WAKER)?;
        Ok(self.waker.insert(waker).clone())
    }

    /// A handle by which other threads tell the loop, cheaply, that its handler [has
    /// work](Handler::has_work).
    pub fn doorbell(&mut self) -> io::Result<Doorbell> {
        if let Some(doorbell) = &self.doorbell {
            return Ok(doorbell.clone());
        }
        let doorbell = Doorbell::new(self.waker()?);
        Ok(self.doorbell.insert(doorbell).clone())
    }

    /// From now on these signals come as calls of [`Handler::signal`], until the loop is dropped.
    /// See [`Signals::new`] for what this does to the signal mask of the calling thread.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` on a second call: between two sets there would be a moment at which signals
    /// are delivered.
    pub fn handle_signals(&mut self, signals: &[Signal]) -> io::Result<()> {
        if self.signals.is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let signals = Signals::new(signals)?;
        signals.register(&self.poller, SIGNALS)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// The poller below, to be watched by another one, or for sources with tokens of the caller's
    /// own (whose events are counted as stale: the loop does not know them).
    pub fn poller(&self) -> &Poller {
        &self.poller
    }

    /// The loop's counters.
    pub fn stats(&self) -> LoopStats {
        LoopStats { ready_len: self.sources.ready_len(), sources: self.sources.len(), ..self.stats }
    }

    // Running

    /// Takes turns until [`EventLoop::stop`] is called, or waiting fails.
    pub fn run(&mut self, handler: &mut impl Handler) -> io::Result<()> {
        while !self.stopping {
            self.turn(handler, None)?;
        }
        self.stopping = false;
        Ok(())
    }

    /// [`EventLoop::run`] returns when the current turn is over.
    pub fn stop(&mut self) {
        self.stopping = true;
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
