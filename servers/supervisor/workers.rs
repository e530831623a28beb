//! Worker slots (`posts`), and the processes in them.
//!
//! A worker slot should always have one serving process. While that is being replaced there are
//! two, and more while earlier ones still finish requests in flight:
//!
//! ```text
//! vacant ─ fork ─► Starting ─ "Ready" ─► Serving ─ successor is ready ─► Leaving ─► exited
//!   ▲                  └────── dies ──────┴───► at once, or after a back-off if it died early
//!   └───────────────────────────────────────────┘
//! ```

use std::io;
use std::os::fd::AsFd;

use reactor::process::{Channel, Child};
use reactor::{EventLoop, Interest, Signal, Token, Trigger};

use super::control::ControlMessage;
use crate::metrics::{CounterSlot, Metrics, State, total};

/// A worker that dies before it is ready, or within this time of it, is an early exit: the next one
/// will most likely die, too, so restarts back off. A worker that lives longer is worth a fork,
/// which takes a millisecond, every time.
const EARLY_EXIT_MS: u64 = 100;
/// Back-off after the first early exit in a worker slot; doubles with each further one.
const DELAY_FIRST_MS: u64 = 50;
/// Upper bound of the back-off.
const DELAY_MAX_MS: u64 = 10_000;

/// What a worker is doing.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Forked, but not ready yet.
    Starting,
    /// Ready, and serving.
    Serving,
    /// Told to finish.
    Leaving,
}

/// A worker process.
pub struct Worker {
    pub child: Child,
    pub channel: Channel,
    /// The worker's own end, with `--accept pass`: if the worker dies, the master reads what it had
    /// not received from here.
    pub far: Option<Channel>,
    /// Index of its worker slot.
    pub post: usize,
    /// The first of its counter slots.
    pub slot: usize,
    pub phase: Phase,
    /// When it was forked, and then when it was ready.
    pub since_ms: u64,
    /// The source of its exit.
    pub exit: Token,
    /// The source of its messages.
    pub control: Token,
    /// Connections passed to it, on top of the counter slots' initial value.
    pub passed: u64,
}

impl Worker {
    /// Sends a message. A worker that cannot receive is either dead, which is noticed elsewhere, or
    /// stuck, and killed when its time is up.
    pub fn tell(&self, message: ControlMessage) {
        let _ = message.send(&self.channel, None);
    }

    /// Its open connections, and those passed but not received yet.
    pub fn load(&self, metrics: &Metrics) -> u64 {
        let slots = metrics.of_process(self.slot);
        let accepted = total(slots, |slot| &slot.connections_accepted);
        total(slots, |slot| &slot.connections_open) + self.passed.saturating_sub(accepted)
    }
}

/// A worker slot.
pub struct WorkerSlot {
    /// The source whose deadline ends a back-off.
    pub timer: Token,
    /// Consecutive early exits.
    failures: u32,
    /// The end of the last back-off. There is one while a worker serves, too, if its successors
    /// exit early.
    pub due_ms: u64,
    /// In back-off, until a worker serves again.
    pub waits: bool,
}

/// All worker slots and all worker processes.
pub struct Workers {
    pub posts: Vec<WorkerSlot>,
    pub processes: Vec<Worker>,
    pub metrics: Metrics,
}

impl Workers {
    pub fn new(ev: &mut EventLoop, metrics: Metrics) -> io::Result<Workers> {
        let post = |timer| WorkerSlot { timer, failures: 0, due_ms: 0, waits: false };
        let posts =
            (0..metrics.loops()).map(|_| ev.reserve().map(post)).collect::<io::Result<_>>()?;
        Ok(Workers { posts, processes: Vec::new(), metrics })
    }

    /// The worker that serves in a worker slot.
    pub fn serving(&self, post: usize) -> Option<&Worker> {
        self.processes.iter().find(|worker| worker.post == post && worker.phase == Phase::Serving)
    }

    /// Whether a worker is starting in a worker slot.
    pub fn is_starting(&self, post: usize) -> bool {
        self.processes.iter().any(|worker| worker.post == post && worker.phase == Phase::Starting)
    }

    /// The first of a worker's counter slots, which no worker uses.
    pub fn free_slot(&self) -> Option<usize> {
        let taken = |slot: &usize| self.processes.iter().any(|worker| worker.slot == *slot);
        self.metrics.first_slots().find(|slot| !taken(slot))
    }

    /// Sends a message to all workers.
    pub fn tell_all(&self, message: ControlMessage) {
        self.processes.iter().for_each(|worker| worker.tell(message));
    }

