//! Timeouts: a session has one deadline, for the thing it is currently waiting for.
//!
//! | phase | deadline | when it passes |
//! |---|---|---|
//! | `Idle` | idle time | closed |
//! | `Head`, nothing yet (a new connection) | idle time or head time, the shorter | closed |
//! | `Head`, begun | the head's start + head time; never extended | 408 |
//! | `Body` | last piece + body time, or the end of a rate window | 408, or the next window |
//! | `Send` | last bytes taken + write time | reset |
//! | `Wait` | the application's time | the request goes on |
//! | `Work` | none: the client waits for us | |
//! | `Linger` | [`LINGER_MS`] after FIN | closed |
//!
//! `--request-timeout` limits a request as a whole, from its first byte to the last byte of its
//! response: it cuts each of these short.
//!
//! Deadlines that move later with every request are cheap for the driver (an event loop re-arms its
//! timer only when it fires). The body's rate is measured over consecutive windows as long as the
//! body time, not over every interval of that length: a client can be slow across the border of two
//! windows for at most twice that time.

use std::time::Duration;

use http::Status;

use super::log::Subject;
use super::{Context, Next, Phase, Session};
use crate::app::App;
use crate::app::response::Output;
use crate::options::Timeouts;

/// How long a lingering close may take after FIN.
pub const LINGER_MS: u64 = 2_000;
/// No deadline.
pub const NEVER: u64 = u64::MAX;
/// The time over which a body's rate is measured when the body time is off.
const BODY_WINDOW_MS: u64 = 10_000;

/// [`Timeouts`] in milliseconds; [`NEVER`] for one that is off.
pub struct TimeoutsMs {
    head: u64,
    body: u64,
    /// The time over which a body's rate is measured.
    body_window: u64,
    /// Bytes of a body that must arrive in a window; 0: no minimum.
    body_window_bytes: u64,
    idle: u64,
    write: u64,
    request: u64,
}

impl TimeoutsMs {
    /// The same in milliseconds.
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

/// The full time of which only the low bits were kept; correct up to 49 days back.
#[inline]
fn full(now_ms: u64, low: u32) -> u64 {
    now_ms - u64::from((now_ms as u32).wrapping_sub(low))
}

/// When something that begins at `from` and takes `time` is over.
#[inline]
fn after(from: u64, time: u64) -> u64 {
    from.saturating_add(time)
}

impl Session {
    /// When to call [`Session::expired`], unless something else happens first; may be [`NEVER`].
    #[inline(always)]
    pub fn deadline_ms<A: App>(&self, cx: &Context<A>) -> u64 {
        match self.phase {
            Phase::Idle => after(cx.now_ms(), cx.timeouts.idle),
            _ => self.deadline_in_phase(cx),
        }
    }

    fn deadline_in_phase<A: App>(&self, cx: &Context<A>) -> u64 {
        let (times, now_ms) = (&cx.timeouts, cx.now_ms());
        let started = full(now_ms, self.started_ms);
        let moved = self.exchange.as_ref().map_or(now_ms, |it| full(now_ms, it.moved_ms));
        let own = match self.phase {
            Phase::Idle => return after(now_ms, times.idle),
            Phase::Head if self.has_begun() => after(started, times.head),
            Phase::Head => return after(started, times.head.min(times.idle)),
            Phase::Linger => return after(started, LINGER_MS),
            Phase::Body => after(moved, times.body).min(self.window_end(cx)),
            Phase::Send => after(moved, times.write),
            Phase::Wait => self.exchange.as_ref().map_or(now_ms, |it| it.wait_until_ms),
            Phase::Work => NEVER,
        };
        own.min(self.request_deadline_ms(cx))
    }

    /// When the request as a whole times out: the only deadline while the client waits for us.
    pub fn request_deadline_ms<A: App>(&self, cx: &Context<A>) -> u64 {
        after(full(cx.now_ms(), self.started_ms), cx.timeouts.request)
    }

    fn window_end<A: App>(&self, cx: &Context<A>) -> u64 {
        match &self.exchange {
            Some(exchange) if cx.timeouts.body_window_bytes > 0 => {
                after(full(cx.now_ms(), exchange.window_ms), cx.timeouts.body_window)
            }
            _ => NEVER,
        }
    }

    /// Whether a byte of a head has arrived.
    pub(super) fn has_begun(&self) -> bool {
        self.http.eof().is_err()
    }

    /// The deadline has passed. `seen`: what there is of the request that the session is at, from its
    /// first byte, if that is with the driver; the log shows its first line.
    pub fn expired<A: App>(&mut self, cx: &mut Context<A>, seen: &[u8], out: &mut Output) -> Next {
        let now_ms = cx.now_ms();
        let in_request = match self.phase {
            Phase::Idle | Phase::Linger => false,
            Phase::Head => self.has_begun(),
            Phase::Body | Phase::Send | Phase::Wait | Phase::Work => true,
        };
        if in_request && now_ms >= self.request_deadline_ms(cx) {
            cx.counters.timeouts_request.add(1);
            return self.give_up(cx, seen, out);
        }
        match self.phase {
            Phase::Idle => {
                cx.counters.timeouts_idle.add(1);
                Next::Close
            }
            Phase::Head => {
                cx.counters.timeouts_head.add(1);
                // A client that has not sent a byte gets no answer.
                if self.has_begun() { self.give_up(cx, seen, out) } else { Next::Close }
            }
            Phase::Body => self.body_expired(cx, out),
            Phase::Send if now_ms < self.deadline_in_phase(cx) => Next::Write,
            Phase::Send => {
                cx.counters.timeouts_write.add(1);
                Next::Reset
            }
            // The driver's clock was ahead of the context's.
            Phase::Wait if now_ms < self.deadline_in_phase(cx) => Next::Sleep,
            Phase::Wait => self.end_wait(cx, out),
            Phase::Work => Next::Sleep,
            Phase::Linger => Next::Close,
        }
    }

    /// Either nothing has arrived for too long, or a window ends: was it enough?
    fn body_expired<A: App>(&mut self, cx: &mut Context<A>, out: &mut Output) -> Next {
        let now_ms = cx.now_ms();
        let (body, window) = (cx.timeouts.body, cx.timeouts.body_window);
        let window_bytes = cx.timeouts.body_window_bytes;
        let exchange = self.exchange(cx);
        let (moved_ms, window_ms) = (exchange.moved_ms, exchange.window_ms);
        let stalled = now_ms >= after(full(now_ms, moved_ms), body);
        let window_over = now_ms >= after(full(now_ms, window_ms), window);
        let slow = window_over && u64::from(exchange.window_bytes) < window_bytes;
        if stalled || slow {
            cx.counters.timeouts_body.add(1);
            return self.give_up(cx, &[], out);
        }
        if window_over {
            exchange.window_ms = now_ms as u32;
            exchange.window_bytes = 0;
        }
        Next::Read
    }

    /// 408 if the request has not been answered yet; otherwise the connection ends.
    fn give_up<A: App>(&mut self, cx: &mut Context<A>, seen: &[u8], out: &mut Output) -> Next {
        if self.phase == Phase::Send {
            return Next::Reset;
        }
        self.refuse(cx, Status::REQUEST_TIMEOUT, Subject::Part(seen), out);
        self.next(out)
    }
}

#[cfg(test)]
mod clock {
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
