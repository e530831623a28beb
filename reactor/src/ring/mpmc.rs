//! A ring from which any thread pops what any thread pushed.
//!
//! Vyukov's bounded queue (2010). Every slot has a *stamp*, which tells the position it is for, and
//! whether the item is there:
//!
//! ```text
//!   stamp 2p        vacant, for the push at position p      ──┐ push: tail p → p + 1, write the
//!   stamp 2p + 1    holds the item of position p            ◄─┘ item, stamp 2p + 1
//!                                                           ──┐ pop: head p → p + 1, read the
//!   stamp 2(p + n)  vacant, for the next lap of n slots     ◄─┘ item, stamp 2(p + n)
//! ```
//!
//! Two threads that want the same position meet at the compare-and-swap of `tail` or `head`, and
//! one of them wins it. From then on the slot is the winner's, until it sets the stamp: no thread
//! waits for another to finish.
//!
//! The stamp is what publishes the items: it is stored with Release after the item was written (or
//! read), and loaded with Acquire before it is read (or written again). `head` and `tail` only
//! decide which thread is next; they order nothing, and Relaxed is enough for them.
//!
//! Not guaranteed: that a pop finds an item whose push has returned. Between a thread's
//! compare-and-swap and its stamp the positions after it are out of reach, and a pop finds the ring
//! empty; a push finds it full while an old item is still being read. Nothing is lost by that: the
//! thread that finishes late publishes its own item and reveals the others, and only then wakes a
//! sleeper ([`sleep`](crate::sleep)). The alternative is to wait for it; but it may be a thread of
//! low priority that the caller keeps off its core.

use super::{CachePadded, NO_MEMORY};
use crate::sync::UnsafeCell;
use crate::sync::atomic::{AtomicUsize, Ordering};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;

/// A queue for any number of threads, by reference.
///
/// ```
/// let ring = stampede_reactor::ring::mpmc::Ring::new(4);
/// std::thread::scope(|scope| {
///     scope.spawn(|| ring.push("one").unwrap());
///     scope.spawn(|| ring.push("two").unwrap());
/// });
/// assert_eq!(ring.len(), 2);
/// assert!(matches!(ring.pop(), Some("one" | "two")));
/// ```
pub struct Ring<T> {
    /// A power of two of them.
    slots: Box<[Slot<T>]>,
    /// The position of the next push; at most `capacity` beyond head.
    tail: CachePadded<AtomicUsize>,
    /// The position of the next pop; never beyond `tail`.
    head: CachePadded<AtomicUsize>,
}

struct Slot<T> {
    /// See the module's head. It only grows, and grows by what `tail` and `head` allow.
    stamp: AtomicUsize,
    /// Present if the stamp is odd. Belongs to the thread that moved `tail` or `head` past the
    /// stamp's position, until that thread sets the stamp.
    item: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: a slot's item is accessed by one thread at a time (see `item`), and changes hands by
// Release and Acquire on the stamp; so items move between threads, which T: Send allows, and are
// never shared.
unsafe impl<T: Send> Sync for Ring<T> {}
// SAFETY: as above; dropping it on another thread drops items there.
unsafe impl<T: Send> Send for Ring<T> {}

/// The stamp of a slot whose position is available.
type Stamp = fn(usize) -> usize;

/// The stamp of a slot that waits for the push at `position`.
const fn vacant(position: usize) -> usize {
    position.wrapping_mul(2)
}

/// The stamp of a slot that holds the item of `position`.
const fn occupied(position: usize) -> usize {
    vacant(position).wrapping_add(1)
}

/// What a slot's stamp tells a thread that wants a position.
enum Look {
    /// The position is available.
    Now,
    /// Another thread has it already: look at the next one.
    Late,
    /// The ring is full (of a push), or empty (of a pop).
    Early,
}

impl<T> Ring<T> {
    /// A ring that holds `capacity` items, rounded up to a power of two and at least 1.
    ///
    /// # Panics
    ///
    /// If there is no memory for that many: see [`Ring::try_new`].
    pub fn new(capacity: usize) -> Self {
        Ring::try_new(capacity).expect(NO_MEMORY)
    }

