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
use super::seats::Seat;
use crate::app::App;
use crate::app::clock::Clock;
use crate::drivers::event::workplace::Job;

/// What a thread leaves behind that ends over a panic.
pub(super) struct Resignation {
    pub place: usize,
    pub ends: Box<Ends>,
    pub job: Box<Job>,
}

/// The way for it, and how many have been sent and not received.
#[derive(Clone)]
pub(super) struct Resignations {
    pub sender: Sender<Resignation>,
    pub pending: Arc<AtomicUsize>,
}

/// A thread to be: what it is given by the loop.
pub(super) struct Recruit<A: App> {
    pub place: usize,
    pub app: Arc<A>,
    pub seat: Seat,
    pub parker: Parker,
    pub doorbell: Doorbell,
    pub running: Arc<Running>,
    pub resignations: Resignations,
    /// The zero of stamps, and of the application's clock.
    pub epoch: Instant,
}

/// A thread that works.
struct Worker<A: App> {
    recruit: Recruit<A>,
    local: A::Local,
    clock: Clock,
    /// Something is in the ring of jobs done that the loop has not been told of.
    unannounced: bool,
}

impl<A: App> Recruit<A> {
    /// The thread's life: until its ring is closed, its ends are taken from it, or it panics.
    pub fn work(self, ends: Down<Box<Ends>>) {
        let Some((holder, ends)) = ends.pick_up() else { return };
        let local = self.app.local(self.seat.number());
        let clock = Clock::new(self.epoch.elapsed().as_millis() as u64);
        let worker = Worker { recruit: self, local, clock, unannounced: false };
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
            // Else it took too long: its client has been answered, and somebody else has the ends.
            let Some(back) = down.pick_up() else { return };
            (holder, ends) = back;
            if !survived {
                return self.resign(ends, job);
            }
            // There is room for all that can be out.
            let pushed = ends.done.push(job);
            debug_assert!(pushed.is_ok(), "a ring of jobs done is full");
            self.unannounced = true;
        }
    }

    /// The next job, waited for; `None` when there will be none.
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
            self.recruit.parker.sleep_unless(|| !jobs.is_empty() || jobs.is_closed());
        }
    }

    /// Notes whose job is begun, and when; the stamp to put the ends down with.
    fn begin(&mut self, job: &mut Job) -> u64 {
        let now = Instant::now();
        let running = now.saturating_duration_since(self.recruit.epoch);
        self.clock.update(running.as_millis() as u64);
        job.times_mut().begun = now;
        self.recruit.running.note(job.key(), job.request_bytes());
        running.as_micros() as u64
    }

    fn perform(&mut self, job: &mut Job) {
        if job.begin(&*self.recruit.app, &mut self.local, &self.clock) {
            // What is done must not wait for what may take its time.
            self.announce();
            job.work(&*self.recruit.app, &self.clock);
        }
    }

    /// Tells the loop of what is done.
    fn announce(&mut self) {
        if self.unannounced {
            self.unannounced = false;
            // It fails only where the loop is gone.
            let _ = self.recruit.doorbell.ring();
        }
    }

    /// Ends over a panic: the answer and the ends go to the loop, which starts somebody else.
    #[cold]
    fn resign(self, ends: Box<Ends>, job: Box<Job>) {
        let Worker { recruit, local, .. } = self;
        let Recruit { place, seat, resignations, doorbell, .. } = recruit;
        // Both before the loop looks for a seat for the next.
        drop(local);
        drop(seat);
        // It fails only where the loop is gone.
        if resignations.sender.send(Resignation { place, ends, job }).is_ok() {
            resignations.pending.fetch_add(1, Ordering::Release);
            let _ = doorbell.ring();
        }
    }
}
