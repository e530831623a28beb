//! One turn: waiting, and the calls of the handler, in the order of the picture in `mod.rs`.
//!
//! What a turn owes its sources is held here while their code runs, and that code may panic. The
//! kernel does not repeat what it has reported: an edge, a wake-up. So on the way out everything
//! that has not been called for yet is put back ([`Rest`]), where the next turn finds it:
//!
//! | not called for yet | is put back |
//! |---|---|
//! | events, deferred sources | on the ready list |
//! | a wake-up | in a flag; the call that panics is repeated, too |
//! | signals | by the kernel: a level |
//! | deadlines | nowhere: each leaves the wheel when it is called for |

use super::source::Side;
use super::{EventLoop, Handler, SIGNALS, WAKER};
use crate::poller::Event;
use crate::signal::{Signal, Signals};
use crate::token::Token;
use std::io;
use std::mem;
use std::time::Duration;

impl EventLoop {
    /// One turn: waits for events until something is due, but no longer than `max_wait`, and
    /// dispatches them. Returns the number of events.
    ///
    /// # Panics
    ///
    /// As the handler does. The next turn makes the calls that are left.
    pub fn turn(
        &mut self,
        handler: &mut impl Handler,
        max_wait: Option<Duration>,
    ) -> io::Result<usize> {
        let count = self.wait(handler, max_wait)?;
        self.clock.read();
        self.count_turn(count);
        self.dispatch_ready(handler);
        self.dispatch_timeouts(handler);
        if self.woken || self.signalled {
            self.dispatch_outside(handler)?;
        } else if self.doorbell.is_some() && handler.has_work() {
            handler.woken(self);
        }
        handler.turn_ended(self);
        Ok(count)
    }

    fn wait(&mut self, handler: &impl Handler, max_wait: Option<Duration>) -> io::Result<usize> {
        let timeout = self.time_to_wait(max_wait);
        match &self.doorbell {
            // If the loop is not going to wait, it does not announce sleep, and no thread needs to
            // ring.
            Some(doorbell) if timeout != Some(Duration::ZERO) => doorbell.sleep(
                || handler.has_work(),
                |wait| {
                    let timeout = if wait { timeout } else { Some(Duration::ZERO) };
                    self.poller.wait(&mut self.events, timeout)
                },
            ),
            _ => self.poller.wait(&mut self.events, timeout),
        }
    }

    pub(super) fn time_to_wait(&mut self, max_wait: Option<Duration>) -> Option<Duration> {
        if self.has_calls_left() || max_wait == Some(Duration::ZERO) {
            return Some(Duration::ZERO);
        }
        let until_timer = self.sources.next_timer().map(|deadline_ms| {
            // The last reading is as old as the handlers took, and the wait would be longer by
            // that.
            self.clock.read();
            Duration::from_millis(deadline_ms.saturating_sub(self.clock.now_ms()))
        });
        match (until_timer, max_wait) {
            (Some(timer), Some(max)) => Some(timer.min(max)),
            (timer, max) => timer.or(max),
        }
    }

    /// The next turn has something to call for without waiting: what was deferred, or what a panic
    /// has left.
    #[inline]
    pub(super) fn has_calls_left(&self) -> bool {
        self.sources.ready_len() > 0 || self.woken
    }

    fn count_turn(&mut self, count: usize) {
        self.stats.turns += 1;
        self.stats.events += count as u64;
        self.stats.events_last_turn = count as u32;
        self.stats.events_turn_max = self.stats.events_turn_max.max(count as u32);
    }

    #[inline]
    fn dispatch_ready(&mut self, handler: &mut impl Handler) {
        let serving = self.sources.flip_ready();
        let mut rest = Rest { ev: self, serving, event: 0, deferred: 0 };
        rest.call_events(handler);
        rest.call_deferred(handler);
        rest.ev.sources.clear_ready(serving);
        mem::forget(rest); // nothing is left
    }

    /// An event for one of the loop's own, or for a source that was released.
    #[cold]
    fn no_source(&mut self, token: Token) {
        self.stats.events -= 1;
        match token {
            WAKER => self.woken = true,
            SIGNALS => self.signalled = true,
            _ => self.stats.stale_events += 1,
        }
    }

    #[inline]
    fn dispatch_timeouts(&mut self, handler: &mut impl Handler) {
        // One reading for the whole round, even if a handler refreshes the clock: so the round
        // ends.
        let now_ms = self.clock.now_ms();
        while let Some(token) = self.sources.pop_expired(now_ms) {
            self.stats.timeouts += 1;
            handler.timeout(self, token);
        }
    }

    /// Everything from outside the loop's sources: other threads, and signals.
    #[cold]
    fn dispatch_outside(&mut self, handler: &mut impl Handler) -> io::Result<()> {
        if self.woken {
            self.stats.wakeups += 1;
            // First, so that a wake-up during the call is not lost.
            if let Some(waker) = &self.waker {
                waker.acknowledge();
            }
            handler.woken(self);
            // Not before: a call that panics is made once more, see the table above.
            self.woken = false;
        }
        if mem::take(&mut self.signalled) {
            while let Some(signal) = self.next_signal()? {
                handler.signal(self, signal);
            }
        }
        Ok(())
    }

    fn next_signal(&mut self) -> io::Result<Option<Signal>> {
        self.signals.as_mut().map_or(Ok(None), Signals::next)
    }
}

/// The ready sources that a turn has still to call for. It is dropped by a panic alone, and then
/// puts them back.
struct Rest<'l> {
    ev: &'l mut EventLoop,
    /// The list that this turn serves.
    serving: Side,
    /// The index of the next event.
    event: usize,
    /// The index of the next one on the list.
    deferred: usize,
}

impl Rest<'_> {
    #[inline]
    fn call_events(&mut self, handler: &mut impl Handler) {
        let any_deferred = self.ev.sources.ready_at(self.serving, 0).is_some();
        // By index: the handler gets the whole loop.
        while let Some(Event { token, mut readiness }) = self.ev.events.get(self.event) {
            self.event += 1;
            if !self.ev.sources.contains(token) {
                self.ev.no_source(token);
                continue;
            }
            if any_deferred && let Some(more) = self.ev.sources.take_deferred(token, self.serving) {
                readiness = readiness | more;
            }
            handler.ready(self.ev, token, readiness);
        }
    }

    #[inline]
    fn call_deferred(&mut self, handler: &mut impl Handler) {
        while let Some(token) = self.ev.sources.ready_at(self.serving, self.deferred) {
            self.deferred += 1;
            // None: the source is gone, or an event for it came first.
            if let Some(readiness) = self.ev.sources.take_deferred(token, self.serving) {
                self.ev.stats.deferred += 1;
                handler.ready(self.ev, token, readiness);
            }
        }
    }
}

impl Drop for Rest<'_> {
    #[cold]
    fn drop(&mut self) {
        let Rest { ev, serving, event, deferred } = self;
        while let Some(Event { token, readiness }) = ev.events.get(*event) {
            *event += 1;
            match ev.sources.contains(token) {
                true => ev.sources.defer(token, readiness),
                false => ev.no_source(token),
            }
        }
        // Those of them that were deferred before as well are called once, for both.
        while let Some(token) = ev.sources.ready_at(*serving, *deferred) {
            *deferred += 1;
            if let Some(readiness) = ev.sources.take_deferred(token, *serving) {
                ev.sources.defer(token, readiness);
            }
        }
        ev.sources.clear_ready(*serving);
    }
}
