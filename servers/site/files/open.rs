//! Opening files beneath the root, and nowhere else.
//!
//! Two openers with the same answers. Where the kernel has openat2(2) it does the checking itself,
//! in one system call and without a race: `RESOLVE_BENEATH` refuses whatever would step out (an
//! absolute symlink, too many `..`), `RESOLVE_NO_MAGICLINKS` refuses the links of /proc. Elsewhere
//! [`walk`] opens component by component and resolves symlinks by hand.
//!
//! ```text
//! open("a/b.html") ──► openat2(root, "a/b.html", BENEATH|NO_MAGICLINKS)       kernel
//!                 └──► openat(root, "a") ► openat(a, "b.html", NOFOLLOW)      walk
//! ```
//!
//! A thread that must not wait for a disk has the kernel open only what it can find in its cache of
//! names (`RESOLVE_CACHED`, Linux 5.12): a name that was not looked up lately, or of a file system
//! that is asked each time, is [`OpenError::Cold`]. Where the kernel cannot do that, all are.
//!
//! A FIFO, a device or a socket is never waited for (`O_NONBLOCK`), never becomes the controlling
//! terminal (`O_NOCTTY`), and is refused once fstat(2) has told what it is. Symlinks that stay
//! beneath the root are followed, wherever they lead: to hide something behind one is its owner's
//! business. Mount points are crossed. Hard links are files like any other.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use reactor::Errno;
use reactor::fs::{OpenFlags, Resolve, openat2};

use super::walk;
use crate::app::Disk;

/// What every open asks for.
pub(super) const FLAGS: OpenFlags = OpenFlags::NONBLOCK.and(OpenFlags::NOCTTY);

/// What the kernel is to refuse.
const BENEATH: Resolve = Resolve::BENEATH.and(Resolve::NO_MAGICLINKS);

/// How the checking is done.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// By the kernel: openat2(2).
    Kernel,
    /// By hand, component by component.
    Walk,
}

/// What can go wrong, as far as the answer differs.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Nothing there that may be served: also what is outside, and what is no file.
    NotFound,
    /// There, but not for this process: 403.
    Forbidden,
    /// Out of descriptors or memory, or a lease is being broken: 503, and worth another try.
    Busy,
    /// The disk fails, or the like: 500.
    Failed,
    /// Not without waiting for a disk, as far as can be told: for somebody else to open.
    Cold,
}

impl OpenError {
    /// Sorts an error of open(2) and its relatives.
    pub(super) fn of(error: &io::Error) -> Self {
        match Errno::of(error) {
            Some(Errno::EACCES | Errno::EPERM) => OpenError::Forbidden,
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EAGAIN | Errno::EINTR) => {
                OpenError::Busy
            }
            Some(Errno::EIO | Errno::ESTALE | Errno::EOVERFLOW) => OpenError::Failed,
            // ENOENT, ENOTDIR, ELOOP, EXDEV (left the root), ENAMETOOLONG, ENXIO (a socket) …
            _ => OpenError::NotFound,
        }
    }
}

/// The root directory and the way to open what is beneath it.
pub struct Opener {
    root: OwnedFd,
    method: Method,
    /// Whether the kernel can be told not to wait.
    asks_cache: bool,
}

impl Opener {
    /// Opens the root, and finds out what the kernel can do.
    ///
    /// # Errors
    /// The root is not there, is no directory or may not be read.
    pub fn new(root: &Path) -> io::Result<Self> {
        let directory = File::open(root)?;
        if !directory.metadata()?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory));
        }
        let root = OwnedFd::from(directory);
        // An old kernel says ENOSYS, a container's seccomp filter often EPERM.
        let kernel = open_beneath(root.as_fd(), c".", Disk::Wait).is_ok();
        let method = if kernel { Method::Kernel } else { Method::Walk };
        let asks_cache = open_beneath(root.as_fd(), c".", Disk::Avoid).is_ok();
        Ok(Opener { root, method, asks_cache })
    }

    /// The same root with another method, for tests of both.
    #[cfg(test)]
    pub fn with_method(root: &Path, method: Method) -> io::Result<Self> {
        let opener = Opener::new(root)?;
        Ok(Opener { method, asks_cache: opener.asks_cache && method == Method::Kernel, ..opener })
    }

    /// How it checks.
    #[cfg(test)]
    pub fn method(&self) -> Method {
        self.method
    }

    /// Opens `path`, relative to the root (empty: the root itself), for reading.
    ///
    /// # Errors
    /// See [`OpenError`]. What is opened may still be a directory, a FIFO or a device.
    pub fn open(&self, path: &[u8]) -> Result<File, OpenError> {
        let path = if path.is_empty() { b"." } else { path };
        let opened = match self.method {
            Method::Kernel => self.open_by_kernel(path),
            Method::Walk => walk::open(self.root.as_fd(), path),
        };
        opened.map(File::from).map_err(|error| OpenError::of(&error))
    }

    /// The same without waiting for a disk.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::Cold`] among them.
    pub fn open_cached(&self, path: &[u8]) -> Result<File, OpenError> {
        if !self.asks_cache {
            return Err(OpenError::Cold);
        }
        let path = if path.is_empty() { b"." } else { path };
        let opened = with_c_str(path, |path| open_beneath(self.root.as_fd(), path, Disk::Avoid));
        opened.map(File::from).map_err(|error| match Errno::of(&error) {
            Some(Errno::EAGAIN) => OpenError::Cold,
            _ => OpenError::of(&error),
        })
    }

    fn open_by_kernel(&self, path: &[u8]) -> io::Result<OwnedFd> {
        // "The caller should try again" when a `..` in a symlink met a rename; it cannot go on for
        // ever.
        const TRIES: u32 = 8;
        with_c_str(path, |path| {
            let mut last = io::ErrorKind::NotFound.into();
            for _ in 0..TRIES {
                match open_beneath(self.root.as_fd(), path, Disk::Wait) {
                    Err(error) if is_passing(&error) => last = error,
                    done => return done,
                }
            }
            Err(last)
        })
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(Errno::of(error), Some(Errno::EAGAIN | Errno::EINTR))
}

/// Lends `path` with a NUL behind it; from the stack when it is short, so that looking again at a
/// file that is kept allocates nothing.
fn with_c_str<T>(path: &[u8], then: impl FnOnce(&CStr) -> io::Result<T>) -> io::Result<T> {
    const SHORT: usize = 384;
    if path.len() >= SHORT {
        return then(&CString::new(path)?);
    }
    let mut buffer = [0u8; SHORT];
    buffer[..path.len()].copy_from_slice(path);
    match CStr::from_bytes_with_nul(&buffer[..=path.len()]) {
        Ok(path) => then(path),
        Err(_) => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// openat2(2) with the checks of this module.
fn open_beneath(root: BorrowedFd<'_>, path: &CStr, disk: Disk) -> io::Result<OwnedFd> {
    let resolve = if disk == Disk::Avoid { BENEATH | Resolve::CACHED } else { BENEATH };
    openat2(root, path, FLAGS, resolve)
}
