//! The loop's buffers, and what happens when all large ones are in use.
//!
//! All buffers are allocated at startup: a connection that needs one when none is left waits in one
//! of two lists, and is not read from meanwhile.
//!
//! ```text
//! waiting_for_one   has a buffer or half an answer, needs one more   first: soon returned
//! waiting           has none                                         if enough for a read are left
//! ```
//!
//! Waiting helps only if buffers come back. A head that is too long for a small buffer, and is not
//! complete after [`SLOW_HEAD_MS`], keeps a large one until the head timeout; a thousand such
//! clients would easily stop a server. So when other connections wait, slow heads get 503. And
//! requests that wait behind a response which the client does not read are dropped: the response is
//! its connection's last, and the client repeats them on another (RFC 9112, section 9.3.2).
//!
//! What is *not* done: taking a buffer away from a response. A client that reads made bytes slowly
//! keeps its buffer as long as it makes progress (`--write-timeout`).

use std::collections::VecDeque;
use std::io;

use reactor::buffer::Class;
use reactor::{Buffer, BufferPool, EventLoop, Readiness, Token};

use super::connection::{Connection, Flags, Stage};
use super::{Driver, Engine, SMALL_BYTES};
use crate::app::App;
use crate::failure::Named as _;
use crate::options::Options;
use crate::session::Phase;

/// Large buffers that one read can leave in use: an unfinished input and an unsent output.
pub(super) const BUFFERS_A_READ: usize = 2;
/// A head that takes longer is slow, and so is a response of which nothing moves: even a
/// distant client needs only a few round trips.
const SLOW_HEAD_MS: u64 = 1_000;
/// Connections scanned for slow heads in one turn.
const LOOKS_A_TURN: usize = 4_096;
/// When to scan again after a scan that found too few.
const LOOK_AGAIN_MS: u64 = 50;

/// Indices of the pool's classes.
const SMALL: usize = 0;
const LARGE: usize = 1;

/// The pool, and the connections that wait for it.
pub(super) struct Buffers {
    pool: BufferPool,
    /// The pool holds enough for what one read or write can leave in use. Checked again whenever a
    /// large buffer was taken.
    stocked: bool,
    waiting: VecDeque<Token>,
    /// Connections that need only one buffer, and may hold one that other connections wait for.
    waiting_for_one: VecDeque<Token>,
}

impl Buffers {
    /// The pool's capacity as a sum of its users; `jobs` have two each.
    pub fn new(options: &Options, jobs: usize) -> io::Result<Self> {
        let for_clients = options.buffers.count + 2 + BUFFERS_A_READ;
        let pool = BufferPool::new(&[
            // Every connection may be in the middle of a head.
            Class { size: SMALL_BYTES, count: options.limits.connections as usize },
            // Unfinished inputs too long for a small buffer and unsent outputs, as many as the
            // operator grants; the loop's own two; what one read can leave in use; and two for
            // each job, which are never used for anything else.
            Class { size: options.buffers.size, count: for_clients + 2 * jobs },
        ])
        .named("no memory for the buffers")?;
        let (waiting, waiting_for_one) = (VecDeque::new(), VecDeque::new());
        Ok(Buffers { pool, stocked: false, waiting, waiting_for_one })
    }

    /// Whether there are enough buffers for what one read can leave in use, and one more for
    /// [`Buffers::may_go_on`]. A step that passes this check cannot run out later.
    #[inline(always)]
    pub fn suffice(&mut self) -> bool {
        self.stocked || self.take_stock()
    }

    #[cold]
    fn take_stock(&mut self) -> bool {
        self.stocked = self.available() > BUFFERS_A_READ;
        self.stocked
    }

    /// Whether a connection that already has a large buffer may go on although the pool is nearly
    /// exhausted. It takes at most one, for output, and returns its input's. If such connections
    /// waited for each other, they would deadlock.
    #[cold]
    pub fn may_go_on(&self, connection: &Connection) -> bool {
        connection.holds_large_input() && self.available() > 0
    }

    /// A small buffer.
    pub fn take_small(&self) -> Option<Buffer> {
        self.pool.take(SMALL)
    }

    /// A large buffer; [`Buffers::suffice`] guarantees one.
    pub fn take_large(&mut self) -> Option<Buffer> {
        self.stocked = false;
        self.pool.take(LARGE)
    }

    /// Two buffers for a job.
    pub fn take_pair(&mut self) -> Option<(Buffer, Buffer)> {
        Some((self.take_large()?, self.take_large()?))
    }

    /// Large buffers that are not in use.
    pub fn available(&self) -> usize {
        self.pool.available(LARGE)
    }

