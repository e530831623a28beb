//! Sockets on macOS: `socket(2)`, `accept(2)`, `setsockopt(2)`, `tcp(4)`, `sendfile(2)`.
//!
//! Neither accept4 nor SOCK_NONBLOCK: a descriptor is created, then configured. A fork on another
//! thread between the two would inherit the descriptor.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

use libc::{c_int, off_t};

pub use super::transfer::{recv, send};
use crate::net::address::RawAddress;
use crate::net::listener::Mode;
use crate::net::options::{set_flag, unsupported};
use crate::sys::{check, retry};

pub const SEND_FLAGS: c_int = 0; // the socket has SO_NOSIGPIPE
pub const MORE: c_int = 0;
pub const LINGER: c_int = libc::SO_LINGER_SEC; // SO_LINGER counts in ticks here
pub const NOTSENT_LOWAT: Option<c_int> = Some(0x201); // netinet/tcp.h; not in libc. Sends are not bounded, only when they are due
pub const CONNECTION_ERRORS: &[c_int] = &[libc::ECONNABORTED];

pub fn socket(family: c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer.
    let fd = check(unsafe { libc::socket(family, libc::SOCK_STREAM, 0) })?;
    prepare(fd, Mode::NonBlocking)
}

pub fn accept(listener: BorrowedFd<'_>, peer: &mut RawAddress, mode: Mode) -> io::Result<OwnedFd> {
    let fd = retry(|| {
        let (to, len) = peer.as_mut_ptr();
        // SAFETY: `to` has room for the `len` bytes passed.
        unsafe { libc::accept(listener.as_raw_fd(), to, len) as isize }
    })?;
    // A peer that has reset the connection by now makes options fail with EINVAL.
    prepare(fd as RawFd, mode).map_err(|error| match error.raw_os_error() {
        Some(libc::EINVAL) => io::Error::from_raw_os_error(libc::ECONNABORTED),
        _ => error,
    })
}

fn prepare(fd: RawFd, mode: Mode) -> io::Result<OwnedFd> {
    // SAFETY: the kernel has just made it, for us alone.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: takes no pointer.
    check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    // An accepted socket has its listener's mode.
    let flags = if mode == Mode::NonBlocking { libc::O_NONBLOCK } else { 0 };
    // SAFETY: takes no pointer. A fresh socket has no other status flags to keep.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) })?;
    set_flag(socket.as_fd(), libc::SOL_SOCKET, libc::SO_NOSIGPIPE, true)?;
    Ok(socket)
}

/// SO_REUSEPORT exists, but gives all connections to one of the listeners.
pub fn set_reuse_port(_socket: BorrowedFd<'_>) -> io::Result<()> {
    Err(unsupported())
}

pub fn share_port(_socket: BorrowedFd<'_>) -> io::Result<()> {
    Err(unsupported())
}

pub fn set_defer_accept(_socket: BorrowedFd<'_>, _longest: Duration) -> io::Result<()> {
    Err(unsupported())
}

/// On or off; the number is set by a sysctl.
pub fn set_fastopen(socket: BorrowedFd<'_>, queue: u32) -> io::Result<()> {
    set_flag(socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, queue > 0)
}

pub fn set_congestion(_socket: BorrowedFd<'_>, _name: &str) -> io::Result<()> {
    Err(unsupported())
}

pub fn set_cork(socket: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_flag(socket, libc::IPPROTO_TCP, libc::TCP_NOPUSH, on)
}

/// Returns an error and a number of bytes at once: what was sent counts, the error recurs.
pub fn sendfile(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    let offset = off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let count = off_t::try_from(count).unwrap_or(off_t::MAX);
    let (file, socket) = (file.as_raw_fd(), socket.as_raw_fd());
    if count == 0 {
        return Ok(0); // to the kernel it means: to the end
    }
    retry(|| {
        let mut sent = count; // in: how many to send; out: how many were sent
        // SAFETY: `sent` is read and written during the call; there are no headers.
        let result = unsafe { libc::sendfile(file, socket, offset, &mut sent, ptr::null_mut(), 0) };
        if result == 0 || sent > 0 { sent as isize } else { -1 }
    })
}
