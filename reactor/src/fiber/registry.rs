//! Where the stacks of all pools are, for a signal handler to look up: without a lock, without
//! memory that could be freed meanwhile.
//!
//! A list of records that only grows, to the greatest number of pools that existed at a time. A
//! pool that ends leaves its record to a later one. A handler that runs on a fiber finds a
//! consistent record of that fiber's pool, which exists as long as the fiber does; one that is
//! changing is skipped, for it is another pool's.

use super::Suspender;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicUsize};

/// The newest record; each knows the one before it.
static NEWEST: AtomicPtr<Record> = AtomicPtr::new(ptr::null_mut());

/// Instead of a region's address: a record that no pool has, and one that is being filled.
const UNUSED: usize = 0;
const CHANGING: usize = 1;

/// Where the stacks of one pool are: `count` times a guard with the stack above it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    pub(super) base: usize,
    pub(super) guard_bytes: usize,
    pub(super) stack_bytes: usize,
    pub(super) count: usize,
}

impl Layout {
    /// From one stack's guard to the next one's.
    pub(super) fn stride(&self) -> usize {
        self.guard_bytes + self.stack_bytes
    }

    /// The stack whose guard has this address.
    fn stack_above(&self, address: usize) -> Option<usize> {
        let offset = address.checked_sub(self.base)?;
        let number = offset / self.stride();
        (number < self.count && offset % self.stride() < self.guard_bytes).then_some(number)
    }
}

/// One pool's layout, or room for one.
struct Record {
    before: *const Record,
    /// The region's address, or `UNUSED`, or `CHANGING`. Stored last, and read first and last.
    base: AtomicUsize,
    guard_bytes: AtomicUsize,
    stack_bytes: AtomicUsize,
    count: AtomicUsize,
}

// SAFETY: `before` does not change once the record is on the list, and leads to records of which
// the same is true; none of them is ever freed.
unsafe impl Sync for Record {}

impl Record {
    fn claim(&self) -> bool {
        self.base.compare_exchange(UNUSED, CHANGING, AcqRel, Relaxed).is_ok()
    }

    fn fill(&self, layout: Layout) {
        self.guard_bytes.store(layout.guard_bytes, Relaxed);
        self.stack_bytes.store(layout.stack_bytes, Relaxed);
        self.count.store(layout.count, Relaxed);
        self.base.store(layout.base, Release);
    }

    fn layout(&self) -> Option<Layout> {
        let base = self.base.load(Acquire);
        let layout = Layout {
            base,
            guard_bytes: self.guard_bytes.load(Acquire),
            stack_bytes: self.stack_bytes.load(Acquire),
            count: self.count.load(Acquire),
        };
        (base > CHANGING && self.base.load(Acquire) == base).then_some(layout)
    }
}

/// A region is found from here until this is dropped.
pub(super) struct Registration {
    record: &'static Record,
}

impl Registration {
    pub(super) fn new(layout: Layout) -> Registration {
        let record = records().find(|record| record.claim()).unwrap_or_else(add);
        record.fill(layout);
        Registration { record }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.record.base.store(UNUSED, Release);
    }
}

/// A record that is claimed already.
fn add() -> &'static Record {
    let record = Box::leak(Box::new(Record {
        before: NEWEST.load(Acquire),
        base: AtomicUsize::new(CHANGING),
        guard_bytes: AtomicUsize::new(0),
        stack_bytes: AtomicUsize::new(0),
        count: AtomicUsize::new(0),
    }));
    loop {
        let before = record.before.cast_mut();
        match NEWEST.compare_exchange(before, record, AcqRel, Acquire) {
            Ok(_) => return record,
            Err(newer) => record.before = newer,
        }
    }
}

fn records() -> impl Iterator<Item = &'static Record> {
    // SAFETY: null, or a record that has been leaked, and whose `before` does not change once it
    // is on the list.
    let shared = |record: *const Record| unsafe { record.as_ref() };
    std::iter::successors(shared(NEWEST.load(Acquire)), move |record| shared(record.before))
}

/// The stack that has grown into its guard at an address.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Overflowed {
    pub(super) number: usize,
    pub(super) stack_bytes: usize,
    top: usize,
}

impl Overflowed {
    /// None if no pool has a guard there. Async-signal-safe.
    pub(super) fn at(address: usize) -> Option<Overflowed> {
        records().filter_map(Record::layout).find_map(|layout| {
            let number = layout.stack_above(address)?;
            let top = layout.base + (number + 1) * layout.stride();
            Some(Overflowed { number, stack_bytes: layout.stack_bytes, top })
        })
    }

    /// What lies at the top of the stack.
    pub(super) fn suspender(&self) -> NonNull<Suspender> {
        let address = self.top - size_of::<Suspender>();
        NonNull::new(ptr::with_exposed_provenance_mut(address)).expect("not at zero")
    }
}

#[cfg(test)]
mod tests {
    use super::{Layout, Overflowed, Registration};

    /// No mapping is there: as near to the end of the address space as a process cannot come.
    const BASE: usize = usize::MAX - 0xF_FFFF;

    fn layout(base: usize) -> Layout {
        Layout { base, guard_bytes: 0x1000, stack_bytes: 0x4000, count: 3 }
    }

    #[test]
    fn only_guards_are_found() {
        let _registration = Registration::new(layout(BASE));
        let number = |offset: usize| Overflowed::at(BASE + offset).map(|found| found.number);
        assert_eq!(number(0), Some(0));
        assert_eq!(number(0xFFF), Some(0));
        assert_eq!(number(0x1000), None);
        assert_eq!(number(0x4FFF), None);
        assert_eq!(number(0xA000), Some(2));
        assert_eq!(number(0xF000), None);
        assert_eq!(Overflowed::at(BASE - 1), None);
    }

    #[test]
    fn a_region_is_found_until_its_pool_ends() {
        let base = BASE + 0x4_0000;
        for _ in 0..3 {
            let others = [1, 2].map(|number| Registration::new(layout(base + number * 0x2_0000)));
            let registration = Registration::new(layout(base));
            assert!(Overflowed::at(base).is_some());
            drop(registration);
            assert!(Overflowed::at(base).is_none());
            assert!(Overflowed::at(base + 0x2_0000).is_some());
            drop(others);
        }
    }
}
