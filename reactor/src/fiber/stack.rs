//! Stacks from one region that is mapped at the start: taken, returned, never allocated.
//!
//! ```text
//!  one mapping:  | guard | stack 0 | guard | stack 1 | guard | stack 2 | ...
//!                        ▲         ▲
//!                  last byte   first byte: a stack grows down, into its guard when it is too small
//! ```
//!
//! * A page that was never touched occupies no memory: a region of 10,000 stacks of 256 KiB is
//!   2.5 GiB of addresses, and as many pages as the fibers have reached.
//! * The stack returned last is taken first, by whichever thread: its pages are in memory and
//!   perhaps in a cache. Untouched ones come last, so a pool grows to the peak of concurrent use.
//!   What a deep call has once touched stays in memory until the pool ends.
//! * Taking and returning cost an uncontended lock each: that is once a fiber, not once a switch.
//! * The region outlives the pool while any stack is out.

use super::guard::Guards;
use super::registry::{Layout, Registration};
use super::{Suspender, switch};
use crate::mapping::Mapping;
#[cfg(test)]
use crate::sys::check;
use crate::sys::room_for;
use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The least that a stack may have: a panic's message and its unwinding fit, with a backtrace in
/// a debug build too.
pub const STACK_BYTES_MIN: usize = 16 * 1024;

/// The most that a pool may have. Each guard costs a system call: that many take some 20 s.
pub const STACKS_MAX: usize = 1 << 22;

/// Stacks of one size, for fibers on any thread. Clones share them.
#[derive(Clone)]
pub struct StackPool {
    inner: Arc<Inner>,
}

struct Inner {
    /// For the handler that reports overflows. Dropped before the region is unmapped.
    _registration: Registration,
    region: Region,
    /// The numbers of the stacks that are not taken; the one on top is next.
    free: Mutex<Vec<u32>>,
}

impl StackPool {
    /// Maps `count` stacks of at least `stack_bytes` each, rounded up to whole pages, with a guard
    /// page below each.
    ///
    /// # Errors
    ///
    /// `InvalidInput`: less than [`STACK_BYTES_MIN`], no stack at all, more than [`STACKS_MAX`], or
    /// more than there are addresses. `Unsupported`: no switch is written for this processor. Else the system's:
    /// before Linux 6.13, `OutOfMemory` may mean too many mappings (`vm.max_map_count`).
    pub fn new(stack_bytes: usize, count: usize) -> io::Result<Self> {
        StackPool::with_guards(stack_bytes, count, Guards::new(page_bytes()))
    }

    pub(super) fn with_guards(
        stack_bytes: usize,
        count: usize,
        guards: Guards,
    ) -> io::Result<Self> {
        if !switch::SUPPORTED {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let region = Region::new(stack_bytes, count, guards)?;
        let mut free = room_for(count)?;
        free.extend((0..count as u32).rev()); // count <= STACKS_MAX
        let _registration = Registration::new(region.layout);
        Ok(StackPool { inner: Arc::new(Inner { _registration, region, free: Mutex::new(free) }) })
    }

    /// A stack; `None` while all are out.
    pub fn take(&self) -> Option<Stack> {
        let number = self.inner.lock_free().pop()?;
        Some(Stack { pool: Arc::clone(&self.inner), number })
    }

    /// How many pages of a stack are in memory.
    #[cfg(test)]
    pub(super) fn resident_pages(&self, number: usize) -> usize {
        let region = &self.inner.region;
        let mut pages = vec![0_u8; region.layout.stack_bytes / page_bytes()];
        // SAFETY: the stack is within the mapping, and the vector has a byte for each page.
        let result = unsafe {
            let bottom = region.guard(number).add(region.layout.guard_bytes);
            libc::mincore(
                bottom.as_ptr().cast(),
                region.layout.stack_bytes,
                pages.as_mut_ptr().cast(),
            )
        };
        check(result).expect("mapped pages");
        pages.iter().filter(|&page| page & 1 == 1).count()
    }

    /// How many stacks there are, taken or not.
    pub fn count(&self) -> usize {
        self.inner.region.layout.count
    }

    /// The size of each, without its guard.
    pub fn stack_bytes(&self) -> usize {
        self.inner.region.layout.stack_bytes
    }
}

impl fmt::Debug for StackPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackPool")
            .field("stack_bytes", &self.stack_bytes())
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn lock_free(&self) -> MutexGuard<'_, Vec<u32>> {
        // Nothing panics while it is held.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stack that is out of its pool; dropped, it goes back.
pub struct Stack {
    pool: Arc<Inner>,
    number: u32,
}

impl Stack {
    /// The address after its first byte: a multiple of the page's size.
    pub(super) fn top(&self) -> NonNull<u8> {
        self.pool.region.top(self.number as usize)
    }

    /// The size without the guard.
    pub fn bytes(&self) -> usize {
        self.pool.region.layout.stack_bytes
    }

    /// Which of the pool's it is: what a report of an overflow calls the fiber's number.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Within the capacity: it holds all numbers.
        self.pool.lock_free().push(self.number);
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("number", &self.number).finish_non_exhaustive()
    }
}

/// The mapping, and where in it the stacks are.
struct Region {
    mapping: Mapping,
    layout: Layout,
}

impl Region {
    fn new(stack_bytes: usize, count: usize, mut guards: Guards) -> io::Result<Region> {
        if stack_bytes < STACK_BYTES_MIN || count == 0 || count > STACKS_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let guard_bytes = guards.bytes();
        let sizes = || {
            let stack_bytes = stack_bytes.checked_next_multiple_of(guard_bytes)?;
            let total = stack_bytes.checked_add(guard_bytes)?.checked_mul(count)?;
            isize::try_from(total).ok().map(|_| (stack_bytes, total))
        };
        let (stack_bytes, total) = sizes().ok_or(io::ErrorKind::InvalidInput)?;
        let mapping = Mapping::for_stacks(total)?;
        let base = mapping.base().as_ptr().expose_provenance();
        let region = Region { mapping, layout: Layout { base, guard_bytes, stack_bytes, count } };
        (0..count).try_for_each(|number| {
            // SAFETY: whole pages of our own mapping, which hold nothing yet.
            unsafe { guards.install(region.guard(number)) }
        })?;
        Ok(region)
    }

    fn guard(&self, number: usize) -> NonNull<u8> {
        assert!(number < self.layout.count);
        // SAFETY: within the mapping, which has room for `count` strides.
        unsafe { self.mapping.base().add(number * self.layout.stride()) }
    }

    fn top(&self, number: usize) -> NonNull<u8> {
        // SAFETY: the stack's end is within the mapping, or is its end.
        unsafe { self.guard(number).add(self.layout.stride()) }
    }
}

pub(super) fn page_bytes() -> usize {
    // SAFETY: it has no requirement.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).expect("every system has a page size")
}

// The suspender and a page for the first frames.
const _: () = assert!(STACK_BYTES_MIN >= size_of::<Suspender>() + 4096);
