//! A bounded cache of resources, keyed by canonical path.
//!
//! A hit is one hash, one comparison and two loads. Eviction is by CLOCK (Corbató, "A paging
//! experiment", 1968): a hit only sets a mark; the hand clears marks and evicts the first entry
//! without one. That approximates LRU and writes one byte per hit instead of four pointers.
//!
//! ```text
//! map: path ──► slot                     hand
//! slots: [entry, used] [entry] [free] [entry, used]
//! ```
//!
//! An entry is fresh for the time to live; afterwards the site checks its files again and calls
//! [`Cache::confirm`] or [`Cache::insert`]. There are no negative entries: the file system has its
//! own, and any client could fill ours.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::resource::Resource;

/// What a cache may hold.
#[derive(Copy, Clone, Debug)]
pub struct Bounds {
    /// Bytes of memory, overhead included.
    pub bytes: usize,
    /// Open files.
    pub files: usize,
}

/// An entry of a cache, until the cache is next changed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Slot(u32);

/// A cache with bounds.
pub struct Cache {
    map: HashMap<Arc<[u8]>, u32, BuildHasherDefault<PathHasher>>,
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// Where eviction looks next.
    hand: usize,
    bounds: Bounds,
    held: Bounds,
    ttl_ms: u64,
}

struct Entry {
    path: Arc<[u8]>,
    resource: Resource,
    /// When its files were last checked.
    checked_ms: u64,
    /// Used since the hand last passed.
    used: bool,
}

/// What an entry takes in addition to its resource: itself, its path twice, its place in the map.
fn cost(path: &[u8], resource: &Resource) -> Bounds {
    let bytes = size_of::<Option<Entry>>() + 64 + path.len() + resource.memory();
    Bounds { bytes, files: resource.files() }
}

impl Cache {
    /// An empty cache whose entries are fresh for `ttl_ms`.
    pub fn new(bounds: Bounds, ttl_ms: u64) -> Self {
        Cache {
            map: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            bounds,
            held: Bounds { bytes: 0, files: 0 },
            ttl_ms,
        }
    }

    /// The entry for `path`, if there is a fresh one.
    #[inline]
    pub fn fresh(&mut self, path: &[u8], now_ms: u64) -> Option<Slot> {
        let slot = Slot(*self.map.get(path)?);
        let entry = self.slots[slot.0 as usize].as_mut()?;
        entry.used = true;
        (now_ms.wrapping_sub(entry.checked_ms) < self.ttl_ms).then_some(slot)
    }

    /// The entry for `path`, fresh or not.
    pub fn find(&self, path: &[u8]) -> Option<Slot> {
        self.map.get(path).map(|&slot| Slot(slot))
    }

    /// What the entry holds.
    #[inline]
    pub fn resource(&self, slot: Slot) -> Option<&Resource> {
        Some(&self.slots.get(slot.0 as usize)?.as_ref()?.resource)
    }

    /// The files have been checked and are unchanged.
    pub fn confirm(&mut self, slot: Slot, now_ms: u64) {
        if let Some(Some(entry)) = self.slots.get_mut(slot.0 as usize) {
            entry.checked_ms = now_ms;
        }
    }

    /// Caches a resource, in place of the one that `path` had.
    ///
    /// # Errors
    /// Returns it when it alone exceeds the bounds.
    pub fn insert(
        &mut self,
        path: &[u8],
        resource: Resource,
        now_ms: u64,
    ) -> Result<Slot, Box<Resource>> {
        self.remove(path);
        let cost = cost(path, &resource);
        if cost.bytes > self.bounds.bytes || cost.files > self.bounds.files || self.ttl_ms == 0 {
            return Err(Box::new(resource));
        }
        self.make_room(cost);
        let path: Arc<[u8]> = Arc::from(path);
        let entry = Entry { path: Arc::clone(&path), resource, checked_ms: now_ms, used: false };
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(slot as usize) {
            Some(free) => *free = Some(entry),
            None => self.slots.push(Some(entry)),
        }
        self.map.insert(path, slot);
        self.held.bytes += cost.bytes;
        self.held.files += cost.files;
        Ok(Slot(slot))
    }

    /// Removes `path`.
    pub fn remove(&mut self, path: &[u8]) {
        if let Some(slot) = self.map.get(path) {
            self.evict(*slot as usize);
        }
    }

    /// Removes everything: the descriptors are needed elsewhere.
    pub fn clear(&mut self) {
        *self = Cache::new(self.bounds, self.ttl_ms);
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Evicts until `cost` fits.
    fn make_room(&mut self, cost: Bounds) {
        while !self.map.is_empty()
            && (self.held.bytes + cost.bytes > self.bounds.bytes
                || self.held.files + cost.files > self.bounds.files)
        {
            self.hand = (self.hand + 1) % self.slots.len();
            match &mut self.slots[self.hand] {
                None => {}
                Some(entry) if entry.used => entry.used = false,
                Some(_) => self.evict(self.hand),
            }
        }
    }

    fn evict(&mut self, index: usize) {
        let Some(entry) = self.slots.get_mut(index).and_then(Option::take) else {
            return;
        };
        let cost = cost(&entry.path, &entry.resource);
        self.held.bytes -= cost.bytes;
        self.held.files -= cost.files;
        self.map.remove(&entry.path);
        self.free.push(index as u32);
    }
}

/// Multiply and fold, a word at a time: a path of 20 bytes costs three multiplications where
/// SipHash takes some forty rounds. Keys are the names of existing files, which clients cannot
/// choose, so it need not resist collisions chosen on purpose.
#[derive(Default)]
pub struct PathHasher(u64);

/// Digits of pi: odd, and as good as any.
const MULTIPLIER: u64 = 0x243f_6a88_85a3_08d3;

impl PathHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(MULTIPLIER);
        // Both halves: the map takes its bucket from the low bits and its tag from the high ones.
        self.0 = (product as u64) ^ ((product >> 64) as u64) ^ word.rotate_left(23);
    }
}

impl Hasher for PathHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = [0u8; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last));
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.0 ^= number as u64;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0.wrapping_mul(MULTIPLIER)
    }
}
