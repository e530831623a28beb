//! How many requests a worker serves before it asks for a successor (`--max-requests`).
//!
//! ```text
//! worker: serves N requests ── Leave ──► master: forks the successor ── Ready ──► HandOver
//!         └──────── goes on serving until then, and finishes what it has begun ────────┘
//! ```
//!
//! It bounds what an application can lose by leaking, and finds out whether a server can be
//! restarted long before that is needed. Each worker draws its own number between N and 1.25 N: all
//! of them began at the same moment, and have about the same load.
//!
//! The counters are looked at from time to time, so that no request pays for it. What is *not*
//! guaranteed: that a worker serves no more requests than that.

use std::io;
use std::process;

use reactor::process::Channel;
use reactor::{EventLoop, Token};

use super::control::ControlMessage;
use crate::metrics::{Metrics, total};
use crate::options::Options;

/// How often a worker that serves looks at its counters.
const LOOK_MS: u64 = 100;
/// How often an idle one does: each of some hundred, which should sleep.
const LOOK_IDLE_MS: u64 = 1_000;

/// The end of a worker, by requests.
pub struct Lifetime {
    metrics: Metrics,
    /// The first of the worker's slots.
    slot: usize,
    /// What its slots had counted for its predecessors.
    before: u64,
    requests_max: u64,
}

/// The same on a loop.
pub(super) struct Clock {
    lifetime: Lifetime,
    token: Token,
    /// Requests at the last look.
    seen: u64,
    look_ms: u64,
}

impl Lifetime {
    /// Of this process, which counts from slot `slot` on; `None`: it serves until it is stopped.
    pub(super) fn new(options: &Options, metrics: &Metrics, slot: usize) -> Option<Lifetime> {
        let least = options.workers.requests_max;
        if least == 0 {
            return None;
        }
        let metrics = metrics.clone();
        let requests_max = with_jitter(least, process::id().into());
        let mut lifetime = Lifetime { metrics, slot, before: 0, requests_max };
        lifetime.before = lifetime.requests();
        Some(lifetime)
    }

    fn requests(&self) -> u64 {
        let sum = total(self.metrics.of_process(self.slot), |slot| &slot.requests);
        sum.wrapping_sub(self.before)
    }
}

impl Clock {
    /// Begins to look.
    pub fn new(ev: &mut EventLoop, lifetime: Lifetime) -> io::Result<Clock> {
        let token = ev.reserve()?;
        ev.set_deadline(token, ev.now_ms() + LOOK_MS);
        Ok(Clock { lifetime, token, seen: 0, look_ms: LOOK_MS })
    }

    /// Whether a deadline was for this.
    pub fn is_for(&self, token: Token) -> bool {
        token == self.token
    }

    /// Asks for a successor if it is time: again and again, because the first one may die.
    pub fn look(&mut self, ev: &mut EventLoop, channel: &Channel) {
        let requests = self.lifetime.requests();
        if requests >= self.lifetime.requests_max {
            let _ = ControlMessage::Leave.send(channel, None);
        }
        self.look_ms = match requests == self.seen {
            true => (self.look_ms * 2).min(LOOK_IDLE_MS),
            false => LOOK_MS,
        };
        self.seen = requests;
        ev.set_deadline(self.token, ev.now_ms() + self.look_ms);
    }
}

/// From `least` to a quarter more, by the process's number: numbers that follow each other give
/// results that do not (the finalizer of SplitMix64, Steele et al. 2014).
fn with_jitter(least: u64, pid: u64) -> u64 {
    let mut mixed = pid.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    least + (mixed ^ mixed >> 31) % (least / 4 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime(requests_max: u64, metrics: &Metrics) -> Option<Lifetime> {
        let mut options = Options::default();
        options.workers.requests_max = requests_max;
        Lifetime::new(&options, metrics, 2)
    }

    #[test]
    fn lifetimes_of_successive_processes_are_spread_over_a_quarter() {
        let lives: Vec<u64> = (5_000..5_100).map(|pid| with_jitter(1_000, pid)).collect();
        assert!(lives.iter().all(|life| (1_000..=1_250).contains(life)));
        for part in 0..5 {
            let begin = 1_000 + 50 * part;
            let count = lives.iter().filter(|life| (begin..begin + 50).contains(*life)).count();
            assert!((5..=40).contains(&count), "{count} of 100 from {begin} on");
        }
        assert_eq!(with_jitter(1, 77), 1);
    }

    #[test]
    fn what_predecessors_have_served_does_not_count() {
        let metrics = Metrics::with_processes(1, 2, 2).unwrap();
        metrics.slot(2).unwrap().requests.add(500);
        let lifetime = lifetime(10, &metrics).unwrap();
        assert_eq!(lifetime.requests(), 0);
        metrics.slot(2).unwrap().requests.add(3);
        metrics.slot(3).unwrap().requests.add(4);
        assert_eq!(lifetime.requests(), 7);
    }

    #[test]
    fn without_a_number_a_worker_serves_until_it_is_stopped() {
        assert!(lifetime(0, &Metrics::with_processes(1, 2, 2).unwrap()).is_none());
    }
}
