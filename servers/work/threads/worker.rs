//! The thread: takes jobs from its ring, does them, and puts them into the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::time::Instant;

use reactor::Doorbell;
use reactor::lease::{Down, Holder};
use reactor::sleep::Parker;

use super::place::Ends;
use super::running::Running;
use super::slots::ThreadSlot;
use crate::app::App;
use crate::app::clock::Clock;
use crate::work::job::Job;

/// What a thread leaves behind when its job panics.
pub(super) struct PanicReport {
    pub place: usize,
    pub ends: Box<Ends>,
    pub job: Box<Job>,
}

/// The channel for it, and how many reports are on their way.
#[derive(Clone)]
pub(super) struct PanicReports {
    pub sender: Sender<PanicReport>,
    pub pending: Arc<AtomicUsize>,
}

/// What the loop gives a thread to start with.
pub(super) struct WorkerThread<A: App> {
    pub place: usize,
    pub app: Arc<A>,
    pub slot: ThreadSlot,
    pub parker: Parker,
    pub doorbell: Doorbell,
    pub running: Arc<Running>,
    pub panics: PanicReports,
    /// The zero of stamps, and of the application's clock.
    pub epoch: Instant,
}

/// A thread that works.
struct Worker<A: App> {
    thread: WorkerThread<A>,
    local: A::Local,
    clock: Clock,
    /// A finished job is in the ring of which the loop has not been notified.
    unannounced: bool,
}

impl<A: App> WorkerThread<A> {
    /// The thread's life: until its ring is closed, its ends are taken from it, or it panics.
    pub fn work(self, ends: Down<Box<Ends>>) {
        let Some((holder, ends)) = ends.pick_up() else { return };
        let local = self.app.local(self.slot.number());
        let clock = Clock::new(self.epoch.elapsed().as_millis() as u64);
        let worker = Worker { thread: self, local, clock, unannounced: false };
        worker.run(holder, ends);
    }
}

impl<A: App> Worker<A> {
    fn run(mut self, mut holder: Holder<Box<Ends>>, mut ends: Box<Ends>) {
        while let Some(mut job) = self.next_job(&mut ends) {
            let down = holder.put_down(ends, self.begin(&mut job));
            let survived = catch_unwind(AssertUnwindSafe(|| self.perform(&mut job))).is_ok();
            if !survived {
                job.fail(&self.clock);
            }
            job.times_mut().ended = Instant::now();
            // Else it took too long: its client has been answered, and a replacement has the ends.
            let Some(back) = down.pick_up() else { return };
            (holder, ends) = back;
            if !survived {
                return self.report_panic(ends, job);
            }
            // There is room for all jobs that can be in flight.
            let pushed = ends.done.push(job);
            debug_assert!(pushed.is_ok(), "a ring of jobs done is full");
            self.unannounced = true;
        }
    }

    /// Waits for the next job; `None` when there will be none.
    fn next_job(&mut self, ends: &mut Ends) -> Option<Box<Job>> {
        loop {
            if let Some(job) = ends.jobs.pop() {
                return Some(job);
            }
            self.announce();
            let closed = ends.jobs.is_closed();
            if !ends.jobs.is_empty() {
                continue;
            }
            if closed {
                return None;
            }
            let jobs = &ends.jobs;
            self.thread.parker.sleep_unless(|| !jobs.is_empty() || jobs.is_closed());
        }
    }

    /// Notes which job begins, and when: the stamp to put the ends down with.
    fn begin(&mut self, job: &mut Job) -> u64 {
        let now = Instant::now();
        let running = now.saturating_duration_since(self.thread.epoch);
        self.clock.update(running.as_millis() as u64);
        job.times_mut().begun = now;
        self.thread.running.note(job.key(), job.request_bytes());
        running.as_micros() as u64
    }

    fn perform(&mut self, job: &mut Job) {
        if job.begin(&*self.thread.app, &mut self.local, &self.clock) {
            // Finished jobs must not wait for a slow one.
            self.announce();
            job.work(&*self.thread.app, &self.clock);
        }
    }

    /// Notifies the loop of finished jobs.
    fn announce(&mut self) {
        if self.unannounced {
            self.unannounced = false;
            // It fails only where the loop is gone.
            let _ = self.thread.doorbell.ring();
        }
    }

    /// Exits after a panic: the answer and the ends go to the loop, which starts a replacement.
    #[cold]
    fn report_panic(self, ends: Box<Ends>, job: Box<Job>) {
        let Worker { thread, local, .. } = self;
        let WorkerThread { place, slot, panics, doorbell, .. } = thread;
        // Both before the loop looks for a slot for the replacement.
        drop(local);
        drop(slot);
        // It fails only where the loop is gone.
        if panics.sender.send(PanicReport { place, ends, job }).is_ok() {
            panics.pending.fetch_add(1, Ordering::Release);
            let _ = doorbell.ring();
        }
    }
}
