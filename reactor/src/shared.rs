//! Tables of counters that a process shares with the children it forks.
//!
//! The mapping is created before the fork (`MAP_SHARED | MAP_ANONYMOUS`, mmap(2)) and is at the
//! same address in every child, so that a status page of one process adds up what all have counted:
//!
//! ```text
//!  master   fork()──► worker 0 ── writes ──► slot 0 ┐
//!           fork()──► worker 1 ── writes ──► slot 1 ├─ one mapping, read by all
//!                     /status in any of them ◄──────┘
//! ```
//!
//! Not guaranteed: anything between two slots, or two counters of one slot, which are read at
//! different moments. Giving each writer a slot on cache lines of its own (`#[repr(align(64))]`, or
//! 128) is up to the user.

use crate::mapping::{Mapping, Sharing};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, Index};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic;

/// Types that may begin as zero bytes and be used by several processes at once: the atomic
/// integers, arrays of them, and structs of these that [`shared_struct!`](crate::shared_struct)
/// defines, without any promise or `unsafe`.
///
/// # Safety
///
/// A `T` whose bytes are all zero is valid; it is changed through `&T` only by atomics; and
/// it means the same in every process: no pointers, no descriptors, no locks of one process.
pub unsafe trait Zeroable: Sync {}

/// Defines structs for a [`SharedTable`]: every field's type is [`Zeroable`], or it does not
/// compile. A comment, one `derive` and one `repr` may precede a struct, in this order.
///
/// ```
/// use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
///
/// stampede_reactor::shared_struct! {
///     /// What one worker has done, on cache lines of its own.
///     #[derive(Default)]
///     #[repr(align(128))]
///     pub struct Done {
///         /// Requests by class of their status.
///         pub requests: [AtomicU64; 5],
///         state: AtomicU32,
///     }
/// }
///
/// let table = stampede_reactor::shared::SharedTable::<Done>::new(2)?;
/// table[1].requests[2].fetch_add(1, Relaxed);
/// # std::io::Result::Ok(())
/// ```
///
/// A type that is meaningful in one process only is refused:
///
/// ```compile_fail,E0277
/// stampede_reactor::shared_struct! {
///     struct Names { names: std::sync::Mutex<Vec<String>> }
/// }
/// ```
// The attributes are those that cannot change the fields after they were checked.
#[macro_export]
macro_rules! shared_struct {
    ($(
        $(#[doc = $doc:expr])* $(#[derive($($derive:ident),*)])? $(#[repr($($repr:tt)*)])?
        $vis:vis struct $name:ident {
            $($(#[doc = $field_doc:expr])* $field_vis:vis $field:ident: $type:ty),* $(,)?
        }
    )+) => {$(
        $(#[doc = $doc])* $(#[derive($($derive),*)])? $(#[repr($($repr)*)])?
        $vis struct $name { $($(#[doc = $field_doc])* $field_vis $field: $type),* }

        // SAFETY: a struct has no bytes but those of its fields, and padding; by the where clause
        // zero is valid for the fields, they are changed by atomics alone and mean the same in
        // every process.
        unsafe impl $crate::shared::Zeroable for $name where $($type: $crate::shared::Zeroable),* {}
    )+};
}

macro_rules! zeroable {
    ($($atomic:ident)*) => {$(
        // SAFETY: an atomic integer, zero is one of its values.
        unsafe impl Zeroable for atomic::$atomic {}
    )*};
}
zeroable!(AtomicBool AtomicU8 AtomicU16 AtomicU32 AtomicU64 AtomicUsize);
zeroable!(AtomicI8 AtomicI16 AtomicI32 AtomicI64 AtomicIsize);

// SAFETY: an array has no bytes but those of its elements.
unsafe impl<T: Zeroable, const N: usize> Zeroable for [T; N] {}

/// A fixed number of `T`, zeroed at first, in memory shared with forked children.
///
/// Cloning gives another handle to the same table. The memory is returned when the last handle of
/// each process is gone. Elements are not dropped.
pub struct SharedTable<T: Zeroable> {
    mapping: Arc<Mapping>,
    len: usize,
    /// A handle gives out nothing but `&T`, and every T is Sync: so it may go to any thread.
    elements: PhantomData<fn() -> T>,
}

impl<T: Zeroable> SharedTable<T> {
    /// Maps `len` elements. No page is in use before it is touched.
    pub fn new(len: usize) -> io::Result<Self> {
        const { assert!(align_of::<T>() <= 4096, "a mapping is aligned to pages, not further") };
        let bytes = len.checked_mul(size_of::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Arc::new(Mapping::new(bytes, Sharing::Shared)?);
        Ok(SharedTable { mapping, len, elements: PhantomData })
    }

    fn first(&self) -> NonNull<T> {
        self.mapping.base().cast()
    }
}

impl<T: Zeroable> SharedTable<T> {
    /// A handle to one element that is as cheap to dereference as a reference; `None` when there
    /// are fewer.
    pub fn slot(&self, index: usize) -> Option<SharedSlot<T>> {
        let element = NonNull::from(self.get(index)?);
        Some(SharedSlot { element, _mapping: Arc::clone(&self.mapping) })
    }
}

/// One element of a [`SharedTable`], which it keeps mapped.
pub struct SharedSlot<T: Zeroable> {
    element: NonNull<T>,
    _mapping: Arc<Mapping>,
}

// SAFETY: it gives out nothing but `&T`, and every T is Sync.
unsafe impl<T: Zeroable> Send for SharedSlot<T> {}
// SAFETY: as for Send.
unsafe impl<T: Zeroable> Sync for SharedSlot<T> {}

impl<T: Zeroable> Deref for SharedSlot<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the element lies in the mapping that self holds, and was valid when the slot was
        // made; it is changed only by atomics.
        unsafe { self.element.as_ref() }
    }
}

impl<T: Zeroable> Deref for SharedTable<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the mapping holds len elements, began as zeroes (valid, by Zeroable), is aligned
        // to a page, lives as long as self, and is changed only by atomics.
        unsafe { std::slice::from_raw_parts(self.first().as_ptr(), self.len) }
    }
}

impl<T: Zeroable> Index<usize> for SharedTable<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        &self.deref()[index]
    }
}

impl<T: Zeroable> Clone for SharedTable<T> {
    fn clone(&self) -> Self {
        SharedTable { mapping: Arc::clone(&self.mapping), len: self.len, elements: PhantomData }
    }
}

impl<T: Zeroable> fmt::Debug for SharedTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTable").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    shared_struct! {
        #[derive(Default)]
        #[repr(align(128))]
        struct Slot {
            requests: AtomicU64,
            bytes: AtomicU64,
        }
    }

    #[test]
    fn a_slot_outlives_its_table() {
        let table = SharedTable::<Slot>::new(2).expect("a mapping");
        let slot = table.slot(1).expect("two slots");
        slot.bytes.store(9, Relaxed);
        assert_eq!(table[1].bytes.load(Relaxed), 9);
        assert!(table.slot(2).is_none());
        drop(table);
        assert_eq!(slot.bytes.load(Relaxed), 9);
    }

    #[test]
    fn begins_as_zeroes_and_every_handle_sees_every_write() {
        let table = SharedTable::<Slot>::new(3).expect("a mapping");
        let handle = table.clone();
        std::thread::spawn(move || handle[2].bytes.fetch_add(5, Relaxed)).join().expect("no panic");
        let seen: Vec<_> = table.iter().map(|slot| slot.bytes.load(Relaxed)).collect();
        assert_eq!(seen, [0, 0, 5]);
        assert_eq!(table[2].requests.load(Relaxed), 0);
    }

    #[test]
    fn a_defined_struct_keeps_what_it_was_given() {
        assert_eq!((align_of::<Slot>(), size_of::<Slot>()), (128, 128));
        assert_eq!(Slot::default().bytes.into_inner(), 0);
    }

    #[test]
    fn a_forked_child_writes_where_the_parent_reads() {
        let table = SharedTable::<AtomicU64>::new(2).expect("a mapping");
        // SAFETY: between fork and _exit the child makes one atomic addition and nothing else.
        let child = unsafe { libc::fork() };
        if child == 0 {
            table[1].fetch_add(42, Relaxed);
            // SAFETY: ends the child without running anything of the parent's.
            unsafe { libc::_exit(0) };
        }
        assert!(child > 0, "fork");
        // SAFETY: waits for our own child and asks for no status.
        let waited = unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
        assert_eq!(waited, child);
        assert_eq!((table[0].load(Relaxed), table[1].load(Relaxed)), (0, 42));
    }

    #[test]
    fn too_many_elements_are_an_error_and_none_are_fine() {
        assert!(SharedTable::<AtomicU64>::new(usize::MAX).is_err());
        assert!(SharedTable::<AtomicU64>::new(0).expect("an empty table").is_empty());
    }
}
