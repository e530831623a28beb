//! What is known of each stage, of a server that has them: its queue, its threads, what it has
//! done.
//!
//! One thread writes all of it, several times a second: the one that also adds and removes threads.
//! *Not* guaranteed: that the numbers of two stages belong to one moment.

use super::Counter;

reactor::shared_struct! {
    /// The numbers of one stage.
    #[derive(Default)]
    #[repr(C, align(128))]
    pub struct StageCounters {
        /// Events that wait.
        pub queue: Counter,
        /// Events that the queue holds; 0: it is the kernel's.
        pub capacity: Counter,
        /// Threads that serve it.
        pub threads: Counter,
        /// Threads it may have.
        pub threads_max: Counter,
        /// Events that a thread takes at a time.
        pub batch: Counter,
        /// Events done.
        pub events: Counter,
        /// Events that found the queue full.
        pub shed: Counter,
        /// Microseconds that its threads were busy.
        pub busy_us: Counter,
    }
}

/// A stage's numbers at a moment, with its name.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct StageReport {
    /// As people and programs read it.
    pub name: &'static str,
    /// See [`StageCounters`].
    pub queue: u64,
    /// See [`StageCounters`].
    pub capacity: u64,
    /// See [`StageCounters`].
    pub threads: u64,
    /// See [`StageCounters`].
    pub threads_max: u64,
    /// See [`StageCounters`].
    pub batch: u64,
    /// See [`StageCounters`].
    pub events: u64,
    /// See [`StageCounters`].
    pub shed: u64,
    /// See [`StageCounters`].
    pub busy_us: u64,
}

impl StageCounters {
    /// Writes all of it.
    pub fn set(&self, report: &StageReport) {
        let StageReport { name: _, queue, capacity, threads, threads_max, .. } = *report;
        self.queue.set(queue);
        self.capacity.set(capacity);
        self.threads.set(threads);
        self.threads_max.set(threads_max);
        self.batch.set(report.batch);
        self.events.set(report.events);
        self.shed.set(report.shed);
        self.busy_us.set(report.busy_us);
    }

    /// Reads all of it.
    pub(super) fn report(&self, name: &'static str) -> StageReport {
        StageReport {
            name,
            queue: self.queue.get(),
            capacity: self.capacity.get(),
            threads: self.threads.get(),
            threads_max: self.threads_max.get(),
            batch: self.batch.get(),
            events: self.events.get(),
            shed: self.shed.get(),
            busy_us: self.busy_us.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn what_is_written_of_a_stage_is_reported_under_its_name() {
        let metrics = Metrics::new(1).unwrap().with_stages(&["one", "two"]).unwrap();
        let report = StageReport {
            name: "two",
            queue: 1,
            capacity: 2,
            threads: 3,
            threads_max: 4,
            batch: 5,
            events: 6,
            shed: 7,
            busy_us: 8,
        };
        metrics.stage_slot(1).unwrap().set(&report);
        let reports: Vec<StageReport> = metrics.stages().collect();
        assert_eq!(reports, [StageReport { name: "one", ..StageReport::default() }, report]);
        assert!(metrics.stage_slot(2).is_none());
    }
}
