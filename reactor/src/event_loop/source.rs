//! What the loop knows of each source: its deadline and its place on the ready list.
//!
//! Two ideas make a busy source cheap.
//!
//! **Lazy deadlines.** A connection's deadline moves later with every request, and hardly ever
//! expires. So moving it later only writes it down here; the timer in the wheel stays where it is,
//! too early, and when it fires and finds that the deadline has moved, it is armed again for the
//! remaining time. A connection that is busy for an hour with a deadline of a minute costs 60 timer
//! operations, not one per request. The invariant: *a source's timer is never later than its
//! deadline*.
//!
//! **Two ready lists.** One is filled while the other is served, so that a source with work left
//! after its budget waits for the next turn like all others. A source remembers which list it is
//! on, and so is never on one twice; an entry whose source has since left it is skipped.

use crate::poller::Readiness;
use crate::sys::room_for;
use crate::table::Table;
use crate::timer::{TimerKey, Wheel};
use crate::token::Token;
use std::io;

/// A deadline that never comes: the state of a source that has none.
const NEVER: u64 = u64::MAX;

/// One of the two ready lists.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Even,
    Odd,
}

impl Side {
    fn other(self) -> Side {
        match self {
            Side::Even => Side::Odd,
            Side::Odd => Side::Even,
        }
    }
}

/// The state of one source.
#[derive(Debug)]
struct Source {
    /// When its handler's `timeout` is due, on the loop's clock; `NEVER` if it has no deadline.
    deadline_ms: u64,
    /// Its timer in the wheel, if there is one, fires at or before the deadline.
    timer: Option<TimerKey>,
    /// The readiness that its next call from the ready list will report.
    deferred: Readiness,
    /// The ready list it is on.
    side: Option<Side>,
}

/// The same as what `slab` keeps for each slot: the tag hides in a niche of `Source`.
#[allow(dead_code)]
enum Slot {
    Vacant(usize),
    Occupied(Source),
}

/// Bytes of the loop's own that one source takes: its slot, the slot's generation, its timer.
const SOURCE_BYTES: usize = size_of::<Slot>() + size_of::<u32>() + Wheel::<u32>::entry_size();
const _: () = assert!(SOURCE_BYTES <= 44, "an idle connection has 128 for everything");

/// All sources, their timers, and those that wait to be called again.
#[derive(Debug)]
pub(super) struct Sources {
    table: Table<Source>,
    sources_max: usize,
    /// The value is the source's slot. Releasing a source cancels its timer, so that a timer's slot
    /// always holds the source that armed it.
    wheel: Wheel<u32>,
    /// By `Side`. Room for every source in each; pages are not in use before they are needed. They
    /// grow only if, within one turn, more are deferred and released again than there are sources.
    ready: [Vec<Token>; 2],
    /// The list currently being filled.
    filling: Side,
}

impl Sources {
    pub(super) fn new(sources_max: u32) -> io::Result<Self> {
        let count = sources_max as usize;
        Ok(Sources {
            table: Table::try_with_capacity(count)?,
            sources_max: count,
            wheel: Wheel::try_new(0, count)?,
            ready: [room_for(count)?, room_for(count)?],
            filling: Side::Even,
        })
    }

    pub(super) fn reserve(&mut self) -> Option<Token> {
        if self.table.len() == self.sources_max {
            return None;
        }
        Some(self.table.insert(Source {
            deadline_ms: NEVER,
            timer: None,
            deferred: Readiness::NONE,
            side: None,
        }))
    }

