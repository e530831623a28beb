//! The mapping behind a pool, and which thread may touch which part of its bookkeeping.
//!
//! | field | read by | written by |
//! |---|---|---|
//! | `mapping`, sizes and bounds of the classes | all | none, once made |
//! | `free`, `fresh`, `out` of the classes | owner | owner |
//! | `returned` | all | all: others push, the owner takes all |
//! | `owner` | all | owner, once, on closing |
//! | `missing` | late returners | the owner on closing, and late returners |
//!
//! The owner is the thread that created the region, identified by its number; or, for a region
//! without one, the thread that holds its pool's lock. No thread has the number of such a region,
//! so that all of its blocks come back by the stack of returns. Where a function below requires
//! "the owner's thread", holding that lock counts as well.
//!
//! Closing: the pool may be dropped before its buffers. It then swaps the mark `closed()` into
//! `returned`, so that no thread pushes any more, and adds the number of blocks still out to
//! `missing`. A thread that finds the mark subtracts one instead of pushing, perhaps before the
//! owner has added. The sum is zero exactly once after the addition, and the thread that brings it
//! there frees the region.

use super::Class;
use crate::mapping::{Mapping, Sharing};
use std::cell::Cell;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicIsize, AtomicPtr, AtomicU64};

/// Buffers begin on a cache line of their own.
const LINE_BYTES: usize = 64;
/// Classes begin on a page, so that a buffer of whole pages shares none of them.
const PAGE_BYTES: usize = 4096;
const CLASSES_MAX: usize = 256;

thread_local! {
    /// The number of this thread, 0 until it makes a pool. `const` and without a destructor:
    /// reading it is one load, at any time in a thread's life.
    static THREAD: Cell<u64> = const { Cell::new(0) };
}

/// No thread has this number.
const NO_OWNER: u64 = u64::MAX;

/// This thread's number, never given to another one.
fn number_this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    if THREAD.get() == 0 {
        THREAD.set(NEXT.fetch_add(1, Relaxed));
    }
    THREAD.get()
}

/// What a block holds while it is free: the link to the next one.
struct Node {
    next: *mut Node,
}

const _: () = assert!(size_of::<Node>() <= LINE_BYTES && align_of::<Node>() <= LINE_BYTES);

/// In `returned` when the pool is gone. No block: those begin on lines.
fn closed() -> *mut Node {
    ptr::without_provenance_mut(1)
}

/// A block on its way from its class to a buffer.
pub(super) struct Block {
    pub(super) base: NonNull<u8>,
    /// Lives as long as the region: until the last block is back.
    pub(super) class: NonNull<ClassState>,
}

/// One size of blocks, side by side in the mapping.
pub(super) struct ClassState {
    size: usize,
    /// The region that the class is a part of; set once, before the first block is taken.
    region: Cell<*const Region>,
    count: usize,
    begin: NonNull<u8>,
    /// The address where the class ends.
    end: usize,
    /// Owner: blocks that were used before and returned.
    free: Cell<*mut Node>,
    /// Owner: the index of the first block that was never used.
    fresh: Cell<usize>,
    /// Owner: blocks taken and not (known to be) returned.
    out: Cell<usize>,
}

impl ClassState {
    #[inline]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The block that came back last: the one most likely still in the cache.
    #[inline]
    fn pop_free(&self) -> Option<NonNull<u8>> {
        let node = NonNull::new(self.free.get())?;
        // SAFETY: a block on the free list is unused and holds a node.
        self.free.set(unsafe { node.as_ref() }.next);
        Some(node.cast())
    }

    /// The next block that was never touched.
    fn pop_fresh(&self) -> Option<NonNull<u8>> {
        let index = self.fresh.get();
        if index == self.count {
            return None;
        }
        self.fresh.set(index + 1);
        // SAFETY: the class has `count` blocks of `size` bytes from `begin` on.
        Some(unsafe { self.begin.add(index * self.size) })
    }

    /// # Safety
    ///
    /// On the owner's thread, with a block of this class that is no longer in use.
    #[inline]
    unsafe fn push_free(&self, block: NonNull<u8>) {
        let node = block.cast::<Node>();
        // SAFETY: the block is large enough and aligned for a node, and ours now.
        unsafe { node.write(Node { next: self.free.get() }) };
        self.free.set(node.as_ptr());
        debug_assert!(self.out.get() > 0, "more blocks came back than were taken");
        self.out.set(self.out.get() - 1);
    }
}

/// Everything that pool and buffers share. Aligned, so that the stack contended by foreign threads
/// does not share a line with what the owner reads.
#[repr(align(128))]
pub(super) struct Region {
    classes: Box<[ClassState]>,
    mapping: Mapping,
    owner: AtomicU64,
    returned: Line<AtomicPtr<Node>>,
    missing: AtomicIsize,
}

/// A value on cache lines of its own (two: they are fetched in pairs).
#[repr(align(128))]
struct Line<T>(T);

