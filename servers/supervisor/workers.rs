//! Posts, and the workers in them.
//!
//! A post always wants one worker that serves. While that one is being replaced there are two, and
//! more when earlier ones are still finishing what they have in hand:
//!
//! ```text
//! vacant ─ fork ─► Starting ─ "Ready" ─► Serving ─ successor is ready ─► Leaving ─► ended
//!   ▲                  └────── dies ──────┴───► at once, or in a while if it died young
//!   └───────────────────────────────────────────┘
//! ```

use std::io;

use reactor::process::{Channel, Child};
use reactor::{EventLoop, Interest, Signal, Token, Trigger};

use super::control::ControlMessage;
use crate::metrics::State;
use crate::metrics::{CounterSlot, Metrics};

/// A worker that dies within this time of being ready has died young, and so has one that never
/// was: it will most likely die again, and forking as fast as they die helps nobody. A worker that
/// lives longer is worth a fork, which takes a millisecond, every time.
const EARLY_EXIT_MS: u64 = 100;
/// How long a post waits after the first of its workers that died young; doubles with each.
const DELAY_FIRST_MS: u64 = 50;
/// But never more than this.
const DELAY_MAX_MS: u64 = 10_000;

/// What a worker is doing.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Forked, and not heard of yet.
    Starting,
    /// It serves.
    Serving,
    /// It was told to finish.
    Leaving,
}

/// A worker process.
pub struct Worker {
    pub child: Child,
    pub channel: Channel,
    /// The worker's own end, where connections are passed: what it dies without having received is
    /// taken out here.
    pub far: Option<Channel>,
    pub post: usize,
    /// Its slot of counters.
    pub slot: usize,
    pub phase: Phase,
    /// When it was forked, and then when it was ready.
    pub since_ms: u64,
    /// The source of its end.
    pub exit: Token,
    /// The source of what it says.
    pub control: Token,
    /// Connections that were passed to it, counted from what the slot had before.
    pub passed: u64,
}

impl Worker {
    /// Tells it something. One that does not hear is either dead, which is noticed elsewhere, or
    /// stuck, and killed when its time is over.
    pub fn tell(&self, message: ControlMessage) {
        let _ = message.send(&self.channel, None);
    }

    /// The connections that it has, and those on their way to it.
    pub fn load(&self, counters: &CounterSlot) -> u64 {
        let on_their_way = self.passed.saturating_sub(counters.connections_accepted.get());
        counters.connections_open.get() + on_their_way
    }
}

/// A place for a worker.
pub struct WorkerSlot {
    /// The source whose deadline is the end of a back-off.
    pub timer: Token,
    /// Workers in a row that died young.
    failures: u32,
    /// In back-off, until a worker serves again.
    pub waits: bool,
}

/// All posts and all workers.
pub struct Workers {
    pub posts: Vec<WorkerSlot>,
    pub processes: Vec<Worker>,
    pub metrics: Metrics,
}

impl Workers {
    pub fn new(ev: &mut EventLoop, metrics: Metrics) -> Option<Workers> {
        let post = |timer| WorkerSlot { timer, failures: 0, waits: false };
        let posts = (0..metrics.loops()).map(|_| ev.reserve().map(post)).collect::<Option<_>>()?;
        Some(Workers { posts, processes: Vec::new(), metrics })
    }

    /// The worker that serves in a post.
    pub fn serving(&self, post: usize) -> Option<&Worker> {
        self.processes.iter().find(|worker| worker.post == post && worker.phase == Phase::Serving)
    }

    /// Whether somebody is on the way to a post.
    pub fn is_starting(&self, post: usize) -> bool {
        self.processes.iter().any(|worker| worker.post == post && worker.phase == Phase::Starting)
    }

    /// A slot that nobody counts in.
    pub fn free_slot(&self) -> Option<usize> {
        let taken = |slot: &usize| self.processes.iter().any(|worker| worker.slot == *slot);
        (0..self.metrics.slots()).find(|slot| !taken(slot))
    }

    /// Tells all of them something.
    pub fn tell_all(&self, message: ControlMessage) {
        self.processes.iter().for_each(|worker| worker.tell(message));
    }

    /// A new worker, watched over.
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
                // Nobody would ever know of its end.
                child.signal(Signal::KILL)?;
                child.wait()?;
                return Err(error);
            }
        };
        if self.serving(post).is_none() {
            self.metrics.processes().assign(post, child.id(), slot);
            self.metrics.processes().set_state(post, State::Starting);
        }
        let before = self.metrics.slot(slot).map_or(0, |slot| slot.connections_accepted.get());
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

    /// A worker is ready: whoever served in its post finishes.
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
        self.posts[post].waits = false;
    }

    /// Takes a worker that has ended off the list.
    pub fn remove(&mut self, ev: &mut EventLoop, index: usize) -> Worker {
        let worker = self.processes.swap_remove(index);
        let _ = ev.unwatch(worker.exit, &worker.child);
        let _ = ev.unwatch(worker.control, &worker.channel);
        ev.release(worker.exit);
        ev.release(worker.control);
        if let Some(counters) = self.metrics.slot(worker.slot) {
            counters.reset_gauges();
        }
        worker
    }

    /// A worker has died unasked: how long its post waits before the next.
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

/// The sources of a worker's end and of what it says.
fn watch(ev: &mut EventLoop, child: &Child, channel: &Channel) -> io::Result<(Token, Token)> {
    let missing = || io::Error::other("no source left in the master's loop");
    let (exit, control) = (ev.reserve().ok_or_else(missing)?, ev.reserve().ok_or_else(missing)?);
    ev.watch(exit, child, Interest::READABLE, Trigger::Level)?;
    ev.watch(control, channel, Interest::READABLE, Trigger::Edge)?;
    Ok((exit, control))
}

/// How long to wait after so many workers in a row that died young.
fn delay_ms(failures: u32) -> u64 {
    let Some(doublings) = failures.checked_sub(1) else { return 0 };
    DELAY_FIRST_MS.checked_shl(doublings).unwrap_or(DELAY_MAX_MS).min(DELAY_MAX_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_a_bound() {
        let delays: Vec<u64> = (0..11).map(delay_ms).collect();
        assert_eq!(delays, [0, 50, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(delay_ms(63), DELAY_MAX_MS);
        assert_eq!(delay_ms(u32::MAX), DELAY_MAX_MS);
    }

    #[test]
    fn a_post_waits_longer_with_each_early_exit_and_forgets_when_one_lives() {
        let mut ev = EventLoop::new(reactor::event_loop::Config::with_sources(8)).unwrap();
        let mut workers = Workers::new(&mut ev, Metrics::with_processes(2, 8).unwrap()).unwrap();
        assert_eq!(workers.count_death(0, EARLY_EXIT_MS), 0);
        assert_eq!(workers.count_death(0, 5), 50);
        assert_eq!(workers.count_death(0, 5), 100);
        assert!(workers.posts[0].waits && !workers.posts[1].waits);
        assert_eq!(workers.count_death(1, 5), 50, "posts are counted apart");
        assert_eq!(workers.count_death(0, EARLY_EXIT_MS), 0);
        let reports: Vec<_> = workers.metrics.processes().reports().collect();
        assert_eq!((reports[0].restarts, reports[0].state), (4, State::Waiting));
    }
}
