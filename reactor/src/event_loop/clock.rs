//! The loop's time: read twice in a turn that waits for a timer, so that its cost shows.
//!
//! `Instant` keeps seconds and nanoseconds apart, and `duration_since` checks for clocks that go
//! back. The second reading cost a small request 2.3 % of its instructions that way; of the same
//! clock as one number it costs 0.6 %. (The coarse clock is cheaper still, 5 ns instead of 25, but
//! lags by up to 4 ms, and every deadline would.)

use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

/// The clock behind [`Instant`].
#[cfg(not(target_vendor = "apple"))]
const MONOTONIC: libc::clockid_t = libc::CLOCK_MONOTONIC;
#[cfg(target_vendor = "apple")]
const MONOTONIC: libc::clockid_t = libc::CLOCK_UPTIME_RAW;

/// Two forms of one reading.
pub(super) struct Clock {
    start: Instant,
    start_ns: u64,
    /// Since the start.
    passed_ns: u64,
    now_ms: u64,
}

impl Clock {
    pub(super) fn new() -> Self {
        Clock { start: Instant::now(), start_ns: monotonic_ns(), passed_ns: 0, now_ms: 0 }
    }

    #[inline]
    pub(super) fn read(&mut self) {
        self.passed_ns = monotonic_ns().saturating_sub(self.start_ns);
        self.now_ms = self.passed_ns / 1_000_000;
    }

    pub(super) fn now(&self) -> Instant {
        self.start + self.passed()
    }

    /// Since the start, to the nanosecond.
    pub(super) fn passed(&self) -> Duration {
        Duration::from_nanos(self.passed_ns)
    }

    #[inline]
    pub(super) fn now_ms(&self) -> u64 {
        self.now_ms
    }
}

/// Wraps around after 584 years of uptime.
#[inline]
fn monotonic_ns() -> u64 {
    let mut now = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `now` is valid for writes. The clock exists, so the call fills it.
    let now = unsafe {
        libc::clock_gettime(MONOTONIC, now.as_mut_ptr());
        now.assume_init()
    };
    // Neither is negative; their types differ from system to system.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_clock_of_instants() {
        let begin = Instant::now();
        let mut clock = Clock::new();
        let apart = begin.elapsed(); // its start is read in two forms, one after the other
        for _ in 0..100 {
            let before = Instant::now();
            clock.read();
            let after = Instant::now();
            assert!(before <= clock.now() + apart && clock.now() <= after, "{apart:?}");
            assert_eq!(clock.now_ms(), (clock.now() - clock.start).as_millis() as u64);
        }
    }
}