    /// Adds a new worker, and watches it.
    pub fn add(
        &mut self,
        ev: &mut EventLoop,
        (mut child, channel, far): (Child, Channel, Option<Channel>),
        post: usize,
        slot: usize,
    ) -> io::Result<()> {
        let watched = watch(ev, &child, &channel);
        let (exit, control) = match watched {
            Ok(tokens) => tokens,
            Err(error) => {
                // Its exit would go unnoticed.
                child.signal(Signal::KILL)?;
                child.wait()?;
                return Err(error);
            }
        };
        if self.serving(post).is_none() {
            self.metrics.processes().assign(post, child.id(), slot);
            self.metrics.processes().set_state(post, State::Starting);
        }
        let before = total(self.metrics.of_process(slot), |slot| &slot.connections_accepted);
        let (phase, since_ms) = (Phase::Starting, ev.now_ms());
        let worker = Worker {
            child,
            channel,
            far,
            post,
            slot,
            phase,
            since_ms,
            exit,
            control,
            passed: before,
        };
        self.processes.push(worker);
        Ok(())
    }

    /// A worker is ready: its predecessor is told to finish.
    pub fn promote(&mut self, index: usize, now_ms: u64) {
        let post = self.processes[index].post;
        let predecessors = self
            .processes
            .iter_mut()
            .filter(|worker| worker.post == post && worker.phase == Phase::Serving);
        for worker in predecessors {
            worker.phase = Phase::Leaving;
            worker.tell(ControlMessage::HandOver);
        }
        let worker = &mut self.processes[index];
        (worker.phase, worker.since_ms) = (Phase::Serving, now_ms);
        self.metrics.processes().assign(post, worker.child.id(), worker.slot);
        self.metrics.processes().set_state(post, State::Serving);
        (self.posts[post].waits, self.posts[post].due_ms) = (false, 0);
    }

    /// Removes a worker that has exited.
    pub fn remove(&mut self, ev: &mut EventLoop, index: usize) -> Worker {
        let worker = self.processes.swap_remove(index);
        let _ = ev.unwatch(worker.exit, &worker.child);
        let _ = ev.unwatch(worker.control, &worker.channel);
        ev.release(worker.exit);
        ev.release(worker.control);
        self.metrics.of_process(worker.slot).iter().for_each(CounterSlot::reset_gauges);
        worker
    }

    /// Counts an unexpected death; returns how long to wait before the restart.
    pub fn count_death(&mut self, post: usize, lived_ms: u64) -> u64 {
        self.metrics.processes().count_restart(post);
        let failures = &mut self.posts[post].failures;
        *failures = if lived_ms < EARLY_EXIT_MS { *failures + 1 } else { 0 };
        let delay_ms = delay_ms(*failures);
        if delay_ms > 0 && self.serving(post).is_none() {
            self.posts[post].waits = true;
            self.metrics.processes().set_state(post, State::Waiting);
        }
        delay_ms
    }
}

/// The sources of a worker's exit and of its messages: both, or neither.
fn watch(ev: &mut EventLoop, child: impl AsFd, channel: impl AsFd) -> io::Result<(Token, Token)> {
    let mut reserved = ev.reserve_guarded()?;
    let exit = reserved.token();
    reserved.watch(exit, child, Interest::READABLE, Trigger::Level)?;
    let control = reserved.register(channel, Interest::READABLE, Trigger::Edge)?;
    Ok((reserved.keep(), control))
}

/// How long to wait after `failures` consecutive early exits.
fn delay_ms(failures: u32) -> u64 {
    let Some(doublings) = failures.checked_sub(1) else { return 0 };
    DELAY_FIRST_MS.checked_shl(doublings).unwrap_or(DELAY_MAX_MS).min(DELAY_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reactor::event_loop::Config;
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_worker_that_cannot_be_watched_takes_no_source() {
        let mut ev = EventLoop::new(Config::with_sources(4)).unwrap();
        let (child, channel) = UnixStream::pair().unwrap();
        watch(&mut ev, &child, &channel).unwrap();
        let (next, _end) = UnixStream::pair().unwrap();
        watch(&mut ev, &next, &channel).unwrap_err();
        assert_eq!(ev.sources(), 2);
    }

    #[test]
    fn the_delay_doubles_up_to_a_bound() {
        let delays: Vec<u64> = (0..11).map(delay_ms).collect();
        assert_eq!(delays, [0, 50, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(delay_ms(63), DELAY_MAX_MS);
        assert_eq!(delay_ms(u32::MAX), DELAY_MAX_MS);
    }

    #[test]
    fn restarts_back_off_with_each_early_exit_until_a_worker_lives() {
        let mut ev = EventLoop::new(reactor::event_loop::Config::with_sources(8)).unwrap();
        let mut workers = Workers::new(&mut ev, Metrics::with_processes(2, 8, 1).unwrap()).unwrap();
        assert_eq!(workers.count_death(0, EARLY_EXIT_MS), 0);
        assert_eq!(workers.count_death(0, 5), 50);
        assert_eq!(workers.count_death(0, 5), 100);
        assert!(workers.posts[0].waits && !workers.posts[1].waits);
        assert_eq!(workers.count_death(1, 5), 50, "each worker slot has its own count");
        assert_eq!(workers.count_death(0, EARLY_EXIT_MS), 0);
        let reports: Vec<_> = workers.metrics.processes().reports().collect();
        assert_eq!((reports[0].restarts, reports[0].state), (4, State::Waiting));
    }
}
