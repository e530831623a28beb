//! What [`Files::handle`] leaves to a thread that may block: files that are not in memory, and
//! listings.
//!
//! ```text
//! handle ── a name or the contents are not in memory ──► work: opens, reads, answers
//!   ▲                                                      │
//!   └──────────── the loop's cache ◄──── handoff ◄───────────┘
//! ```
//!
//! A worker has no access to the loop's caches. It puts what it has read into the [`HandoffCache`],
//! and the loop takes it from there at the next request. (By then the kernel also has it in memory,
//! but not all systems and file systems can tell.)

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use http::Status;

use super::open::OpenError;
use super::resource::Resource;
use super::{Files, Miss, NOT_FOUND_PAGE, answer, answer_error, listing, path, redirect};
use crate::app::clock::Clock;
use crate::app::{Disk, Request, Response};

/// Resources in the handoff cache at most: a megabyte of contents.
const HANDOFF_ENTRIES_MAX: usize = 16;

impl Files {
    /// Answers a request that `handle` left.
    pub fn work(&self, request: &Request<'_>, response: &mut Response<'_>) {
        self.look_at_root(false);
        let mut buffers = path::PathBuffers::default();
        let Ok(path) = buffers.canonical(request.path(), self.dotfiles) else {
            return self.not_found_apart(request, response);
        };
        let generation = self.root.generation();
        match self.load_apart(path, request.clock()) {
            Ok(resource) => {
                answer::answer(answer::choose(&resource, request), request, response);
                self.handoff.put(path, resource, generation);
            }
            Err(Miss::Slash) => redirect(path, request, response),
            Err(Miss::Listing) if self.autoindex => self.list(path, request, response),
            Err(Miss::Listing | Miss::Error(OpenError::NotFound)) => {
                self.not_found_apart(request, response);
            }
            Err(Miss::Error(error)) => answer_error(error, response),
        }
    }

    fn list(&self, path: &[u8], request: &Request<'_>, response: &mut Response<'_>) {
        let opener = self.root.opener();
        let directory = match opener.open(path::relative(path)) {
            Ok(directory) => directory,
            Err(error) => return answer_error(error, response),
        };
        let now = self.now(request.clock());
        match listing::page(&opener, directory, path, self.dotfiles, now) {
            Ok(page) => response
                .start(Status::OK)
                .field("Content-Type", "text/html; charset=utf-8")
                .field("Cache-Control", "no-cache")
                .shared(page.into()),
            Err(_) => response.error(Status::INTERNAL_SERVER_ERROR),
        }
    }

    fn not_found_apart(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let generation = self.root.generation();
        match self.load_apart(NOT_FOUND_PAGE, request.clock()) {
            Ok(page) => {
                let variant = answer::choose(&page, request);
                answer::error_page(variant, Status::NOT_FOUND, response);
                self.handoff.put(NOT_FOUND_PAGE, page, generation);
            }
            Err(_) => response.error(Status::NOT_FOUND),
        }
    }

    /// Loads what is at `path`, waiting for the disk.
    fn load_apart(&self, path: &[u8], clock: &Clock) -> Result<Resource, Miss> {
        let found = self.find(path, &mut Vec::new(), Disk::Wait)?;
        let (now, etag) = (self.now(clock), self.caching.etag);
        let resource = Resource::load(found, now, etag, Disk::Wait).map_err(Miss::Error)?;
        if self.disk == Disk::Avoid {
            resource.stop_readahead();
        }
        Ok(resource)
    }
}

/// What workers have read, until a loop takes it into its cache.
pub(super) struct HandoffCache {
    /// The oldest first.
    list: Mutex<Vec<Entry>>,
    /// For how long an entry may be taken.
    ttl: Duration,
}

struct Entry {
    path: Box<[u8]>,
    resource: Resource,
    since: Instant,
    /// The root that was looked at, or one before.
    generation: u32,
}

impl HandoffCache {
    /// An empty cache whose entries are fresh for `ttl`.
    pub fn new(ttl_ms: u64) -> Self {
        HandoffCache { list: Mutex::default(), ttl: Duration::from_millis(ttl_ms) }
    }

    /// Adds contents. Not open files: they would stay open for a request that may never come.
    fn put(&self, path: &[u8], resource: Resource, generation: u32) {
        if resource.files() > 0 || self.ttl.is_zero() {
            return;
        }
        let entry = Entry { path: path.into(), resource, since: Instant::now(), generation };
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|other| other.path != entry.path);
        if list.len() == HANDOFF_ENTRIES_MAX {
            list.remove(0);
        }
        list.push(entry);
    }

    /// Takes the entry for a path, and its age, unless it may be of another root. Never waits for a
    /// worker that is adding one.
    pub fn take(&self, path: &[u8], generation: u32) -> Option<(Resource, Duration)> {
        let mut list = self.try_lock()?;
        let at = list.iter().position(|entry| *entry.path == *path)?;
        let entry = list.remove(at);
        let age = entry.since.elapsed();
        let is_fresh = age < self.ttl && entry.generation == generation;
        is_fresh.then_some((entry.resource, age))
    }

    /// Forgets everything: it is of another root.
    pub fn clear(&self) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Vec<Entry>>> {
        match self.list.try_lock() {
            Ok(list) => Some(list),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}
