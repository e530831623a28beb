//! A pool that any thread can take buffers from: what a thread-per-connection server needs.
//!
//! The region below is the same as a [`BufferPool`](super::BufferPool)'s, and so is the way back.
//! What differs is the owner: there it is a thread, here it is whichever thread holds the lock.
//!
//! ```text
//!  any thread:  SharedPool::take ── lock ─► returns, taken over whole ─► free list ─► fresh blocks
//!  any thread:  Buffer's drop ───────────── pushed on the stack of returns, without the lock
//! ```
//!
//! * No thread is the region's owner by number, so no drop takes the shortcut to the free lists.
//! * A drop never waits: neither for the lock, nor for a thread that was preempted while holding
//!   it.
//! * Taking costs an uncontended lock and, if a buffer has been returned, one exchange. That is
//!   fine twice per connection; a loop that takes one per request should have its own pool.
//! * The buffer returned last is taken first, by whichever thread it was returned: its pages are in
//!   memory and perhaps in a cache. Untouched ones come last, so the pool grows to the peak of
//!   concurrent use and no further.
//!
//! ```
//! use stampede_reactor::buffer::{Class, SharedPool};
//! use bytes::BufMut;
//!
//! let pool = SharedPool::new(&[Class::new(4096, 2)])?;
//! std::thread::scope(|scope| {
//!     for _ in 0..2 {
//!         scope.spawn(|| pool.take(0).expect("two buffers").put_slice(b"GET /"));
//!     }
//! });
//! assert_eq!(pool.in_use(0), 0);
//! # std::io::Result::Ok(())
//! ```

use super::region::{ClassState, Region};
use super::{Buffer, Class};
use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A region of buffers that belongs to no thread.
pub struct SharedPool {
    /// Alive until [`Region::close`], which only `drop` calls.
    region: NonNull<Region>,
    /// Held while the owner's side of the region is touched.
    owner: Mutex<()>,
}

// SAFETY: the region's owner is the thread that holds the lock, and closing it needs the pool
// itself.
unsafe impl Send for SharedPool {}
// SAFETY: as above; without the lock only what never changes is read.
unsafe impl Sync for SharedPool {}

impl SharedPool {
    /// Maps a region for all `classes`, as [`BufferPool::new`](super::BufferPool::new) does.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn new(classes: &[Class]) -> io::Result<Self> {
        Ok(SharedPool { region: Region::without_owner(classes)?, owner: Mutex::new(()) })
    }

    /// A buffer of this class, empty; `None` when all are in use.
    ///
    /// # Panics
    ///
    /// If there is no such class.
    pub fn take(&self, class: usize) -> Option<Buffer> {
        let _owner = self.lock();
        // SAFETY: the lock is held, so this thread is the owner meanwhile.
        let block = unsafe { self.region().take_warmest(class) }?;
        Some(Buffer::new(block))
    }

    /// A buffer of the smallest class that holds `bytes`; `None` when all of that class are in
    /// use or no class does.
    pub fn take_at_least(&self, bytes: usize) -> Option<Buffer> {
        self.take(self.class_for(bytes)?)
    }

    /// The smallest class whose buffers hold `bytes`.
    pub fn class_for(&self, bytes: usize) -> Option<usize> {
        self.classes().iter().position(|class| class.size() >= bytes)
    }

    /// Bytes in a buffer of this class.
    pub fn size(&self, class: usize) -> usize {
        self.classes()[class].size()
    }

    /// How many buffers of this class there are in all.
    pub fn capacity(&self, class: usize) -> usize {
        self.classes()[class].count()
    }

    /// The number of buffers of this class in use, at some moment during the call.
    pub fn in_use(&self, class: usize) -> usize {
        let _owner = self.lock();
        // SAFETY: the lock is held.
        unsafe { self.region().in_use(class) }
    }

    /// The bytes of the whole region, touched or not.
    pub fn region_size(&self) -> usize {
        self.region().len()
    }

    /// A thread that panicked here (no such class) had changed nothing yet: poison is ignored.
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn classes(&self) -> &[ClassState] {
        self.region().classes()
    }

    fn region(&self) -> &Region {
        // SAFETY: not closed before self is dropped, and not freed before it is closed.
        unsafe { self.region.as_ref() }
    }
}

impl Drop for SharedPool {
    fn drop(&mut self) {
        // SAFETY: no other thread has the pool any more; self.region is not used after this.
        unsafe { Region::close(self.region) };
    }
}

impl fmt::Debug for SharedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for class in 0..self.classes().len() {
            map.entry(&self.size(class), &(self.in_use(class), self.capacity(class)));
        }
        map.finish()
    }
}
