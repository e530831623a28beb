//! A hierarchical timing wheel: deadlines in milliseconds, every operation O(1).
//!
//! Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987). A deadline is read as a
//! number of eleven digits to the base 64; the level of a timer is the highest digit in which its
//! deadline differs from the present tick, its slot is that digit:
//!
//! ```text
//!            64^10 ...    64^2   64^1   64^0
//!  now             0        0     12     41
//!  deadline A      0        0     12     55      level 0, slot 55: due in 14 ticks
//!  deadline B      0        0     30      7      level 1, slot 30: looked at again at (30, 0)
//! ```
//!
//! When the present reaches the beginning of a slot on a higher level, the slot's timers are placed
//! again, now on a lower level. A timer moves at most ten times and in practice (deadlines of
//! seconds) twice. Three properties follow, on which the code relies:
//!
//! * All timers of a level lie ahead of the present within that level's turn: nothing wraps around,
//!   and eleven levels cover all 64 bits, so that no deadline is too far away and nothing happens
//!   after 2.2 years of uptime (where a wheel of six levels wraps).
//! * Every timer on a lower level is due before every timer on a higher one.
//! * So the next thing to do is the first occupied slot of the lowest occupied level: two bitmaps
//!   and two `trailing_zeros`.
//!
//! A timer never fires early. How late it fires depends on when the owner asks: the first
//! [`Wheel::pop_expired`] at or after the deadline yields it. Among timers that are due together,
//! earlier deadlines come first; the order of equal deadlines is not specified.

use crate::sys::room_for;
use std::io;
use std::num::NonZeroU32;

const BITS_PER_LEVEL: u32 = 6;
const SLOTS_PER_LEVEL: usize = 1 << BITS_PER_LEVEL;
/// Enough digits for 64 bits (the eleventh has only four of them).
const LEVELS: usize = u64::BITS.div_ceil(BITS_PER_LEVEL) as usize;

/// Where a timer is linked: `level * 64 + slot`, or one of the two below.
type Place = u16;
/// The list of those that expired and wait for [`Wheel::pop_expired`].
const DUE: Place = (LEVELS * SLOTS_PER_LEVEL) as Place;
/// In no list of timers: an entry on the free list.
const VACANT: Place = DUE + 1;

/// No entry: the end of a list.
const NONE: u32 = u32::MAX;

/// Names a timer until it has fired or was cancelled.
///
/// It has no generation: a key that is used after that may name an unrelated timer. The owner of a
/// key drops it when it fires; debug builds catch a key whose entry is vacant.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct TimerKey(NonZeroU32);

impl TimerKey {
    /// Index + 1, so that an `Option<TimerKey>` has four bytes.
    fn from_index(index: u32) -> Self {
        TimerKey(NonZeroU32::MIN.saturating_add(index))
    }

    fn index(self) -> u32 {
        self.0.get() - 1
    }
}

/// One timer: a link of the doubly linked list of its slot. 24 bytes for a `T` of four.
#[derive(Debug)]
struct Entry<T> {
    deadline_ms: u64,
    prev: u32,
    /// The next of the list; on the free list, the next vacant entry.
    next: u32,
    value: T,
    place: Place,
}

/// Timers with a value of type `T` each, usually a small number that identifies the owner.
#[derive(Debug)]
pub struct Wheel<T> {
    /// All ticks up to and including this one have been processed.
    elapsed_ms: u64,
    /// Bit n: level n has timers.
    levels: u16,
    /// Bit s of word n: slot s of level n has timers.
    slots: [u64; LEVELS],
    /// The first entry of each slot's list, and of the list [`DUE`].
    heads: [u32; DUE as usize + 1],
    /// The last entry of [`DUE`], the only list that is appended to.
    due_tail: u32,
    entries: Vec<Entry<T>>,
    free: u32,
    len: usize,
}

impl<T: Copy> Wheel<T> {
    /// An empty wheel whose present is `now_ms`; up to `capacity` timers it never allocates.
    ///
    /// # Panics
    ///
    /// If there is no memory for that many: see [`Wheel::try_new`].
    pub fn new(now_ms: u64, capacity: usize) -> Self {
        Wheel::try_new(now_ms, capacity).expect("that many timers fit no memory")
    }

    /// The same.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`.
    pub fn try_new(now_ms: u64, capacity: usize) -> io::Result<Self> {
        Ok(Wheel {
            elapsed_ms: now_ms,
            levels: 0,
            slots: [0; LEVELS],
            heads: [NONE; DUE as usize + 1],
            due_tail: NONE,
            entries: room_for(capacity)?,
            free: NONE,
            len: 0,
        })
    }

