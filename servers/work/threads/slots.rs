//! How many threads there may be: each has a slot, whose number is also that of its counters and of
//! its local part of the application.
//!
//! There are twice as many slots as workers: as many threads as there are workers may be stuck
//! permanently before a stuck one can no longer be replaced.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

/// All slots.
pub(super) struct ThreadSlots {
    free: Arc<Mutex<Vec<usize>>>,
    count: usize,
}

/// One, given back when its thread ends.
pub(super) struct ThreadSlot {
    number: usize,
    free: Arc<Mutex<Vec<usize>>>,
}

impl ThreadSlots {
    pub fn new(numbers: RangeInclusive<usize>) -> Self {
        let free: Vec<usize> = numbers.rev().collect();
        ThreadSlots { count: free.len(), free: Arc::new(Mutex::new(free)) }
    }

    pub fn take(&self) -> Option<ThreadSlot> {
        // A lock that is taken when a thread begins or ends.
        let number = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(ThreadSlot { number, free: Arc::clone(&self.free) })
    }

    pub fn free(&self) -> usize {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub fn taken(&self) -> usize {
        self.count - self.free()
    }
}

impl ThreadSlot {
    pub fn number(&self) -> usize {
        self.number
    }
}

impl Drop for ThreadSlot {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push(self.number);
    }
}
