//! Opening files beneath the root, and nowhere else.
//!
//! Two openers with the same results. Where the kernel has openat2(2), it does the checking itself,
//! in one system call and without a race: `RESOLVE_BENEATH` refuses paths that would leave the root
//! (an absolute symlink, too many `..`), `RESOLVE_NO_MAGICLINKS` refuses the links of /proc.
//! Elsewhere [`walk`] opens component by component and resolves symlinks itself.
//!
//! ```text
//! open("a/b.html") ──► openat2(root, "a/b.html", BENEATH|NO_MAGICLINKS)       kernel
//!                 └──► openat(root, "a") ► openat(a, "b.html", NOFOLLOW)      walk
//! ```
//!
//! A thread that must not wait for a disk opens only names in the kernel's dentry cache
//! (`RESOLVE_CACHED`, Linux 5.12): a name that has not been looked up recently, or on a file system
//! that revalidates every lookup, is [`OpenError::Cold`]. On older kernels, all names are.
//!
//! FIFOs, devices and sockets are not opened: that would let a FIFO's waiting writer go, or rewind a
//! tape. What a name stands for is looked at first: with `O_PATH` and fstat(2), in the walk with
//! fstatat(2). Only a name that becomes a FIFO between the two steps is opened, and then never
//! blocks (`O_NONBLOCK`) nor becomes the controlling terminal (`O_NOCTTY`). Symlinks that stay
//! beneath the root are followed, wherever they lead: what they expose is their owner's business.
//! Mount points are crossed. Hard links are files like any other.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use reactor::Errno;
use reactor::fs::{OpenFlags, Resolve, openat2};

use super::walk::{self, FLAGS};
use crate::app::{Disk, file_errors};

/// What the kernel must refuse.
const BENEATH: Resolve = Resolve::BENEATH.and(Resolve::NO_MAGICLINKS);

/// How the checking is done.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// By the kernel: openat2(2).
    Kernel,
    /// By the walk, component by component.
    Walk,
}

/// What can go wrong, by the answer that it gets.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Nothing there that may be served, including what is outside or not a file: 404.
    NotFound,
    /// This process may not open it: 403.
    Forbidden,
    /// Out of descriptors or memory, or a lease is being broken: 503, try again later.
    Busy,
    /// The disk fails, or the like: 500.
    Failed,
    /// It might have to wait for a disk: a worker thread has to open it.
    Cold,
}

impl OpenError {
    /// Classifies an error of open(2) and related calls.
    pub(super) fn of(error: &io::Error) -> Self {
        match Errno::of(error) {
            Some(Errno::EACCES | Errno::EPERM) => OpenError::Forbidden,
            Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::EAGAIN | Errno::EINTR) => {
                OpenError::Busy
            }
            Some(
                Errno::ENOENT
                | Errno::ENOTDIR
                | Errno::ELOOP
                | Errno::EXDEV // it left the root
                | Errno::ENAMETOOLONG
                | Errno::EINVAL
                | Errno::EILSEQ
                | Errno::ENXIO // a FIFO, a socket
                | Errno::ENODEV,
            )
            | None => OpenError::NotFound,
            // EIO, ESTALE, EUCLEAN; ENOTCONN where the server of a FUSE file system is gone …
            Some(_) => {
                file_errors::open_failed(error);
                OpenError::Failed
            }
        }
    }
}

/// The root directory and the way to open what is beneath it.
pub struct Opener {
    root: OwnedFd,
    method: Method,
    /// Whether the kernel can open without waiting.
    asks_cache: bool,
}

impl Opener {
    /// Opens the root, and finds out what the kernel supports.
    ///
    /// # Errors
    /// The root does not exist, is not a directory or may not be read.
    pub fn new(root: &Path) -> io::Result<Self> {
        let directory = File::open(root)?;
        if !directory.metadata()?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory));
        }
        let root = OwnedFd::from(directory);
        // An old kernel returns ENOSYS, a container's seccomp filter often EPERM.
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
    /// See [`OpenError`]. What is opened may be a directory.
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
        // "The caller should try again" when a `..` in a symlink raced with a rename, anywhere in
        // the system; where that goes on and on, the walk, which no rename disturbs, opens it.
        const TRIES: u32 = 8;
        let opened = with_c_str(path, |path| {
            let attempt = |_| match open_beneath(self.root.as_fd(), path, Disk::Wait) {
                Err(error) if is_passing(&error) => None,
                done => Some(done),
            };
            Ok((0..TRIES).find_map(attempt))
        });
        opened?.unwrap_or_else(|| walk::open(self.root.as_fd(), path))
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(Errno::of(error), Some(Errno::EAGAIN | Errno::EINTR))
}

/// Passes `path` with a NUL appended; on the stack if it is short, so that checking a cached file
/// allocates nothing.
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

/// openat2(2) with the checks of this module: of a file or a directory.
fn open_beneath(root: BorrowedFd<'_>, path: &CStr, disk: Disk) -> io::Result<OwnedFd> {
    let resolve = if disk == Disk::Avoid { BENEATH | Resolve::CACHED } else { BENEATH };
    let looked = File::from(openat2(root, path, OpenFlags::LOOK, resolve)?);
    let file_type = looked.metadata()?.file_type();
    if !file_type.is_file() && !file_type.is_dir() {
        return Err(Errno::ENXIO.into());
    }
    openat2(root, path, FLAGS, resolve)
}