    /// Small and large buffers in use.
    #[inline]
    pub fn in_use(&self) -> (usize, usize) {
        (self.pool.in_use(SMALL), self.pool.in_use(LARGE))
    }

    /// Whether a connection waits for a buffer.
    #[inline]
    pub fn are_waited_for(&self) -> bool {
        !self.waiting.is_empty() || !self.waiting_for_one.is_empty()
    }

    /// Puts a connection on one of the waiting lists. `false`: it was there already.
    fn wait(&mut self, token: Token, connection: &mut Connection) -> bool {
        // It may still be on the other list, from when it needed more, or fewer.
        let one = connection.session.phase() == Phase::Send || connection.holds_large_input();
        let (list, flag) = match one {
            true => (&mut self.waiting_for_one, Flags::WAITS_FOR_ONE),
            false => (&mut self.waiting, Flags::WAITS),
        };
        let new = !connection.is(flag);
        if new {
            connection.set(flag);
            list.push_back(token);
        }
        new
    }
}

impl<A: App> Engine<A> {
    /// A connection needs a buffer and there is none.
    #[cold]
    pub(super) fn wait_for_buffer(&mut self, token: Token, connection: &mut Connection) {
        if self.buffers.wait(token, connection) {
            self.cx.counters.buffers_starved.add(1);
        }
    }
}

impl<A: App> Driver<A> {
    /// Resumes waiting connections, as far as there are buffers for them again.
    #[cold]
    pub(super) fn resume_waiting(&mut self, ev: &mut EventLoop) {
        let mut available = self.engine.buffers.available();
        while available > 0
            && let Some(token) = self.engine.buffers.waiting_for_one.pop_front()
        {
            available -= usize::from(self.resume(ev, token, Flags::WAITS_FOR_ONE));
        }
        while available > BUFFERS_A_READ
            && let Some(token) = self.engine.buffers.waiting.pop_front()
        {
            available -= BUFFERS_A_READ * usize::from(self.resume(ev, token, Flags::WAITS));
        }
        if !self.engine.buffers.waiting.is_empty() {
            self.take_from_slow_clients(ev, BUFFERS_A_READ + 1 - available.min(BUFFERS_A_READ));
        }
    }

    /// Takes `wanted` buffers back from connections with long heads that are slow to complete, or
    /// with requests behind a response that is not read; schedules another scan when it found fewer.
    fn take_from_slow_clients(&mut self, ev: &mut EventLoop, wanted: usize) {
        let mut taken = 0;
        for _ in 0..self.connections.len().min(LOOKS_A_TURN) {
            self.scan_from = (self.scan_from + 1) % self.connections.len();
            let Some(connection) = &mut self.connections[self.scan_from] else { continue };
            let Some(token) = ev.token_at(self.scan_from as u32) else { continue };
            if connection.is_slow_head(ev.now_ms(), SLOW_HEAD_MS) {
                self.refuse_slow_head(ev, token);
            } else if !connection.drop_pipelined(ev.now_ms(), SLOW_HEAD_MS) {
                continue;
            }
            taken += 1;
            if taken == wanted {
                return ev.defer(self.housekeeping, Readiness::default());
            }
        }
        let at = ev.now_ms() + LOOK_AGAIN_MS;
        if ev.deadline(self.housekeeping).is_none_or(|deadline| at < deadline) {
            ev.set_deadline(self.housekeeping, at);
        }
    }

    fn refuse_slow_head(&mut self, ev: &mut EventLoop, token: Token) {
        let slot = token.slot() as usize;
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        let input = connection.input.take();
        let seen = input.as_deref().unwrap_or_default();
        connection.stage = Stage::Serving;
        let engine = &mut self.engine;
        engine.cx.counters.connections_refused.add(1);
        engine.enter(&self.peers, token);
        let next = connection.session.unavailable(&mut engine.cx, seen, &mut engine.out);
        drop(input);
        let step = engine.follow(connection, next);
        self.run(ev, token, step);
    }

    /// Resumes one connection, if it is still there. `list`: the flag of the list that it was on.
    fn resume(&mut self, ev: &mut EventLoop, token: Token, list: Flags) -> bool {
        let Some(connection) = self.connection(ev, token) else { return false };
        connection.unset(list);
        ev.defer(token, Readiness::default());
        true
    }
}

/// The loop's own two buffers: one to receive into, one to compose responses in.
pub(super) fn own(buffers: &mut Buffers) -> io::Result<(Buffer, Buffer)> {
    buffers.take_pair().ok_or_else(missing)
}

/// There are fewer buffers than a loop needs at startup.
pub(super) fn missing() -> io::Error {
    io::Error::other("no buffer left in the event loop")
}
