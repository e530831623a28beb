//! A ring between one thread that pushes and one that pops.
//!
//! ```text
//!   Producer                         shared                          Consumer
//!   tail ──────── Release ─────────► tail ──────── Acquire ────────► tail_seen
//!   head_seen ◄── Acquire ────────── head ◄─────── Release ───────── head
//!                                    slots
//! ```
//!
//! Lamport's ring (1983), with two additions from the literature since. Each side caches the last
//! position it saw of the other (MCRingBuffer, Lee et al. 2010): it reads the shared one, which is
//! in the other core's cache, only when by its copy the ring is full or empty, not for every item.
//! And a batch is published with one store.
//!
//! What costs is that the two meet: a consumer that looks takes the line of `tail`, and then that of
//! the slots, away from a producer that is writing both. So a consumer that catches up again and
//! again lets the producer get ahead: while each look finds more, but still few, it waits for two
//! `pause` instructions. A consumer that waited for its item does not, so a round trip is as short
//! as before; and one whose producer is slower than that waits once.
//!
//! Measured on two cores of a Sapphire Rapids, one by one: 7 to 15 ns an item, 19 to 23 without the
//! pauses. Tried and given up: prefetching the next slot while waiting (40 ns there, and a round
//! trip no shorter; on an EPYC it was); a separate tail for every seven items, all in one line;
//! prefetching slots for writing; reading the producer's own position back from `tail` (faster or
//! slower by the code around it).
//!
//! Two orderings do the work:
//!
//! * `tail` is stored with Release after the slots before it were written; the consumer loads it
//!   with Acquire before it reads them: it sees the items.
//! * `head` is stored with Release after the slots before it were read; the producer loads it with
//!   Acquire before it writes them again: no item is overwritten while it is being read.
//!
//! Either side may be dropped first. The other finds out by `is_closed`; a consumer that then finds
//! the ring empty has received everything.

use super::{CachePadded, NO_MEMORY};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Arc, UnsafeCell, spin_loop};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;

/// As many items in a ring are enough for a consumer not to wait for more.
const FEW: usize = 64;
/// How often it looks again until there are.
const LOOKS_MAX: usize = 4;

type Slot<T> = UnsafeCell<MaybeUninit<T>>;

/// A ring that holds `capacity` items, rounded up to a power of two and at least 1.
///
/// ```
/// let (mut producer, mut consumer) = stampede_reactor::ring::spsc::ring(2);
/// let consuming = std::thread::spawn(move || {
///     let mut sum = 0;
///     while sum < 6 {
///         consumer.pop_batch(16, |number: u32| sum += number);
///     }
///     sum
/// });
/// for number in 1..=3 {
///     let mut item = number;
///     while let Err(full) = producer.push(item) {
///         item = full;
///     }
/// }
/// assert_eq!(consuming.join().unwrap(), 6);
/// ```
///
/// # Panics
///
/// If there is no memory for that many: see [`try_ring`].
pub fn ring<T>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    try_ring(capacity).expect(NO_MEMORY)
}

/// The same.
///
/// # Errors
///
/// `OutOfMemory`.
pub fn try_ring<T>(capacity: usize) -> io::Result<(Producer<T>, Consumer<T>)> {
    try_ring_at(capacity, 0)
}

/// A ring whose first position is `start`: the tests begin right before the wrap-around.
#[cfg(test)]
pub(super) fn ring_at<T>(capacity: usize, start: usize) -> (Producer<T>, Consumer<T>) {
    try_ring_at(capacity, start).expect(NO_MEMORY)
}

fn try_ring_at<T>(capacity: usize, start: usize) -> io::Result<(Producer<T>, Consumer<T>)> {
    let (mut slots, count) = super::slots(capacity)?;
    slots.extend((0..count).map(|_| UnsafeCell::new(MaybeUninit::uninit())));
    let shared = Arc::new(Shared {
        slots: slots.into_boxed_slice(),
        closed: AtomicBool::new(false),
        tail: CachePadded(AtomicUsize::new(start)),
        head: CachePadded(AtomicUsize::new(start)),
    });
    let producer = Producer { shared: Arc::clone(&shared), tail: start, head_seen: start };
    Ok((producer, Consumer { shared, head: start, tail_seen: start, found_before: false }))
}

/// What both sides reach.
struct Shared<T> {
    /// A power of two of them. Those of the positions from `head` to before `tail` hold an item,
    /// and are the consumer's; the others are the producer's.
    slots: Box<[Slot<T>]>,
    /// One of the sides was dropped; only the other one reads it.
    closed: AtomicBool,
    /// The position of the next push. Written by the producer only; at most `capacity` beyond head.
    tail: CachePadded<AtomicUsize>,
    /// The position of the next pop. Written by the consumer only; never beyond `tail`.
    head: CachePadded<AtomicUsize>,
}