impl Region {
    /// Maps the blocks; the caller's thread is the owner.
    pub(super) fn new(classes: &[Class]) -> io::Result<NonNull<Region>> {
        Region::owned_by(number_this_thread(), classes)
    }

    /// Maps the blocks; the owner is the thread that holds the pool's lock.
    pub(super) fn without_owner(classes: &[Class]) -> io::Result<NonNull<Region>> {
        Region::owned_by(NO_OWNER, classes)
    }

    fn owned_by(owner: u64, classes: &[Class]) -> io::Result<NonNull<Region>> {
        let layout = Layout::of(classes).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "buffer sizes must ascend, from 1 to 4 GiB")
        })?;
        let mapping = Mapping::new(layout.len, Sharing::Private)?;
        let classes = layout.classes.into_iter().map(|(offset, class)| {
            // SAFETY: the layout lies within the mapping that was made for it.
            let begin = unsafe { mapping.base().add(offset) };
            ClassState {
                size: class.size,
                region: Cell::new(ptr::null()),
                count: class.count,
                begin,
                end: begin.addr().get() + class.size * class.count,
                free: Cell::new(ptr::null_mut()),
                fresh: Cell::new(0),
                out: Cell::new(0),
            }
        });
        let region = Box::new(Region {
            classes: classes.collect(),
            mapping,
            owner: AtomicU64::new(owner),
            returned: Line(AtomicPtr::new(ptr::null_mut())),
            missing: AtomicIsize::new(0),
        });
        let region = NonNull::from(Box::leak(region));
        // SAFETY: just made, and not shared yet.
        for class in unsafe { region.as_ref() }.classes() {
            class.region.set(region.as_ptr());
        }
        Ok(region)
    }

    #[inline]
    pub(super) fn classes(&self) -> &[ClassState] {
        &self.classes
    }

    pub(super) fn len(&self) -> usize {
        self.mapping.len()
    }

    /// The class that a block belongs to: for blocks that come back without their buffer.
    fn class_of(&self, block: NonNull<u8>) -> &ClassState {
        let address = block.addr().get();
        let found = self.classes.iter().find(|class| address < class.end);
        found.expect("a block of this region")
    }

    /// A block of the class; `None` when all are out.
    ///
    /// # Safety
    ///
    /// On the owner's thread.
    #[inline]
    pub(super) unsafe fn take(&self, class: usize) -> Option<Block> {
        let class = &self.classes[class];
        let base = match class.pop_free() {
            Some(base) => base,
            // SAFETY: the owner's thread, as the caller guarantees.
            None => unsafe { self.take_slow_path(class) }?,
        };
        class.out.set(class.out.get() + 1);
        Some(Block { base, class: NonNull::from(class) })
    }

    /// The same, but checks the returned blocks first: where everything comes back by the stack of
    /// returns, its top is the warmest block.
    ///
    /// # Safety
    ///
    /// On the owner's thread.
    pub(super) unsafe fn take_warmest(&self, class: usize) -> Option<Block> {
        // SAFETY: the owner's thread, as the caller guarantees.
        unsafe {
            self.collect_returns();
            self.take(class)
        }
    }

    /// The free list is empty: look at what others returned, then use a fresh block.
    ///
    /// # Safety
    ///
    /// On the owner's thread.
    #[cold]
    unsafe fn take_slow_path(&self, class: &ClassState) -> Option<NonNull<u8>> {
        // SAFETY: the owner's thread, as the caller guarantees.
        unsafe { self.collect_returns() };
        class.pop_free().or_else(|| class.pop_fresh())
    }

    /// Blocks of the class that are in use.
    ///
    /// # Safety
    ///
    /// On the owner's thread.
    pub(super) unsafe fn in_use(&self, class: usize) -> usize {
        // SAFETY: the owner's thread, as the caller guarantees.
        unsafe { self.collect_returns() };
        self.classes[class].out.get()
    }

    /// Takes over what foreign threads have returned.
    ///
    /// # Safety
    ///
    /// On the owner's thread.
    unsafe fn collect_returns(&self) {
        // Mostly there is nothing, and a load costs less than a swap.
        if self.returned.0.load(Relaxed).is_null() {
            return;
        }
        // Acquire: what the returning threads wrote into the blocks (the links) comes before.
        let list = self.returned.0.swap(ptr::null_mut(), Acquire);
        // SAFETY: the list was cut off as a whole and is ours; the owner's thread.
        unsafe { self.absorb(list) };
    }

    /// Puts each block of a list on its class's free list, the first one (returned last) on top.
    ///
    /// # Safety
    ///
    /// On the owner's thread, with a list that no other thread can reach.
    unsafe fn absorb(&self, list: *mut Node) {
        // SAFETY: no other thread can reach the list, as the caller guarantees.
        let mut list = unsafe { reversed(list) };
        while let Some(node) = NonNull::new(list) {
            // SAFETY: a block in the list is unused and holds a node.
            list = unsafe { node.as_ref() }.next;
            let block = node.cast();
            // SAFETY: a block of this region, taken out of the list: read before it is reused.
            unsafe { self.class_of(block).push_free(block) };
        }
    }

    /// Returns a block, from any thread.
    ///
    /// # Safety
    ///
    /// The block was taken from its class and is not used any more; nor is the class after this.
    #[inline]
    pub(super) unsafe fn give_back(Block { base, class }: Block) {
        // SAFETY: the region, and the class in it, lives until its last block is back, and this one
        // is not.
        let (class, region) = unsafe { (class.as_ref(), &*class.as_ref().region.get()) };
        if region.owner.load(Relaxed) == THREAD.get() {
            // SAFETY: the owner's thread, and a block of this class.
            unsafe { class.push_free(base) };
        } else {
            // SAFETY: as the caller guarantees.
            unsafe { Region::give_back_from_afar(NonNull::from(region), base) };
        }
    }

    /// Returns a block from a thread that is not the owner, or after the pool is gone.
    ///
    /// # Safety
    ///
    /// As [`Region::give_back`].
    #[cold]
    unsafe fn give_back_from_afar(this: NonNull<Region>, block: NonNull<u8>) {
        let node = block.cast::<Node>();
        // SAFETY: the region lives until its last block is back, and this one is not.
        let region = unsafe { this.as_ref() };
        let mut head = region.returned.0.load(Relaxed);
        while head != closed() {
            // SAFETY: the block is large enough and aligned for a node, and still ours.
            unsafe { node.write(Node { next: head }) };
            // Release: the owner, who takes the list, sees the link and everything done with the
            // block. From here on the region may be gone.
            match region.returned.0.compare_exchange_weak(head, node.as_ptr(), Release, Relaxed) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
        // AcqRel: the last thread frees what all the others have used before.
        if region.missing.fetch_sub(1, AcqRel) == 1 {
            // SAFETY: the pool is gone and so are all other blocks.
            unsafe { Region::free(this) };
        }
    }

    /// Closes the pool. Frees the region, or leaves that to the thread that returns the last block.
    ///
    /// # Safety
    ///
    /// On the owner's thread, once; the pool does not use `this` any more.
    pub(super) unsafe fn close(this: NonNull<Region>) {
        // SAFETY: not freed yet: only a closed region is.
        let region = unsafe { this.as_ref() };
        // Blocks returned on this thread from now on must take the way of all others.
        region.owner.store(NO_OWNER, Relaxed);
        let list = region.returned.0.swap(closed(), Acquire);
        // SAFETY: the list was cut off as a whole and is ours; the owner's thread.
        unsafe { region.absorb(list) };
        let out: usize = region.classes.iter().map(|class| class.out.get()).sum();
        if region.missing.fetch_add(out as isize, AcqRel) + out as isize == 0 {
            // SAFETY: no block is out, and the pool is being dropped.
            unsafe { Region::free(this) };
        }
    }

    /// # Safety
    ///
    /// No other thread knows of the region any more.
    unsafe fn free(this: NonNull<Region>) {
        // SAFETY: made by Box::leak in `new`; the mapping is undone by its own drop.
        drop(unsafe { Box::from_raw(this.as_ptr()) });
    }

    /// For mincore(2), which the tests call on Linux.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn base(&self) -> NonNull<u8> {
        self.mapping.base()
    }
}

