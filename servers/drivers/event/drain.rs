//! How a server stops: gracefully.
//!
//! ```text
//! TERM, INT ─► accept what the queues hold, close the listeners
//!                │  answer what still arrives, with Connection: close
//!                ▼
//!              nothing in flight and nothing arrived for a moment, or the drain timeout is over
//!                │
//!                ▼
//!              close what is left, write the log, stop          (a second signal: at once)
//! ```
//!
//! QUIT does the same without a time limit. When another process takes over the listeners (an
//! upgrade, a worker's successor), the queues are left to it.
//!
//! Idle connections stay open until then: a request already on its way to a closing connection
//! would be lost, and its client could not know whether it had been carried out.

use reactor::EventLoop;

use super::Driver;
use super::connection::Connection;
use crate::app::App;
use crate::operation::Ending;
use crate::operation::listen::Listening;
use crate::operation::upgrade::Upgradable;

/// How long nothing must arrive before a draining server assumes that nothing will.
pub(crate) const QUIET_MS: u64 = 250;
/// How often a draining server checks whether it is done.
const LOOK_MS: u64 = 25;

/// No time limit.
const NEVER: u64 = u64::MAX;

/// A graceful stop in progress.
pub(super) struct Drain {
    /// When the remaining connections are closed.
    until_ms: u64,
}

impl<A: App> Upgradable for Driver<A> {
    fn listeners(&self) -> impl Iterator<Item = &Listening> {
        Driver::listeners(self)
    }

    fn hand_over(&mut self, ev: &mut EventLoop) {
        self.drain(ev, Ending::HandOver);
    }
}

impl<A: App> Driver<A> {
    /// Stops gracefully: the loop stops when the drain is complete.
    pub fn drain(&mut self, ev: &mut EventLoop, how: Ending) {
        self.engine.cx.clock.update(ev.now_ms());
        let until_ms = match how {
            Ending::Stop => ev.now_ms() + self.drain_ms,
            Ending::Quit | Ending::HandOver => NEVER,
        };
        match &mut self.drain {
            None => self.begin_drain(ev, how, until_ms),
            Some(_) if how != Ending::Stop => {}
            Some(drain) if drain.until_ms == NEVER => drain.until_ms = until_ms,
            Some(_) => {
                self.engine.cx.log.flush();
                ev.stop();
            }
        }
    }

    fn begin_drain(&mut self, ev: &mut EventLoop, how: Ending, until_ms: u64) {
        self.drain = Some(Drain { until_ms });
        self.engine.cx.draining = true;
        if how == Ending::HandOver {
            self.acceptors.leave_files();
            if self.acceptors.are_shared() {
                // The kernel may have woken this process for a connection, and therefore no other.
                self.accept_rest(ev);
            }
        } else {
            // Their handshakes are complete: closing the listener would reset them.
            self.accept_rest(ev);
        }
        self.acceptors.close(ev);
        self.engine.last_arrival_ms = ev.now_ms();
        ev.set_deadline(self.housekeeping, ev.now_ms() + LOOK_MS);
    }

    /// Checks whether a drain is complete.
    pub(super) fn keep_house(&mut self, ev: &mut EventLoop) {
        let now_ms = ev.now_ms();
        let Some(drain) = &self.drain else { return };
        let engine = &mut self.engine;
        let quiet = now_ms >= engine.last_arrival_ms + QUIET_MS;
        let worked = engine.offload.as_ref().is_none_or(|offload| offload.is_idle());
        let done = quiet && worked && self.connections.iter().flatten().all(Connection::is_idle);
        if done || now_ms >= drain.until_ms {
            self.close_all(ev);
            self.engine.cx.log.flush();
            return ev.stop();
        }
        ev.set_deadline(self.housekeeping, now_ms + LOOK_MS);
    }

    fn close_all(&mut self, ev: &mut EventLoop) {
        for slot in 0..self.connections.len() {
            if let (Some(_), Some(token)) = (&self.connections[slot], ev.token_at(slot as u32)) {
                self.close(ev, token);
            }
        }
    }
}
