//! Starting threads, and replacing them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Instant;

use reactor::lease::lease;
use reactor::process::{self, Priority};
use reactor::sleep::parker;
use reactor::{Doorbell, EventLoop};

use super::PoolSize;
use super::place::{Hold, Place};
use super::running::Running;
use super::slots::ThreadSlots;
use super::worker::{PanicReport, PanicReports, WorkerThread};
use crate::app::App;
use crate::failure::{Named as _, explained};
use crate::metrics::Metrics;
use crate::options::Options;
use crate::report::report;

/// The stamp of ends that wait for their thread to start: later than any time, for it is no job that
/// could take too long.
const STARTING: u64 = u64::MAX;

/// What it takes to start a thread.
pub(super) struct ThreadPool<A: App> {
    app: Arc<A>,
    slots: ThreadSlots,
    doorbell: Doorbell,
    epoch: Instant,
    panics: PanicReports,
    received: Receiver<PanicReport>,
    priority: Priority,
    /// The cores to stay on, the loop's first; none: wherever the system likes.
    cores: Vec<usize>,
    /// A refusal by the system has been reported.
    said: Arc<AtomicBool>,
}

impl<A: App> ThreadPool<A> {
    pub fn new(
        ev: &mut EventLoop,
        app: &Arc<A>,
        options: &Options,
        size: PoolSize,
    ) -> io::Result<Self> {
        let (sender, received) = mpsc::channel();
        let cores = if options.workers.pin { process::cores() } else { Vec::new() };
        let pool = ThreadPool {
            app: Arc::clone(app),
            slots: ThreadSlots::new(1..=2 * size.workers),
            doorbell: ev.doorbell().named("cannot make an event loop's waker")?,
            epoch: Instant::now(),
            panics: PanicReports { sender, pending: Arc::new(AtomicUsize::new(0)) },
            received,
            priority: options.workers.priority,
            cores,
            said: Arc::new(AtomicBool::new(false)),
        };
        // The loop's own core: this is its thread.
        pool.settings(0).pin();
        Ok(pool)
    }

    /// A place with a thread at it.
    pub fn open_place(&self, index: usize, ring: usize, metrics: &Metrics) -> io::Result<Place> {
        let none = || io::Error::other("no counters for a worker");
        let counters = metrics.worker_slot(index).ok_or_else(none)?;
        let mut place = Place::new(index, ring, counters);
        self.start(&mut place)?;
        Ok(place)
    }

    /// A new thread for a place that has none. If none can be started now, the place stays vacant and
    /// is tried again.
    pub fn replace(&self, place: &mut Place) {
        if let Err(error) = self.start(place) {
            let (worker, why) = (place.index, explained(&error));
            report!("cannot start a thread for worker {worker}; trying again: {why}");
        }
    }

    fn start(&self, place: &mut Place) -> io::Result<()> {
        let slot = self.slots.take().ok_or_else(|| io::Error::other("all are in use"))?;
        let Some(ends) = place.take_vacant() else { return Ok(()) };
        let (holder, taker) = lease();
        let (parker, unparker) = parker();
        let running = Arc::new(Running::default());
        let worker = WorkerThread {
            place: place.index,
            app: Arc::clone(&self.app),
            slot,
            parker,
            doorbell: self.doorbell.clone(),
            running: Arc::clone(&running),
            panics: self.panics.clone(),
            epoch: self.epoch,
        };
        // By the lease, so that they are not lost should there be no thread.
        let down = holder.put_down(ends, STARTING);
        let settings = self.settings(place.index + 1);
        let thread = thread::Builder::new().name(format!("worker {}", place.index));
        let started = thread.spawn(move || {
            settings.apply();
            worker.work(down);
        });
        if let Err(error) = started {
            if let Some(ends) = taker.take(STARTING) {
                place.vacate(ends);
            }
            return Err(error);
        }
        place.occupy(Hold { unparker, taker, running });
        Ok(())
    }

    fn settings(&self, index: usize) -> ThreadSettings {
        let core = (!self.cores.is_empty()).then(|| self.cores[index % self.cores.len()]);
        ThreadSettings { priority: self.priority, core, said: Arc::clone(&self.said) }
    }

    /// One more thread could be started.
    pub fn has_free_slot(&self) -> bool {
        self.slots.free() > 0
    }

    /// How many threads there are, permanently stuck ones included.
    pub fn threads(&self) -> usize {
        self.slots.taken()
    }

    /// Microseconds on the clock of the stamps.
    pub fn now_us(&self) -> u64 {
        self.epoch.elapsed().as_micros() as u64
    }

    pub fn has_panics(&self) -> bool {
        self.panics.pending.load(Ordering::Acquire) > 0
    }

    pub fn next_panic(&self) -> Option<PanicReport> {
        if !self.has_panics() {
            return None;
        }
        let report = self.received.try_recv().ok()?;
        self.panics.pending.fetch_sub(1, Ordering::Relaxed);
        Some(report)
    }
}

/// Priority and core of a thread.
struct ThreadSettings {
    priority: Priority,
    core: Option<usize>,
    said: Arc<AtomicBool>,
}

impl ThreadSettings {
    /// For the calling thread. What the system refuses is reported once and otherwise ignored.
    fn apply(&self) {
        self.pin();
        if let Err(error) = self.priority.apply() {
            self.say(&format!("--worker-priority: workers run as everybody else: {error}"));
        }
    }

    fn pin(&self) {
        if let Some(core) = self.core
            && let Err(error) = process::pin(core)
        {
            self.say(&format!("--pin: threads run on any core: {error}"));
        }
    }

    fn say(&self, what: &str) {
        if !self.said.swap(true, Ordering::Relaxed) {
            report!("{what}");
        }
    }
}
