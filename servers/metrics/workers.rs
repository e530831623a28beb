//! What is counted of each worker thread: its queue, and how long jobs waited and ran.
//!
//! The loop writes all of it, when it submits a job and when it takes one back: a worker's place
//! outlives its threads, and has one writer.

use std::time::Duration;

use super::Counter;

/// Upper bounds of a histogram's buckets, in microseconds: by factors of ten, because a job may be
/// anything between a lookup and a long report.
pub const BOUNDS_US: [u64; 7] = [10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

reactor::shared_struct! {
    /// How often something took how long.
    #[derive(Default)]
    #[repr(C)]
    pub struct Histogram {
        /// The last one is for what is above all bounds.
        buckets: [Counter; BOUNDS_US.len() + 1],
        sum_us: Counter,
    }

    /// The numbers of one worker's place.
    #[derive(Default)]
    #[repr(C, align(128))]
    pub struct WorkerCounters {
        /// Jobs that it has, the one that it does included.
        pub jobs: Counter,
        /// From a job's submission until it was begun.
        pub wait: Histogram,
        /// From there until it was done.
        pub run: Histogram,
    }
}

impl Histogram {
    /// Counts one that took `time`.
    pub fn add(&self, time: Duration) {
        let us = time.as_micros() as u64;
        let bucket = BOUNDS_US.iter().position(|&bound| us <= bound).unwrap_or(BOUNDS_US.len());
        self.buckets[bucket].add(1);
        self.sum_us.add(us);
    }

    /// How many took at most each of [`BOUNDS_US`], and how many there are in all.
    pub fn cumulative(&self) -> [u64; BOUNDS_US.len() + 1] {
        let mut sum = 0;
        std::array::from_fn(|i| {
            sum += self.buckets[i].get();
            sum
        })
    }

    /// All of their times together, in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_in_its_bucket_and_all_above() {
        let histogram = Histogram::default();
        for us in [0, 10, 11, 5_000, 20_000_000] {
            histogram.add(Duration::from_micros(us));
        }
        assert_eq!(histogram.cumulative(), [2, 3, 3, 4, 4, 4, 4, 5]);
        assert_eq!(histogram.sum_us(), 20_005_021);
    }
}
