//! Starting the threads: readers, those of the stages, and the one that adds and removes them.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use reactor::EventLoop;
use reactor::process::Priority;

use super::connection::Flight;
use super::controller::{Controller, Observation, Threads};
use super::stage::Snapshot;
use super::{Name, System, Unwoken};
use crate::app::App;
use crate::app::clock::Clock;
use crate::report::report;

/// How often the stages are looked at.
const TICK: Duration = Duration::from_millis(100);

/// Starts one more thread of a stage.
pub(super) fn start<A: App>(
    system: &Arc<System<A>>,
    name: Name,
    priority: Priority,
) -> io::Result<()> {
    let (its, membership) = (Arc::clone(system), system.stage(name).join());
    let thread = thread::Builder::new().name(name.text().to_owned());
    let started = thread.spawn(move || {
        if let Err(error) = priority.apply() {
            report!("--worker-priority: {} runs as the others: {error}", name.text());
        }
        let mut clock = Clock::new(0);
        let mut unwoken = Unwoken::default();
        its.stage(name).serve(membership, |batch: &mut Vec<Flight>| {
            for mut flight in batch.drain(..) {
                let to = its.step(name, &mut flight, &mut clock);
                its.pass(flight, to, &mut unwoken);
            }
            its.wake(&mut unwoken);
        });
    });
    if started.is_err() {
        system.stage(name).dismiss();
    }
    started.map(drop)
}

/// What adds and removes threads.
pub(super) struct Control<A: App> {
    pub system: Arc<System<A>>,
    /// Of the threads that work.
    pub priority: Priority,
}

impl<A: App> Control<A> {
    /// The first thread of each stage.
    pub fn start(&self) -> io::Result<()> {
        Name::ALL.into_iter().try_for_each(|name| self.add(name))
    }

    fn add(&self, name: Name) -> io::Result<()> {
        let priority = if name == Name::Work { self.priority } else { Priority::Normal };
        start(&self.system, name, priority)
    }

    /// Its thread's life.
    pub fn run(self) {
        let mut controllers: [Controller; Name::ALL.len()] = Default::default();
        let mut earlier = Name::ALL.map(|name| self.system.stage(name).snapshot());
        let mut then = Instant::now();
        loop {
            thread::sleep(TICK);
            let now = Instant::now();
            for name in Name::ALL {
                let seen = self.system.stage(name).snapshot();
                let before = std::mem::replace(&mut earlier[name as usize], seen);
                let observation = observe(&before, &seen, now - then);
                self.decide(name, &mut controllers[name as usize], &observation);
            }
            then = now;
        }
    }

    fn decide(&self, name: Name, controller: &mut Controller, seen: &Observation) {
        let stage = self.system.stage(name);
        let (threads, batch) = controller.decide(&stage.bounds, seen);
        if batch != seen.batch {
            stage.set_batch(batch);
        }
        match threads {
            Threads::Add => {
                if let Err(error) = self.add(name) {
                    report!("cannot start a thread for the stage {}: {error}", name.text());
                }
            }
            Threads::Remove => stage.dismiss(),
            Threads::Keep => {}
        }
    }
}

fn observe(before: &Snapshot, seen: &Snapshot, passed: Duration) -> Observation {
    Observation {
        waiting: seen.waiting,
        threads: seen.threads,
        batch: seen.batch,
        busy_us: seen.busy.saturating_sub(before.busy).as_micros() as u64,
        passed_us: passed.as_micros() as u64,
    }
}

/// Starts a reader on a thread of its own.
pub(super) fn start_reader<A: App>(mut ev: EventLoop, mut reader: super::reader::Reader<A>) {
    if let Err(error) = ev.run(&mut reader) {
        // Without its poller it can serve no client; the others can.
        report!("a reader has failed: {error}");
    }
}
