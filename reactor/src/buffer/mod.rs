//! Buffers from one region that is mapped at the start: nothing is allocated while serving.
//!
//! ```text
//!  one mapping:  | class 0: 512 B | 512 B | ... | class 1: 16 KiB | 16 KiB | ... |
//!                    │ taken          ▲ returned
//!                    ▼                │
//!  owner thread:  BufferPool::take ── drop on the owner thread: onto the class's free list
//!                    │                │
//!                    ▼                │ taken over whole, when a free list is empty
//!  any thread:    Buffer ──────────── drop elsewhere: pushed on the stack of returns
//! ```
//!
//! * A [`BufferPool`] belongs to the thread that created it; that thread takes and returns without
//!   any atomic read-modify-write. A free list is a chain through the first bytes of the free
//!   buffers.
//! * A [`Buffer`] may move to any thread. Dropped there, it is pushed onto a stack that is never
//!   popped, only taken as a whole by the owner: no lock, and no ABA problem (which needs a pop).
//! * Used buffers are preferred to fresh ones, whose pages have never been touched: a pool of 64
//!   MiB that has served three clients at a time occupies three buffers.
//! * Threads that all need buffers share a [`SharedPool`], at the price of a lock per take.
//! * An exhausted pool returns `None`. The caller decides what happens then (as a rule, it pauses
//!   reading); the pool never allocates behind the caller's back.
//! * The region outlives the pool while any buffer is alive: the last one dropped unmaps it.
//!
//! Not guaranteed: that a buffer is blank. The spare part of a reused buffer holds what its last
//! user wrote (it is initialised memory, so reading it is stale data, not undefined behaviour).
//!
//! ```
//! use stampede_reactor::buffer::{BufferPool, Class};
//! use bytes::{BufMut, Bytes};
//!
//! let pool = BufferPool::new(&[Class::new(512, 100), Class::new(16384, 8)])?;
//! let mut buffer = pool.take_at_least(1000).expect("eight large buffers");
//! buffer.put_slice(b"HTTP/1.1 200 OK\r\n");
//! assert_eq!(&buffer[..8], b"HTTP/1.1");
//! assert_eq!(pool.in_use(1), 1);
//! let bytes = Bytes::from(buffer); // without copying
//! drop(bytes.slice(9..12));
//! drop(bytes);
//! assert_eq!(pool.in_use(1), 0);
//! # std::io::Result::Ok(())
//! ```

mod region;
mod shared;
#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod tests;

use bytes::{Buf, BufMut, Bytes, buf::UninitSlice};
use region::{Block, ClassState, Region};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

pub use shared::SharedPool;

/// The buffers of one size.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Class {
    /// Bytes in each. Rounded up to a multiple of 64, a cache line.
    pub size: usize,
    /// How many there are.
    pub count: usize,
}

impl Class {
    /// `count` buffers of `size` bytes.
    pub const fn new(size: usize, count: usize) -> Self {
        Class { size, count }
    }
}

/// The owner's end of a region of buffers. Stays on its thread.
pub struct BufferPool {
    /// Alive until [`Region::close`], which only `drop` calls.
    region: NonNull<Region>,
    /// Not Send: the free lists are the owner thread's alone.
    thread_bound: PhantomData<*const ()>,
}

impl BufferPool {
    /// Maps a region for all `classes`, whose sizes must ascend. Costs address space, but no memory
    /// yet.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the classes do not ascend, are empty or number more than 256; otherwise
    /// the error of mmap(2).
    pub fn new(classes: &[Class]) -> io::Result<Self> {
        let region = Region::new(classes)?;
        Ok(BufferPool { region, thread_bound: PhantomData })
    }

    fn region(&self) -> &Region {
        // SAFETY: not closed before self is dropped, and not freed before it is closed.
        unsafe { self.region.as_ref() }
    }

    /// A buffer of this class, empty; `None` when all are in use.
    #[inline]
    pub fn take(&self, class: usize) -> Option<Buffer> {
        // SAFETY: self is bound to the thread that made the region, which is the owner.
        let block = unsafe { self.region().take(class) }?;
        Some(Buffer::new(block))
    }

    /// The smallest class whose buffers hold `bytes`.
    pub fn class_for(&self, bytes: usize) -> Option<usize> {
        self.region().classes().iter().position(|class| class.size() >= bytes)
    }

    /// A buffer of the smallest class that holds `bytes`; `None` when all of that class are in use
    /// (larger ones are reserved for larger needs) or no class is large enough.
    pub fn take_at_least(&self, bytes: usize) -> Option<Buffer> {
        self.take(self.class_for(bytes)?)
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.region().classes().len()
    }

    /// Bytes in a buffer of this class.
    pub fn size(&self, class: usize) -> usize {
        self.region().classes()[class].size()
    }

    /// The number of buffers of this class, free or not.
    pub fn capacity(&self, class: usize) -> usize {
        self.region().classes()[class].count()
    }

    /// The number of buffers of this class that are in use.
    pub fn in_use(&self, class: usize) -> usize {
        // SAFETY: self is bound to the owner's thread.
        unsafe { self.region().in_use(class) }
    }

    /// How many more could be taken now.
    pub fn available(&self, class: usize) -> usize {
        self.capacity(class) - self.in_use(class)
    }

    /// The bytes of the whole region, touched or not.
    pub fn region_size(&self) -> usize {
        self.region().len()
    }
}

impl Drop for BufferPool {
    fn drop(&mut self) {
        // SAFETY: the owner's thread; self.region is not used after this.
        unsafe { Region::close(self.region) };
    }
}

