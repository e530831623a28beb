//! What may take how long: one deadline per connection, of whichever thing it is waiting for.
//!
//! | phase | deadline | when it passes |
//! |---|---|---|
//! | `Preface` | the connection's start + head time; it goes on in the first head | closed |
//! | `Head`, nothing yet | idle time (a new connection: head time, if shorter) | closed |
//! | `Head`, begun | the head's start + head time; it does not move | 408 |
//! | `Body` | last piece + body time, or the end of a rate window | 408, or the next window |
//! | `Send` | last bytes taken + write time | reset, if the client has taken none |
//! | `Wait` | what the application said | the request goes on |
//! | `Queue`, `Work`, `Fill` | none of the client's: it waits for us | |
//! | `Linger` | [`super::closing::LINGER_MS`] after FIN | closed |
//!
//! The loop re-arms a deadline that moves later only when it fires, so keeping a connection alive
//! costs a compare and a store per request. The body's rate is measured over windows as long as the
//! body time that follow each other, not over every interval of that length: a client can be slow
//! across a border of two for at most twice that time.

use std::time::Duration;

use http::Status;
use reactor::EventLoop;

use super::connection::{Connection, Exchange, Phase, flag};
use super::{Engine, Step};
use crate::app::App;
use crate::options::Timeouts;

/// The time over which a body's rate is measured when the body time is off.
const BODY_WINDOW_MS: u64 = 10_000;
/// No deadline.
const NEVER: u64 = u64::MAX;

/// [`Timeouts`] in milliseconds; what is switched off is [`NEVER`].
pub(super) struct TimeoutsMs {
    head: u64,
    body: u64,
    /// The time over which a body's rate is measured.
    body_window: u64,
    /// Bytes a body must bring in a window; 0: no such rule.
    body_window_bytes: u64,
    idle: u64,
    write: u64,
    request: u64,
}

impl TimeoutsMs {
    pub fn new(timeouts: &Timeouts) -> Self {
        let ms = |time: Duration| if time.is_zero() { NEVER } else { time.as_millis() as u64 };
        let body_window = match timeouts.body.as_millis() as u64 {
            0 => BODY_WINDOW_MS,
            body => body,
        };
        TimeoutsMs {
            head: ms(timeouts.head),
            body: ms(timeouts.body),
            body_window,
            body_window_bytes: timeouts.body_rate.saturating_mul(body_window) / 1000,
            idle: ms(timeouts.idle),
            write: ms(timeouts.write),
            request: timeouts.request.map_or(NEVER, ms),
        }
    }
}

/// The full time of which only the low bits were kept; right for 49 days back.
#[inline]
fn full(now_ms: u64, low: u32) -> u64 {
    now_ms - u64::from((now_ms as u32).wrapping_sub(low))
}

/// When something that runs for `time` from `from` is over.
#[inline]
fn after(from: u64, time: u64) -> u64 {
    from.saturating_add(time)
}

impl<A: App> Engine<A> {
    /// Sets the deadline of the phase that the connection is in.
    #[inline(always)]
    pub(super) fn arm(&mut self, ev: &mut EventLoop, connection: &Connection) {
        let at = match connection.phase {
            Phase::Head if !connection.is(flag::HEAD_TIMED) => after(ev.now_ms(), self.times.idle),
            // It was set when lingering began, and stays.
            Phase::Linger => return,
            _ => self.deadline(connection, ev.now_ms()),
        };
        if at == NEVER {
            ev.clear_deadline(connection.token);
        } else {
            ev.set_deadline(connection.token, at);
        }
    }

    fn deadline(&self, connection: &Connection, now_ms: u64) -> u64 {
        let times = &self.times;
        let started = full(now_ms, connection.started_ms);
        let exchange = self.exchanges.get(connection.exchange as usize);
        let moved = exchange.map_or(now_ms, |exchange| full(now_ms, exchange.moved_ms));
        let own = match connection.phase {
            Phase::Head if connection.input.is_none() => {
                return after(started, times.head.min(times.idle));
            }
            Phase::Preface | Phase::Head => return after(started, times.head),
            Phase::Body => after(moved, times.body).min(self.window_end(exchange, now_ms)),
            Phase::Send => after(moved, times.write),
            Phase::Wait => exchange.map_or(now_ms, |exchange| exchange.wait_until_ms),
            Phase::Queue | Phase::Work | Phase::Fill | Phase::Linger => NEVER,
        };
        own.min(after(started, times.request))
    }

    fn window_end(&self, exchange: Option<&Exchange>, now_ms: u64) -> u64 {
        match exchange {
            Some(exchange) if self.times.body_window_bytes > 0 => {
                after(full(now_ms, exchange.window_ms), self.times.body_window)
            }
            _ => NEVER,
        }
    }

    /// A connection's deadline has passed: `false` ends it, `true` goes on.
    pub(super) fn expired(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> bool {
        let now_ms = ev.now_ms();
        let started = full(now_ms, connection.started_ms);
        let in_request = !matches!(connection.phase, Phase::Preface | Phase::Head | Phase::Linger);
        if in_request && now_ms >= after(started, self.times.request) {
            self.tally.timeouts_request.add(1);
            return self.give_up(ev, connection);
        }
        match connection.phase {
            Phase::Wait => {
                self.end_wait(ev, connection);
                self.flush(ev, connection) != Step::Close
            }
            Phase::Queue | Phase::Work | Phase::Fill => true,
            Phase::Linger => false,
            Phase::Preface => {
                self.tally.timeouts_head.add(1);
                false
            }
            Phase::Head if !connection.is(flag::HEAD_TIMED) => {
                self.tally.timeouts_idle.add(1);
                false
            }
            Phase::Head => {
                self.tally.timeouts_head.add(1);
                // Who has not sent a byte gets none.
                connection.input.is_some() && self.give_up(ev, connection)
            }
            Phase::Body => self.body_expired(ev, connection),
            Phase::Send => {
                if self.client_takes(ev, connection) {
                    return true;
                }
                self.tally.timeouts_write.add(1);
                connection.reset_on_close();
                false
            }
        }
    }

    /// Either nothing has come for too long, or a window ends: was it enough?
    fn body_expired(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> bool {
        let now_ms = ev.now_ms();
        let (body, window) = (self.times.body, self.times.body_window);
        let window_bytes = self.times.body_window_bytes;
        let exchange = self.exchange(connection, now_ms);
        let stalled = now_ms >= after(full(now_ms, exchange.moved_ms), body);
        let window_over = now_ms >= after(full(now_ms, exchange.window_ms), window);
        let slow = window_over && u64::from(exchange.window_bytes) < window_bytes;
        if stalled || slow {
            self.tally.timeouts_body.add(1);
            return self.give_up(ev, connection);
        }
        if window_over {
            exchange.window_ms = now_ms as u32;
            exchange.window_bytes = 0;
        }
        true
    }

    /// 408 when nothing has been answered yet, else the end of the connection.
    fn give_up(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> bool {
        if matches!(connection.phase, Phase::Send | Phase::Fill) {
            connection.reset_on_close();
            return false;
        }
        if !self.has_buffers() {
            return false;
        }
        self.refuse(ev, connection, Status::REQUEST_TIMEOUT, None);
        self.flush(ev, connection) != Step::Close
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_bits_give_the_full_time_back_across_their_wrap() {
        for then in [0u64, 5, u32::MAX as u64 - 3, u32::MAX as u64 + 7, 9_000_000_000] {
            for passed in [0u64, 1, 10_000, 86_400_000] {
                assert_eq!(full(then + passed, then as u32), then);
            }
        }
    }
}
