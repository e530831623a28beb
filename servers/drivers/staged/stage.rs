//! A stage: a bounded queue, the threads that serve it, and what they have done.
//!
//! ```text
//!  submit ─► [ queue, bounded ] ─► thread 0 ┐ each takes a batch,
//!     │ full: the event comes back └ thread 1 ┘ and sleeps when there is none
//! ```
//!
//! The queue is a ring from which any thread takes ([`reactor::ring::mpmc`]); a thread that is awake
//! is not woken ([`reactor::sleep`]). Threads come and go while the stage serves: see `controller`.
//!
//! Not guaranteed: that events leave in the order in which they came. A connection is in one place
//! at a time, so its responses are in order all the same.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

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
struct Load {
    events: AtomicU64,
    shed: AtomicU64,
    busy_ns: AtomicU64,
}

/// The same at a moment, and what there is to do.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Snapshot {
    /// Events that wait.
    pub waiting: usize,
    pub threads: usize,
    pub batch: usize,
    /// Events done.
    pub events: u64,
    /// Events that found the queue full.
    pub shed: u64,
    /// How long they took.
    pub busy: Duration,
}

impl<T> Stage<T> {
    /// A stage without threads, whose queue holds `capacity` events.
    pub fn new(capacity: usize, bounds: Bounds) -> Self {
        Stage {
            queue: Ring::new(capacity),
            members: RwLock::default(),
            batch: AtomicUsize::new(1),
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
    /// is little to do.
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
            batch: self.batch.load(Relaxed),
            events: self.load.events.load(Relaxed),
            shed: self.load.shed.load(Relaxed),
            busy: Duration::from_nanos(self.load.busy_ns.load(Relaxed)),
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
            run(&mut batch);
            debug_assert!(batch.is_empty(), "events were left in a batch");
            self.load.events.fetch_add(count as u64, Relaxed);
            self.load.busy_ns.fetch_add(begun.elapsed().as_nanos() as u64, Relaxed);
        }
    }

    /// Waits for events; `false`: there are none, and the thread is to leave.
    fn next_batch(&self, membership: &mut Membership, batch: &mut Vec<T>) -> bool {
        loop {
            // First: it may have been woken for an event, and no other thread was.
            if self.queue.pop_batch(self.batch.load(Relaxed), |event| batch.push(event)) > 0 {
                return true;
            }
            if membership.leaves.load(Relaxed) {
                return false;
            }
            let (parker, leaves) = (&mut membership.parker, &membership.leaves);
            parker.sleep_unless(|| !self.queue.is_empty() || leaves.load(Relaxed));
        }
    }

    fn members(&self) -> RwLockReadGuard<'_, Vec<Member>> {
        self.members.read().unwrap_or_else(PoisonError::into_inner)
    }
}
