//! What a server counts, in memory that processes can share.
//!
//! Every loop (or worker) has one [`CounterSlot`] in a [`SharedTable`], or a few in a row if it has
//! several threads, and each slot has one writer. So an increment is a plain load, add and store:
//! no locked instruction, no cache line fought over. Whoever wants a total (the status page, the
//! metrics) adds the slots up and may see them a moment apart from each other.
//!
//! ```text
//! slot 0 (loop 0)   slot 1 (loop 1)   …        one writer each
//! [requests …   ]   [requests …   ]
//!        \_______________/
//!               sum                            any reader, in any process
//! ```
//!
//! | file | what |
//! |---|---|
//! | `mod` | all slots of a server |
//! | `counters` | what a loop counts |
//! | `workers` | what is counted of a worker thread |
//! | `stages` | what is known of a stage |
//! | `processes` | which worker processes there are |

mod counters;
mod processes;
mod stages;
mod workers;

use reactor::shared::{SharedSlot, SharedTable};

pub use counters::{Counter, CounterSlot, Counters, Description, Kind};
pub use processes::{ProcessTable, Report, State};
pub use stages::{StageCounters, StageReport};
pub use workers::{BOUNDS_US, Histogram, WorkerCounters};

/// All slots of a server, and since when they count.
#[derive(Clone)]
pub struct Metrics {
    slots: SharedTable<CounterSlot>,
    /// How many loops there are at a time: a worker process and its successor need a slot each.
    loops: usize,
    /// Slots that one process counts in.
    per_process: usize,
    workers: SharedTable<WorkerCounters>,
    processes: ProcessTable,
    stages: SharedTable<StageCounters>,
    /// Their names, in order.
    stage_names: &'static [&'static str],
    started: std::time::Instant,
}

impl Metrics {
    /// Zeroed slots for `loops` loops.
    ///
    /// # Errors
    /// The mapping's, see `mmap(2)`.
    pub fn new(loops: usize) -> std::io::Result<Self> {
        Metrics::with_workers(loops, 0, 0)
    }

    /// Zeroed slots for `loops` loops, for as many more threads as there may be, which come after
    /// them, and for the places of `workers` workers.
    ///
    /// # Errors
    /// As for [`Metrics::new`].
    pub fn with_workers(loops: usize, threads: usize, workers: usize) -> std::io::Result<Self> {
        Ok(Metrics {
            slots: SharedTable::new(loops + threads)?,
            loops,
            per_process: loops + threads,
            workers: SharedTable::new(workers)?,
            processes: ProcessTable::new(0)?,
            stages: SharedTable::new(0)?,
            stage_names: &[],
            started: std::time::Instant::now(),
        })
    }

    /// Zeroed slots for `processes` at a time, and for `ranges` of them, the leaving ones included.
    /// Each counts in `per_process` slots in a row.
    ///
    /// # Errors
    /// As for [`Metrics::new`].
    pub fn with_processes(
        processes: usize,
        ranges: usize,
        per_process: usize,
    ) -> std::io::Result<Self> {
        let (metrics, table) = (Metrics::new(ranges * per_process)?, ProcessTable::new(processes)?);
        Ok(Metrics { loops: processes, per_process, processes: table, ..metrics })
    }

    /// The same with these stages.
    ///
    /// # Errors
    /// As for [`Metrics::new`].
    pub fn with_stages(self, names: &'static [&'static str]) -> std::io::Result<Self> {
        Ok(Metrics { stages: SharedTable::new(names.len())?, stage_names: names, ..self })
    }

    /// The numbers of all stages.
    pub fn stages(&self) -> impl Iterator<Item = StageReport> {
        self.stages.iter().zip(self.stage_names).map(|(stage, name)| stage.report(name))
    }

    /// A handle on the numbers of one stage, for their writer.
    pub fn stage_slot(&self, index: usize) -> Option<SharedSlot<StageCounters>> {
        self.stages.slot(index)
    }

    /// Which worker processes there are.
    pub fn processes(&self) -> &ProcessTable {
        &self.processes
    }

    /// The slots of the process whose first one is `first`; none where there are no such.
    pub fn of_process(&self, first: usize) -> &[CounterSlot] {
        self.slots.get(first..first + self.per_process).unwrap_or_default()
    }

    /// The first slot of each process that there may be at a time.
    pub fn first_slots(&self) -> impl Iterator<Item = usize> {
        (0..self.slots.len()).step_by(self.per_process.max(1))
    }

    /// Slot `index`; `None` when there are fewer.
    pub fn slot(&self, index: usize) -> Option<&CounterSlot> {
        self.slots.get(index)
    }

    /// The slots added up (of a [`Kind::Max`] the highest), in the order of
    /// [`CounterSlot::DESCRIPTIONS`].
    pub fn sum(&self) -> [u64; CounterSlot::DESCRIPTIONS.len()] {
        let mut sum = [0u64; CounterSlot::DESCRIPTIONS.len()];
        for slot in self.slots.iter() {
            for (i, value) in slot.values().into_iter().enumerate() {
                sum[i] = match CounterSlot::DESCRIPTIONS[i].kind {
                    Kind::Max => sum[i].max(value),
                    Kind::Counter | Kind::Gauge => sum[i].wrapping_add(value),
                };
            }
        }
        sum
    }

    /// How many loops there are.
    pub fn loops(&self) -> usize {
        self.loops
    }

    /// How many slots there are.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The numbers of all workers' places.
    pub fn workers(&self) -> impl Iterator<Item = &WorkerCounters> {
        self.workers.iter()
    }

    /// A handle on the numbers of one worker's place, for their writer.
    pub fn worker_slot(&self, index: usize) -> Option<SharedSlot<WorkerCounters>> {
        self.workers.slot(index)
    }

    /// How long the server has been counting.
    pub fn uptime(&self) -> std::time::Duration {
        self.started.elapsed()
    }
}

/// The sum of one counter over some slots.
pub fn total(slots: &[CounterSlot], of: fn(&CounterSlot) -> &Counter) -> u64 {
    // A gauge may be raised in one slot and lowered in another.
    slots.iter().fold(0, |sum, slot| sum.wrapping_add(of(slot).get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_added_up_and_high_water_marks_are_not() {
        let metrics = Metrics::new(2).unwrap();
        let (a, b) = (metrics.slot(0).unwrap(), metrics.slot(1).unwrap());
        a.requests.add(3);
        b.requests.add(4);
        a.loop_events_turn_max.raise_to(9);
        b.loop_events_turn_max.raise_to(5);
        let sum = metrics.sum();
        let of = |name| CounterSlot::DESCRIPTIONS.iter().position(|d| d.name == name).unwrap();
        assert_eq!(sum[of("requests")], 7);
        assert_eq!(sum[of("loop_events_turn_max")], 9);
        assert!(metrics.slot(2).is_none());
    }

    #[test]
    fn a_process_counts_in_slots_in_a_row() {
        let metrics = Metrics::with_processes(2, 3, 4).unwrap();
        assert_eq!((metrics.loops(), metrics.slots()), (2, 12));
        assert_eq!(metrics.first_slots().collect::<Vec<_>>(), [0, 4, 8]);
        metrics.slot(4).unwrap().connections_open.add(2);
        metrics.slot(7).unwrap().connections_open.sub(1);
        metrics.slot(8).unwrap().connections_open.add(9);
        let open = |first| total(metrics.of_process(first), |slot| &slot.connections_open);
        assert_eq!((open(0), open(4), open(8), open(12)), (0, 1, 9, 0));
    }
}
