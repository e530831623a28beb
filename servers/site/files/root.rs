//! The root and what its path stands for now: `current` may be switched to another release, `dist`
//! be removed and made again.
//!
//! ```text
//! request that is not a fresh hit ── a time to live since the last look? ──► stat(path)
//! HUP, a new worker process ──────────────────────────────────────────────────┘  │
//!     the same directory (device and inode) ◄───────────────────────────────────┤
//!     another one: opened, and the caches of the old one end ◄──────────────────┘
//! ```
//!
//! Where the new one cannot be opened (a sandbox that was entered allows only the old one; the user
//! may not read it, or not look the path up), or there is none, the old one stays, and one line says
//! so. The look is a lookup of a path that is looked up all the time, and so in the kernel's memory:
//! event loops do it, too.
//!
//! What is *not* guaranteed: that a request sees one root alone, if the path is switched meanwhile.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use reactor::shared::{SharedSlot, SharedTable};

use super::Files;
use super::open::Opener;
use crate::report::report;

/// The root, by its path.
pub struct Root {
    path: PathBuf,
    current: RwLock<Current>,
    /// Rises with each new directory.
    generation: AtomicU32,
    ttl_ms: u64,
    epoch: Instant,
    /// When the path was last looked up, in milliseconds since `epoch`.
    looked_ms: AtomicU64,
    reported: SharedSlot<Reported>,
}

reactor::shared_struct! {
    /// Shared with the processes that are forked: what one of them has reported, no other repeats.
    struct Reported {
        /// The failure that was reported last, as a number; 0: none.
        trouble: AtomicU64,
    }
}

struct Current {
    opener: Arc<Opener>,
    identity: Identity,
}

/// Device and inode.
type Identity = (u64, u64);

/// There is no directory: reported again after there has been one.
const GONE: u64 = 1;
/// This process may not look the path up.
const HIDDEN: u64 = 4;

impl Root {
    /// Opens the directory at `path`, which is looked up again after `ttl_ms`.
    ///
    /// # Errors
    /// See [`Opener::new`].
    pub fn open(path: &Path, ttl_ms: u64) -> io::Result<Self> {
        let identity = identity(path)?;
        Ok(Root {
            path: path.to_owned(),
            current: RwLock::new(Current { opener: Arc::new(Opener::new(path)?), identity }),
            generation: AtomicU32::new(0),
            ttl_ms,
            epoch: Instant::now(),
            looked_ms: AtomicU64::new(0),
            reported: SharedTable::new(1)?.slot(0).ok_or(io::ErrorKind::OutOfMemory)?,
        })
    }

    /// The directory as it was last found.
    pub fn opener(&self) -> Arc<Opener> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).opener)
    }

    /// A number that rises with each new directory.
    #[inline]
    pub fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// Looks the path up if it is time to; returns whether it is another directory now.
    pub fn look(&self) -> bool {
        let now_ms = u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let looked_ms = self.looked_ms.load(Relaxed);
        if now_ms.saturating_sub(looked_ms) < self.ttl_ms {
            return false;
        }
        // One thread does it for all.
        let claim = self.looked_ms.compare_exchange(looked_ms, now_ms, Relaxed, Relaxed);
        claim.is_ok() && self.look_now()
    }

    /// The same at once.
    pub fn look_now(&self) -> bool {
        let found = match identity(&self.path) {
            Ok(found) => found,
            Err(error) => return self.fail(None, &error),
        };
        if found == self.current.read().unwrap_or_else(PoisonError::into_inner).identity {
            self.is_back();
            return false;
        }
        match Opener::new(&self.path) {
            Ok(opener) => {
                let opener = Arc::new(opener);
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Current { opener, identity: found };
                drop(current);
                self.generation.fetch_add(1, Relaxed);
                self.is_back();
                true
            }
            Err(error) => self.fail(Some(found), &error),
        }
    }

    fn is_back(&self) {
        let _ = self.reported.trouble.compare_exchange(GONE, 0, Relaxed, Relaxed);
    }

    /// Reports a failure, once. The old directory stays.
    #[cold]
    fn fail(&self, found: Option<Identity>, error: &io::Error) -> bool {
        let is_hidden = error.kind() == io::ErrorKind::PermissionDenied;
        let trouble = match found {
            Some((device, inode)) => inode ^ device.rotate_left(40) | 2,
            None if is_hidden => HIDDEN,
            None => GONE,
        };
        if self.reported.trouble.swap(trouble, Relaxed) == trouble {
            return false;
        }
        let path = self.path.display();
        match found {
            Some(_) => report!(
                "--root {path} is another directory now, which this process may not open \
                 ({error}); it goes on serving the old one until it is restarted or, where there \
                 are worker processes, SIGHUP replaces them"
            ),
            None if is_hidden => report!(
                "--root {path} cannot be looked up again ({error}): another directory in its place \
                 is served only after a restart or, where there are worker processes, SIGHUP; let \
                 the server's user search the way to it"
            ),
            None => report!("--root {path}: {error}; serving what is left of the directory it was"),
        }
        false
    }

    /// Another way to open it, for tests.
    #[cfg(test)]
    pub fn set_opener(&self, opener: Opener) {
        self.current.write().unwrap().opener = Arc::new(opener);
    }
}

impl Files {
    /// Looks the root's path up if it is time to, or at once; returns whether it is another
    /// directory now.
    pub(super) fn look_at_root(&self, at_once: bool) -> bool {
        let is_new = if at_once { self.root.look_now() } else { self.root.look() };
        if is_new {
            self.handoff.clear();
        }
        is_new
    }

    /// Looks the root's path up at once.
    pub fn reload(&self) {
        self.look_at_root(true);
    }
}

/// What the path stands for.
fn identity(path: &Path) -> io::Result<Identity> {
    let found = fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}
