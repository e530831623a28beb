//! A core: an event loop, the threads at home in it, and its end of a run queue. Go calls it a P.
//!
//! ```text
//!                     ┌──────────────── a core ───────────────┐
//!   events, timers ──►│ event loop ──► unpark ──► run queue   │──► its carrier runs them
//!   inbox ───────────►│   (watch, arm a timer, adopt, let go) │──► others steal from the queue
//!                     └───────────────────────────────────────┘
//! ```
//!
//! The loop, with its sources and its wheel, belongs to the carrier that has the core. What others
//! need of it is in its [`Outside`]: the queue, the inbox and the bell.

use super::Shared;
use super::green::{Green, Watch, reasons};
use super::lent::Lent;
use crate::event_loop::{Config, EventLoop, Handler};
use crate::poller::{Interest, Readiness, Trigger};
use crate::ring::mpmc::Ring;
use crate::sleep::Doorbell;
use crate::token::Token;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use Ordering::{AcqRel, Relaxed};

/// What all threads see of a core.
pub(super) struct Outside {
    /// Threads that are to run. Room for all there are.
    pub queue: Ring<Arc<Green>>,
    /// Threads for which this core, their home, has to do something.
    pub inbox: Ring<Arc<Green>>,
    pub bell: Doorbell,
    /// The core itself, while its carrier is inside a fiber.
    pub lent: Lent<Core>,
    /// Counts the runs: whether a carrier is inside one for long. Its carrier's.
    pub runs: AtomicU64,
    /// It waits, or is about to, and found nothing to steal.
    pub idle: AtomicBool,
    /// Threads at home here.
    pub homed: AtomicUsize,
    /// Threads that this core has taken from others' queues.
    pub steals: AtomicU64,
    /// How often another carrier has taken this core over.
    pub takeovers: AtomicU64,
}

/// What its carrier has of it.
pub(super) struct Core {
    pub index: usize,
    ev: EventLoop,
    home: Home,
}

// SAFETY: of an event loop's parts only its signals belong to a thread, and this one has none: it
// is made here, and no other code sees it.
unsafe impl Send for Core {}

/// The handler of its loop.
struct Home {
    index: usize,
    /// By the slots of their sources.
    greens: Vec<Option<Arc<Green>>>,
    shared: Arc<Shared>,
    /// How much later the loop's clock began than the scheduler's, rounded down: a deadline that is
    /// translated by it is never early.
    behind_ms: u64,
}

impl Core {
    /// A core with what others see of it, for that many threads.
    pub fn open(fibers_max: usize, epoch: Instant) -> io::Result<(Outside, EventLoop, u64)> {
        let sources_max = u32::try_from(fibers_max).unwrap_or(u32::MAX);
        let mut ev = EventLoop::new(Config::with_sources(sources_max))?;
        let began = ev.now() - Duration::from_millis(ev.now_ms());
        let behind_ms = began.saturating_duration_since(epoch).as_millis() as u64;
        let outside = Outside {
            queue: Ring::try_new(fibers_max)?,
            inbox: Ring::try_new(fibers_max.saturating_mul(2))?,
            bell: ev.doorbell()?,
            lent: Lent::empty(),
            runs: AtomicU64::new(0),
            idle: AtomicBool::new(false),
            homed: AtomicUsize::new(0),
            steals: AtomicU64::new(0),
            takeovers: AtomicU64::new(0),
        };
        Ok((outside, ev, behind_ms))
    }

    pub fn new(index: usize, ev: EventLoop, behind_ms: u64, shared: Arc<Shared>) -> Box<Self> {
        let home = Home { index, greens: Vec::new(), shared, behind_ms };
        Box::new(Core { index, ev, home })
    }

    /// One turn of its loop; `may_wait`: until there is something to run.
    pub fn turn(&mut self, may_wait: bool) -> io::Result<()> {
        let wait = if may_wait { None } else { Some(Duration::ZERO) };
        self.ev.turn(&mut self.home, wait).map(|_| ())
    }

    /// Does what a thread at home here wants that has just been suspended.
    #[inline]
    pub fn attend(&mut self, green: &Arc<Green>) {
        self.home.attend(&mut self.ev, green);
    }

