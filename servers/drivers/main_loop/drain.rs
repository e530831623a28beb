//! How a server of waiting threads stops: as one with a loop does (see `drivers/event/drain.rs`), but
//! what a loop closes itself a thread has to be told to.
//!
//! ```text
//! TERM, INT ─► accept what the queues hold, close the listeners
//!                │  answer what still arrives, with Connection: close
//!                ├─► all connections rest and nothing arrived for a moment: shutdown(SHUT_RD),
//!                │   so that each thread finds the end of its input
//!                ├─► clients wait for a place: the same for each connection that has rested for a
//!                │   moment, whatever the others do
//!                └─► the drain's time is over: shutdown(SHUT_RDWR)
//!              no connection is left ─► write the log, stop        (a second signal: at once)
//! ```
//!
//! A thread that computes cannot be told anything; it ends with the process.

use reactor::EventLoop;

use super::{Carrier, MainLoop};
use crate::app::App;
use crate::drivers::event::QUIET_MS;
use crate::operation::Ending;
use crate::session::NEVER;

/// How often a draining server looks whether it is done.
const LOOK_MS: u64 = 10;
/// How long a queue is left to all processes that share it: time enough for each to end the
/// connections that rest, and to take others in their place.
const SHARE_MS: u64 = 4 * QUIET_MS;
/// What threads have to write their last lines in, once their connections have been cut off.
const LAST_MS: u64 = 200;

/// A graceful stop under way.
pub(super) struct Drain {
    begun_ms: u64,
    /// When whatever is left is cut off.
    until_ms: u64,
}

impl<A: App, C: Carrier<A>> MainLoop<A, C> {
    /// Stops gracefully: the loop stops when the drain is complete.
    pub fn drain(&mut self, ev: &mut EventLoop, how: Ending) {
        let until_ms = match how {
            Ending::Stop => ev.now_ms() + self.drain_ms,
            Ending::Quit | Ending::HandOver => NEVER,
        };
        match &mut self.drain {
            None => self.begin_drain(ev, how, until_ms),
            Some(_) if how != Ending::Stop => {}
            Some(drain) if drain.until_ms == NEVER => drain.until_ms = until_ms,
            Some(_) => self.finish(ev),
        }
    }

    fn begin_drain(&mut self, ev: &mut EventLoop, how: Ending, until_ms: u64) {
        self.drain = Some(Drain { begun_ms: ev.now_ms(), until_ms });
        self.shared.contexts.drain();
        self.carrier.stop_accepting();
        if how == Ending::HandOver {
            self.acceptors.leave_files();
            if self.acceptors.are_shared() {
                // The kernel may have woken this process for a connection, and therefore no other.
                self.accept_rest(ev, self.shared.registry.max());
            }
            self.acceptors.close(ev);
        } else {
            self.empty_queues(ev, ev.now_ms());
        }
        ev.set_deadline(self.housekeeping, ev.now_ms() + LOOK_MS);
    }

    /// Looks whether a drain is complete, and tells threads to end.
    pub(super) fn look_at_drain(&mut self, ev: &mut EventLoop) {
        let Some(Drain { begun_ms, .. }) = self.drain else { return };
        self.start_late();
        if !self.acceptors.is_empty() {
            self.empty_queues(ev, begun_ms);
        }
        let now_ms = ev.now_ms();
        let Some(drain) = &self.drain else { return };
        let registry = &self.shared.registry;
        let (last_ms, rest) = registry.look();
        let done = registry.is_empty() && self.acceptors.is_empty();
        if done || now_ms >= drain.until_ms.saturating_add(LAST_MS) {
            return self.finish(ev);
        }
        if now_ms >= drain.until_ms {
            self.carrier.cut_off(registry);
        } else if rest && now_ms >= last_ms.max(begun_ms) + QUIET_MS {
            self.carrier.end_resting(registry, now_ms);
        } else if self.clients_wait() && now_ms >= begun_ms + QUIET_MS {
            self.carrier.end_resting(registry, now_ms - QUIET_MS);
        }
        ev.set_deadline(self.housekeeping, now_ms + LOOK_MS);
    }

    /// Clients have no place yet: they have been accepted, or may be in a queue that has not been
    /// emptied because all places are taken.
    fn clients_wait(&self) -> bool {
        !self.late.is_empty() || !self.acceptors.is_empty()
    }

    /// Accepts what the queues hold, because the kernel has promised these an answer when it
    /// acknowledged their SYN, and closes the listeners. If other processes share the queues, which
    /// stop, too, this one takes no more than it can serve, until that has lasted too long.
    fn empty_queues(&mut self, ev: &mut EventLoop, begun_ms: u64) {
        if self.acceptors.are_shared() && ev.now_ms() < begun_ms + SHARE_MS {
            let places = self.shared.registry.max();
            self.accept_rest(ev, places);
            if self.shared.registry.len() >= places {
                return; // there may be more
            }
        } else {
            self.accept_rest(ev, self.acceptors.connections_max() as usize);
        }
        self.acceptors.close(ev);
    }

    /// Accepts what the queues hold, before the listeners close. Those for which there is no place
    /// wait for one.
    fn accept_rest(&mut self, ev: &mut EventLoop, places: usize) {
        for index in 0..self.acceptors.len() {
            let mut turn = self.acceptors.whole_queue(index);
            while self.shared.registry.len() < places
                && let Some((stream, peer)) = self.acceptors.next(&mut turn, true)
            {
                self.admit(ev, stream, peer);
            }
        }
    }

    fn finish(&mut self, ev: &mut EventLoop) {
        self.shared.contexts.log().finish();
        self.stopped = true;
        ev.stop();
    }
}