    /// How many timers there are, expired ones that were not popped yet included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no timers.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a timer. A deadline in the past becomes the next tick: a timer armed by an expiring one
    /// never expires in the same round, so that a round ends.
    pub fn insert(&mut self, deadline_ms: u64, value: T) -> TimerKey {
        let entry = Entry { deadline_ms, prev: NONE, next: NONE, value, place: VACANT };
        let index = if self.free == NONE {
            let index = self.entries.len() as u32;
            assert!(index < NONE - 1, "fewer than 2^32 - 2 timers");
            self.entries.push(entry);
            index
        } else {
            let index = self.free;
            self.free = self.entries[index as usize].next;
            self.entries[index as usize] = entry;
            index
        };
        self.len += 1;
        self.place_ahead(index);
        TimerKey::from_index(index)
    }

    /// Removes a timer that has not been popped.
    pub fn cancel(&mut self, key: TimerKey) -> T {
        self.unlink(key.index());
        self.vacate(key.index())
    }

    /// Moves a timer that has not been popped to another deadline.
    pub fn rearm(&mut self, key: TimerKey, deadline_ms: u64) {
        self.unlink(key.index());
        self.entries[key.index() as usize].deadline_ms = deadline_ms;
        self.place_ahead(key.index());
    }

    /// This timer's deadline.
    pub fn deadline(&self, key: TimerKey) -> u64 {
        let entry = &self.entries[key.index() as usize];
        debug_assert_ne!(entry.place, VACANT, "the key of a timer that is gone");
        entry.deadline_ms
    }

    /// When to check again: no timer expires before this tick. It is the exact next deadline if
    /// that is within 64 ticks, else perhaps earlier (the tick at which timers change their level).
    #[inline]
    pub fn next_deadline(&self) -> Option<u64> {
        if self.heads[DUE as usize] != NONE {
            return Some(self.elapsed_ms);
        }
        self.next_slot().map(|(_, begin_ms)| begin_ms)
    }

    /// Removes one timer with a deadline at or before `now_ms` from the wheel.
    ///
    /// `None`: there is none, all remaining ones lie after `now_ms`. A `now_ms` before an earlier
    /// one counts as that one: time does not go back.
    #[inline]
    pub fn pop_expired(&mut self, now_ms: u64) -> Option<(TimerKey, T)> {
        if now_ms > self.elapsed_ms {
            self.advance(now_ms);
        }
        let index = self.heads[DUE as usize];
        if index == NONE {
            return None;
        }
        self.unlink(index);
        Some((TimerKey::from_index(index), self.vacate(index)))
    }

    /// Advances the present to `now_ms`, and moves all that has expired by then to the due list.
    fn advance(&mut self, now_ms: u64) {
        while let Some((place, begin_ms)) = self.next_slot() {
            if begin_ms > now_ms {
                break;
            }
            self.elapsed_ms = begin_ms;
            self.open_slot(place);
        }
        // No slot begins between here and now, so every timer's place stays what it was.
        self.elapsed_ms = now_ms;
    }

    /// The present is the first tick of a slot: places its timers again, on a lower level or
    /// among those due.
    fn open_slot(&mut self, place: Place) {
        let mut index = self.heads[place as usize];
        self.heads[place as usize] = NONE;
        self.mark_empty(place);
        while index != NONE {
            let Entry { next, deadline_ms, .. } = self.entries[index as usize];
            if deadline_ms <= self.elapsed_ms {
                self.append_due(index);
            } else {
                self.place_ahead(index);
            }
            index = next;
        }
    }

