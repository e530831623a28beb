//! M:N scheduling: any number of green threads on a few cores, each with an event loop.
//!
//! ```text
//!   spawn ──► the least loaded core's inbox
//!                     │
//!      ┌──────────────▼─────────────┐                    ┌────────────────────────────┐
//!      │ core 0: loop, timers       │                    │ core 1: loop, timers       │
//!      │  events ─► unpark ─► queue ┼── an idle core ───►│  events ─► unpark ─► queue │
//!      └──────────────┬─────────────┘   steals half      └──────────────┬─────────────┘
//!                     ▼ pop, resume                                     ▼
//!   carrier 0: [fiber][fiber][ fiber computes …………… ]   carrier 1: [fiber][fiber][wait in the loop]
//!                               │
//!        monitor: "for 5 ms?" ──┴─► core 0 goes to a spare carrier
//! ```
//!
//! Three things, for which Go has the letters G, P and M:
//!
//! * A **green thread** is a [`Fiber`](crate::fiber::Fiber) with a state: it runs, is queued, or is
//!   parked until its descriptor is ready, its deadline has come, or another thread unparks it.
//! * A **core** is an event loop and a run queue. A thread has a home: the core whose loop has
//!   its descriptor, registered once by edges, and its timer, re-armed lazily. A request of a
//!   keep-alive connection costs a receive, a send and a share of a wait; parking costs two
//!   read-modify-writes and a push on a ring that its own carrier pops.
//! * A **carrier** is a kernel thread that has a core and runs what the core's queue holds.
//!
//! A core with nothing to run steals half of what waits in another's queue; a carrier that finds
//! others still waiting behind the threads it has run wakes one idle core for them. A thread that
//! was stolen runs once on the other core; its next event is its home's again. A carrier inside a
//! fiber for more than some milliseconds loses its core to a spare carrier (`monitor`), and so
//! delays neither the core's events nor what waits in its queue.
//!
//! # Duties of the code that runs on green threads
//!
//! * A wait may end on another kernel thread than it began on. Nothing that belongs to a kernel
//!   thread may be kept over it: a `MutexGuard`, a borrowed `thread_local!`, an address of one.
//!   The compiler does not check this: [`Running`] is neither `Send` nor `Sync`, but what lies on
//!   the stack beside it is not asked.
//! * A mutex that is held over a wait blocks the carriers of all that want it.
//! * A panic ends its green thread, and is reported as any thread's.
//!
//! # Not guaranteed
//!
//! That threads run in any order; that a thread which computes is ever interrupted; that there is a
//! spare carrier (64 at most, see `monitor`). A wait may end early for no reason.
//!
//! Dropping the scheduler stops its carriers as soon as their fibers suspend, and waits for none.
//! Threads that are parked then stay as they are: what they own is not dropped.
//!
//! ```
//! use stampede_reactor::scheduler::{Config, Scheduler};
//! use std::sync::mpsc;
//!
//! let scheduler = Scheduler::new(Config::new(2, 16, 64 * 1024), |error| panic!("{error}"))?;
//! let (sender, receiver) = mpsc::channel();
//! for number in 0..10 {
//!     let sender = sender.clone();
//!     let spawned = scheduler.spawn(move |running| {
//!         running.sleep_until(running.now_ms() + 10); // all of them at once
//!         sender.send(number).expect("the receiver is there");
//!     });
//!     assert!(spawned.is_ok(), "a stack for each");
//! }
//! drop(sender);
//! assert_eq!(receiver.iter().sum::<i32>(), 45);
//! # std::io::Result::Ok(())
//! ```
//!
//! Files: `park` (the states, without a lost wake-up), `green` (a thread's record, and what it may
//! ask for), `deadline` (whose timer is another core's), `core`, `carrier`, `lent` (a core while its
//! carrier is inside a fiber), `monitor`.

mod carrier;
mod core;
mod deadline;
mod green;
mod lent;
#[cfg(all(loom, test))]
mod models;
mod monitor;
mod park;
#[cfg(all(not(loom), test))]
mod tests;

