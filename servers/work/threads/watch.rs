//! Finding stuck workers: the loop looks for them from time to time while jobs are in flight.
//!
//! A worker's lease says since when it has been running its job; that costs it nothing beyond the
//! lease. Looking costs the loop one load per worker, a few times per `--work-timeout`.

use std::time::Duration;

use super::Workers;
use crate::app::App;
use crate::report::report;
use crate::work::executor::Stuck;

/// Looks during the time that a job may take: it is overdue by a quarter at most when it is found.
const LOOKS: u32 = 4;
/// No more often than the loop's clock ticks, and at least as often as an operator would like to know.
const INTERVAL_MIN: Duration = Duration::from_millis(1);
const INTERVAL_MAX: Duration = Duration::from_secs(1);

/// How often to look; `None`: jobs may take any time.
pub(super) fn interval(timeout: Duration) -> Option<Duration> {
    (!timeout.is_zero()).then(|| (timeout / LOOKS).clamp(INTERVAL_MIN, INTERVAL_MAX))
}

impl<A: App> Workers<A> {
    /// The next job that takes too long and was not known to.
    pub(super) fn find_stuck(&mut self) -> Option<Stuck> {
        for index in 0..self.places.len() {
            if self.places[index].is_vacant() {
                self.pool.replace(&mut self.places[index]);
            } else if let Some(stuck) = self.look_at(index) {
                return Some(stuck);
            }
        }
        let stuck = self.places.iter().filter(|place| place.is_stuck()).count();
        let beside = self.pool.threads().saturating_sub(self.places.len());
        self.counters.workers_stuck.set((beside + stuck) as u64);
        None
    }

    fn look_at(&mut self, index: usize) -> Option<Stuck> {
        let place = &mut self.places[index];
        let stamp = place.busy_since()?;
        if u128::from(self.pool.now_us().saturating_sub(stamp)) < self.timeout.as_micros() {
            return None;
        }
        let (key, line) = place.in_hand(stamp)?;
        let substitutes = self.pool.has_free_slot();
        if !substitutes {
            let new = place.note_stuck(stamp);
            return new.then(|| self.report(index, &line, Stuck { key, lost: false }));
        }
        let known = place.is_stuck();
        if !place.take_from_stuck(stamp) {
            return None; // done, at the last moment
        }
        self.in_flight -= 1;
        self.pool.replace(place);
        self.counters.workers_substituted.add(1);
        let stuck = Stuck { key, lost: true };
        Some(if known { stuck } else { self.report(index, &line, stuck) })
    }

    fn report(&self, index: usize, line: &str, stuck: Stuck) -> Stuck {
        let what = if line.is_empty() { "reading a file" } else { line };
        self.counters.work_timeouts.add(1);
        let outcome = match stuck.lost {
            true => "replacement thread started",
            false => "no thread is left to replace it",
        };
        report!(
            "worker {index} exceeded --work-timeout ({:?}) on {what}; replied 503, {outcome}",
            self.timeout
        );
        stuck
    }
}
