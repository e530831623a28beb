//! A stage: a bounded queue, the threads that serve it, and what they have done.
//!
//! ```text
//!  submit ─► [ queue, bounded ] ─► thread 0 ┐ each takes a batch,
//!     │ full: the event comes back └ thread 1 ┘ and sleeps when there is none
//! ```
//!
//! The queue is a ring from which any thread takes ([`reactor::ring::mpmc`]); a thread that is
//! awake is not woken ([`reactor::sleep`]). A thread that pushes many events wakes one; one that
//! takes a batch and leaves events behind wakes the next. Threads come and go while the stage
//! serves: see `controller`.
//!
//! Not guaranteed: that events leave in the order in which they came. A connection is in one place
//! at a time, so its responses are in order all the same.

use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize, Ordering::Acquire, Ordering::Relaxed, fence,
};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use reactor::process::thread_cpu_time;
use reactor::ring::mpmc::Ring;
use reactor::sleep::{Parker, Unparker, parker};

use super::controller::Bounds;

/// A stage for events `T`.
pub(super) struct Stage<T> {
    queue: Ring<T>,
    /// The threads that serve it.
    members: RwLock<Vec<Member>>,
    /// Events that a thread takes at a time.
    batch: AtomicUsize,
    /// Threads that have taken events, and are not done.
    running: AtomicUsize,
    /// Within which the controller stays.
    pub bounds: Bounds,
    load: Load,
}

/// A thread of the stage, as the others know it.
struct Member {
    unparker: Unparker,
    leaves: Arc<AtomicBool>,
}

/// A thread's own place in its stage.
pub(super) struct Membership {
    parker: Parker,
    leaves: Arc<AtomicBool>,
}

/// What a stage has done since it began, written by all its threads: a batch at a time.
#[derive(Default)]
pub(super) struct Load {
    events: AtomicU64,
    batches: AtomicU64,
    shed: AtomicU64,
    busy_ns: AtomicU64,
    /// CPU time of it; only of stages that take one event at a time, which may compute for long.
    cpu_ns: AtomicU64,
}

impl Load {
    /// So many events took so long, together.
    pub fn add(&self, events: usize, busy: Duration) {
        self.events.fetch_add(events as u64, Relaxed);
        self.batches.fetch_add(1, Relaxed);
        self.busy_ns.fetch_add(busy.as_nanos() as u64, Relaxed);
    }

    pub fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.busy_ns.load(Relaxed))
    }
}

/// The same at a moment, and what there is to do.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Snapshot {
    /// Events that wait.
    pub waiting: usize,
    pub threads: usize,
    /// Threads that do not sleep.
    pub running: usize,
    pub batch: usize,
    /// Events done.
    pub events: u64,
    /// In how many batches.
    pub batches: u64,
    /// Events that found the queue full.
    pub shed: u64,
    /// How long they took.
    pub busy: Duration,
    /// How much of it they computed, where that is measured.
    pub cpu: Duration,
}

impl<T> Stage<T> {
    /// A stage without threads, whose queue holds `capacity` events.
    pub fn new(capacity: usize, bounds: Bounds) -> Self {
        Stage {
            queue: Ring::new(capacity),
            members: RwLock::default(),
            batch: AtomicUsize::new(1),
            running: AtomicUsize::new(0),
            bounds,
            load: Load::default(),
        }
    }

    /// Puts an event at the queue's end; [`Stage::wake`] must follow.
    ///
    /// # Errors
    /// The event, when the queue is full.
    pub fn submit(&self, event: T) -> Result<(), T> {
        self.queue.push(event)
    }

    /// Wakes a thread, if one sleeps: the first of them, so that the last ones stay idle when there
    /// is little to do. Once is enough for any number of events: that thread wakes the next.
    pub fn wake(&self) {
        for member in &*self.members() {
            if member.unparker.wake() {
                return;
            }
        }
    }

    /// An event could not be taken.
    pub fn count_shed(&self) {
        self.load.shed.fetch_add(1, Relaxed);
    }

    /// Events wait.
    pub fn has_events(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Events that the queue holds.
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    pub fn set_batch(&self, batch: usize) {
        self.batch.store(batch, Relaxed);
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            waiting: self.queue.len(),
            threads: self.members().len(),
            running: self.running.load(Relaxed),
            batch: self.batch.load(Relaxed),
            events: self.load.events(),
            batches: self.load.batches.load(Relaxed),
            shed: self.load.shed.load(Relaxed),
            busy: self.load.busy(),
            cpu: Duration::from_nanos(self.load.cpu_ns.load(Relaxed)),
        }
    }

    /// A place for one more thread, which is to [serve](Stage::serve) with it at once.
    pub fn join(&self) -> Membership {
        let (parker, unparker) = parker();
        let leaves = Arc::new(AtomicBool::new(false));
        let member = Member { unparker, leaves: Arc::clone(&leaves) };
        self.members.write().unwrap_or_else(PoisonError::into_inner).push(member);
        Membership { parker, leaves }
    }

    /// Has the thread that came last leave, once it finds the queue empty.
    pub fn dismiss(&self) {
        let last = self.members.write().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(member) = last {
            member.leaves.store(true, Relaxed);
            member.unparker.wake();
        }
    }

    /// A thread's life: passes events to `run`, which has to take all of them, until it is
    /// dismissed.
    pub fn serve(&self, mut membership: Membership, mut run: impl FnMut(&mut Vec<T>)) {
        let mut batch = Vec::new();
        while self.next_batch(&mut membership, &mut batch) {
            let (begun, count) = (Instant::now(), batch.len());
            self.running.fetch_add(1, Relaxed);
            let cpu = self.cpu_time();
            run(&mut batch);
            let cpu = self.cpu_time().saturating_sub(cpu);
            self.load.cpu_ns.fetch_add(cpu.as_nanos() as u64, Relaxed);
            self.running.fetch_sub(1, Relaxed);
            debug_assert!(batch.is_empty(), "events were left in a batch");
            self.load.add(count, begun.elapsed());
        }
    }

