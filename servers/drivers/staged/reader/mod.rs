//! A reader: the stage that reads and parses, and where connections wait for their clients.
//!
//! ```text
//!  accepted ──► ┌ entry: the connection, or none ┐ ── a request ──► handle
//!  returned ──► │        while it is away; what   │ ── room ───────► write
//!  poller   ──► └        the poller has reported  ┘
//! ```
//!
//! It is an event loop, and its queue is the kernel's list of sockets that are ready. A connection
//! keeps its entry while it is away: the poller's edges are noted there, because no second one
//! would come. Nothing is registered or unregistered when it leaves or returns.
//!
//! A connection gets a job (two buffers) when it reads, and gives it back when it waits with
//! nothing but a few bytes of a head. When all jobs are in use, connections wait in line, and their
//! bytes in the kernel.
//!
//! Files: `entry` (a connection's place), `receive`, `expire` (deadlines), `close` (the lingering
//! close), `jobs` (the stock of them, and the line for one).

mod close;
mod entry;
mod expire;
mod jobs;
mod receive;

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use reactor::event_loop::Config;
use reactor::{Doorbell, EventLoop, Handler, Readiness, Token};

use super::connection::{Connection, Event, To};
use super::{System, Wakeups};
use crate::app::App;
use crate::app::response::Output;
use crate::drivers::main_loop::Accepted;
use crate::metrics::Counters;
use crate::options::Options;
use crate::report::report;
use crate::session::{NEVER, Next, Phase};

use entry::{Entry, Flags};
use jobs::Jobs;

/// Sources of a loop that are not connections.
const SOURCES_BESIDE_CONNECTIONS: u32 = 16;
/// Reads of one connection before the others get their turn.
const ROUNDS_PER_TURN: u32 = 16;
/// Events that are taken back in one turn before the poller is asked again.
const RETURNS_PER_TURN: usize = 256;

/// What a connection does after a step.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Step {
    /// There may be more to do right away.
    Again,
    /// Nothing until the next event or deadline.
    Blocked,
    /// It needs a job, and there is none.
    NoJob,
    /// It goes to a stage.
    Pass(To),
    /// It is over.
    Close,
}

/// A reader: the [`Handler`] of its loop.
pub(super) struct Reader<A: App> {
    system: Arc<System<A>>,
    index: usize,
    /// By the token's slot.
    entries: Vec<Entry>,
    jobs: Jobs,
    /// Where nothing is composed.
    blank: Output,
    /// Connections that wait for a job.
    waiting: VecDeque<Token>,
    /// A source without a descriptor: its deadline is when to look for slow heads again.
    scan_timer: Token,
    /// The entry at which the next search for them begins.
    scan_from: usize,
    wakeups: Wakeups,
    /// Connections that took a step in this turn.
    steps: usize,
    /// What the clock of deadlines is ahead of the loop's.
    ahead_ms: u64,
}

/// What a reader needs that may be refused, made on its thread.
pub(super) struct Equipment {
    ev: EventLoop,
    jobs: Jobs,
    blank: Output,
    scan_timer: Token,
}

impl Equipment {
    /// The loop, and how other threads ring it.
    ///
    /// # Errors
    /// The poller's and the mapping's.
    pub fn new(options: &Options, limits: http::Limits) -> io::Result<(Self, Doorbell)> {
        let sources_max = options.limits.connections + SOURCES_BESIDE_CONNECTIONS;
        let mut ev = EventLoop::new(Config { sources_max, ..Config::default() })?;
        let (doorbell, scan_timer) = (ev.doorbell()?, ev.reserve()?);
        let (jobs, blank) = Jobs::new(options, limits)?;
        Ok((Equipment { ev, jobs, blank, scan_timer }, doorbell))
    }
}