impl fmt::Debug for BufferPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for class in 0..self.classes() {
            map.entry(&self.size(class), &(self.in_use(class), self.capacity(class)));
        }
        map.finish()
    }
}

/// A piece of the pool's region, returned to it on drop.
///
/// ```text
///  base          start           end          capacity
///   | dropped from | the filled   | spare        |
///   | the front    | part: Deref  | (spare_mut)  |
/// ```
pub struct Buffer {
    /// Its size, and the way back to the region, which lives until its last buffer is returned.
    /// None: it has no room.
    class: Option<NonNull<ClassState>>,
    base: NonNull<u8>,
    start: u32,
    end: u32,
}

const _: () = assert!(size_of::<Option<Buffer>>() <= 24, "connections keep this in their slot");

impl Buffer {
    #[inline]
    fn new(Block { base, class }: Block) -> Self {
        Buffer { class: Some(class), base, start: 0, end: 0 }
    }

    /// One without any room, of no pool: for a place that has no buffer for a while.
    #[inline]
    pub const fn none() -> Self {
        Buffer { class: None, base: NonNull::dangling(), start: 0, end: 0 }
    }

    /// The total size, whatever the buffer holds.
    #[inline]
    pub fn capacity(&self) -> usize {
        // SAFETY: a region, with its classes, is not freed while one of its blocks is out, as this
        // is.
        self.class.map_or(0, |class| unsafe { class.as_ref() }.size())
    }

    /// The length of the filled part.
    #[inline]
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the filled part is empty.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Forgets the contents: everything is spare.
    #[inline]
    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Drops the first `count` bytes of the filled part. When nothing is left, everything is spare.
    ///
    /// # Panics
    ///
    /// If there are fewer than that.
    #[inline]
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len(), "dropped more bytes than there are");
        self.start += count as u32;
        if self.start == self.end {
            self.clear();
        }
    }

    /// Truncates the filled part to `len` bytes; a shorter one stays as it is.
    pub fn truncate(&mut self, len: usize) {
        self.end = self.start + len.min(self.len()) as u32;
    }

    /// Moves the filled part to the very front, so that what was dropped there becomes spare.
    pub fn compact(&mut self) {
        if self.start > 0 {
            let (start, end) = (self.start as usize, self.end as usize);
            self.all_mut().copy_within(start..end, 0);
            (self.start, self.end) = (0, (end - start) as u32);
        }
    }

    /// The room after the filled part, to read into. See [`Buffer::filled`].
    #[inline]
    pub fn spare_mut(&mut self) -> &mut [u8] {
        let end = self.end as usize;
        // SAFETY: end is never beyond the block.
        unsafe { self.all_mut().get_unchecked_mut(end..) }
    }

    /// The length of the spare part.
    #[inline]
    pub fn spare_len(&self) -> usize {
        self.capacity() - self.end as usize
    }

    /// Moves the first `count` bytes of the spare part to the filled part.
    ///
    /// # Panics
    ///
    /// If there are fewer than that.
    #[inline]
    pub fn filled(&mut self, count: usize) {
        assert!(count <= self.spare_len(), "filled more than there is room");
        self.end += count as u32;
    }

    /// The whole block.
    #[inline]
    fn all_mut(&mut self) -> &mut [u8] {
        // SAFETY: the block is ours alone while we live, and its bytes are initialised: the
        // kernel zeroed them and only bytes were written since.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr(), self.capacity()) }
    }

    /// The first byte of the filled part.
    #[inline]
    fn front(&self) -> *mut u8 {
        // SAFETY: start is never beyond the block.
        unsafe { self.base.as_ptr().add(self.start as usize) }
    }
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        if let Some(class) = self.class {
            let block = Block { base: self.base, class };
            // SAFETY: the block was taken from this class and is not used after this.
            unsafe { Region::give_back(block) };
        }
    }
}

// SAFETY: the block is this buffer's alone, and giving it back works from any thread.
unsafe impl Send for Buffer {}
// SAFETY: through a shared reference its bytes can only be read.
unsafe impl Sync for Buffer {}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: start..end lies within the block, which is ours and initialised (all_mut).
        unsafe { std::slice::from_raw_parts(self.front(), self.len()) }
    }
}

impl DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in deref; exclusive because self is.
        unsafe { std::slice::from_raw_parts_mut(self.front(), self.len()) }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Buf for Buffer {
    #[inline]
    fn remaining(&self) -> usize {
        self.len()
    }

    #[inline]
    fn chunk(&self) -> &[u8] {
        self
    }

    #[inline]
    fn advance(&mut self, count: usize) {
        Buffer::advance(self, count);
    }
}

// SAFETY: chunk_mut is the spare part, which advance_mut makes shorter from its front; both keep
// within the block.
unsafe impl BufMut for Buffer {
    #[inline]
    fn remaining_mut(&self) -> usize {
        self.spare_len()
    }

    #[inline]
    unsafe fn advance_mut(&mut self, count: usize) {
        self.filled(count);
    }

    #[inline]
    fn chunk_mut(&mut self) -> &mut UninitSlice {
        UninitSlice::new(self.spare_mut())
    }

    #[inline]
    fn put_slice(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.spare_len(), "wrote more than there is room");
        self.spare_mut()[..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len() as u32;
    }
}

impl From<Buffer> for Bytes {
    /// Without copying. Allocates the few bytes by which `Bytes` counts its clones.
    fn from(buffer: Buffer) -> Bytes {
        Bytes::from_owner(buffer)
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({}..{} of {})", self.start, self.end, self.capacity())
    }
}
