//! Names for the error numbers that a caller acts on (`errno(3)`).
//!
//! [`std::io::ErrorKind`] distinguishes few of them: `EMFILE` and `EIO` are both "uncategorized".
//! Here are those that make a difference to a server, as constants to match against:
//!
//! ```
//! use stampede_reactor::Errno;
//!
//! let error = std::fs::File::open("/nowhere/to/be/found").unwrap_err();
//! match Errno::of(&error) {
//!     Some(Errno::EMFILE | Errno::ENFILE) => panic!("out of descriptors"),
//!     found => assert_eq!(found, Some(Errno::ENOENT)),
//! }
//! ```

use std::io;

/// An error number of the operating system.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Errno(libc::c_int);

macro_rules! errnos {
    ($($(#[doc = $doc:literal])+ $name:ident)*) => {
        impl Errno {
            $($(#[doc = $doc])+ pub const $name: Errno = Errno(libc::$name);)*
        }
    };
}

errnos! {
    /// Permission denied by the mode of a file or of a directory on the way.
    EACCES
    /// The call would have to wait. The same number as `EWOULDBLOCK`.
    EAGAIN
    /// The descriptor is not open.
    EBADF
    /// Interrupted by a signal.
    EINTR
    /// An input/output error, of the disk for instance.
    EIO
    /// Too many symlinks, or one where none is allowed.
    ELOOP
    /// The process is out of descriptors.
    EMFILE
    /// A name or a path is too long.
    ENAMETOOLONG
    /// The system is out of open files.
    ENFILE
    /// There is no such file.
    ENOENT
    /// The file is no program, or not one for this machine.
    ENOEXEC
    /// No memory.
    ENOMEM
    /// The kernel does not know the call, or pretends so.
    ENOSYS
    /// A component of the path is not a directory.
    ENOTDIR
    /// A socket in the file system, a FIFO without a reader, a device without a driver.
    ENXIO
    /// The file is too large for this interface.
    EOVERFLOW
    /// The operation is not permitted, whatever the mode.
    EPERM
    /// A file of a network file system is gone.
    ESTALE
    /// Another file system, or outside of the directory that must not be left.
    EXDEV
}

impl Errno {
    /// The number of an error that the system reported; `None` for any other error.
    #[inline]
    pub fn of(error: &io::Error) -> Option<Errno> {
        error.raw_os_error().map(Errno)
    }
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_becomes_an_error_and_is_found_in_it() {
        let error = io::Error::from(Errno::EXDEV);
        assert_eq!(error.kind(), io::ErrorKind::CrossesDevices);
        assert_eq!(Errno::of(&error), Some(Errno::EXDEV));
    }

    #[test]
    fn an_error_that_no_system_call_made_has_no_number() {
        assert_eq!(Errno::of(&io::ErrorKind::NotFound.into()), None);
        assert_eq!(Errno::of(&io::Error::other("no such luck")), None);
    }
}
