//! The numbers of one moment, as the three forms show them.

use std::time::Duration;

use super::processes::{self, Process};
use super::workers::WorkerNumbers;
use crate::metrics::{CounterSlot, Metrics};

/// All slots added up, and since when they count.
pub(super) struct Numbers {
    /// In the order of [`CounterSlot::DESCRIPTIONS`].
    pub values: [u64; CounterSlot::DESCRIPTIONS.len()],
    /// How many loops there are.
    pub loops: usize,
    /// The workers, in models that have some beside their loops.
    pub workers: Vec<WorkerNumbers>,
    /// The worker processes, in a model that has any.
    pub processes: Vec<Process>,
    /// How long they have been counting.
    pub uptime: Duration,
}

impl Numbers {
    /// The numbers of now.
    pub fn of(metrics: &Metrics) -> Self {
        Numbers {
            values: metrics.sum(),
            loops: metrics.loops(),
            workers: metrics.workers().map(WorkerNumbers::of).collect(),
            processes: processes::of(metrics),
            uptime: metrics.uptime(),
        }
    }

    /// The number called `name`. The names here are ours: one that is none is found by the tests.
    pub fn get(&self, name: &str) -> u64 {
        let index = CounterSlot::DESCRIPTIONS.iter().position(|counter| counter.name == name);
        debug_assert!(index.is_some(), "no counter is called {name}");
        index.map_or(0, |index| self.values[index])
    }

    /// The sum of several.
    pub fn sum(&self, names: &[&str]) -> u64 {
        names.iter().fold(0, |sum, name| sum.wrapping_add(self.get(name)))
    }
}