/// The list from its other end.
///
/// # Safety
///
/// No other thread can reach the list.
unsafe fn reversed(mut list: *mut Node) -> *mut Node {
    let mut reversed = ptr::null_mut();
    while let Some(mut node) = NonNull::new(list) {
        // SAFETY: a block in the list is unused and holds a node.
        let node = unsafe { node.as_mut() };
        list = std::mem::replace(&mut node.next, reversed);
        reversed = node;
    }
    reversed
}

/// Where the classes lie in the mapping.
struct Layout {
    classes: Vec<(usize, Class)>,
    len: usize,
}

impl Layout {
    /// `None` if the classes are not in order or do not fit into the address space.
    fn of(classes: &[Class]) -> Option<Layout> {
        let mut layout = Layout { classes: Vec::with_capacity(classes.len()), len: 0 };
        let mut last_size = 0;
        for class in classes {
            let size = class.size.checked_next_multiple_of(LINE_BYTES)?;
            // A buffer keeps its indices in 32 bits.
            if size <= last_size || u32::try_from(size).is_err() {
                return None;
            }
            layout.classes.push((layout.len, Class { size, ..*class }));
            let bytes = size.checked_mul(class.count)?;
            layout.len = layout.len.checked_add(bytes)?.checked_next_multiple_of(PAGE_BYTES)?;
            last_size = size;
        }
        let in_range = layout.len <= isize::MAX as usize && classes.len() <= CLASSES_MAX;
        (in_range && !classes.is_empty()).then_some(layout)
    }
}