    /// Its entries on a ready list are skipped later, as its token is dead.
    pub(super) fn release(&mut self, token: Token) -> bool {
        let Some(source) = self.table.remove(token) else {
            return false;
        };
        if let Some(timer) = source.timer {
            self.wheel.cancel(timer);
        }
        true
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    #[inline]
    pub(super) fn contains(&self, token: Token) -> bool {
        self.table.contains(token)
    }

    pub(super) fn token_at(&self, slot: u32) -> Option<Token> {
        self.table.token_at(slot)
    }

    // Deadlines

    #[inline]
    pub(super) fn set_deadline(&mut self, token: Token, deadline_ms: u64) {
        let Some(source) = self.table.get_mut(token) else {
            return;
        };
        let moved_earlier = deadline_ms < source.deadline_ms;
        source.deadline_ms = deadline_ms;
        if moved_earlier {
            self.arm(token, deadline_ms);
        }
    }

    /// Makes sure that the source's timer is not later than its deadline, which moved earlier.
    fn arm(&mut self, token: Token, deadline_ms: u64) {
        let Some(source) = self.table.get_mut(token) else {
            return;
        };
        match source.timer {
            None => source.timer = Some(self.wheel.insert(deadline_ms, token.slot())),
            Some(timer) if deadline_ms < self.wheel.deadline(timer) => {
                self.wheel.rearm(timer, deadline_ms);
            }
            Some(_) => {}
        }
    }

    /// The timer stays; it will find nothing to do.
    #[inline]
    pub(super) fn clear_deadline(&mut self, token: Token) {
        if let Some(source) = self.table.get_mut(token) {
            source.deadline_ms = NEVER;
        }
    }

    pub(super) fn deadline(&self, token: Token) -> Option<u64> {
        let source = self.table.get(token)?;
        (source.deadline_ms != NEVER).then_some(source.deadline_ms)
    }

    /// When the wheel needs to be looked at again.
    #[inline]
    pub(super) fn next_timer(&self) -> Option<u64> {
        self.wheel.next_deadline()
    }

    /// The next source whose deadline is at or before `now_ms`; it has none after that.
    #[inline]
    pub(super) fn pop_expired(&mut self, now_ms: u64) -> Option<Token> {
        while let Some((_, slot)) = self.wheel.pop_expired(now_ms) {
            if let Some(token) = self.timer_fired(slot, now_ms) {
                return Some(token);
            }
        }
        None
    }

    /// A timer fired: whose deadline is it, if it is one and has not moved?
    fn timer_fired(&mut self, slot: u32, now_ms: u64) -> Option<Token> {
        let token = self.table.token_at(slot)?;
        let source = self.table.get_mut(token)?;
        source.timer = None;
        match source.deadline_ms {
            NEVER => None,
            later if later > now_ms => {
                source.timer = Some(self.wheel.insert(later, slot));
                None
            }
            _ => {
                source.deadline_ms = NEVER;
                Some(token)
            }
        }
    }

    // The ready lists

    pub(super) fn defer(&mut self, token: Token, readiness: Readiness) {
        let Some(source) = self.table.get_mut(token) else {
            return;
        };
        source.deferred = source.deferred | readiness;
        // On a list already, even the one that is being served: its call is yet to come.
        if source.side.is_none() {
            source.side = Some(self.filling);
            self.ready[self.filling as usize].push(token);
        }
    }

    /// How many entries wait for the next turn; a few may belong to sources released by then.
    #[inline]
    pub(super) fn ready_len(&self) -> usize {
        self.ready[self.filling as usize].len()
    }

    /// From now on the other list is filled; the one filled so far is to be served.
    #[inline]
    pub(super) fn flip_ready(&mut self) -> Side {
        let serving = self.filling;
        self.filling = serving.other();
        serving
    }

    #[inline]
    pub(super) fn ready_at(&self, side: Side, index: usize) -> Option<Token> {
        self.ready[side as usize].get(index).copied()
    }

    pub(super) fn clear_ready(&mut self, side: Side) {
        self.ready[side as usize].clear();
    }

    /// Takes the source off this list, and returns the readiness it was deferred with, if it was on
    /// it.
    pub(super) fn take_deferred(&mut self, token: Token, side: Side) -> Option<Readiness> {
        let source = self.table.get_mut(token)?;
        if source.side != Some(side) {
            return None;
        }
        source.side = None;
        Some(std::mem::take(&mut source.deferred))
    }
}
