//! A value that a thread puts down while it is busy, so that another thread can take it away.
//!
//! A worker that is stuck in a job cannot be stopped, but the ends of its rings can be given to
//! another thread: it has put them down for the duration of the job, and if it ever comes back they
//! are gone.
//!
//! ```text
//!   Holder ── put_down(value, stamp) ──► Down ── pick_up ──► Some((Holder, value))
//!                                          │                 or None: it was taken
//!   Taker ── stamp() … take(stamp) ────────┘
//! ```
//!
//! One atomic word decides between the two, and records when the value was put down:
//!
//! | word | meaning | may touch the value |
//! |---|---|---|
//! | `HELD` | the holder has it | no thread: there is none |
//! | `TAKEN`, permanently | the taker has taken it | the taker |
//! | anything else | a stamp of the holder's: put down | the thread that changes the word |
//!
//! The types do the rest: the owner of a [`Down`] has no [`Holder`] to put a second value down
//! with, and a holder whose value was taken is gone.

use std::fmt;

use crate::sync::Arc;
use crate::sync::UnsafeCell;
use crate::sync::atomic::{AtomicU64, Ordering};

/// The word's value while the holder has the value.
const HELD: u64 = 0;
/// The word's value once it was taken.
const TAKEN: u64 = 1;
/// The lowest stamp.
const STAMP_MIN: u64 = 2;

struct Shared<T> {
    word: AtomicU64,
    /// There while the word is a stamp.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is accessed by one thread at a time (see the table above), and changes hands by
// Release and Acquire on the word; so it moves between threads, which T: Send allows.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above; dropping it on another thread drops the value there.
unsafe impl<T: Send> Send for Shared<T> {}

/// A lease's two sides.
pub fn lease<T: Send>() -> (Holder<T>, Taker<T>) {
    let shared = Shared { word: AtomicU64::new(HELD), value: UnsafeCell::new(None) };
    let shared = Arc::new(shared);
    (Holder { shared: Arc::clone(&shared) }, Taker { shared })
}

/// The right to put a value down.
pub struct Holder<T> {
    shared: Arc<Shared<T>>,
}

/// The right to pick it up again.
#[must_use]
pub struct Down<T> {
    shared: Arc<Shared<T>>,
    stamp: u64,
}

/// The side that may take it away.
pub struct Taker<T> {
    shared: Arc<Shared<T>>,
}

impl<T: Send> Holder<T> {
    /// Puts `value` down. `stamp` tells the taker since when; 0 and 1 count as 2.
    #[inline]
    pub fn put_down(self, value: T, stamp: u64) -> Down<T> {
        let stamp = stamp.max(STAMP_MIN);
        // SAFETY: the word is HELD: only a holder changes that, and there is one holder, this one.
        // So no other thread touches the value.
        self.shared.value.with_mut(|place| unsafe { *place = Some(value) });
        // Release: the thread that takes it sees the whole value, and all that its holder did
        // before.
        self.shared.word.store(stamp, Ordering::Release);
        Down { shared: self.shared, stamp }
    }
}

impl<T: Send> Down<T> {
    /// Picks the value up again, unless it was taken.
    #[inline]
    pub fn pick_up(self) -> Option<(Holder<T>, T)> {
        let value = self.shared.win(self.stamp, HELD)?;
        Some((Holder { shared: self.shared }, value))
    }
}

impl<T: Send> Taker<T> {
    /// The stamp of the value, if it is down.
    #[inline]
    pub fn stamp(&self) -> Option<u64> {
        let word = self.shared.word.load(Ordering::Acquire);
        (word >= STAMP_MIN).then_some(word)
    }

    /// Takes the value away, if it is still down with this stamp.
    pub fn take(&self, stamp: u64) -> Option<T> {
        self.shared.win(stamp, TAKEN)
    }
}

impl<T: Send> Shared<T> {
    /// The value, if the word is `stamp` and changing it was ours.
    #[inline]
    fn win(&self, stamp: u64, word: u64) -> Option<T> {
        if stamp < STAMP_MIN {
            return None;
        }
        // Acquire: the value is seen whole. Relaxed on failure: then nothing is touched.
        let (ok, err) = (Ordering::Acquire, Ordering::Relaxed);
        self.word.compare_exchange(stamp, word, ok, err).ok()?;
        // SAFETY: we have changed the word from a stamp, so the value is ours alone. It is touched
        // again only by the holder (that is us), or never if we are the taker.
        self.value.with_mut(|place| unsafe { (*place).take() })
    }
}

impl<T> fmt::Debug for Holder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holder")
    }
}

impl<T> fmt::Debug for Down<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Down({})", self.stamp)
    }
}

impl<T> fmt::Debug for Taker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Taker({})", self.shared.word.load(Ordering::Relaxed))
    }
}

#[cfg(all(not(loom), test))]
mod tests {
    use super::*;

    #[test]
    fn a_value_put_down_is_picked_up_again() {
        let (mut holder, taker) = lease();
        for round in 0..10u64 {
            assert_eq!(taker.stamp(), None);
            let down = holder.put_down(Box::new(round), 100 + round);
            assert_eq!(taker.stamp(), Some(100 + round));
            let value;
            (holder, value) = down.pick_up().expect("it was not taken");
            assert_eq!(*value, round);
        }
    }

    #[test]
    fn a_taken_value_is_gone_and_taken_once() {
        let (holder, taker) = lease();
        let down = holder.put_down("the ends", 7);
        assert_eq!(taker.take(8), None, "another stamp");
        assert_eq!(taker.take(7), Some("the ends"));
        assert_eq!((taker.take(7), taker.stamp()), (None, None));
        assert!(down.pick_up().is_none());
    }

    #[test]
    fn no_stamp_is_mistaken_for_a_state() {
        let (holder, taker) = lease();
        assert_eq!((taker.take(0), taker.take(1)), (None, None));
        let down = holder.put_down((), 0);
        assert_eq!(taker.stamp(), Some(STAMP_MIN));
        assert!(down.pick_up().is_some());
    }

    #[test]
    fn a_value_left_down_is_dropped_with_the_lease() {
        let value = Arc::new(());
        let (holder, taker) = lease();
        drop(holder.put_down(Arc::clone(&value), 9));
        assert_eq!(Arc::strong_count(&value), 2);
        drop(taker);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}

#[cfg(all(loom, test))]
mod models {
    use super::*;
    use crate::sync::thread;

    /// In the end either the holder or the taker has the whole value, never both.
    #[test]
    fn loom_exactly_one_side_gets_the_value() {
        loom::model(|| {
            let (holder, taker) = lease();
            let other = thread::spawn(move || taker.take(5).map(|value: Box<u32>| *value));
            let back = holder.put_down(Box::new(42), 5).pick_up().map(|(_, value)| *value);
            let taken = other.join().unwrap();
            assert_eq!(back.xor(taken), Some(42));
        });
    }

    /// A taker with an old stamp does not take a value put down since.
    #[test]
    fn loom_an_old_stamp_takes_nothing_new() {
        loom::model(|| {
            let (holder, taker) = lease();
            let (holder, first) = holder.put_down(1, 5).pick_up().unwrap();
            assert_eq!(first, 1);
            let other = thread::spawn(move || taker.take(5));
            let back = holder.put_down(2, 6).pick_up().map(|(_, value)| value);
            assert_eq!((back, other.join().unwrap()), (Some(2), None));
        });
    }
}
