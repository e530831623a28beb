//! How many threads there may be: each has a seat, by whose number it has its slot of counters and
//! its local part of the application.
//!
//! There are twice as many seats as workers: so many threads may be stuck for good before a stuck
//! one can no longer be substituted.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

/// All seats.
pub(super) struct Seats {
    free: Arc<Mutex<Vec<usize>>>,
    count: usize,
}

/// One, given back when its thread ends.
pub(super) struct Seat {
    number: usize,
    free: Arc<Mutex<Vec<usize>>>,
}

impl Seats {
    pub fn new(numbers: RangeInclusive<usize>) -> Self {
        let free: Vec<usize> = numbers.rev().collect();
        Seats { count: free.len(), free: Arc::new(Mutex::new(free)) }
    }

    pub fn take(&self) -> Option<Seat> {
        // A lock that is taken when a thread begins or ends.
        let number = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Seat { number, free: Arc::clone(&self.free) })
    }

    pub fn free(&self) -> usize {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn taken(&self) -> usize {
        self.count - self.free()
    }
}

impl Seat {
    pub fn number(&self) -> usize {
        self.number
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
    }
}
