//! Where a core lies while its carrier is inside a fiber, so that another carrier can take it over.
//!
//! ```text
//!   carrier:  put(core) ── resume the fiber ………………………………… take() ─► Some: goes on with it
//!   monitor:                       the fiber takes long: take()     └► None: it has no core now
//! ```
//!
//! Both take by an exchange, so one of them gets it.

use crate::sync::atomic::{AtomicPtr, Ordering};
use std::marker::PhantomData;
use std::ptr;

/// A place for one boxed value, from which any thread takes it.
pub(super) struct Lent<T> {
    /// From `Box::into_raw`, or null.
    value: AtomicPtr<T>,
    _owns: PhantomData<Box<T>>,
}

// SAFETY: a value is handed from thread to thread, and never shared.
unsafe impl<T: Send> Sync for Lent<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Lent<T> {}

impl<T> Lent<T> {
    pub fn empty() -> Self {
        Lent { value: AtomicPtr::new(ptr::null_mut()), _owns: PhantomData }
    }

    /// Lends the value to whichever thread takes it first. There is one value: its owner puts it
    /// where nothing is.
    #[inline]
    pub fn put(&self, value: Box<T>) {
        debug_assert!(!self.is_there(), "one value at a time");
        // Release: the taker sees the value as it is now. Not an exchange: only the owner puts.
        self.value.store(Box::into_raw(value), Ordering::Release);
    }

    /// Takes it, unless another thread has.
    #[inline]
    pub fn take(&self) -> Option<Box<T>> {
        let value = self.value.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: from a box, and no other thread gets it after the exchange.
        unsafe { Lent::from_raw(value) }
    }

    /// Whether it is there at this moment.
    pub fn is_there(&self) -> bool {
        !self.value.load(Ordering::Relaxed).is_null()
    }

    /// # Safety
    ///
    /// Null, or from `Box::into_raw` and the caller's alone.
    #[inline]
    unsafe fn from_raw(value: *mut T) -> Option<Box<T>> {
        // SAFETY: the caller's promise.
        (!value.is_null()).then(|| unsafe { Box::from_raw(value) })
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}
