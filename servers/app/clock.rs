//! The time, read once a turn and kept as text.
//!
//! A request needs the time twice: for its deadlines (monotonic) and for the `Date` field (RFC
//! 9110, section 6.6.1: wall clock, whole seconds). Asking the kernel costs some 25 ns and
//! formatting a date some 100; both are done here, once a turn and once a second, and every other module
//! borrows the result.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// `Date: ` + 29 characters of IMF-fixdate + CRLF + the CRLF that ends the head.
const DATE_TAIL: usize = 6 + 29 + 2 + 2;

/// What time it is, to a turn.
pub struct Clock {
    now_ms: u64,
    /// The `now_ms` at which the next wall-clock second may begin: until then `date_tail` is right.
    next_second_ms: u64,
    wall: SystemTime,
    wall_at_ms: u64,
    /// The second that `date_tail` shows.
    second: u64,
    date_tail: [u8; DATE_TAIL],
}

impl Clock {
    /// A clock that starts at the loop's `now_ms` (milliseconds since the loop began).
    pub fn new(now_ms: u64) -> Self {
        let mut clock = Clock {
            now_ms,
            next_second_ms: 0,
            wall: UNIX_EPOCH,
            wall_at_ms: now_ms,
            second: 0,
            date_tail: *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n",
        };
        clock.read_wall();
        clock
    }

    /// Moves on to `now_ms`; reads the wall clock only when a second may have passed.
    #[inline]
    pub fn update(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        if now_ms >= self.next_second_ms {
            self.read_wall();
        }
    }

    #[cold]
    fn read_wall(&mut self) {
        self.wall = SystemTime::now();
        self.wall_at_ms = self.now_ms;
        let since_epoch = self.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.second = since_epoch.as_secs();
        // Without a `String` between. Its 29 bytes always fit.
        let _ = write!(&mut self.date_tail[6..35], "{}", HttpDate::from(self.wall));
        self.next_second_ms = self.now_ms + u64::from(1000 - since_epoch.subsec_millis());
    }

    /// Milliseconds since the loop began: the clock of deadlines.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The wall clock, as exact as the turn is.
    pub fn system_time(&self) -> SystemTime {
        self.wall + Duration::from_millis(self.now_ms - self.wall_at_ms)
    }

    /// The second of the `Date` field, since 1970.
    #[inline]
    pub fn second(&self) -> u64 {
        self.second
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    pub fn date(&self) -> &[u8] {
        &self.date_tail[6..35]
    }

    /// The end of a head: the `Date` line and the blank line after it.
    #[inline]
    pub fn date_tail(&self) -> &[u8; DATE_TAIL] {
        &self.date_tail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_a_valid_imf_fixdate_of_now() {
        let clock = Clock::new(7);
        let text = std::str::from_utf8(clock.date()).unwrap();
        let parsed = httpdate::parse_http_date(text).unwrap();
        let apart = SystemTime::now().duration_since(parsed).unwrap();
        assert!(apart < Duration::from_secs(5), "{text}");
    }

    #[test]
    fn the_wall_clock_is_read_again_only_when_a_second_may_have_passed() {
        let mut clock = Clock::new(0);
        let (first, next) = (clock.wall, clock.next_second_ms);
        assert!(next <= 1000);
        clock.update(next - 1);
        assert_eq!(clock.wall, first);
        clock.update(next);
        assert_ne!(clock.wall, first);
        assert!(clock.next_second_ms > next);
    }
}
