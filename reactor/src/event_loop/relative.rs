//! Deadlines relative to now.
//!
//! [`EventLoop::set_deadline`] takes a time on the loop's clock, in milliseconds; most callers have
//! a [`Duration`], and it may be any: zero, a microsecond, `Duration::MAX`.

use super::EventLoop;
use crate::token::Token;
use std::time::Duration;

impl EventLoop {
    /// The handler's `timeout` is called once this much time has passed since
    /// [`EventLoop::now`], and never before. As [`EventLoop::set_deadline`], which it calls.
    ///
    /// Rounded up to a millisecond. A time that the clock will never reach (`Duration::MAX` for
    /// "no limit") leaves the source without a deadline. After long work in a handler, call
    /// [`EventLoop::refresh_clock`] first: the work counts as time that has passed.
    #[inline]
    pub fn set_deadline_after(&mut self, token: Token, duration: Duration) {
        self.set_deadline(token, self.deadline_after(duration));
    }

    /// The time on the loop's clock at which this much has passed since [`EventLoop::now`].
    fn deadline_after(&self, duration: Duration) -> u64 {
        // From the exact reading: `now_ms` is rounded down, and would make a deadline early.
        let ms = self.clock.passed().saturating_add(duration).as_nanos().div_ceil(1_000_000);
        u64::try_from(ms).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_loop::{Config, Handler};
    use crate::poller::Readiness;

    struct Count(usize);

    impl Handler for Count {
        fn ready(&mut self, _: &mut EventLoop, _: Token, _: Readiness) {}

        fn timeout(&mut self, ev: &mut EventLoop, _: Token) {
            self.0 += 1;
            ev.stop();
        }
    }

    fn with_a_source() -> (EventLoop, Token) {
        let mut ev = EventLoop::new(Config::with_sources(1)).unwrap();
        let token = ev.reserve().unwrap();
        (ev, token)
    }

    #[test]
    fn a_duration_has_passed_when_its_deadline_comes() {
        for duration in [Duration::from_micros(1_100), Duration::from_millis(3), Duration::ZERO] {
            let (mut ev, token) = with_a_source();
            ev.refresh_clock();
            let start = ev.now();
            ev.set_deadline_after(token, duration);
            let mut count = Count(0);
            ev.run(&mut count).unwrap();
            assert_eq!(count.0, 1);
            assert!(start.elapsed() >= duration, "{duration:?}");
        }
    }

    #[test]
    fn a_time_that_never_comes_is_no_deadline() {
        let (mut ev, token) = with_a_source();
        ev.set_deadline_after(token, Duration::from_secs(1));
        assert!(ev.deadline(token).is_some());
        for far in [Duration::MAX, Duration::from_millis(u64::MAX)] {
            ev.set_deadline_after(token, far);
            assert_eq!(ev.deadline(token), None, "{far:?}");
            let mut count = Count(0);
            ev.turn(&mut count, Some(Duration::from_millis(5))).unwrap();
            assert_eq!(count.0, 0);
        }
    }

    #[test]
    fn the_longest_time_that_fits_is_a_deadline() {
        let (mut ev, token) = with_a_source();
        let years = Duration::from_secs(500 * 365 * 24 * 60 * 60);
        ev.set_deadline_after(token, years);
        assert!(ev.deadline(token).unwrap() >= years.as_millis() as u64);
        let mut count = Count(0);
        ev.turn(&mut count, Some(Duration::ZERO)).unwrap();
        assert_eq!(count.0, 0);
    }
}
