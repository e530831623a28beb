//! Sockets on FreeBSD: `socket(2)`, `accept(2)`, `setsockopt(2)`, `tcp(4)`, `sendfile(2)`.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

use libc::{c_int, off_t};

pub use super::accept4::{accept, socket};
pub use super::transfer::{recv, send};
use crate::net::options::{set, set_flag, unsupported};
use crate::sys::retry;

pub const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL;
pub const MORE: c_int = 0;
pub const LINGER: c_int = libc::SO_LINGER;
pub const NOTSENT_LOWAT: Option<c_int> = None;
pub const CONNECTION_ERRORS: &[c_int] = &[libc::ECONNABORTED];

/// SO_REUSEPORT exists too, but gives all connections to one of the listeners.
pub fn set_reuse_port(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_flag(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT_LB, true)
}

/// Which group a listener belongs to is settled when it is bound.
pub fn share_port(_socket: BorrowedFd<'_>) -> io::Result<()> {
    Err(unsupported())
}

/// `accf_data(9)`. It has no time limit, and its module may have to be loaded.
pub fn set_defer_accept(socket: BorrowedFd<'_>, _longest: Duration) -> io::Result<()> {
    // SAFETY: all zeros is a valid accept_filter_arg (characters).
    let mut filter: libc::accept_filter_arg = unsafe { mem::zeroed() };
    for (to, from) in filter.af_name.iter_mut().zip(b"dataready") {
        *to = *from as libc::c_char;
    }
    set(socket, libc::SOL_SOCKET, libc::SO_ACCEPTFILTER, &filter).map_err(|error| {
        let hint = "load it with `kldload accf_data`";
        match error.kind() {
            io::ErrorKind::NotFound => io::Error::new(error.kind(), format!("{error}: {hint}")),
            _ => error,
        }
    })
}

/// On or off; the number is set by the sysctl net.inet.tcp.fastopen.
pub fn set_fastopen(socket: BorrowedFd<'_>, queue: u32) -> io::Result<()> {
    set_flag(socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, queue > 0)
}

pub fn set_congestion(socket: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_CONGESTION, name.as_bytes())
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
    let (file, socket) = (file.as_raw_fd(), socket.as_raw_fd());
    if count == 0 {
        return Ok(0); // to the kernel it means: to the end
    }
    retry(|| {
        let mut sent: off_t = 0;
        // SAFETY: `sent` is written during the call; there are no headers.
        let result =
            unsafe { libc::sendfile(file, socket, offset, count, ptr::null_mut(), &mut sent, 0) };
        if result == 0 || sent > 0 { sent as isize } else { -1 }
    })
}
