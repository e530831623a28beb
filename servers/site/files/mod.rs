//! Static files: everything beneath the root, and nothing else.
//!
//! ```text
//! path ──► cache ── fresh ─────────────────────────────► answer
//!            │ stale, or not there                          ▲
//!            ▼                                              │
//!         canonical path ──► open beneath the root ──► load, cache
//!                                 ├─► a directory: its index, a redirect, a listing
//!                                 ├─► nothing: 404, with the root's own page
//!                                 └─► not in memory, and there are workers: work
//! ```
//!
//! | file | what |
//! |---|---|
//! | `root` | the directory that the root's path stands for now |
//! | `path` | from the text of a request to a name beneath the root |
//! | `open`, `walk` | opening that name so that nothing outside can be reached |
//! | `stamp` | a file's state when it was opened; entity tags |
//! | `find`, `look`, `resource` | a file and its compressed siblings: find, read, prepare |
//! | `cache`, `local` | which of them to keep |
//! | `work` | what the loop must not do: listings; reading files that are not in memory |
//! | `answer` | coding, conditions and ranges: `encoding`, `conditional`, `range`, `multipart` |
//! | `listing`, `media` | the page of a directory; media types |
//!
//! There are two caches in each loop: one of contents (files up to 64 KiB), one of open files. A
//! fresh hit opens and reads nothing, and allocates nothing.
//!
//! What is *not* guaranteed: that a cached file shows a change before `--cache-ttl` has passed;
//! that a file changed in place while it is being sent arrives as one of its two states. Loading
//! happens where `handle` runs, on the assumption that the root is on a local disk; in a model with
//! workers only if it need not wait for the disk.

mod answer;
mod cache;
mod conditional;
mod encoding;
mod find;
mod listing;
mod local;
mod look;
mod media;
mod multipart;
mod open;
mod path;
mod range;
mod resource;
mod root;
mod stamp;
mod walk;
mod work;

#[cfg(test)]
mod tests;

use std::io;
use std::time::SystemTime;

use http::Status;

use self::cache::Bounds;
pub use self::local::Local;
use self::local::ResourceRef;
use self::open::OpenError;
use self::path::PathError;
use self::resource::{Resource, Variant};
use self::root::Root;
use self::work::HandoffCache;
use crate::app::clock::Clock;
use crate::app::{Action, Disk, Request, Response, reads, refuse_method};
use crate::metrics::{CounterSlot, Metrics};
use crate::options::{Caching, Options};

/// The page for 404 answers, if the root has one.
const NOT_FOUND_PAGE: &[u8] = b"/404.html";

/// The heads of open files may take an eighth of the contents' memory, in addition to it.
const OPEN_FILES_SHARE: usize = 8;

/// The files beneath a root.
pub struct Files {
    root: Root,
    index: Vec<String>,
    autoindex: bool,
    dotfiles: bool,
    precompressed: bool,
    caching: Caching,
    contents_bounds: Bounds,
    open_bounds: Bounds,
    ttl_ms: u64,
    /// Whether `handle` may wait for a disk: yes in models without worker threads.
    disk: Disk,
    handoff: HandoffCache,
    metrics: Metrics,
    /// An offset from the kernel's clock, for tests of files that are no longer young.
    #[cfg(test)]
    ahead: std::time::Duration,
}

/// Why a path has no resource.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Miss {
    /// The path names a directory but has no slash at its end.
    Slash,
    /// A directory without an index.
    Listing,
    /// It could not be opened.
    Error(OpenError),
}