// SAFETY: a slot is accessed by the side that it belongs to (see `slots`), and changes hands by
// Release and Acquire; so items move between threads, which T: Send allows, and are never shared.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above; dropping it on another thread drops items there.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T> Shared<T> {
    #[inline(always)]
    fn capacity(&self) -> usize {
        self.slots.len()
    }

    #[inline(always)]
    fn slot(&self, position: usize) -> &Slot<T> {
        let index = position & (self.slots.len() - 1);
        // SAFETY: the number of slots is a power of two, so the index is less.
        unsafe { self.slots.get_unchecked(index) }
    }

    /// The slots of `count` positions from the first on, or as many as are contiguous.
    #[inline]
    fn row(&self, first: usize, count: usize) -> &[Slot<T>] {
        let index = first & (self.slots.len() - 1);
        let end = self.slots.len().min(index + count);
        &self.slots[index..end]
    }
}

/// # Safety
///
/// The caller is the producer, and the slot is vacant.
#[inline(always)]
unsafe fn write<T>(slot: &Slot<T>, item: T) {
    // SAFETY: a vacant slot is the producer's alone.
    slot.with_mut(|slot| unsafe { (*slot).write(item) });
}

/// # Safety
///
/// The caller is the consumer (or the last one there), and the slot holds an item that was not
/// read before.
#[inline(always)]
unsafe fn read<T>(slot: &Slot<T>) -> T {
    // SAFETY: the item is there, and the consumer's alone.
    slot.with(|slot| unsafe { (*slot).assume_init_read() })
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Relaxed: both sides are gone, and Arc has ordered all they did before this.
        let tail = self.tail.load(Ordering::Relaxed);
        let mut head = self.head.load(Ordering::Relaxed);
        while head != tail {
            // SAFETY: items from head to tail are there, and no other thread has the ring.
            drop(unsafe { read(self.slot(head)) });
            head = head.wrapping_add(1);
        }
    }
}

/// The side that pushes.
///
/// Aligned, like the other one, so that both in one place (a stack frame, a struct) do not share a
/// cache line: each changes with every item.
#[repr(align(128))]
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    /// The position of the next push: `shared.tail`, or ahead of it during a batch.
    tail: usize,
    /// The last value of `shared.head` seen: there is at least this much room.
    head_seen: usize,
}

impl<T> Producer<T> {
    /// Puts `item` at the end of the queue.
    ///
    /// # Errors
    ///
    /// The item, when the ring is full.
    #[inline]
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if !self.has_room() {
            return Err(item);
        }
        // SAFETY: there is room: the slot is vacant.
        unsafe { write(self.shared.slot(self.tail), item) };
        self.tail = self.tail.wrapping_add(1);
        self.publish();
        Ok(())
    }

    /// Takes items from `items` while there is room; the consumer sees them all at once, when the
    /// last one is in. Returns how many.
    pub fn push_all(&mut self, items: &mut impl Iterator<Item = T>) -> usize {
        let batch = PushBatch { begin: self.tail, producer: self };
        while batch.producer.has_room() {
            let Producer { shared, tail, head_seen } = &mut *batch.producer;
            let room = shared.capacity() - tail.wrapping_sub(*head_seen);
            for slot in shared.row(*tail, room) {
                let Some(item) = items.next() else {
                    return batch.len();
                };
                // SAFETY: there is room for all of the row: its slots are vacant.
                unsafe { write(slot, item) };
                *tail = tail.wrapping_add(1);
            }
        }
        batch.len()
    }

    /// How many items are in the ring; fewer, if some are being popped.
    pub fn len(&self) -> usize {
        // Relaxed: a number, by which nothing is accessed.
        self.tail.wrapping_sub(self.shared.head.load(Ordering::Relaxed))
    }

    /// Whether the consumer has popped everything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items can be pushed, at least.
    pub fn room(&self) -> usize {
        self.capacity() - self.len()
    }

    /// How many items the ring holds.
    pub fn capacity(&self) -> usize {
        self.shared.capacity()
    }

    /// Whether the consumer was dropped: nothing will be popped any more.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    #[inline(always)]
    fn has_room(&mut self) -> bool {
        self.tail.wrapping_sub(self.head_seen) < self.shared.capacity() || self.look_for_room()
    }

    fn look_for_room(&mut self) -> bool {
        // Acquire: the consumer has read the slots before its head; now they may be written.
        self.head_seen = self.shared.head.load(Ordering::Acquire);
        self.tail.wrapping_sub(self.head_seen) < self.shared.capacity()
    }

    #[inline(always)]
    fn publish(&self) {
        // Release: the slots before tail are written.
        self.shared.tail.store(self.tail, Ordering::Release);
    }
}

/// Publishes what was pushed, even if the iterator panics.
struct PushBatch<'a, T> {
    producer: &'a mut Producer<T>,
    begin: usize,
}