    /// The first occupied slot in the order of time, and its first tick.
    fn next_slot(&self) -> Option<(Place, u64)> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros();
        let slot = self.slots[level as usize].trailing_zeros();
        let shift = level * BITS_PER_LEVEL;
        // The digits above this level are the present's, those below it are zero.
        let above = match u64::MAX.checked_shl(shift + BITS_PER_LEVEL) {
            Some(mask) => self.elapsed_ms & mask,
            None => 0,
        };
        Some(((level << BITS_PER_LEVEL | slot) as Place, above | u64::from(slot) << shift))
    }

    /// Links an entry that is in no list into the slot of its deadline.
    fn place_ahead(&mut self, index: u32) {
        let deadline_ms = self.entries[index as usize].deadline_ms;
        // At the very end of time there is no tick left to wait for (saturating).
        let deadline_ms = deadline_ms.max(self.elapsed_ms.saturating_add(1));
        let differing = deadline_ms ^ self.elapsed_ms;
        if differing == 0 {
            return self.append_due(index);
        }
        let level = differing.ilog2() / BITS_PER_LEVEL;
        let slot = (deadline_ms >> (level * BITS_PER_LEVEL)) as usize % SLOTS_PER_LEVEL;
        self.levels |= 1 << level;
        self.slots[level as usize] |= 1 << slot;
        self.push_front((level as usize * SLOTS_PER_LEVEL + slot) as Place, index);
    }

    fn push_front(&mut self, place: Place, index: u32) {
        let head = self.heads[place as usize];
        let entry = &mut self.entries[index as usize];
        entry.place = place;
        entry.prev = NONE;
        entry.next = head;
        if head != NONE {
            self.entries[head as usize].prev = index;
        }
        self.heads[place as usize] = index;
    }

    fn append_due(&mut self, index: u32) {
        let tail = self.due_tail;
        let entry = &mut self.entries[index as usize];
        entry.place = DUE;
        entry.prev = tail;
        entry.next = NONE;
        if tail == NONE {
            self.heads[DUE as usize] = index;
        } else {
            self.entries[tail as usize].next = index;
        }
        self.due_tail = index;
    }

    /// Removes an entry from whichever list it is in.
    fn unlink(&mut self, index: u32) {
        let Entry { prev, next, place, .. } = self.entries[index as usize];
        assert!(place != VACANT, "the key of a timer that is gone");
        match prev {
            NONE => self.heads[place as usize] = next,
            _ => self.entries[prev as usize].next = next,
        }
        match next {
            NONE if place == DUE => self.due_tail = prev,
            NONE if prev == NONE => self.mark_empty(place),
            NONE => {}
            _ => self.entries[next as usize].prev = prev,
        }
    }

    /// The slot's last timer left.
    fn mark_empty(&mut self, place: Place) {
        let level = place as usize / SLOTS_PER_LEVEL;
        self.slots[level] &= !(1 << (place as usize % SLOTS_PER_LEVEL));
        if self.slots[level] == 0 {
            self.levels &= !(1 << level);
        }
    }

    /// Puts an unlinked entry on the free list.
    fn vacate(&mut self, index: u32) -> T {
        let entry = &mut self.entries[index as usize];
        entry.place = VACANT;
        entry.next = self.free;
        self.free = index;
        self.len -= 1;
        entry.value
    }

    /// The bytes that one timer takes.
    pub const fn entry_size() -> usize {
        size_of::<Entry<T>>()
    }
}

