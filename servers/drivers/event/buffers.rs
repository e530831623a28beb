//! The loop's buffers, and what happens when all large ones are in use.
//!
//! There is no memory that was not set aside: a connection that needs a buffer waits in one of two
//! lists, and reading from it pauses.
//!
//! ```text
//! waiting_for_one   has a buffer or half an answer, needs one more   first: they give back soon
//! waiting           has none                                         while there are enough for a read
//! ```
//!
//! Waiting helps only if buffers come back. A head that is too long for a small buffer, and is not
//! complete after [`SLOW_HEAD_MS`], keeps a large one for as long as a head may take; a thousand such
//! clients would stop a server with little effort. So when others wait they are answered 503.
//!
//! What is *not* done: taking a buffer from a response. A client that pipelines and then reads
//! slowly keeps it for as long as it reads at all (`--write-timeout`).

use std::collections::VecDeque;
use std::io;

use reactor::buffer::Class;
use reactor::{Buffer, BufferPool, EventLoop, Readiness, Token};

use super::connection::{Connection, Flags};
use super::{Driver, Engine, missing};
use crate::app::App;
use crate::options::Options;
use crate::session::Phase;

/// Bytes of a small buffer: most unfinished heads fit.
pub(super) const SMALL_BYTES: usize = 512;
/// Large buffers that one read can leave behind in use: an unfinished input and an unsent output.
pub(super) const BUFFERS_A_READ: usize = 2;
/// A head that takes longer is slow: a client far away needs a few round trips for it.
const SLOW_HEAD_MS: u64 = 1_000;
/// Connections looked at in one turn in search of slow heads.
const LOOKS_A_TURN: usize = 4_096;
/// When to look again after a search that found too few.
const LOOK_AGAIN_MS: u64 = 50;

/// Indices of the pool's classes.
const SMALL: usize = 0;
const LARGE: usize = 1;

/// The pool, and the connections that wait for it.
pub(super) struct Buffers {
    pool: BufferPool,
    /// The pool holds enough for whatever one read or write can leave behind. Checked again whenever
    /// a large buffer was taken.
    stocked: bool,
    waiting: VecDeque<Token>,
    /// Those of them that need one buffer only, and perhaps hold another that others wait for.
    waiting_for_one: VecDeque<Token>,
}

impl Buffers {
    /// The pool's capacity, by who holds what; `jobs` have two each.
    pub fn new(options: &Options, jobs: usize) -> io::Result<Self> {
        let for_clients = options.buffers.count + 2 + BUFFERS_A_READ;
        let pool = BufferPool::new(&[
            // Every connection may be in the middle of a head.
            Class { size: SMALL_BYTES, count: options.limits.connections as usize },
            // Unfinished inputs beyond a small buffer and unsent outputs, as many as the operator
            // grants; the loop's own two; what one read takes, so that what it leaves behind always
            // finds a place. And each job's two, which are never used for anything else.
            Class { size: options.buffers.size, count: for_clients + 2 * jobs },
        ])?;
        let (waiting, waiting_for_one) = (VecDeque::new(), VecDeque::new());
        Ok(Buffers { pool, stocked: false, waiting, waiting_for_one })
    }

    /// Enough buffers for what one read can leave behind, an unfinished input and an unsent output,
    /// and one more for [`Buffers::may_go_on`]. A step that passes here cannot run out later.
    #[inline(always)]
    pub fn suffice(&mut self) -> bool {
        self.stocked || self.take_stock()
    }

    #[cold]
    fn take_stock(&mut self) -> bool {
        self.stocked = self.available() > BUFFERS_A_READ;
        self.stocked
    }

    /// Whether a connection that has a large buffer already may go on although the pool is all but
    /// exhausted. It adds an output at most, and gives its input back. Were it to wait for others,
    /// and they for it, none of them would ever go on.
    #[cold]
    pub fn may_go_on(&self, connection: &Connection) -> bool {
        connection.holds_large_input() && self.available() > 0
    }

    /// A small buffer.
    pub fn take_small(&self) -> Option<Buffer> {
        self.pool.take(SMALL)
    }

    /// A large buffer, on the strength of [`Buffers::suffice`].
    pub fn take_large(&mut self) -> Option<Buffer> {
        self.stocked = false;
        self.pool.take(LARGE)
    }

    /// A job's two, when there are enough for everything else.
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

    /// A connection waits.
    #[inline]
    pub fn are_waited_for(&self) -> bool {
        !self.waiting.is_empty() || !self.waiting_for_one.is_empty()
    }

    /// Puts a connection on the list of those that wait. `false`: it was there already.
    fn wait(&mut self, token: Token, connection: &mut Connection) -> bool {
        // It may be on the other list still, from a time when it needed more, or less.
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
    /// Lets the connections go on for which there are buffers again.
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
            self.refuse_slow_heads(ev, BUFFERS_A_READ + 1 - available.min(BUFFERS_A_READ));
        }
    }

    /// Gets so many buffers back from connections that have long heads and are slow to finish them;
    /// looks again soon when there are not as many.
    fn refuse_slow_heads(&mut self, ev: &mut EventLoop, wanted: usize) {
        let mut refused = 0;
        for _ in 0..self.connections.len().min(LOOKS_A_TURN) {
            self.scan_from = (self.scan_from + 1) % self.connections.len();
            let Some(connection) = &mut self.connections[self.scan_from] else { continue };
            let Some(token) = ev.token_at(self.scan_from as u32) else { continue };
            if !connection.is_slow_head(ev.now_ms(), SLOW_HEAD_MS) {
                continue;
            }
            connection.input = None;
            let engine = &mut self.engine;
            engine.cx.counters.connections_refused.add(1);
            engine.enter(&self.peers, token);
            let next = connection.session.unavailable(&mut engine.cx, &mut engine.out);
            let step = engine.follow(connection, next);
            self.run(ev, token, step);
            refused += 1;
            if refused == wanted {
                return ev.defer(self.housekeeping, Readiness::default());
            }
        }
        let at = ev.now_ms() + LOOK_AGAIN_MS;
        if ev.deadline(self.housekeeping).is_none_or(|deadline| at < deadline) {
            ev.set_deadline(self.housekeeping, at);
        }
    }

    /// Lets one go on, if it is still there. `list`: the mark of those on the list that it was on.
    fn resume(&mut self, ev: &mut EventLoop, token: Token, list: Flags) -> bool {
        let Some(connection) = self.connection(ev, token) else { return false };
        connection.unset(list);
        ev.defer(token, Readiness::default());
        true
    }
}

/// The two that a loop has for itself: one to receive into, one to compose responses in.
pub(super) fn own(buffers: &mut Buffers) -> io::Result<(Buffer, Buffer)> {
    buffers.take_pair().ok_or_else(|| missing("buffer"))
}
