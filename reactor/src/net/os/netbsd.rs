//! Sockets on NetBSD: `socket(2)`, `accept(2)`, `setsockopt(2)`; it has no `sendfile(2)`.

use std::io;
use std::mem;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use libc::c_int;

pub use super::accept4::{accept, socket};
pub use super::copy::sendfile;
pub use super::transfer::{recv, send};
use crate::net::options::{named, set, unsupported};

pub const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL;
pub const MORE: c_int = 0;
pub const LINGER: c_int = libc::SO_LINGER;
pub const NOTSENT_LOWAT: Option<c_int> = None;
pub const CONNECTION_ERRORS: &[c_int] = &[libc::ECONNABORTED];

/// SO_REUSEPORT exists, but gives all connections to one of the listeners.
pub fn set_reuse_port(_socket: BorrowedFd<'_>) -> io::Result<()> {
    Err(unsupported())
}

pub fn share_port(_socket: BorrowedFd<'_>) -> io::Result<()> {
    Err(unsupported())
}

/// `accept_filter(9)`; it has no time limit.
pub fn set_defer_accept(socket: BorrowedFd<'_>, _longest: Duration) -> io::Result<()> {
    // SAFETY: all zeros is a valid accept_filter_arg (characters).
    let mut filter: libc::accept_filter_arg = unsafe { mem::zeroed() };
    for (to, from) in filter.af_name.iter_mut().zip(b"dataready") {
        *to = *from as libc::c_char;
    }
    set(socket, libc::SOL_SOCKET, libc::SO_ACCEPTFILTER, &filter)
}

pub fn set_fastopen(_socket: BorrowedFd<'_>, _queue: u32) -> io::Result<()> {
    Err(unsupported())
}

pub fn set_congestion(_socket: BorrowedFd<'_>, _name: &str) -> io::Result<()> {
    Err(unsupported())
}

pub fn set_cork(_socket: BorrowedFd<'_>, _on: bool) -> io::Result<()> {
    named("TCP_NOPUSH", Err(unsupported()))
}
