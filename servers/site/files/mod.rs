//! Static files: what is beneath the root, and nothing else.
//!
//! ```text
//! path ──► cache ── fresh ─────────────────────────────► answer
//!            │ stale, or not there                          ▲
//!            ▼                                              │
//!         canonical path ──► open beneath the root ──► load, keep
//!                                 ├─► a directory: its index, a redirect, a listing
//!                                 └─► nothing: 404, with the root's own page
//! ```
//!
//! | file | its idea |
//! |---|---|
//! | `path` | from the text of a request to a name beneath the root |
//! | `open`, `walk` | opening that name so that nothing outside can be reached |
//! | `stamp` | what a file was when looked at; entity tags |
//! | `look`, `resource` | a file and its compressed siblings: looked at, then read and prepared |
//! | `cache`, `local` | which of them to keep |
//! | `answer` | coding, conditions and ranges: `encoding`, `conditional`, `range`, `multipart` |
//! | `listing`, `media` | the page of a directory; media types |
//!
//! There are two caches in each loop: one of contents (files up to 64 KiB), one of open files. A
//! fresh hit opens and reads nothing, and allocates nothing.
//!
//! What is *not* guaranteed: that a file in memory shows a change before `--cache-ttl` has passed;
//! that a file which is changed in place while it is being sent arrives as one of its two states.
//! Loading happens where `handle` runs, on the assumption that the root is on a local disk.

mod answer;
mod cache;
mod conditional;
mod encoding;
mod listing;
mod local;
mod look;
mod media;
mod multipart;
mod open;
mod path;
mod range;
mod resource;
mod stamp;
mod walk;

#[cfg(test)]
mod tests;

use std::io;
use std::time::SystemTime;

use http::Status;

use self::cache::Bounds;
use self::local::Held;
pub use self::local::Local;
use self::look::{Found, Place, look};
use self::open::{OpenError, Opener};
use self::path::PathError;
use self::resource::{Resource, Variant};
use crate::app::{Action, Request, Response, reads};
use crate::clock::Clock;
use crate::counters::{Census, Counters};
use crate::options::Options;
use crate::site::demo::refuse_method;

/// The page that answers in place of what is not there.
const NOT_FOUND_PAGE: &[u8] = b"/404.html";

/// The part of the contents' memory that the heads of open files may take, beside it: an eighth.
const OPEN_FILES_SHARE: usize = 8;

/// The files beneath a root.
pub struct Files {
    opener: Opener,
    index: Vec<String>,
    autoindex: bool,
    dotfiles: bool,
    precompressed: bool,
    contents_bounds: Bounds,
    open_bounds: Bounds,
    ttl_ms: u64,
    census: Census,
    /// How far the wall clock is ahead of the kernel's, for tests of files that are no longer
    /// young.
    #[cfg(test)]
    ahead: std::time::Duration,
}

