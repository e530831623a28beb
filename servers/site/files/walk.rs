//! The portable way to stay beneath a directory: a walk that never follows a link by itself.
//!
//! Every component is opened relative to its parent with `O_NOFOLLOW`. One that turns out to be a
//! symlink is read, and its text takes the component's place; absolute ones are refused. `..` never
//! reaches the kernel: it goes back to a directory that the walk has come through and still holds
//! open, so that a directory moved away during the walk cannot lead out. There are no states
//! between check and use: what is checked is what is opened.
//!
//! ```text
//! pending: a / link / x        open dirs: root
//!          link / x                       root a
//!          .. / b / x   (link read)       root a
//!          b / x                          root          `..` = pop
//! ```

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::open::{FLAGS, owned};

/// Links resolved in one walk, as many as the kernel's own (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Longest text of a link, and the most that may be pending: PATH_MAX.
const TEXT_LEN_MAX: usize = 4096;

/// Directories held open at once; what is deeper is not found. Bounds descriptors, not trees.
const DEPTH_MAX: usize = 128;

/// Directories on the way need to be searchable, not readable.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
const DIRECTORY_FLAGS: libc::c_int =
    libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
const DIRECTORY_FLAGS: libc::c_int = FLAGS | libc::O_DIRECTORY | libc::O_NOFOLLOW;

/// Opens `path` beneath `root`.
pub(super) fn open(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let mut walk = Walk { root, inner: Vec::new(), pending: Vec::new(), links: 0 };
    walk.enter(path)?;
    walk.run()
}

struct Walk<'a> {
    root: BorrowedFd<'a>,
    /// The directories between the root and where the walk is.
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
                b".." => drop(self.inner.pop().ok_or_else(|| errno(libc::EXDEV))?),
                _ => {
                    if let Some(file) = self.step(&name)? {
                        return Ok(file);
                    }
                }
            }
        }
        // The path ended in a directory that the walk is already in.
        open_at(self.here(), c".", FLAGS | libc::O_DIRECTORY)
    }

    /// Goes into `name`; the file itself when it was the last component.
    fn step(&mut self, name: &[u8]) -> io::Result<Option<OwnedFd>> {
        let name = CString::new(name)?;
        let last = self.pending.is_empty();
        let flags = if last { FLAGS | libc::O_NOFOLLOW } else { DIRECTORY_FLAGS };
        match open_at(self.here(), &name, flags) {
            Ok(file) if last => Ok(Some(file)),
            Ok(_) if self.inner.len() >= DEPTH_MAX => Err(errno(libc::ENAMETOOLONG)),
            Ok(directory) => {
                self.inner.push(directory);
                Ok(None)
            }
            Err(error) if may_be_link(&error) => match read_link(self.here(), &name) {
                Ok(text) => self.follow(&text).map(|()| None),
                Err(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn follow(&mut self, text: &[u8]) -> io::Result<()> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(errno(libc::ELOOP));
        }
        self.enter(text)
    }

    /// Takes a path's place, the request's or a link's: an absolute one does not begin here.
    fn enter(&mut self, path: &[u8]) -> io::Result<()> {
        if path.starts_with(b"/") {
            return Err(errno(libc::EXDEV));
        }
        self.push(path)
    }

    /// Puts the components of `path` before what is pending.
    fn push(&mut self, path: &[u8]) -> io::Result<()> {
        let pending: usize = self.pending.iter().map(|name| name.len() + 1).sum();
        if pending + path.len() > TEXT_LEN_MAX {
            return Err(errno(libc::ENAMETOOLONG));
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

/// Whether an open with `O_NOFOLLOW` may have failed because of a link: ELOOP by POSIX, EMLINK on
/// FreeBSD, ENOTDIR where a directory was asked for. (NetBSD's EFTYPE has no name elsewhere.)
fn may_be_link(error: &io::Error) -> bool {
    #[cfg(target_os = "netbsd")]
    if error.raw_os_error() == Some(libc::EFTYPE) {
        return true;
    }
    matches!(error.raw_os_error(), Some(libc::ELOOP | libc::EMLINK | libc::ENOTDIR))
}

fn errno(code: libc::c_int) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn open_at(directory: BorrowedFd<'_>, name: &CStr, flags: libc::c_int) -> io::Result<OwnedFd> {
    loop {
        // SAFETY: the name ends in NUL and outlives the call; without O_CREAT no mode is read.
        let fd = unsafe { libc::openat(directory.as_raw_fd(), name.as_ptr(), flags) };
        match owned(fd) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// The text of the symlink `name`. An error when it is none.
fn read_link(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<Vec<u8>> {
    let mut text = vec![0u8; TEXT_LEN_MAX];
    // SAFETY: the name ends in NUL, and the buffer is as long as is said.
    let len = unsafe {
        libc::readlinkat(directory.as_raw_fd(), name.as_ptr(), text.as_mut_ptr().cast(), text.len())
    };
    let len = usize::try_from(len).map_err(|_| io::Error::last_os_error())?;
    if len >= text.len() {
        return Err(errno(libc::ENAMETOOLONG)); // perhaps cut off
    }
    text.truncate(len);
    Ok(text)
}