impl Files {
    /// Opens the root, if the options name one.
    ///
    /// # Errors
    /// The root's, with its path.
    pub fn new(options: &Options, metrics: Metrics, disk: Disk) -> io::Result<Option<Self>> {
        let Some(root) = &options.content.root else {
            return Ok(None);
        };
        let ttl_ms = u64::try_from(options.content.cache_ttl.as_millis()).unwrap_or(u64::MAX);
        let root = Root::open(root, ttl_ms).map_err(|error| {
            let text = format!("--root {}: {error}; name a directory to serve", root.display());
            io::Error::new(error.kind(), text)
        })?;
        let heads = options.content.cache_bytes / OPEN_FILES_SHARE;
        Ok(Some(Files {
            root,
            index: options.content.index.clone(),
            autoindex: options.content.autoindex,
            dotfiles: options.content.dotfiles,
            precompressed: options.content.precompressed,
            caching: options.content.caching.clone(),
            contents_bounds: Bounds { bytes: options.content.cache_bytes - heads, files: 0 },
            open_bounds: Bounds { bytes: heads, files: options.content.cache_files },
            ttl_ms,
            disk,
            handoff: HandoffCache::new(ttl_ms),
            metrics,
            #[cfg(test)]
            ahead: std::time::Duration::ZERO,
        }))
    }

    /// The time that files' ages are measured against.
    fn now(&self, clock: &Clock) -> SystemTime {
        let now = clock.system_time();
        #[cfg(test)]
        let now = now + self.ahead;
        now
    }

    /// The second of an answer's Date.
    #[inline]
    fn now_s(&self, clock: &Clock) -> u64 {
        let now_s = clock.second();
        #[cfg(test)]
        let now_s = now_s + self.ahead.as_secs();
        now_s
    }

    /// Loop `index`'s part.
    pub fn local(&self, index: usize) -> Local {
        let bounds = (self.contents_bounds, self.open_bounds);
        Local::new(bounds, self.ttl_ms, index, self.root.generation())
    }

    /// Answers; a listing is work.
    #[inline]
    pub fn handle(
        &self,
        local: &mut Local,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        if !reads(request.method()) {
            refuse_method(request, response);
            return Action::Done;
        }
        if local.generation != self.root.generation() {
            local.enter_root(self.root.generation());
        }
        // Keys are canonical paths: a path with an escape in it has to be decoded first.
        let path = request.path();
        if !path.contains(&b'%')
            && let Some(held) = local.fresh(path, request.clock().now_ms())
            && self.answer_current(local.variant(&held, request), request, response)
        {
            self.count(local, |counters| counters.file_cache_hits.add(1));
            return Action::Done;
        }
        self.handle_slow_path(local, request, response)
    }

    /// The path has to be decoded, or its files have to be checked.
    #[cold]
    fn handle_slow_path(
        &self,
        local: &mut Local,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        if self.look_at_root(false) {
            local.enter_root(self.root.generation());
        }
        let path = match local.path.canonical(request.path(), self.dotfiles) {
            Ok(path) => std::mem::take(path),
            Err(PathError::Invalid) => {
                response.error(Status::BAD_REQUEST);
                return Action::Done;
            }
            Err(PathError::Hidden) => return self.not_found(local, request, response),
        };
        let action = self.handle_path(local, &path, request, response);
        local.path.keep(path);
        action
    }

    fn handle_path(
        &self,
        local: &mut Local,
        path: &[u8],
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        let clock = request.clock();
        if let Some(held) = self.fresh(local, path, clock)
            && self.answer_current(local.variant(&held, request), request, response)
        {
            self.count(local, |counters| counters.file_cache_hits.add(1));
            return Action::Done;
        }
        self.count(local, |counters| counters.file_cache_misses.add(1));
        match self.load(local, path, clock) {
            Ok(held) => {
                if let Some(variant) = local.variant(&held, request) {
                    answer::answer(variant, request, response);
                }
            }
            Err(Miss::Listing) if self.autoindex => return Action::Work,
            Err(miss) => return self.answer_miss(local, miss, path, request, response),
        }
        Action::Done
    }

    /// The fresh cache entry for a path, or a new one if a worker has read it.
    fn fresh(&self, local: &mut Local, path: &[u8], clock: &Clock) -> Option<ResourceRef> {
        let now_ms = clock.now_ms();
        if let Some(held) = local.fresh(path, now_ms) {
            return Some(held);
        }
        if self.disk == Disk::Wait {
            return None;
        }
        let (resource, age) = self.handoff.take(path, local.generation)?;
        Some(local.keep(path, resource, now_ms.saturating_sub(age.as_millis() as u64)))
    }

