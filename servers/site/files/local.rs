//! One loop's part of the files: its caches and path buffers.

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
    /// A buffer for file names.
    pub(super) name: Vec<u8>,
    /// The slot of this loop's counters.
    pub(super) counters: usize,
    /// Until then the root is known to have no error page.
    pub(super) no_page_until_ms: u64,
    /// The root that the caches are of.
    pub(super) generation: u32,
}

/// A resource to answer with.
pub(super) enum ResourceRef {
    Contents(Slot),
    Open(Slot),
    /// Not cached: the cache is off or too small for it.
    Uncached(Box<Resource>),
}

impl Local {
    /// Empty caches with these bounds, for the loop with counter slot `counters`.
    pub(super) fn new(
        (contents, open): (Bounds, Bounds),
        ttl_ms: u64,
        counters: usize,
        generation: u32,
    ) -> Self {
        Local {
            contents: Cache::new(contents, ttl_ms),
            open: Cache::new(open, ttl_ms),
            path: PathBuffers::default(),
            name: Vec::new(),
            counters,
            no_page_until_ms: 0,
            generation,
        }
    }

    /// The root is another directory: what is cached of the old one ends.
    #[cold]
    pub(super) fn enter_root(&mut self, generation: u32) {
        self.contents.clear();
        self.open.clear();
        self.no_page_until_ms = 0;
        self.generation = generation;
    }

    /// The fresh cache entry for a canonical path.
    #[inline]
    pub(super) fn fresh(&mut self, path: &[u8], now_ms: u64) -> Option<ResourceRef> {
        match self.contents.fresh(path, now_ms) {
            Some(slot) => Some(ResourceRef::Contents(slot)),
            None if self.open.is_empty() => None,
            None => self.open.fresh(path, now_ms).map(ResourceRef::Open),
        }
    }

    #[inline]
    fn resource<'a>(&'a self, held: &'a ResourceRef) -> Option<&'a Resource> {
        match held {
            ResourceRef::Contents(slot) => self.contents.resource(*slot),
            ResourceRef::Open(slot) => self.open.resource(*slot),
            ResourceRef::Uncached(resource) => Some(resource),
        }
    }

    /// The variant that answers this request.
    #[inline]
    pub(super) fn variant<'a>(
        &'a self,
        held: &'a ResourceRef,
        request: &Request<'_>,
    ) -> Option<&'a Variant> {
        self.resource(held).map(|resource| answer::choose(resource, request))
    }

    /// Confirms the cache entry if it matches what was found.
    pub(super) fn confirm(
        &mut self,
        path: &[u8],
        found: &Found,
        now_ms: u64,
        now_s: u64,
    ) -> Option<ResourceRef> {
        let held = match self.contents.find(path) {
            Some(slot) => ResourceRef::Contents(slot),
            None => ResourceRef::Open(self.open.find(path)?),
        };
        if !self.resource(&held)?.is_same_as(found, now_s) {
            return None;
        }
        match held {
            ResourceRef::Contents(slot) => self.contents.confirm(slot, now_ms),
            ResourceRef::Open(slot) => self.open.confirm(slot, now_ms),
            ResourceRef::Uncached(_) => {}
        }
        Some(held)
    }

    /// Caches a resource, in the cache that it belongs to.
    pub(super) fn keep(&mut self, path: &[u8], resource: Resource, now_ms: u64) -> ResourceRef {
        self.forget(path);
        let kept = if resource.files() == 0 {
            self.contents.insert(path, resource, now_ms).map(ResourceRef::Contents)
        } else {
            self.open.insert(path, resource, now_ms).map(ResourceRef::Open)
        };
        kept.unwrap_or_else(ResourceRef::Uncached)
    }

    /// Removes a path.
    pub(super) fn forget(&mut self, path: &[u8]) {
        self.contents.remove(path);
        self.open.remove(path);
    }

    /// Closes the descriptors that the caches hold; returns whether there were any.
    pub(super) fn release_files(&mut self) -> bool {
        let any = !self.open.is_empty();
        self.open.clear();
        any
    }
}