    /// The calling thread's, in a stage where that is worth two system calls an event.
    fn cpu_time(&self) -> Duration {
        match self.bounds.batch_max {
            1 => thread_cpu_time().unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }

    /// Waits for events; `false`: there are none, and the thread is to leave.
    fn next_batch(&self, membership: &mut Membership, batch: &mut Vec<T>) -> bool {
        loop {
            // First: it may have been woken for an event, and no other thread was.
            if self.queue.pop_batch(self.batch.load(Relaxed), |event| batch.push(event)) > 0 {
                self.wake_for_the_rest();
                return true;
            }
            if membership.leaves.load(Relaxed) {
                return false;
            }
            let (parker, leaves) = (&mut membership.parker, &membership.leaves);
            parker.sleep_unless(|| !self.queue.is_empty() || leaves.load(Relaxed));
        }
    }

    /// The calling thread has taken a batch, and may be busy with it for long: what it leaves is
    /// for another thread, and it may be the only one that was woken for all of it.
    fn wake_for_the_rest(&self) {
        // It may have been woken for events pushed after it saw the first: those must be seen here.
        fence(Acquire);
        if self.has_events() {
            self.wake();
        }
    }

    fn members(&self) -> RwLockReadGuard<'_, Vec<Member>> {
        self.members.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, mpsc};
    use std::thread;

    use super::*;

    const BOUNDS: Bounds = Bounds { threads_min: 1, threads_max: 4, batch_max: 8, cores: 2 };

    /// A thread that passes what it gets on to the test.
    fn serve(stage: &Arc<Stage<u32>>, to: &mpsc::Sender<Vec<u32>>) -> thread::JoinHandle<()> {
        let (stage, membership, to) = (Arc::clone(stage), stage.join(), to.clone());
        thread::spawn(move || {
            stage.serve(membership, |batch| to.send(std::mem::take(batch)).unwrap());
        })
    }

    #[test]
    fn a_full_queue_gives_the_event_back_and_goes_on_when_a_thread_comes() {
        let stage = Arc::new(Stage::new(2, BOUNDS));
        assert_eq!((stage.submit(1), stage.submit(2), stage.submit(3)), (Ok(()), Ok(()), Err(3)));
        assert_eq!((stage.snapshot().waiting, stage.capacity()), (2, 2));
        let (sender, events) = mpsc::channel();
        let thread = serve(&stage, &sender);
        assert_eq!((events.recv(), events.recv()), (Ok(vec![1]), Ok(vec![2])));
        stage.submit(3).unwrap();
        stage.wake();
        assert_eq!(events.recv(), Ok(vec![3]));
        stage.dismiss();
        thread.join().unwrap();
        let after = stage.snapshot();
        assert_eq!((after.events, after.waiting, after.threads), (3, 0, 0));
    }

    #[test]
    fn a_batch_is_taken_at_once_and_no_larger_than_it_may_be() {
        let stage = Arc::new(Stage::new(8, BOUNDS));
        stage.set_batch(3);
        (0..5).for_each(|event| stage.submit(event).unwrap());
        let (sender, events) = mpsc::channel();
        let thread = serve(&stage, &sender);
        assert_eq!((events.recv(), events.recv()), (Ok(vec![0, 1, 2]), Ok(vec![3, 4])));
        stage.dismiss();
        thread.join().unwrap();
    }

    /// All threads of a stage sleep.
    fn until_asleep<T>(stage: &Stage<T>) {
        while !stage.members().iter().all(|member| member.unparker.is_asleep()) {
            thread::yield_now();
        }
    }

    #[test]
    fn one_wake_up_reaches_as_many_threads_as_there_are_events() {
        const THREADS: usize = 4;
        let stage = Arc::new(Stage::new(8, BOUNDS));
        let gate = Arc::new(Barrier::new(THREADS + 1));
        let (sender, reached) = mpsc::channel();
        for _ in 0..THREADS {
            let (stage, membership, to) = (Arc::clone(&stage), stage.join(), sender.clone());
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                stage.serve(membership, |batch| {
                    to.send(std::mem::take(batch)).unwrap();
                    gate.wait();
                });
            });
        }
        for _ in 0..10 {
            until_asleep(&stage);
            (0..THREADS).for_each(|event| stage.submit(event).unwrap());
            stage.wake();
            let next = |_| reached.recv_timeout(Duration::from_secs(20)).expect("one more thread");
            let mut taken: Vec<usize> = (0..THREADS).flat_map(next).collect();
            taken.sort_unstable();
            assert!(taken.into_iter().eq(0..THREADS));
            gate.wait();
        }
    }

    /// A thread that is dismissed while it is woken for an event must not leave the event behind.
    #[test]
    fn threads_that_come_and_go_lose_no_event() {
        const EVENTS: u32 = 20_000;
        let stage = Arc::new(Stage::new(64, BOUNDS));
        let (sender, events) = mpsc::channel();
        let mut threads = vec![serve(&stage, &sender)];
        for event in 0..EVENTS {
            while stage.submit(event).is_err() {
                thread::yield_now();
            }
            stage.wake();
            match event % 200 {
                50 => threads.push(serve(&stage, &sender)),
                150 => stage.dismiss(),
                _ => {}
            }
        }
        let mut seen: Vec<u32> = Vec::new();
        while seen.len() < EVENTS as usize {
            seen.extend(events.recv().unwrap());
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..EVENTS));
        stage.dismiss();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