    /// A thread at home here has ended.
    pub fn let_go(&mut self, green: &Green) {
        self.home.let_go(&mut self.ev, green);
    }
}

impl Home {
    fn outside(&self) -> &Outside {
        &self.shared.cores[self.index]
    }

    /// The thread is suspended, or about to be queued for the first time.
    #[inline]
    fn attend(&mut self, ev: &mut EventLoop, green: &Arc<Green>) {
        if let Some(fd) = green.watch_wanted() {
            self.watch(ev, green, fd);
        }
        if let Some(deadline_ms) = green.deadline.to_arm()
            && let Some(token) = green.token()
        {
            ev.set_deadline(token, deadline_ms.saturating_sub(self.behind_ms));
        }
    }

    #[cold]
    fn watch(&self, ev: &mut EventLoop, green: &Arc<Green>, fd: std::os::fd::RawFd) {
        // SAFETY: the thread waits for it, and does not go on before this is done.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let watched = match green.token() {
            Some(token) => ev.watch(token, fd, Interest::BOTH, Trigger::Edge),
            None => Err(io::ErrorKind::OutOfMemory.into()),
        };
        green.watched(if watched.is_ok() { Watch::Done } else { Watch::Failed });
        if watched.is_err() {
            self.unpark(green, 0);
        }
    }

    /// One that its carrier suspends at this moment is queued by that.
    #[inline]
    fn unpark(&self, green: &Arc<Green>, reasons: u32) {
        if green.park.unpark(reasons) {
            self.queue(Arc::clone(green));
        }
    }

    /// Without the bell: the carrier of this core is awake.
    fn queue(&self, green: Arc<Green>) {
        push(&self.outside().queue, green);
    }

    /// What a thread wants that another core runs, or that is new.
    fn see_to(&mut self, ev: &mut EventLoop, green: Arc<Green>) {
        // Before its wishes are read: what it wants later is told again.
        green.told.swap(false, AcqRel);
        if green.park.has_ended() {
            return self.let_go(ev, &green);
        }
        let is_new = green.take_new();
        if is_new && let Ok(token) = ev.reserve() {
            let slot = token.slot() as usize;
            if self.greens.len() <= slot {
                self.greens.resize(slot + 1, None);
            }
            self.greens[slot] = Some(Arc::clone(&green));
            green.set_token(Some(token));
        }
        self.attend(ev, &green);
        if is_new {
            self.queue(green);
        }
    }

    fn let_go(&mut self, ev: &mut EventLoop, green: &Green) {
        if !green.leave_home() {
            return;
        }
        if let Some(token) = green.token() {
            ev.release(token);
            green.set_token(None);
            self.greens[token.slot() as usize] = None;
        }
        self.outside().homed.fetch_sub(1, Relaxed);
    }
}

impl Handler for Home {
    #[inline]
    fn ready(&mut self, _ev: &mut EventLoop, token: Token, readiness: Readiness) {
        if let Some(Some(green)) = self.greens.get(token.slot() as usize) {
            self.unpark(green, reasons(readiness));
        }
    }

    /// The thread may have moved its deadline since: then the timer is armed again.
    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        let Some(Some(green)) = self.greens.get(token.slot() as usize) else { return };
        let wanted_ms = green.deadline.fired();
        if wanted_ms.saturating_sub(self.behind_ms) <= ev.now_ms() {
            return self.unpark(green, 0);
        }
        // Never: nothing is armed, and there is nothing to arm.
        if let Some(deadline_ms) = green.deadline.to_arm() {
            ev.set_deadline(token, deadline_ms.saturating_sub(self.behind_ms));
        }
    }

    fn woken(&mut self, ev: &mut EventLoop) {
        for _ in 0..self.outside().inbox.len() {
            let Some(green) = self.outside().inbox.pop() else { return };
            self.see_to(ev, green);
        }
    }

    fn has_work(&self) -> bool {
        let outside = self.outside();
        !outside.queue.is_empty() || !outside.inbox.is_empty() || self.shared.is_stopping()
    }
}

/// There is room, but a thread that is off its core may still be reading the slot's last item.
#[inline]
pub(super) fn push(ring: &Ring<Arc<Green>>, mut green: Arc<Green>) {
    while let Err(full) = ring.push(green) {
        green = full;
        std::thread::yield_now();
    }
}