/// A reader's thread.
pub(super) fn run<A: App>(equipment: Equipment, system: Arc<System<A>>, index: usize) {
    let Equipment { mut ev, jobs, blank, scan_timer } = equipment;
    ev.refresh_clock();
    let ahead_ms = system.shared.contexts.now_ms().saturating_sub(ev.now_ms());
    let mut reader = Reader {
        system,
        index,
        entries: Vec::new(),
        jobs,
        blank,
        waiting: VecDeque::new(),
        scan_timer,
        scan_from: 0,
        wakeups: Wakeups::default(),
        steps: 0,
        ahead_ms,
    };
    if let Err(error) = ev.run(&mut reader) {
        report!("a reader cannot wait for its clients any more: {error}");
    }
}

impl<A: App> Reader<A> {
    /// A new connection: read at once, because its request is often there already.
    fn admit(&mut self, ev: &mut EventLoop, accepted: Accepted) {
        let Ok(token) = ev.reserve() else {
            let cx = self.system.shared.contexts.borrow(self.index);
            cx.counters.connections_refused.add(1);
            cx.counters.connections_open.sub(1);
            drop(cx);
            return accepted.end(&self.system.shared);
        };
        let slot = token.slot() as usize;
        if self.entries.len() <= slot {
            self.entries.resize_with(slot + 1, Entry::default);
        }
        let now_ms = self.system.shared.contexts.now_ms();
        let connection = Connection::new(accepted, self.index, token, now_ms);
        connection.rests(now_ms);
        self.entries[slot].begin();
        self.run(ev, Box::new(connection), Step::Again);
    }

    /// An event has returned.
    fn returned(&mut self, ev: &mut EventLoop, event: Event) {
        let Event { mut connection, job, next, lost } = event;
        connection.job = Some(job);
        let step = match next {
            Next::Reset => self.reset(&connection),
            _ if lost => Step::Close,
            _ if self.flags(&connection).is(Flags::FAILED) => self.failed(&connection),
            next => self.follow(&mut connection, next),
        };
        self.run(ev, connection, step);
    }

    /// Runs a connection from a step until it leaves, waits or ends.
    fn run(&mut self, ev: &mut EventLoop, mut connection: Box<Connection>, mut step: Step) {
        let mut rounds = 0;
        self.steps += 1;
        while step == Step::Again && rounds < ROUNDS_PER_TURN {
            rounds += 1;
            let taken = catch_unwind(AssertUnwindSafe(|| self.step(&mut connection)));
            step = taken.unwrap_or_else(|_| {
                let job = connection.job.as_ref();
                let head = job.map_or(&[][..], |job| job.input());
                self.system.report_panic(&connection, head, "closed its connection");
                Step::Close
            });
        }
        match step {
            Step::Pass(to) => return self.pass_on(connection, to),
            Step::Close => return self.close(ev, connection),
            Step::Again => ev.defer(connection.token, Readiness::default()),
            Step::NoJob => self.wait_for_job(&mut connection),
            Step::Blocked => {}
        }
        self.stay(ev, connection);
    }

    /// A connection's next step, unless it waits for something.
    fn step(&mut self, connection: &mut Box<Connection>) -> Step {
        match connection.session.phase() {
            _ if connection.expects_proxy_header => self.read_proxy_header(connection),
            Phase::Idle | Phase::Head | Phase::Body => self.read(connection),
            Phase::Send => self.send_rest(connection),
            Phase::Wait | Phase::Work => Step::Blocked,
            Phase::Linger => self.linger(connection),
        }
    }

    /// Does what the session asks for next, as far as that is done here.
    fn follow(&mut self, connection: &mut Box<Connection>, next: Next) -> Step {
        match next {
            Next::Read => Step::Again,
            Next::Write if connection.session.phase() == Phase::Send => Step::Again,
            Next::Write => Step::Pass(To::Write),
            Next::Sleep => Step::Blocked,
            Next::Work(request) => self.begin_request(connection, request),
            Next::Linger => self.finish(connection, true),
            Next::Close => self.finish(connection, false),
            Next::Reset => self.reset(connection),
        }
    }

    /// There may be room in the socket: the write stage goes on.
    fn send_rest(&mut self, connection: &mut Box<Connection>) -> Step {
        let flags = self.flags(connection);
        if !flags.is(Flags::ROOM) {
            return Step::Blocked;
        }
        if !self.ensure_job(connection) {
            return Step::NoJob;
        }
        self.flags(connection).unset(Flags::ROOM);
        Step::Pass(To::Write)
    }