    /// The same.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`.
    pub fn try_new(capacity: usize) -> io::Result<Self> {
        Ring::try_new_at(capacity, 0)
    }

    /// A ring whose first position is `start`: the tests begin right before the wrap-around.
    #[cfg(test)]
    pub(super) fn new_at(capacity: usize, start: usize) -> Self {
        Ring::try_new_at(capacity, start).expect(NO_MEMORY)
    }

    fn try_new_at(capacity: usize, start: usize) -> io::Result<Self> {
        let (mut slots, count) = super::slots(capacity)?;
        let slot = |index: usize| {
            // The first position from start on whose low bits are the index.
            let position = start.wrapping_add(index.wrapping_sub(start) & (count - 1));
            let item = UnsafeCell::new(MaybeUninit::uninit());
            Slot { stamp: AtomicUsize::new(vacant(position)), item }
        };
        slots.extend((0..count).map(slot));
        Ok(Ring {
            slots: slots.into_boxed_slice(),
            tail: CachePadded(AtomicUsize::new(start)),
            head: CachePadded(AtomicUsize::new(start)),
        })
    }

    /// Puts `item` at the end of the queue.
    ///
    /// # Errors
    ///
    /// The item, when the ring is full.
    #[inline]
    pub fn push(&self, item: T) -> Result<(), T> {
        let Some((position, _)) = self.win(&self.tail, vacant, 1) else {
            return Err(item);
        };
        // SAFETY: the position was won, and is used once.
        unsafe { self.fill(position, item) };
        Ok(())
    }

    /// Takes the item at the front of the queue, if there is one.
    #[inline]
    pub fn pop(&self) -> Option<T> {
        let (position, _) = self.win(&self.head, occupied, 1)?;
        // SAFETY: the position was won, and is used once.
        Some(unsafe { self.empty(position) })
    }

    /// Pushes items from the front of `items` while there is room, without other threads' items
    /// between them. Returns how many.
    pub fn push_all(&self, items: &mut VecDeque<T>) -> usize {
        let Some((first, count)) = self.win(&self.tail, vacant, items.len()) else {
            return 0;
        };
        // A queue, not an iterator: nothing here can panic and leave positions without an item.
        for (offset, item) in items.drain(..count).enumerate() {
            // SAFETY: count positions from the first on were won, and each is used once.
            unsafe { self.fill(first.wrapping_add(offset), item) };
        }
        count
    }

    /// Passes at most `max` consecutive items to `f`, one by one. Returns how many.
    ///
    /// They were taken all at once: if `f` panics, the rest of them goes to the end of the queue
    /// again. What finds it full, as other threads have pushed meanwhile, is dropped.
    pub fn pop_batch(&self, max: usize, f: impl FnMut(T)) -> usize {
        let Some((first, count)) = self.win(&self.head, occupied, max) else {
            return 0;
        };
        Won { ring: self, next: first, end: first.wrapping_add(count) }.for_each(f);
        count
    }

    /// How many items are in the ring; others may be pushed and popped at the same time.
    pub fn len(&self) -> usize {
        // Tail first: head may move beyond it meanwhile, and then the answer is none.
        let tail = self.tail.load(Ordering::Relaxed);
        let ahead = tail.wrapping_sub(self.head.load(Ordering::Relaxed)) as isize;
        usize::try_from(ahead).unwrap_or(0)
    }

    /// Whether a pop would find nothing now.
    pub fn is_empty(&self) -> bool {
        loop {
            let head = self.head.load(Ordering::Relaxed);
            match self.look(head, occupied) {
                Look::Now => return false,
                Look::Late => {}
                Look::Early => return true,
            }
        }
    }

    /// How many items the ring holds.
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    #[inline(always)]
    fn slot(&self, position: usize) -> &Slot<T> {
        let index = position & (self.slots.len() - 1);
        // SAFETY: the number of slots is a power of two, so the index is less.
        unsafe { self.slots.get_unchecked(index) }
    }

