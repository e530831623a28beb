//! What looks after the stages: it adds and removes threads, sets the batches, and publishes
//! numbers.
//!
//! It looks ten times a second while there is anything to look after, and sleeps otherwise: an idle
//! server takes no processor time.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use reactor::process::Priority;
use reactor::sleep::Parker;

use super::controller::{Controller, Observation, Threads};
use super::stage::Snapshot;
use super::threads::start;
use super::{ACCEPT, Name, READ, System};
use crate::app::App;
use crate::failure::explained;
use crate::metrics::{Metrics, StageReport};
use crate::report::report;

/// How often the stages are looked at.
const TICK: Duration = Duration::from_millis(100);
/// Looks in a row that found nothing to do before it sleeps.
const QUIET_TICKS: u32 = 10;

/// See the module's head.
pub(super) struct Control<A: App> {
    system: Arc<System<A>>,
    /// Of the threads that work.
    priority: Priority,
    metrics: Metrics,
    controllers: [Controller; Name::ALL.len()],
    earlier: [Snapshot; Name::ALL.len()],
    then: Instant,
    /// The system has given no thread the last time.
    refused: bool,
}

impl<A: App> Control<A> {
    pub fn new(system: Arc<System<A>>, priority: Priority, metrics: Metrics) -> Self {
        Control {
            system,
            priority,
            metrics,
            controllers: Default::default(),
            earlier: Default::default(),
            then: Instant::now(),
            refused: false,
        }
    }

    /// The first threads of each stage.
    pub fn start(&self) -> io::Result<()> {
        for name in Name::ALL {
            (0..self.system.stage(name).bounds.threads_min).try_for_each(|_| self.add(name))?;
        }
        self.publish();
        Ok(())
    }

    /// Its thread's life.
    pub fn run(mut self, mut parker: Parker) {
        let mut quiet = 0;
        loop {
            thread::sleep(TICK);
            let busy = self.look();
            self.publish();
            quiet = if busy { 0 } else { quiet + 1 };
            if quiet >= QUIET_TICKS {
                quiet = 0;
                self.sleep(&mut parker);
            }
        }
    }

    /// Until there are events. Those that it does not see are pushed after its last look, and wake
    /// it: what wakes a thread of a stage has a fence between its push and its look here.
    fn sleep(&mut self, parker: &mut Parker) {
        let System { watch, .. } = &*self.system;
        watch.sleeps.store(true, SeqCst);
        parker.sleep_unless(|| !watch.sleeps.load(SeqCst) || self.system.any_waits());
        watch.sleeps.store(false, SeqCst);
        self.then = Instant::now();
    }

    /// Looks at all stages; `false`: they have done nothing, and have no thread to spare.
    fn look(&mut self) -> bool {
        let passed = mem::replace(&mut self.then, Instant::now()).elapsed();
        let mut busy = self.system.any_waits();
        for name in Name::ALL {
            let seen = self.system.stage(name).snapshot();
            let before = mem::replace(&mut self.earlier[name as usize], seen);
            let least = self.system.stage(name).bounds.threads_min;
            busy |= seen.events != before.events || seen.threads > least;
            self.decide(name, &observe(&before, &seen, passed));
        }
        busy
    }

    fn decide(&mut self, name: Name, seen: &Observation) {
        let stage = self.system.stage(name);
        let (threads, batch) = self.controllers[name as usize].decide(&stage.bounds, seen);
        stage.set_batch(batch);
        match threads {
            Threads::Add => {
                let added = self.add(name);
                if let Err(error) = &added
                    && !self.refused
                {
                    let name = name.text();
                    report!(
                        "cannot start a thread for the stage {name}; trying again: {}",
                        explained(error)
                    );
                }
                self.refused = added.is_err();
            }
            Threads::Remove => stage.dismiss(),
            Threads::Keep => {}
        }
    }

    fn add(&self, name: Name) -> io::Result<()> {
        let priority = if name == Name::Work { self.priority } else { Priority::Normal };
        start(&self.system, name, priority)
    }

    /// For the status page.
    fn publish(&self) {
        self.put(ACCEPT, &self.accept());
        self.put(READ, &self.read());
        for name in Name::ALL {
            let stage = self.system.stage(name);
            let seen = stage.snapshot();
            self.put(
                READ + 1 + name as usize,
                &StageReport {
                    name: name.text(),
                    queue: seen.waiting as u64,
                    capacity: stage.capacity() as u64,
                    threads: seen.threads as u64,
                    threads_max: stage.bounds.threads_max as u64,
                    batch: seen.batch as u64,
                    events: seen.events,
                    shed: seen.shed,
                    busy_us: seen.busy.as_micros() as u64,
                },
            );
        }
    }

    fn put(&self, index: usize, report: &StageReport) {
        if let Some(slot) = self.metrics.stage_slot(index) {
            slot.set(report);
        }
    }

    /// The main thread, whose events are accepted connections.
    fn accept(&self) -> StageReport {
        let inboxes = &self.system.inboxes;
        let accepted = self.metrics.slot(0).map_or(0, |slot| slot.connections_accepted.get());
        StageReport {
            queue: inboxes.iter().map(|inbox| inbox.accepted.len() as u64).sum(),
            capacity: inboxes.iter().map(|inbox| inbox.accepted.capacity() as u64).sum(),
            threads: 1,
            threads_max: 1,
            batch: 1,
            events: accepted,
            ..StageReport::default()
        }
    }

    /// The readers, whose queue is what has returned, besides the kernel's.
    fn read(&self) -> StageReport {
        let inboxes = &self.system.inboxes;
        StageReport {
            queue: inboxes.iter().map(|inbox| inbox.returned.len() as u64).sum(),
            capacity: inboxes.iter().map(|inbox| inbox.returned.capacity() as u64).sum(),
            threads: inboxes.len() as u64,
            threads_max: inboxes.len() as u64,
            batch: 1,
            events: inboxes.iter().map(|inbox| inbox.load.events()).sum(),
            busy_us: inboxes.iter().map(|inbox| inbox.load.busy().as_micros() as u64).sum(),
            ..StageReport::default()
        }
    }
}

fn observe(before: &Snapshot, seen: &Snapshot, passed: Duration) -> Observation {
    Observation {
        waiting: seen.waiting,
        threads: seen.threads,
        running: seen.running,
        batch: seen.batch,
        events: seen.events - before.events,
        batches: seen.batches - before.batches,
        busy_us: seen.busy.saturating_sub(before.busy).as_micros() as u64,
        cpu_us: seen.cpu.saturating_sub(before.cpu).as_micros() as u64,
        passed_us: passed.as_micros() as u64,
    }
}
