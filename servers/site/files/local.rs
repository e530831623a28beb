//! One loop's part of the files: its caches, and buffers that paths are worked on in.

use super::answer;
use super::cache::{Bounds, Cache, Slot};
use super::look::Found;
use super::path::PathBuffers;
use super::resource::{Resource, Variant};
use crate::app::Request;

/// One loop's part: its caches.
pub struct Local {
    contents: Cache,
    open: Cache,
    pub(super) path: PathBuffers,
    /// Where names of files are put together.
    pub(super) name: Vec<u8>,
    /// The number of this loop's counters.
    pub(super) counters: usize,
    /// Until then the root is known to have no page for errors.
    pub(super) no_page_until_ms: u64,
}

/// A resource to answer with.
pub(super) enum Held {
    Contents(Slot),
    Open(Slot),
    /// Not kept: the cache is off or too small for it.
    Uncached(Box<Resource>),
}

impl Local {
    /// Empty caches with these bounds, for the loop with counters number `counters`.
    pub(super) fn new(contents: Bounds, open: Bounds, ttl_ms: u64, counters: usize) -> Self {
        Local {
            contents: Cache::new(contents, ttl_ms),
            open: Cache::new(open, ttl_ms),
            path: PathBuffers::default(),
            name: Vec::new(),
            counters,
            no_page_until_ms: 0,
        }
    }

    /// What is kept for a canonical path and was looked at lately enough.
    #[inline]
    pub(super) fn fresh(&mut self, path: &[u8], now_ms: u64) -> Option<Held> {
        match self.contents.fresh(path, now_ms) {
            Some(slot) => Some(Held::Contents(slot)),
            None if self.open.is_empty() => None,
            None => self.open.fresh(path, now_ms).map(Held::Open),
        }
    }

    #[inline]
    fn resource<'a>(&'a self, held: &'a Held) -> Option<&'a Resource> {
        match held {
            Held::Contents(slot) => self.contents.resource(*slot),
            Held::Open(slot) => self.open.resource(*slot),
            Held::Uncached(resource) => Some(resource),
        }
    }

    /// The variant of it that this request is answered with.
    #[inline]
    pub(super) fn variant<'a>(
        &'a self,
        held: &'a Held,
        request: &Request<'_>,
    ) -> Option<&'a Variant> {
        self.resource(held).map(|resource| answer::choose(resource, request))
    }

    /// Keeps what is there when it is what was found.
    pub(super) fn confirm(&mut self, path: &[u8], found: &Found, now_ms: u64) -> Option<Held> {
        let held = match self.contents.find(path) {
            Some(slot) => Held::Contents(slot),
            None => Held::Open(self.open.find(path)?),
        };
        if !self.resource(&held)?.is_same_as(found) {
            return None;
        }
        match held {
            Held::Contents(slot) => self.contents.confirm(slot, now_ms),
            Held::Open(slot) => self.open.confirm(slot, now_ms),
            Held::Uncached(_) => {}
        }
        Some(held)
    }

    /// Keeps a resource, in whichever cache it belongs to.
    pub(super) fn keep(&mut self, path: &[u8], resource: Resource, now_ms: u64) -> Held {
        self.forget(path);
        let kept = if resource.files() == 0 {
            self.contents.insert(path, resource, now_ms).map(Held::Contents)
        } else {
            self.open.insert(path, resource, now_ms).map(Held::Open)
        };
        kept.unwrap_or_else(Held::Uncached)
    }

    /// Forgets a path.
    pub(super) fn forget(&mut self, path: &[u8]) {
        self.contents.remove(path);
        self.open.remove(path);
    }

    /// Gives back the descriptors that the caches hold; whether there were any.
    pub(super) fn release_files(&mut self) -> bool {
        let any = !self.open.is_empty();
        self.open.clear();
        any
    }
}
