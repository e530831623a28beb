//! When requests are due: [`Schedule`].

use super::plan::Pace;

/// An open loop's moments, evenly spaced from the beginning of the load on.
pub(super) struct Schedule {
    /// Nanoseconds between two; none in a closed loop.
    interval_ns: Option<f64>,
    /// How many have been handed out.
    count: u64,
    /// The first one: threads take turns rather than all sending at once.
    offset_ns: f64,
}

impl Schedule {
    /// For thread `index` of `threads`, which has this share of the whole rate.
    pub(super) fn new(pace: Pace, index: u32, threads: u32) -> Schedule {
        let interval_ns = match pace {
            Pace::Closed => None,
            Pace::PerSecond(rate) => Some(1e9 / rate),
        };
        let part = f64::from(index) / f64::from(threads);
        Schedule { interval_ns, count: 0, offset_ns: interval_ns.unwrap_or_default() * part }
    }

    /// Whether requests wait for their moment.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.interval_ns.is_some()
    }

    /// When the next request is due, in nanoseconds since the beginning.
    pub(super) fn next_ns(&self) -> Option<u64> {
        // A product, not a sum: nothing accumulates.
        self.interval_ns.map(|interval| (self.offset_ns + self.count as f64 * interval) as u64)
    }

    /// The moment of a request that is due by now; the next one comes after it.
    pub(super) fn take_due(&mut self, now_ns: u64) -> Option<u64> {
        let due = self.next_ns().filter(|due| *due <= now_ns)?;
        self.count += 1;
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_due_as_the_rate_says_and_threads_take_turns() {
        let second = 1_000_000_000;
        let mut moments = Vec::new();
        for index in 0..2 {
            let mut schedule = Schedule::new(Pace::PerSecond(5.0), index, 2);
            moments.extend(std::iter::from_fn(|| schedule.take_due(second - 1)));
        }
        moments.sort_unstable();
        let expected: Vec<u64> = (0..10).map(|index| index * second / 10).collect();
        assert_eq!(moments, expected);
    }

    #[test]
    fn what_was_not_sent_in_time_stays_due_at_its_time() {
        let mut schedule = Schedule::new(Pace::PerSecond(1_000.0), 0, 1);
        let late: Vec<_> = std::iter::from_fn(|| schedule.take_due(3_500_000)).collect();
        assert_eq!(late, [0, 1_000_000, 2_000_000, 3_000_000]);
        assert_eq!(schedule.next_ns(), Some(4_000_000));
    }
}
