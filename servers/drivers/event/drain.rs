//! How a server ends: gracefully.
//!
//! ```text
//! TERM, INT ─► take in what the queues hold, close the listeners
//!                │  answer what still arrives, with Connection: close
//!                ▼
//!              nothing in hand and nothing arrived for a moment, or the drain's time is over
//!                │
//!                ▼
//!              close what is left, write the log, stop          (a second signal: at once)
//! ```
//!
//! Idle connections stay open until then: a request that is already on its way to a connection that
//! closes would be lost, and its client could not know whether it had been carried out.

use reactor::EventLoop;

use super::Driver;
use super::connection::Connection;
use crate::app::App;

/// How long nothing must arrive before a draining server takes it that nothing will.
const QUIET_MS: u64 = 250;
/// How often a draining server looks whether it is done.
const LOOK_MS: u64 = 25;

/// A graceful stop under way.
pub(super) struct Drain {
    /// When whatever is left is closed.
    until_ms: u64,
}

impl<A: App> Driver<A> {
    /// First signal: stop gracefully. Second: at once.
    pub(super) fn begin_drain(&mut self, ev: &mut EventLoop) {
        if self.drain.is_some() {
            self.engine.log.flush();
            return ev.stop();
        }
        self.drain = Some(Drain { until_ms: ev.now_ms() + self.drain_ms });
        self.engine.draining = true;
        // The kernel has promised these an answer when it acknowledged their SYN.
        self.accept_rest(ev);
        for acceptor in self.acceptors.drain(..) {
            if !acceptor.paused {
                // It is closed right after: a failure has nothing to spoil.
                let _ = ev.unwatch(acceptor.token, &acceptor.listening.listener);
            }
            ev.release(acceptor.token);
        }
        self.engine.last_arrival_ms = ev.now_ms();
        ev.set_deadline(self.chores, ev.now_ms() + LOOK_MS);
    }

    /// Housekeeping: looks whether a drain is complete.
    pub(super) fn do_chores(&mut self, ev: &mut EventLoop) {
        let now_ms = ev.now_ms();
        let Some(drain) = &self.drain else { return };
        let quiet = now_ms >= self.engine.last_arrival_ms + QUIET_MS;
        let done = quiet && self.connections.iter().flatten().all(Connection::is_idle);
        if done || now_ms >= drain.until_ms {
            self.close_all(ev);
            self.engine.log.flush();
            return ev.stop();
        }
        ev.set_deadline(self.chores, now_ms + LOOK_MS);
    }

    fn close_all(&mut self, ev: &mut EventLoop) {
        for slot in 0..self.connections.len() {
            if let Some(connection) = &self.connections[slot] {
                self.close(ev, connection.token);
            }
        }
    }
}