const _: () = assert!(Wheel::<u32>::entry_size() <= 24, "see the budget of the event loop");
const _: () = assert!(LEVELS <= u16::BITS as usize, "a bit for every level");

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, HashMap};

    /// Everything that is due at `now`, in order.
    fn expired(wheel: &mut Wheel<u32>, now: u64) -> Vec<u32> {
        std::iter::from_fn(|| wheel.pop_expired(now).map(|(_, value)| value)).collect()
    }

    #[test]
    fn fires_at_its_tick_and_not_one_before() {
        for deadline in [1, 63, 64, 65, 4095, 4096, 1 << 36, u64::MAX] {
            let mut wheel = Wheel::new(0, 1);
            wheel.insert(deadline, 7);
            assert_eq!(expired(&mut wheel, deadline - 1), [], "{deadline}");
            assert_eq!(expired(&mut wheel, deadline), [7], "{deadline}");
            assert!(wheel.is_empty());
        }
    }

    #[test]
    fn a_deadline_in_the_past_fires_at_the_next_tick() {
        let mut wheel = Wheel::new(1000, 1);
        wheel.insert(5, 7);
        assert_eq!(wheel.next_deadline(), Some(1001));
        assert_eq!(expired(&mut wheel, 1000), []);
        assert_eq!(expired(&mut wheel, 1001), [7]);
    }

    #[test]
    fn a_round_that_arms_a_timer_for_each_that_expires_ends() {
        let mut wheel = Wheel::new(0, 1);
        wheel.insert(1, 0);
        let mut rounds = 0;
        while let Some((_, value)) = wheel.pop_expired(50) {
            wheel.insert(2, value);
            rounds += 1;
        }
        assert_eq!((rounds, wheel.len()), (1, 1));
    }

    #[test]
    fn comes_in_the_order_of_deadlines_after_a_long_pause() {
        let mut wheel = Wheel::new(3, 16);
        let deadlines = [900_000, 4, 70, 70_000, 5, 4_097, 64, 128];
        for deadline in deadlines {
            wheel.insert(deadline.into(), deadline);
        }
        let mut sorted = deadlines;
        sorted.sort_unstable();
        assert_eq!(expired(&mut wheel, u64::MAX), sorted);
    }

    #[test]
    fn a_due_timer_can_still_be_cancelled_or_moved() {
        let mut wheel = Wheel::new(0, 3);
        let keys = [1, 2, 3].map(|n| wheel.insert(10, n));
        let (first, _) = wheel.pop_expired(10).expect("all three are due");
        let rest: Vec<_> = keys.into_iter().filter(|key| *key != first).collect();
        let kept = wheel.deadline(rest[1]);
        wheel.cancel(rest[0]);
        wheel.rearm(rest[1], kept + 5);
        assert_eq!(expired(&mut wheel, 14), []);
        assert_eq!(expired(&mut wheel, 15).len(), 1);
    }

    #[test]
    #[should_panic(expected = "timer that is gone")]
    fn a_key_is_dead_after_its_timer_fired() {
        let mut wheel = Wheel::new(0, 1);
        let key = wheel.insert(1, 0);
        wheel.pop_expired(1);
        wheel.cancel(key);
    }

    #[test]
    fn entries_are_reused_and_never_more_than_are_armed_together() {
        let mut wheel = Wheel::new(0, 100);
        let capacity = wheel.entries.capacity();
        for now in 0..1000u64 {
            for n in 0..100 {
                wheel.insert(now + 1 + u64::from(n) % 9, n);
            }
            assert_eq!(expired(&mut wheel, now + 9).len(), 100);
        }
        assert_eq!((wheel.entries.len(), wheel.entries.capacity()), (100, capacity));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u64),
        Rearm(prop::sample::Index, u64),
        Cancel(prop::sample::Index),
        Pass(u64),
        /// Straight to `next_deadline`, as the event loop does.
        Wait,
    }

    /// Near and far in equal measure: 2^0 to 2^40 ms.
    fn delay() -> impl Strategy<Value = u64> {
        (0..40u32, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => delay().prop_map(Step::Insert),
            2 => (any::<prop::sample::Index>(), delay()).prop_map(|(i, d)| Step::Rearm(i, d)),
            1 => any::<prop::sample::Index>().prop_map(Step::Cancel),
            1 => delay().prop_map(Step::Pass),
            3 => Just(Step::Wait),
        ]
    }

    /// The naive timer queue: a sorted map. It carries the wheel's keys along.
    #[derive(Default)]
    struct Oracle {
        by_deadline: BTreeMap<(u64, u32), TimerKey>,
        deadlines: HashMap<u32, u64>,
        next_id: u32,
    }

    impl Oracle {
        fn pick(&self, index: prop::sample::Index) -> Option<((u64, u32), TimerKey)> {
            let nth = index.index(self.by_deadline.len().max(1));
            self.by_deadline.iter().nth(nth).map(|(id, key)| (*id, *key))
        }

        fn add(&mut self, deadline: u64, id: u32, key: TimerKey) {
            self.by_deadline.insert((deadline, id), key);
            self.deadlines.insert(id, deadline);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn agrees_with_a_sorted_map(
            // Also close to a carry through many digits, and beyond six levels.
            start in prop_oneof![Just(0u64), Just((1 << 36) - 5), Just((1 << 48) + 77)],
            steps in prop::collection::vec(step(), 1..120),
        ) {
            let mut wheel = Wheel::new(start, 0);
            let mut oracle = Oracle::default();
            let mut now = start;
            for step in steps {
                match step {
                    Step::Insert(delay) => {
                        let (deadline, id) = ((now + delay).max(now + 1), oracle.next_id);
                        oracle.next_id += 1;
                        oracle.add(deadline, id, wheel.insert(now + delay, id));
                    }
                    Step::Rearm(index, delay) => {
                        if let Some(((deadline, id), key)) = oracle.pick(index) {
                            oracle.by_deadline.remove(&(deadline, id));
                            wheel.rearm(key, now + delay);
                            oracle.add((now + delay).max(now + 1), id, key);
                        }
                    }
                    Step::Cancel(index) => {
                        if let Some((id, key)) = oracle.pick(index) {
                            oracle.by_deadline.remove(&id);
                            prop_assert_eq!(wheel.cancel(key), id.1);
                        }
                    }
                    Step::Pass(delay) => now += delay,
                    Step::Wait => now = wheel.next_deadline().unwrap_or(now).max(now),
                }
                let mut last = 0;
                while let Some((key, id)) = wheel.pop_expired(now) {
                    let deadline = oracle.deadlines[&id];
                    prop_assert!(deadline <= now, "{} fired at {}", deadline, now);
                    prop_assert!(deadline >= last, "out of order");
                    prop_assert_eq!(oracle.by_deadline.remove(&(deadline, id)), Some(key));
                    last = deadline;
                }
                // Nothing due was left behind, and the owner is never told to sleep past a
                // deadline.
                let first = oracle.by_deadline.keys().next().map(|(deadline, _)| *deadline);
                prop_assert!(first.is_none_or(|first| first > now));
                let next = wheel.next_deadline();
                prop_assert_eq!(next.is_some(), first.is_some());
                prop_assert!(next <= first && next.is_none_or(|next| next > now));
                if first.is_some_and(|first| first / 64 == now / 64) {
                    prop_assert_eq!(next, first);
                }
                prop_assert_eq!(wheel.len(), oracle.by_deadline.len());
            }
        }
    }
}
