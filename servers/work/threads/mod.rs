//! AMPED's executor: worker threads, each with a ring of jobs to do and a ring of jobs done.
//!
//! ```text
//!                 ┌─ jobs ──► worker 0 ── done ─┐
//!  loop ──submit──┼─ jobs ──► worker 1 ── done ─┼──take_completed──► loop
//!                 └─ jobs ──► worker 2 ── done ─┘
//! ```
//!
//! One thread writes each end, so a handover takes no lock and no compare-and-swap; a side that is
//! awake is not woken ([`reactor::sleep`]). A job goes to the worker with the fewest. The rings
//! bound the work in flight: when all are full, [`Executor::has_room`] is false.
//!
//! # Batches
//!
//! A worker is woken when the loop's turn is over, and notifies the loop of finished jobs when its
//! ring is empty or before it starts anything slow. So light requests
//! (`--offload all`) pass in batches, and no answer waits for another's work.
//!
//! # Faults
//!
//! A thread cannot be stopped, but it can be replaced. While it runs a job, a worker puts down the ends
//! of its rings ([`reactor::lease`]):
//!
//! * A job that **panics** is answered 500. Its thread returns its ends and the answer to the loop and
//!   exits, because its local part of the application may be in any state. A new thread takes the
//!   ends, and with them the queue.
//! * A worker that is **stuck** on a job for longer than `--work-timeout` loses its ends to a
//!   replacement thread. The job's client is answered 503. If the stuck thread ever finishes, it finds
//!   its ends gone, drops the result, and exits.
//!
//! There are at most as many stuck threads beside the workers as there are workers (`slots`). Beyond
//! that a stuck worker keeps its ends, and gets no more jobs while another worker has room.
//!
//! | file | what |
//! |---|---|
//! | `mod` | the executor: which worker gets a job |
//! | `place` | the loop's side of one worker: its ends of the rings |
//! | `worker` | the thread |
//! | `running` | what it is doing, for the loop to read |
//! | `pool` | starting threads and replacing them |
//! | `watch` | finding stuck workers |
//! | `slots` | how many threads there are, and their slots of counters |

mod place;
mod pool;
mod running;
mod slots;
mod watch;
mod worker;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reactor::EventLoop;

use crate::app::App;
use crate::failure::Named as _;
use crate::metrics::{Counters, Metrics};
use crate::options::{Options, Workers as WorkersOptions};
use crate::work::executor::{Executor, OffloadConfig, Stuck};
use crate::work::job::Job;
use place::Place;
use pool::ThreadPool;

/// What threads a server has by its options.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// Workers.
    pub workers: usize,
    /// Jobs that wait for each at most.
    pub ring: usize,
}

impl PoolSize {
    /// As the options say: by default one worker for each core but the loop's.
    pub fn of(options: &WorkersOptions) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = options.count.unwrap_or(cores.saturating_sub(1)).max(1);
        PoolSize { workers, ring: options.ring.next_power_of_two() }
    }

    /// As many as there are counters for. Asked a second time the system might answer differently:
    /// inside a sandbox (`--sandbox`) the cgroup's CPU quota cannot be read.
    fn counted(options: &WorkersOptions, metrics: &Metrics) -> Self {
        let count = Some(metrics.workers().count());
        PoolSize::of(&WorkersOptions { count, ..options.clone() })
    }

    /// Counters: a slot for the loop, and one for each thread and each replacement.
    ///
    /// # Errors
    /// The mapping's, see `mmap(2)`.
    pub fn metrics(self) -> io::Result<Metrics> {
        Metrics::with_workers(1, 2 * self.workers, self.workers)
    }

    /// Jobs in all rings, one running on each worker, and those of stuck threads.
    fn jobs_max(self) -> usize {
        self.workers * (self.ring + 1) + self.workers
    }
}

/// The workers, as the loop has them.
pub struct Workers<A: App> {
    places: Vec<Place>,
    pool: ThreadPool<A>,
    counters: Counters,
    /// A job may take so long; zero: any time.
    timeout: Duration,
    in_flight: usize,
}

impl<A: App> Workers<A> {
    /// Starts the threads; returns how the driver is to use them.
    ///
    /// # Errors
    /// A thread that cannot be started.
    pub fn start(
        ev: &mut EventLoop,
        app: &Arc<A>,
        options: &Options,
        metrics: &Metrics,
    ) -> io::Result<OffloadConfig> {
        let size = PoolSize::counted(&options.workers, metrics);
        let pool = ThreadPool::new(ev, app, options, size)?;
        let mut workers = Workers {
            places: Vec::with_capacity(size.workers),
            pool,
            counters: Counters::new(metrics, 0)
                .ok_or_else(|| io::Error::other("no slot of counters"))?,
            timeout: options.workers.timeout,
            in_flight: 0,
        };
        for index in 0..size.workers {
            let place = workers.pool.open_place(index, size.ring, metrics);
            let place =
                place.named(format_args!("cannot start worker {index} of {}", size.workers))?;
            workers.places.push(place);
        }
        Ok(OffloadConfig {
            executor: Box::new(workers),
            jobs_max: size.jobs_max(),
            offload: options.workers.offload,
            overload: options.workers.overload,
        })
    }

    /// The place with room that has the fewest jobs; one that is stuck only if there is no other.
    fn least_loaded(&self) -> Option<usize> {
        let with_room = self.places.iter().enumerate().filter(|(_, place)| place.has_room());
        with_room.min_by_key(|(_, place)| (place.is_stuck(), place.in_flight())).map(|(i, _)| i)
    }

    /// A job whose thread has panicked; the replacement thread is started.
    #[cold]
    fn take_panicked(&mut self) -> Option<Box<Job>> {
        let report = self.pool.next_panic()?;
        self.counters.worker_panics.add(1);
        let place = &mut self.places[report.place];
        place.vacate(report.ends);
        place.returned(&report.job);
        self.pool.replace(place);
        Some(report.job)
    }
}

impl<A: App> Executor for Workers<A> {
    fn has_room(&self) -> bool {
        self.places.iter().any(Place::has_room)
    }

    fn submit(&mut self, job: Box<Job>) -> Result<(), Box<Job>> {
        let Some(index) = self.least_loaded() else { return Err(job) };
        self.places[index].submit(job)?;
        self.in_flight += 1;
        Ok(())
    }

    fn wake_workers(&mut self) {
        for place in &mut self.places {
            place.wake_workers();
        }
    }

    fn take_completed(&mut self) -> Option<Box<Job>> {
        let done = self.places.iter_mut().find_map(Place::take_completed);
        let job = done.or_else(|| self.take_panicked())?;
        self.in_flight -= 1;
        Some(job)
    }

    fn has_completed(&self) -> bool {
        self.places.iter().any(Place::has_completed) || self.pool.has_panics()
    }

    fn in_flight(&self) -> usize {
        self.in_flight
    }

    fn has_stuck(&self) -> bool {
        self.pool.threads() != self.places.len()
    }

    fn watch_interval(&self) -> Option<Duration> {
        watch::interval(self.timeout)
    }

    fn next_stuck(&mut self) -> Option<Stuck> {
        self.find_stuck()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_workers_as_counters_whatever_the_system_says_later() {
        let options = WorkersOptions::default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let size = PoolSize { workers: cores + 3, ..PoolSize::of(&options) };
        let metrics = size.metrics().unwrap();
        assert_eq!(PoolSize::counted(&options, &metrics), size);
    }
}
