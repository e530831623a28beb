//! `socket(2)` and `accept4(2)` where they take flags: a descriptor is non-blocking and closed on
//! exec from its first moment, in one call. macOS has neither.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::c_int;

use crate::net::address::RawAddress;
use crate::net::listener::Mode;
use crate::sys::{check, retry};

pub fn socket(family: c_int) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: takes no pointer.
    let fd = check(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: the kernel has just made it, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[inline]
pub fn accept(listener: BorrowedFd<'_>, peer: &mut RawAddress, mode: Mode) -> io::Result<OwnedFd> {
    let flags = match mode {
        Mode::NonBlocking => libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
        Mode::Blocking => libc::SOCK_CLOEXEC,
    };
    let fd = retry(|| {
        let (to, len) = peer.as_mut_ptr();
        // SAFETY: `to` has room for the `len` bytes passed.
        unsafe { libc::accept4(listener.as_raw_fd(), to, len, flags) as isize }
    })?;
    // SAFETY: the kernel has just made it, for us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