/// Why there is no resource.
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
    pub fn new(options: &Options, census: Census) -> io::Result<Option<Self>> {
        let Some(root) = &options.root else {
            return Ok(None);
        };
        let opener = Opener::new(root).map_err(|error| {
            let text = format!("--root {}: {error}; name a directory to serve", root.display());
            io::Error::new(error.kind(), text)
        })?;
        let heads = options.cache_bytes / OPEN_FILES_SHARE;
        Ok(Some(Files {
            opener,
            index: options.index.clone(),
            autoindex: options.autoindex,
            dotfiles: options.dotfiles,
            precompressed: options.precompressed,
            contents_bounds: Bounds { bytes: options.cache_bytes - heads, files: 0 },
            open_bounds: Bounds { bytes: heads, files: options.cache_files },
            ttl_ms: u64::try_from(options.cache_ttl.as_millis()).unwrap_or(u64::MAX),
            census,
            #[cfg(test)]
            ahead: std::time::Duration::ZERO,
        }))
    }

    /// The time that files are compared with.
    fn now(&self, clock: &Clock) -> SystemTime {
        let now = clock.system_time();
        #[cfg(test)]
        let now = now + self.ahead;
        now
    }

    /// The part of loop number `index`.
    pub fn local(&self, index: usize) -> Local {
        Local::new(self.contents_bounds, self.open_bounds, self.ttl_ms, index)
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
        // Keys are canonical paths: a path with an escape in it has to be decoded to be one.
        let path = request.path();
        if !path.contains(&b'%')
            && let Some(held) = local.fresh(path, request.clock().now_ms())
            && answer_current(local.variant(&held, request), request, response)
        {
            self.count(local, |counters| counters.file_cache_hits.add(1));
            return Action::Done;
        }
        self.handle_slowly(local, request, response)
    }

    /// The path has to be decoded, or its files have to be looked at.
    #[cold]
    fn handle_slowly(
        &self,
        local: &mut Local,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        let path = match local.path.canonical(request.path(), self.dotfiles) {
            Ok(path) => std::mem::take(path),
            Err(PathError::Invalid) => {
                response.error(Status::BAD_REQUEST);
                return Action::Done;
            }
            Err(PathError::Hidden) => {
                self.not_found(local, request, response);
                return Action::Done;
            }
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
        if let Some(held) = local.fresh(path, clock.now_ms())
            && answer_current(local.variant(&held, request), request, response)
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
            Err(miss) => self.answer_miss(local, miss, path, request, response),
        }
        Action::Done
    }

    fn answer_miss(
        &self,
        local: &mut Local,
        miss: Miss,
        path: &[u8],
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) {
        match miss {
            Miss::Slash => response
                .start(Status::MOVED_PERMANENTLY)
                .field("Location", path::location(path, request.query()))
                .empty(),
            Miss::Listing | Miss::Error(OpenError::NotFound) => {
                self.not_found(local, request, response);
            }
            Miss::Error(error) => answer_error(error, response),
        }
    }

    /// 404, with the root's own page when it has one.
    fn not_found(&self, local: &mut Local, request: &Request<'_>, response: &mut Response<'_>) {
        let held = self.not_found_page(local, request);
        match held.as_ref().and_then(|held| local.variant(held, request)) {
            Some(page) => answer::error_page(page, Status::NOT_FOUND, response),
            None => response.error(Status::NOT_FOUND),
        }
    }

    fn not_found_page(&self, local: &mut Local, request: &Request<'_>) -> Option<Held> {
        let clock = request.clock();
        let now_ms = clock.now_ms();
        if let Some(held) = local.fresh(NOT_FOUND_PAGE, now_ms)
            && local.variant(&held, request).is_some_and(Variant::is_current)
        {
            return Some(held);
        }
        if now_ms < local.no_page_until_ms {
            return None;
        }
        let loaded = self.load(local, NOT_FOUND_PAGE, clock).ok();
        if loaded.is_none() {
            local.no_page_until_ms = now_ms.saturating_add(self.ttl_ms);
        }
        loaded
    }

    /// The listing that `handle` asked for.
    pub fn work(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let mut workspace = path::Workspace::default();
        let Ok(path) = workspace.canonical(request.path(), self.dotfiles) else {
            return response.error(Status::NOT_FOUND);
        };
        let directory = match self.opener.open(path::relative(path)) {
            Ok(directory) => directory,
            Err(error) => return answer_error(error, response),
        };
        let now = self.now(request.clock());
        match listing::page(&self.opener, directory, path, self.dotfiles, now) {
            Ok(page) => response
                .start(Status::OK)
                .field("Content-Type", "text/html; charset=utf-8")
                .field("Cache-Control", "no-cache")
                .shared(page.into()),
            Err(_) => response.error(Status::INTERNAL_SERVER_ERROR),
        }
    }

    /// Finds what is at `path` and keeps it, or finds that what is kept is still right.
    fn load(&self, local: &mut Local, path: &[u8], clock: &Clock) -> Result<Held, Miss> {
        let mut name = std::mem::take(&mut local.name);
        let found = match self.find(path, &mut name) {
            // Out of descriptors: those that the cache keeps are the first to go.
            Err(Miss::Error(OpenError::Busy)) if local.release_files() => {
                self.find(path, &mut name)
            }
            other => other,
        };
        local.name = name;
        let found = found.inspect_err(|_| local.forget(path))?;
        if let Some(held) = local.confirm(path, &found, clock.now_ms()) {
            return Ok(held);
        }
        match Resource::load(found, self.now(clock)) {
            Ok(resource) => Ok(local.keep(path, resource, clock.now_ms())),
            Err(error) => {
                local.forget(path);
                Err(Miss::Error(OpenError::of(&error)))
            }
        }
    }

    /// Looks at the files that a canonical path stands for. `name` is a buffer.
    fn find(&self, path: &[u8], name: &mut Vec<u8>) -> Result<Found, Miss> {
        name.clear();
        name.extend_from_slice(path::relative(path));
        if path::is_directory(path) {
            return self.find_index(name);
        }
        match look(&self.opener, name).map_err(Miss::Error)? {
            Place::File(file) => Ok(Found::new(&self.opener, name, file, self.precompressed)),
            Place::Directory => Err(Miss::Slash),
        }
    }

    /// The first of the index files that the directory `name` has.
    fn find_index(&self, name: &mut Vec<u8>) -> Result<Found, Miss> {
        let len = name.len();
        for index in &self.index {
            name.truncate(len);
            name.extend_from_slice(if len == 0 { b"" } else { b"/" });
            name.extend_from_slice(index.as_bytes());
            match look(&self.opener, name) {
                Ok(Place::File(file)) => {
                    return Ok(Found::new(&self.opener, name, file, self.precompressed));
                }
                Ok(Place::Directory) | Err(OpenError::NotFound) => {}
                Err(error) => return Err(Miss::Error(error)),
            }
        }
        name.truncate(len);
        match look(&self.opener, name).map_err(Miss::Error)? {
            Place::Directory => Err(Miss::Listing),
            Place::File(_) => Err(Miss::Error(OpenError::NotFound)),
        }
    }

    #[inline]
    fn count(&self, local: &Local, count: impl FnOnce(&Counters)) {
        if let Some(counters) = self.census.slot(local.counters) {
            count(counters);
        }
    }
}

/// Answers with a variant unless its file has changed since; `false` then.
#[inline]
fn answer_current(
    variant: Option<&Variant>,
    request: &Request<'_>,
    response: &mut Response<'_>,
) -> bool {
    match variant {
        Some(variant) if variant.is_current() => {
            answer::answer(variant, request, response);
            true
        }
        _ => false,
    }
}

fn answer_error(error: OpenError, response: &mut Response<'_>) {
    match error {
        OpenError::NotFound => response.error(Status::NOT_FOUND),
        OpenError::Forbidden => response.error(Status::FORBIDDEN),
        OpenError::Failed => response.error(Status::INTERNAL_SERVER_ERROR),
        OpenError::Busy => response
            .start(Status::SERVICE_UNAVAILABLE)
            .field("Retry-After", "1")
            .field("Content-Type", "text/plain; charset=utf-8")
            .bytes(b"503 Service Unavailable\n"),
    }
}