    fn pass_on(&mut self, mut connection: Box<Connection>, to: To) {
        let Some(job) = connection.job.take() else {
            debug_assert!(false, "an event without a job");
            return self.system.end(connection);
        };
        let event = Event { connection, job, next: Next::Read, lost: false };
        self.system.pass(event, to, &mut self.wakeups);
    }

    /// A connection waits here: watches it, and sets its deadline.
    fn stay(&mut self, ev: &mut EventLoop, mut connection: Box<Connection>) {
        self.release_job(&mut connection);
        let token = connection.token;
        let sends = connection.session.phase() == Phase::Send;
        if !self.flags(&connection).watch(ev, token, connection.stream(), sends) {
            return self.close(ev, connection);
        }
        let waits = self.flags(&connection).is(Flags::WAITS);
        let cx = self.system.borrow(&connection);
        if !waits && connection.is_idle() {
            connection.rests(cx.clock.now_ms());
        }
        let deadline_ms = connection.session.deadline_ms(&cx);
        drop(cx);
        match deadline_ms {
            NEVER => ev.clear_deadline(token),
            // Not before it has passed on both clocks.
            at => ev.set_deadline(token, at.saturating_sub(self.ahead_ms) + 1),
        }
        self.entries[token.slot() as usize].connection = Some(connection);
    }

    /// Gives back what a connection that waits does not need.
    fn release_job(&mut self, connection: &mut Box<Connection>) {
        if let Some(job) = connection.job.take() {
            connection.job = self.jobs.keep_rest(connection, job);
        }
    }

    fn flags(&mut self, connection: &Connection) -> &mut Flags {
        &mut self.entries[connection.token.slot() as usize].flags
    }

    /// Takes over what other threads have left here.
    fn take_arrivals(&mut self, ev: &mut EventLoop) {
        for _ in 0..RETURNS_PER_TURN {
            let Some(event) = self.system.inboxes[self.index].returned.pop() else { break };
            self.returned(ev, event);
        }
        let mut taken = false;
        while let Some(accepted) = self.system.inboxes[self.index].accepted.pop() {
            taken = true;
            self.admit(ev, accepted);
        }
        if taken && self.system.inboxes[self.index].is_awaited() {
            self.system.shared.contexts.wake();
        }
    }
}

impl<A: App> Handler for Reader<A> {
    fn ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        let Some(entry) = self.entries.get_mut(token.slot() as usize) else { return };
        entry.flags.note(readiness);
        let Some(connection) = entry.connection.take() else { return };
        let waits = !matches!(connection.session.phase(), Phase::Idle | Phase::Head);
        let step = match readiness.is_error() && waits {
            true => self.failed(&connection),
            false => Step::Again,
        };
        self.run(ev, connection, step);
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        let Some(entry) = self.entries.get_mut(token.slot() as usize) else { return };
        // It may be away: what it does there has no deadline.
        if let Some(connection) = entry.connection.take() {
            self.expired(ev, connection);
        }
    }

    fn has_work(&self) -> bool {
        self.system.inboxes[self.index].has_arrivals()
    }

    fn woken(&mut self, ev: &mut EventLoop) {
        self.take_arrivals(ev);
    }

    fn turn_ended(&mut self, ev: &mut EventLoop) {
        self.resume_waiting(ev);
        let uncounted = self.jobs.take_uncounted();
        if uncounted != 0 {
            let cx = self.system.shared.contexts.borrow(self.index);
            count_buffers(&cx.counters, uncounted);
        }
        self.system.wake(&mut self.wakeups);
        let steps = std::mem::take(&mut self.steps);
        self.system.inboxes[self.index].load.add(steps, ev.now().elapsed());
    }
}

fn count_buffers(counters: &Counters, change: i64) {
    match u64::try_from(change) {
        Ok(more) => counters.buffers_large_used.add(more),
        Err(_) => counters.buffers_large_used.sub(change.unsigned_abs()),
    }
}