pub use green::{Awaited, Running, Unparker};

use self::core::{Core, Outside};
use crate::fiber::{StackPool, report_overflows};
use green::Green;
use monitor::{Monitor, Spares};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::AcqRel, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

/// A deadline that never comes.
pub const NEVER: u64 = u64::MAX;

/// Stacks beyond the threads that may be parked at a time: a thread that ends tells so before its
/// stack is back, and each carrier may have one of those.
const STACKS_SPARE: usize = 8;

/// Each costs a poller, a thread, and rings with room for all green threads; and one with nothing
/// to run looks at all others.
const CORES_MAX: usize = 1024;

/// What a scheduler is made for.
#[derive(Clone, Debug)]
pub struct Config {
    /// Cores, and carriers that are always there.
    pub cores: usize,
    /// Green threads at a time.
    pub fibers_max: usize,
    /// Bytes of each one's stack.
    pub stack_bytes: usize,
    /// Of the carriers' threads: `name 0`, `name 1`; and at the head of a report of an overflow.
    pub name: &'static str,
    /// What a report of an overflow advises.
    pub overflow_hint: &'static str,
    /// When the clock of deadlines began.
    pub epoch: Instant,
}

impl Config {
    /// With a clock that begins now.
    pub fn new(cores: usize, fibers_max: usize, stack_bytes: usize) -> Self {
        let (name, overflow_hint) = ("carrier", "larger stacks help");
        Config { cores, fibers_max, stack_bytes, name, overflow_hint, epoch: Instant::now() }
    }
}

/// Counts of a scheduler, of all its cores.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Green threads there are.
    pub threads: usize,
    /// How often any of them was resumed.
    pub runs: u64,
    /// Threads that a core took from another one's queue.
    pub steals: u64,
    /// Cores that went to another carrier, since theirs was inside a fiber for too long.
    pub takeovers: u64,
}

/// Green threads, and the carriers that run them. See the module's head.
pub struct Scheduler {
    shared: Arc<Shared>,
    stacks: StackPool,
}

type Failed = Box<dyn Fn(io::Error) + Send + Sync>;

/// What all carriers have in common.
struct Shared {
    cores: Box<[Outside]>,
    spares: Spares,
    monitor: Monitor,
    stopping: AtomicBool,
    carriers: AtomicUsize,
    epoch: Instant,
    name: &'static str,
    overflow_hint: &'static str,
    failed: OnceLock<()>,
    on_failure: Failed,
}

impl Scheduler {
    /// Starts the carriers. `on_failure` is called once, by a carrier, if waiting for events fails:
    /// then nothing runs any more.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: more than 1,024 cores, or what [`StackPool::new`] refuses. Else the system's:
    /// a poller, memory, a thread.
    pub fn new(
        config: Config,
        on_failure: impl Fn(io::Error) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let cores = config.cores.max(1);
        if cores > CORES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let stacks = config.fibers_max.saturating_add(STACKS_SPARE);
        let stacks = StackPool::new(config.stack_bytes, stacks)?;
        let opened = (0..cores).map(|_| Core::open(stacks.count(), config.epoch));
        let opened = opened.collect::<io::Result<Vec<_>>>()?;
        let (mut outsides, mut loops) = (Vec::new(), Vec::new());
        for (outside, ev, behind_ms) in opened {
            outsides.push(outside);
            loops.push((ev, behind_ms));
        }
        let (monitor, parker) = Monitor::new();
        let shared = Arc::new(Shared {
            cores: outsides.into(),
            spares: Spares::default(),
            monitor,
            stopping: AtomicBool::new(false),
            carriers: AtomicUsize::new(0),
            epoch: config.epoch,
            name: config.name,
            overflow_hint: config.overflow_hint,
            failed: OnceLock::new(),
            on_failure: Box::new(on_failure),
        });
        // From here on its drop ends those that were started.
        let scheduler = Scheduler { shared, stacks };
        let shared = &scheduler.shared;
        for (index, (ev, behind_ms)) in loops.into_iter().enumerate() {
            shared.try_start_carrier(Some(Core::new(index, ev, behind_ms, Arc::clone(shared))))?;
        }
        let (its, name) = (Arc::clone(shared), format!("{} monitor", config.name));
        thread::Builder::new().name(name).spawn(move || monitor::watch(&its, parker))?;
        Ok(scheduler)
    }

