//! The portable way to stay beneath a directory: a walk in which the kernel never follows a link.
//!
//! Every component is opened relative to its parent with `O_NOFOLLOW`. If it is a symlink, it is
//! read, and its text takes the component's place; absolute ones are refused. `..` never reaches
//! the kernel: it goes back to a directory that the walk has passed and still holds open, so that a
//! directory moved away during the walk cannot lead out. Nothing can change between check and use:
//! what is checked is what is opened.
//!
//! ```text
//! pending: a / link / x        open dirs: root
//!          link / x                       root a
//!          .. / b / x   (link read)       root a
//!          b / x                          root          `..` = pop
//! ```

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use reactor::Errno;
use reactor::fs::{FileType, OpenFlags, may_be_link, openat, readlinkat, type_at};

/// Flags of every open.
pub(super) const FLAGS: OpenFlags = OpenFlags::NONBLOCK.and(OpenFlags::NOCTTY);

/// Links resolved in one walk, as many as the kernel's own (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Longest text of a link, and the most that may be pending: PATH_MAX.
const TEXT_LEN_MAX: usize = 4096;

/// Directories held open at once; deeper files are not found. Bounds the use of descriptors.
const DEPTH_MAX: usize = 128;

/// Directories on the way need only be searchable, not readable.
const DIRECTORY_FLAGS: OpenFlags = OpenFlags::SEARCH.and(OpenFlags::NOFOLLOW);

/// Opens `path` beneath `root`.
pub(super) fn open(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let mut walk = Walk { root, inner: Vec::new(), pending: Vec::new(), links: 0 };
    walk.enter(path)?;
    walk.run()
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// The directories from the root to the current one.
    inner: Vec<OwnedFd>,
    /// The components still to go, the next one last.
    pending: Vec<Vec<u8>>,
    links: usize,
}

impl Walk<'_> {
    fn run(mut self) -> io::Result<OwnedFd> {
        while let Some(name) = self.pending.pop() {
            match &name[..] {
                b"." => {}
                b".." => drop(self.inner.pop().ok_or(Errno::EXDEV)?),
                _ => {
                    if let Some(file) = self.step(&name)? {
                        return Ok(file);
                    }
                }
            }
        }
        // The path ended in the walk's current directory.
        openat(self.here(), c".", FLAGS | OpenFlags::DIRECTORY)
    }

    /// Enters `name`; returns the file itself if it was the last component.
    fn step(&mut self, name: &[u8]) -> io::Result<Option<OwnedFd>> {
        let name = CString::new(name)?;
        let last = self.pending.is_empty();
        if last && type_at(self.here(), &name)? == FileType::Special {
            return Err(Errno::ENXIO.into());
        }
        let flags = if last { FLAGS | OpenFlags::NOFOLLOW } else { DIRECTORY_FLAGS };
        match openat(self.here(), &name, flags) {
            Ok(file) if last => Ok(Some(file)),
            Ok(_) if self.inner.len() >= DEPTH_MAX => Err(Errno::ENAMETOOLONG.into()),
            Ok(directory) => {
                self.inner.push(directory);
                Ok(None)
            }
            Err(error) if may_be_link(&error) => {
                let text = readlinkat(self.here(), &name, TEXT_LEN_MAX).map_err(|_| error)?;
                self.follow(&text).map(|()| None)
            }
            Err(error) => Err(error),
        }
    }

    fn follow(&mut self, text: &[u8]) -> io::Result<()> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::ELOOP.into());
        }
        self.enter(text)
    }

    /// Puts a path, the request's or a link's, before what is pending; refuses an absolute one.
    fn enter(&mut self, path: &[u8]) -> io::Result<()> {
        if path.starts_with(b"/") {
            return Err(Errno::EXDEV.into());
        }
        self.push(path)
    }

    /// Puts the components of `path` before what is pending.
    fn push(&mut self, path: &[u8]) -> io::Result<()> {
        let pending: usize = self.pending.iter().map(|name| name.len() + 1).sum();
        if pending + path.len() > TEXT_LEN_MAX {
            return Err(Errno::ENAMETOOLONG.into());
        }
        // A trailing slash asks for a directory: `.` stands for that.
        if path.ends_with(b"/") {
            self.pending.push(b".".to_vec());
        }
        let names = path.split(|&byte| byte == b'/').rev().filter(|name| !name.is_empty());
        self.pending.extend(names.map(<[u8]>::to_vec));
        Ok(())
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.inner.last().map_or(self.root, AsFd::as_fd)
    }
}
