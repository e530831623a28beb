//! `socket(2)` and `accept4(2)` where they take flags: a descriptor is non-blocking and closed on
//! exec from its first moment, in one call. macOS has neither.
//!
//! Some sandboxes know `accept(2)` alone: then a descriptor is accepted, then configured.

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
    let accepted = retry(|| {
        let (to, len) = peer.as_mut_ptr();
        // SAFETY: `to` has room for the `len` bytes passed.
        unsafe { libc::accept4(listener.as_raw_fd(), to, len, flags) as isize }
    });
    match accepted {
        // SAFETY: the kernel has just made it, for us alone.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }),
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
            accept_in_steps(listener, peer, mode)
        }
        Err(error) => Err(error),
    }
}

/// By `accept(2)`. A fork on another thread between the steps would inherit the descriptor.
#[cold]
fn accept_in_steps(
    listener: BorrowedFd<'_>,
    peer: &mut RawAddress,
    mode: Mode,
) -> io::Result<OwnedFd> {
    let fd = retry(|| {
        let (to, len) = peer.as_mut_ptr();
        // SAFETY: `to` has room for the `len` bytes passed.
        unsafe { libc::accept(listener.as_raw_fd(), to, len) as isize }
    })?;
    // SAFETY: the kernel has just made it, for us alone.
    let socket = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
    // SAFETY: takes no pointer.
    check(unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    let flags = if mode == Mode::NonBlocking { libc::O_NONBLOCK } else { 0 };
    // SAFETY: takes no pointer. A fresh socket has no other status flags to keep.
    check(unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFL, flags) })?;
    Ok(socket)
}
