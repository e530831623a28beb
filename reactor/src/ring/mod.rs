//! Bounded queues between threads: rings of slots that are allocated once.
//!
//! | module | pushing | popping | a push or pop costs |
//! |---|---|---|---|
//! | [`spsc`] | one thread | one thread | a store that the other side can see |
//! | [`mpmc`] | any thread | any thread | a compare-and-swap, and a store |
//!
//! # Words
//!
//! ```text
//!   capacity 4        slot:      0     1     2     3
//!                             ┌─────┬─────┬─────┬─────┐
//!                      lap 1  │  4  │  5  │     │     │   positions, by which items are counted
//!                      lap 0  │     │     │  2  │  3  │
//!                             └─────┴─────┴─────┴─────┘
//!                                            ▲ head = 2: the position to pop next
//!                                            ▼ tail = 6: the position to push next
//! ```
//!
//! * A *position* counts items since the ring was created: the n-th push goes to position n. It
//!   never decreases, and wraps around at the end of `usize`, which all arithmetic here allows for.
//! * A *slot* is the place of a position: its low bits. So capacities are powers of two.
//! * A *lap* is one time around the ring: the high bits of a position.
//! * *head* and *tail* are the positions that are popped and pushed next. `tail - head` is the number
//!   of items: 0 when empty, the capacity when full; no slot is kept free to tell the two apart.
//! * A *stamp* (in [`mpmc`]) is what a slot records about itself: which position it is for, and
//!   whether the item is there.
//!
//! # The same in both
//!
//! A ring holds the capacity requested, rounded up to a power of two, and at least 1. What fits no
//! memory is an error (`try_`) or a panic. Nothing is allocated after construction. A full ring returns the item: what to do then is up to the caller.
//! Nothing here waits or wakes: that is [`sleep`](crate::sleep)'s job. A ring that is dropped drops
//! the items it holds.

pub mod mpmc;
pub mod spsc;

#[cfg(all(loom, test))]
mod models;
#[cfg(all(not(loom), test))]
mod tests;

use crate::sys::room_for;
use std::io;
use std::ops::Deref;

/// A value on cache lines that it shares with nothing, so that a thread that writes it does not
/// evict its neighbours from other cores' caches.
///
/// 128 bytes: x86's prefetcher fetches lines of 64 in pairs (Intel's optimization manual, "spatial
/// prefetcher"), and Apple's AArch64 has lines of 128.
#[repr(align(128))]
struct CachePadded<T>(T);

impl<T> Deref for CachePadded<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

/// Room for the slots of a ring of `capacity`, and how many they are.
fn slots<S>(capacity: usize) -> io::Result<(Vec<S>, usize)> {
    let count = capacity.max(1).checked_next_power_of_two().ok_or(io::ErrorKind::OutOfMemory)?;
    Ok((room_for(count)?, count))
}

/// What the constructors without an error say instead.
const NO_MEMORY: &str = "a ring of this capacity fits no memory";