    /// Wins the positions at `end` (head or tail) whose slots have the stamps that are `wanted` for
    /// them: at most `max` in a row; returns the first position and their number. `None` if there
    /// is none.
    #[inline(always)]
    fn win(&self, end: &AtomicUsize, wanted: Stamp, max: usize) -> Option<(usize, usize)> {
        if max == 0 {
            return None;
        }
        let mut first = end.load(Ordering::Relaxed);
        loop {
            first = match self.look(first, wanted) {
                Look::Now => {
                    let count = self.in_a_row(first, wanted, max);
                    let next = first.wrapping_add(count);
                    let relaxed = Ordering::Relaxed;
                    match end.compare_exchange_weak(first, next, relaxed, relaxed) {
                        // No other thread has moved the end: all of them are still as they were
                        // seen.
                        Ok(_) => return Some((first, count)),
                        Err(moved) => moved,
                    }
                }
                Look::Late => end.load(Ordering::Relaxed),
                Look::Early => return None,
            }
        }
    }

    /// How many positions from `first`, which is available, are available in a row.
    #[inline(always)]
    fn in_a_row(&self, first: usize, wanted: Stamp, max: usize) -> usize {
        let to_be_had =
            |count: &usize| matches!(self.look(first.wrapping_add(*count), wanted), Look::Now);
        (1..max).find(|count| !to_be_had(count)).unwrap_or(max)
    }

    #[inline(always)]
    fn look(&self, position: usize, wanted: Stamp) -> Look {
        // Acquire: the thread that set the stamp is done with the slot.
        let stamp = self.slot(position).stamp.load(Ordering::Acquire);
        // Stamps are compared as positions are: by a difference that may have wrapped around.
        match stamp.wrapping_sub(wanted(position)) as isize {
            0 => Look::Now,
            difference if difference > 0 => Look::Late,
            _ => Look::Early,
        }
    }

    /// The second half of a push.
    ///
    /// # Safety
    ///
    /// The caller has won the position at `tail`, and does this once.
    #[inline(always)]
    unsafe fn fill(&self, position: usize, item: T) {
        let slot = self.slot(position);
        // SAFETY: the slot is vacant and, until its stamp is set, the caller's alone.
        slot.item.with_mut(|place| unsafe { (*place).write(item) });
        // Release: the item is written.
        slot.stamp.store(occupied(position), Ordering::Release);
    }

    /// The second half of a pop.
    ///
    /// # Safety
    ///
    /// The caller has won the position at `head`, and does this once.
    #[inline(always)]
    unsafe fn empty(&self, position: usize) -> T {
        let slot = self.slot(position);
        // SAFETY: the item is there and, until the stamp is set, the caller's alone; it is not read
        // again, as the stamp says vacant from then on.
        let item = slot.item.with(|place| unsafe { (*place).assume_init_read() });
        // Release: the item is read. One lap later the slot is written again.
        slot.stamp.store(vacant(position.wrapping_add(self.slots.len())), Ordering::Release);
        item
    }
}

/// Items that were won and are still in their slots.
struct Won<'a, T> {
    ring: &'a Ring<T>,
    next: usize,
    end: usize,
}

impl<T> Iterator for Won<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.next == self.end {
            return None;
        }
        let position = self.next;
        self.next = position.wrapping_add(1);
        // SAFETY: the positions from next to end were won, and next has moved on.
        Some(unsafe { self.ring.empty(position) })
    }
}

/// Their slots must be vacated whatever happens: the ring would be stuck at them. There are any
/// left only if the callee has panicked.
impl<T> Drop for Won<'_, T> {
    fn drop(&mut self) {
        let ring = self.ring;
        self.for_each(|item| drop(ring.push(item)));
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

impl<T> fmt::Debug for Ring<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, capacity) = (self.len(), self.capacity());
        f.debug_struct("Ring").field("len", &len).field("capacity", &capacity).finish()
    }
}
