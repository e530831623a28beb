//! How a file is opened: the flags of `open(2)` that are safe with any file that exists.
//!
//! There is none that creates or truncates, so that no call that takes them needs a mode.

use std::ops::BitOr;

use libc::c_int;

/// Flags of `open(2)`, joined by `|`. No flag at all: for reading.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct OpenFlags(c_int);

impl OpenFlags {
    /// Opening a FIFO does not wait for a writer, nor reading from it for bytes.
    pub const NONBLOCK: OpenFlags = OpenFlags(libc::O_NONBLOCK);
    /// A terminal does not become this process's controlling terminal.
    pub const NOCTTY: OpenFlags = OpenFlags(libc::O_NOCTTY);
    /// A path that ends in a symlink is refused; see [`may_be_link`](super::may_be_link).
    pub const NOFOLLOW: OpenFlags = OpenFlags(libc::O_NOFOLLOW);
    /// Anything but a directory is refused.
    pub const DIRECTORY: OpenFlags = OpenFlags(libc::O_DIRECTORY);
    /// A directory to open others beneath: it needs to be searchable, not readable, where the
    /// system has `O_PATH`. Elsewhere it is opened for reading.
    pub const SEARCH: OpenFlags = OpenFlags(SEARCH_BITS);
    /// Only to be looked at by `fstat(2)`: the file is not opened, so nothing happens at the other
    /// end of a FIFO and no device's driver is called. Where the system has no `O_PATH` the file is
    /// opened: there, ask [`type_at`](super::type_at) first.
    pub const LOOK: OpenFlags = OpenFlags(LOOK_BITS);

    /// Both sets of flags, in a constant.
    #[must_use]
    pub const fn and(self, other: OpenFlags) -> OpenFlags {
        OpenFlags(self.0 | other.0)
    }

    /// The bits, for [`OpenOptionsExt::custom_flags`](std::os::unix::fs::OpenOptionsExt).
    pub const fn bits(self) -> i32 {
        self.0
    }
}

impl BitOr for OpenFlags {
    type Output = OpenFlags;

    fn bitor(self, other: OpenFlags) -> OpenFlags {
        self.and(other)
    }
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
const SEARCH_BITS: c_int = libc::O_PATH | libc::O_DIRECTORY;
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
const SEARCH_BITS: c_int = libc::O_DIRECTORY | libc::O_NONBLOCK | libc::O_NOCTTY;

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
const LOOK_BITS: c_int = libc::O_PATH;
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
const LOOK_BITS: c_int = libc::O_NONBLOCK | libc::O_NOCTTY;

/// What a path may lead through: `resolve` of `openat2(2)`, joined by `|`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Resolve(u64);

impl Resolve {
    /// Nothing outside the directory: no absolute path or symlink, no `..` above it.
    pub const BENEATH: Resolve = Resolve(0x08);
    /// No magic link of /proc that leads straight to a file.
    pub const NO_MAGICLINKS: Resolve = Resolve(0x02);
    /// Only names in the kernel's cache (Linux 5.12): `EAGAIN` otherwise.
    pub const CACHED: Resolve = Resolve(0x20);

    /// Both sets of flags, in a constant.
    #[must_use]
    pub const fn and(self, other: Resolve) -> Resolve {
        Resolve(self.0 | other.0)
    }

    #[cfg(target_os = "linux")]
    pub(super) fn bits(self) -> u64 {
        self.0
    }
}

impl BitOr for Resolve {
    type Output = Resolve;

    fn bitor(self, other: Resolve) -> Resolve {
        self.and(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_joined_and_none_of_them_creates_or_writes() {
        let all = OpenFlags::NONBLOCK
            | OpenFlags::NOCTTY
            | OpenFlags::NOFOLLOW
            | OpenFlags::DIRECTORY
            | OpenFlags::SEARCH;
        assert_eq!(all.bits() & (libc::O_CREAT | libc::O_TRUNC | libc::O_ACCMODE), 0);
        let two = OpenFlags::NONBLOCK | OpenFlags::NOCTTY;
        assert_eq!(two.bits(), libc::O_NONBLOCK | libc::O_NOCTTY);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn resolve_flags_have_the_kernels_numbers() {
        assert_eq!(Resolve::BENEATH.bits(), libc::RESOLVE_BENEATH);
        assert_eq!(Resolve::NO_MAGICLINKS.bits(), libc::RESOLVE_NO_MAGICLINKS);
        let both = Resolve::CACHED | Resolve::BENEATH;
        assert_eq!(both.bits(), libc::RESOLVE_CACHED | libc::RESOLVE_BENEATH);
    }
}
