//! What the threads of a load share with the one that watches it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::record::Record;

/// What the threads report to, every tenth of a second.
#[derive(Default)]
pub(super) struct Progress {
    stop: AtomicBool,
    sum: Mutex<Sum>,
}

#[derive(Default)]
pub(super) struct Sum {
    pub(super) record: Record,
    pub(super) measuring_since: Option<Instant>,
    pub(super) ended: Option<Instant>,
    pub(super) cpu: Duration,
}

impl Progress {
    pub(super) fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Relaxed)
    }

    pub(super) fn begin_measuring(&self) {
        self.sum().measuring_since.get_or_insert_with(Instant::now);
    }

    pub(super) fn add(&self, record: &mut Record) {
        self.sum().record.take_from(record);
    }

    /// A thread is done, and has used this much CPU time since it began to measure.
    pub(super) fn end(&self, cpu: Duration) {
        let mut sum = self.sum();
        sum.ended = Some(Instant::now());
        sum.cpu += cpu;
    }

    pub(super) fn sum(&self) -> MutexGuard<'_, Sum> {
        self.sum.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
