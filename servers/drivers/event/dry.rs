//! When all large buffers are in use.
//!
//! Nobody is given memory that was not set aside: whoever needs a buffer waits in one of two lists,
//! and reading from it pauses.
//!
//! ```text
//! starved_few   has a buffer or half an answer, needs one more   first: they give back soon
//! starved       has none                                         while there are enough for a read
//! ```
//!
//! Waiting helps only if somebody gives back. A head that is too long for a small buffer, and is
//! not complete after [`SLOW_HEAD_MS`], keeps a large one for as long as a head may take; a
//! thousand such clients would stop a server with little effort. So when others wait they are
//! answered 503.
//!
//! What is *not* done: taking a buffer from a response. A client that pipelines and then reads
//! slowly keeps it for as long as it reads at all (`--write-timeout`).

use http::Status;
use reactor::{EventLoop, Readiness, Token};

use super::connection::{Connection, Phase, flag};
use super::{BUFFERS_A_READ, Driver, Engine, Step, class};
use crate::app::App;

/// A head that takes longer is slow: a client far away needs a few round trips for it.
const SLOW_HEAD_MS: u64 = 1_000;
/// Connections looked at in one turn in search of slow heads.
const LOOKS_A_TURN: usize = 4_096;
/// When to look again after a search that found too few.
const LOOK_AGAIN_MS: u64 = 50;

impl<A: App> Engine<A> {
    /// Puts a connection on the list of those that wait for a buffer.
    #[cold]
    pub(super) fn starve(&mut self, connection: &mut Connection) -> Step {
        // It may be on the other list still, from a time when it needed more, or less.
        let few = connection.phase == Phase::Send || connection.holds_large_input();
        let (list, flag) = match few {
            true => (&mut self.starved_few, flag::STARVED_FEW),
            false => (&mut self.starved, flag::STARVED),
        };
        if !connection.is(flag) {
            connection.set(flag);
            list.push_back(connection.token);
            self.tally.buffers_starved.add(1);
        }
        Step::Blocked
    }
}

impl<A: App> Driver<A> {
    /// Lets those go on for whom there are buffers again.
    #[cold]
    pub(super) fn feed_starved(&mut self, ev: &mut EventLoop) {
        let mut available = self.engine.pool.available(class::LARGE);
        while available > 0
            && let Some(token) = self.engine.starved_few.pop_front()
        {
            available -= usize::from(self.feed(ev, token, flag::STARVED_FEW));
        }
        while available > BUFFERS_A_READ
            && let Some(token) = self.engine.starved.pop_front()
        {
            available -= BUFFERS_A_READ * usize::from(self.feed(ev, token, flag::STARVED));
        }
        if !self.engine.starved.is_empty() {
            self.refuse_slow_heads(ev, BUFFERS_A_READ + 1 - available.min(BUFFERS_A_READ));
        }
    }

    /// Gets so many buffers back from those that have long heads and are slow to finish them; looks
    /// again soon when there are not as many.
    fn refuse_slow_heads(&mut self, ev: &mut EventLoop, wanted: usize) {
        let mut refused = 0;
        for _ in 0..self.connections.len().min(LOOKS_A_TURN) {
            self.hand = (self.hand + 1) % self.connections.len();
            let Some(connection) = &mut self.connections[self.hand] else { continue };
            if !connection.is_slow_head(ev.now_ms(), SLOW_HEAD_MS) {
                continue;
            }
            let token = connection.token;
            self.engine.tally.connections_refused.add(1);
            self.engine.refuse(ev, connection, Status::SERVICE_UNAVAILABLE, None);
            match self.engine.flush(ev, connection) {
                Step::Close => self.close(ev, token),
                _ => self.progress(ev, token),
            }
            refused += 1;
            if refused == wanted {
                return ev.defer(self.chores, Readiness::default());
            }
        }
        let at = ev.now_ms() + LOOK_AGAIN_MS;
        if ev.deadline(self.chores).is_none_or(|deadline| at < deadline) {
            ev.set_deadline(self.chores, at);
        }
    }

    /// Lets one go on, if it is still there. `list`: the mark of those on the list that it was on.
    fn feed(&mut self, ev: &mut EventLoop, token: Token, list: u16) -> bool {
        let Some(connection) = self.connection(token).filter(|c| c.token == token) else {
            return false;
        };
        connection.unset(list);
        ev.defer(token, Readiness::default());
        true
    }
}