    fn answer_miss(
        &self,
        local: &mut Local,
        miss: Miss,
        path: &[u8],
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        match miss {
            Miss::Slash => redirect(path, request, response),
            Miss::Listing | Miss::Error(OpenError::NotFound) => {
                return self.not_found(local, request, response);
            }
            Miss::Error(OpenError::Cold) => return self.leave(local),
            Miss::Error(error) => answer_error(error, response),
        }
        Action::Done
    }

    /// Files that are not in memory are left to a thread that may block.
    fn leave(&self, local: &Local) -> Action {
        self.count(local, |counters| counters.file_cold_opens.add(1));
        Action::Work
    }

    /// 404, with the root's own page if it has one.
    fn not_found(
        &self,
        local: &mut Local,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        let held = match self.not_found_page(local, request) {
            Err(OpenError::Cold) => return self.leave(local),
            other => other.ok(),
        };
        match held.as_ref().and_then(|held| local.variant(held, request)) {
            Some(page) => answer::error_page(page, Status::NOT_FOUND, response),
            None => response.error(Status::NOT_FOUND),
        }
        Action::Done
    }

    fn not_found_page(
        &self,
        local: &mut Local,
        request: &Request<'_>,
    ) -> Result<ResourceRef, OpenError> {
        let clock = request.clock();
        let now_ms = clock.now_ms();
        if let Some(held) = self.fresh(local, NOT_FOUND_PAGE, clock)
            && local.variant(&held, request).is_some_and(|page| page.is_current(self.now_s(clock)))
        {
            return Ok(held);
        }
        if now_ms < local.no_page_until_ms {
            return Err(OpenError::NotFound);
        }
        self.load(local, NOT_FOUND_PAGE, clock).map_err(|miss| match miss {
            Miss::Error(OpenError::Cold) => OpenError::Cold,
            _ => {
                local.no_page_until_ms = now_ms.saturating_add(self.ttl_ms);
                OpenError::NotFound
            }
        })
    }

    /// Loads what is at `path` into the cache, or confirms that its entry is still right.
    fn load(&self, local: &mut Local, path: &[u8], clock: &Clock) -> Result<ResourceRef, Miss> {
        let mut name = std::mem::take(&mut local.name);
        let found = match self.find(path, &mut name, self.disk) {
            // Out of descriptors: give up the cached ones first.
            Err(Miss::Error(OpenError::Busy)) if local.release_files() => {
                self.find(path, &mut name, self.disk)
            }
            other => other,
        };
        local.name = name;
        let found = found.inspect_err(|_| local.forget(path))?;
        if let Some(held) = local.confirm(path, &found, clock.now_ms(), self.now_s(clock)) {
            return Ok(held);
        }
        match Resource::load(found, self.now(clock), self.caching.etag, self.disk) {
            Ok(resource) => {
                if self.disk == Disk::Avoid {
                    resource.stop_readahead();
                }
                Ok(local.keep(path, resource, clock.now_ms()))
            }
            Err(error) => {
                local.forget(path);
                Err(Miss::Error(error))
            }
        }
    }

    /// Answers with a variant; `false` if it is no longer current.
    #[inline]
    fn answer_current(
        &self,
        variant: Option<&Variant>,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> bool {
        match variant {
            Some(variant) if variant.is_current(self.now_s(request.clock())) => {
                answer::answer(variant, request, response);
                true
            }
            _ => false,
        }
    }

    #[inline]
    fn count(&self, local: &Local, count: impl FnOnce(&CounterSlot)) {
        if let Some(counters) = self.metrics.slot(local.counters) {
            count(counters);
        }
    }
}

fn redirect(path: &[u8], request: &Request<'_>, response: &mut Response<'_>) {
    let location = path::location(path, request.query());
    response.start(Status::MOVED_PERMANENTLY).field("Location", location).empty();
}

fn answer_error(error: OpenError, response: &mut Response<'_>) {
    match error {
        OpenError::NotFound => response.error(Status::NOT_FOUND),
        OpenError::Forbidden => response.error(Status::FORBIDDEN),
        OpenError::Failed => response.unreadable(),
        OpenError::Busy | OpenError::Cold => response.unavailable(),
    }
}