impl<T> PushBatch<'_, T> {
    fn len(&self) -> usize {
        self.producer.tail.wrapping_sub(self.begin)
    }
}

impl<T> Drop for PushBatch<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Not unconditionally: a store takes the cache line from the other side.
        if self.len() > 0 {
            self.producer.publish();
        }
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        // Release: a thread that sees this sees what was pushed before.
        self.shared.closed.store(true, Ordering::Release);
    }
}

/// The side that pops.
#[repr(align(128))]
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// The position of the next pop: `shared.head`, or ahead of it during a batch.
    head: usize,
    /// The last value of `shared.tail` seen: there are at least this many items.
    tail_seen: usize,
    /// The last look at `shared.tail` found any.
    found_before: bool,
}

impl<T> Consumer<T> {
    /// Takes the item at the front of the queue, if there is one.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if !self.has_item() {
            return None;
        }
        // SAFETY: head has not reached tail: the item is there; and head moves on.
        let item = unsafe { read(self.shared.slot(self.head)) };
        self.head = self.head.wrapping_add(1);
        self.publish();
        Some(item)
    }

    /// Passes at most `max` items to `f`, one by one; the producer sees their slots vacant all at
    /// once, after the last. Returns how many. If `f` panics, the items it was given are gone and
    /// the rest is still in the ring.
    pub fn pop_batch(&mut self, max: usize, mut f: impl FnMut(T)) -> usize {
        let batch = PopBatch { begin: self.head, consumer: self };
        while batch.len() < max && batch.consumer.has_item() {
            let wanted = max - batch.len();
            let Consumer { shared, head, tail_seen, .. } = &mut *batch.consumer;
            for slot in shared.row(*head, wanted.min(tail_seen.wrapping_sub(*head))) {
                // SAFETY: all of the row is before tail: the item is there; and head moves on.
                let item = unsafe { read(slot) };
                *head = head.wrapping_add(1);
                f(item);
            }
        }
        batch.len()
    }

    /// How many items are in the ring; more, if some are being pushed.
    pub fn len(&self) -> usize {
        // Relaxed: a number, by which nothing is accessed.
        self.shared.tail.load(Ordering::Relaxed).wrapping_sub(self.head)
    }

    /// Whether there is nothing to pop.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.head == self.tail_seen && self.len() == 0
    }

    /// How many items the ring holds.
    pub fn capacity(&self) -> usize {
        self.shared.capacity()
    }

    /// Whether the producer was dropped. If the ring is empty **after** this returned true, nothing
    /// will come any more; checked in the other order, a last item may be missed.
    pub fn is_closed(&self) -> bool {
        // Acquire: all that the producer pushed is seen after this.
        self.shared.closed.load(Ordering::Acquire)
    }

    #[inline(always)]
    fn has_item(&mut self) -> bool {
        self.head != self.tail_seen || self.look_for_items()
    }

    fn look_for_items(&mut self) -> bool {
        let mut count = self.look();
        if self.found_before {
            count = self.let_it_get_ahead(count);
        }
        self.found_before = count > 0;
        self.found_before
    }

    /// Looks again while there are few items, and more of them each time.
    fn let_it_get_ahead(&mut self, mut count: usize) -> usize {
        let few = 1..FEW.min(self.capacity() / 2);
        for _ in 0..LOOKS_MAX {
            if !few.contains(&count) {
                break;
            }
            spin_loop();
            spin_loop();
            let before = count;
            count = self.look();
            if count == before {
                break;
            }
        }
        count
    }

    /// How many items there are.
    #[inline(always)]
    fn look(&mut self) -> usize {
        // Acquire: the producer has written the slots before its tail; now they may be read.
        self.tail_seen = self.shared.tail.load(Ordering::Acquire);
        self.tail_seen.wrapping_sub(self.head)
    }

    #[inline(always)]
    fn publish(&self) {
        // Release: the slots before head are read.
        self.shared.head.store(self.head, Ordering::Release);
    }
}

/// Publishes what was popped, even if the callee panics.
struct PopBatch<'a, T> {
    consumer: &'a mut Consumer<T>,
    begin: usize,
}

impl<T> PopBatch<'_, T> {
    fn len(&self) -> usize {
        self.consumer.head.wrapping_sub(self.begin)
    }
}

impl<T> Drop for PopBatch<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Not unconditionally, as above: an idle consumer looks again and again.
        if self.len() > 0 {
            self.consumer.publish();
        }
    }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, capacity) = (self.len(), self.capacity());
        f.debug_struct("Producer").field("len", &len).field("capacity", &capacity).finish()
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (len, capacity) = (self.len(), self.capacity());
        f.debug_struct("Consumer").field("len", &len).field("capacity", &capacity).finish()
    }
}
