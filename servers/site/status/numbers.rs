//! The numbers of one moment, as the three forms show them.

use std::time::Duration;

use super::processes::{self, Process};
use super::workers::WorkerNumbers;
use crate::metrics::{CounterSlot, Metrics, StageReport};

/// The sums over all slots, and for how long they have counted.
pub(super) struct Numbers {
    /// In the order of [`CounterSlot::DESCRIPTIONS`].
    pub values: [u64; CounterSlot::DESCRIPTIONS.len()],
    /// How many loops there are.
    pub loops: usize,
    /// The worker threads, in a model that has them.
    pub workers: Vec<WorkerNumbers>,
    /// The worker processes, in a model that has them.
    pub processes: Vec<Process>,
    /// The stages, in a model that has them.
    pub stages: Vec<StageReport>,
    /// How long they have been counting.
    pub uptime: Duration,
}

impl Numbers {
    /// The current numbers.
    pub fn of(metrics: &Metrics) -> Self {
        Numbers {
            values: metrics.sum(),
            loops: metrics.loops(),
            workers: metrics.workers().map(WorkerNumbers::of).collect(),
            processes: processes::of(metrics),
            stages: metrics.stages().collect(),
            uptime: metrics.uptime(),
        }
    }

    /// The number called `name`. All names are constants: the tests find a wrong one.
    pub fn get(&self, name: &str) -> u64 {
        let index = CounterSlot::DESCRIPTIONS.iter().position(|counter| counter.name == name);
        debug_assert!(index.is_some(), "no counter is called {name}");
        index.map_or(0, |index| self.values[index])
    }

    /// The sum of several, whose names are separated by spaces.
    pub fn sum(&self, names: &str) -> u64 {
        names.split(' ').fold(0, |sum, name| sum.wrapping_add(self.get(name)))
    }
}