    /// Has `entry` run on a green thread of its own.
    ///
    /// # Errors
    ///
    /// `entry`, when all stacks are in use.
    ///
    /// # Panics
    ///
    /// If `entry`, with all it has captured, takes more than a quarter of a stack. Nothing has been
    /// counted by then.
    pub fn spawn<F>(&self, entry: F) -> Result<(), F>
    where
        F: FnOnce(&Running<'_>) + Send + 'static,
    {
        let Some(stack) = self.stacks.take() else { return Err(entry) };
        let cores = &self.shared.cores;
        let least = cores.iter().enumerate().min_by_key(|(_, core)| core.homed.load(Relaxed));
        let home = least.map_or(0, |(index, _)| index);
        let outside = &cores[home];
        let green = Green::new(&self.shared, home, stack, entry); // may panic
        outside.homed.fetch_add(1, Relaxed);
        self::core::push(&outside.inbox, green);
        self.shared.ring(outside);
        Ok(())
    }

    /// Its counts, at some moment.
    pub fn stats(&self) -> Stats {
        let add = |sum: Stats, core: &Outside| Stats {
            threads: sum.threads + core.homed.load(Relaxed),
            runs: sum.runs + core.runs.load(Relaxed),
            steals: sum.steals + core.steals.load(Relaxed),
            takeovers: sum.takeovers + core.takeovers.load(Relaxed),
        };
        self.shared.cores.iter().fold(Stats::default(), add)
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// A turn has failed.
    fn fail(&self, error: io::Error) {
        self.stop();
        if self.failed.set(()).is_ok() {
            (self.on_failure)(error);
        }
    }

    fn stop(&self) {
        self.stopping.store(true, Relaxed);
        self.cores.iter().for_each(|core| self.ring(core));
        self.spares.stop();
        self.monitor.wake();
    }

    /// Puts a thread into a core's run queue, from outside of it.
    #[cold]
    fn queue_at(&self, index: usize, green: Arc<Green>) {
        let outside = &self.cores[index];
        self::core::push(&outside.queue, green);
        self.ring(outside);
    }

    /// Has a thread's home core look at what it wants.
    #[cold]
    fn tell_home(&self, green: &Arc<Green>) {
        if !green.told.swap(true, AcqRel) {
            let outside = &self.cores[green.home];
            self::core::push(&outside.inbox, Arc::clone(green));
            self.ring(outside);
        }
    }

    /// Wakes one core that has nothing to do.
    fn wake_idle(&self) {
        let idle = self.cores.iter().find(|core| core.idle.load(Relaxed));
        if let Some(core) = idle {
            core.idle.store(false, Relaxed);
            self.ring(core);
        }
    }

    fn ring(&self, outside: &Outside) {
        // It fails only where the loop is gone.
        let _ = outside.bell.ring();
    }

    /// One more carrier, for a core that was taken over.
    fn start_carrier(self: &Arc<Self>) {
        if self.try_start_carrier(None).is_err() {
            self.spares.not_started();
        }
    }

    fn try_start_carrier(self: &Arc<Self>, core: Option<Box<Core>>) -> io::Result<()> {
        let number = self.carriers.fetch_add(1, Relaxed);
        let shared = Arc::clone(self);
        let thread = thread::Builder::new().name(format!("{} {number}", self.name));
        thread.spawn(move || {
            // Without them an overflow ends the process just so.
            let _reports = report_overflows(shared.name, shared.overflow_hint);
            carrier::carry(&shared, core);
        })?;
        Ok(())
    }
}
