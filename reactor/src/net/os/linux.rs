//! Sockets on Linux: `socket(2)`, `accept(2)`, `tcp(7)`, `sendfile(2)`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use libc::{c_int, c_uint};

pub use super::accept4::{accept, socket};
use crate::net::options::{seconds_rounded_up, set, set_flag};
use crate::sys::retry;

pub const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL;
pub const MORE: c_int = libc::MSG_MORE;
pub const LINGER: c_int = libc::SO_LINGER;
/// Those the manual page lists from ENETDOWN on, "to be treated like EAGAIN"; and EPERM, a
/// firewall's refusal.
pub const CONNECTION_ERRORS: &[c_int] = &[
    libc::ECONNABORTED,
    libc::EPERM,
    libc::ENETDOWN,
    libc::EPROTO,
    libc::ENOPROTOOPT,
    libc::EHOSTDOWN,
    libc::ENONET,
    libc::EHOSTUNREACH,
    libc::EOPNOTSUPP,
    libc::ENETUNREACH,
];

pub fn set_reuse_port(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_flag(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, true)
}

/// The kernel turns seconds into a number of SYN-ACK retransmissions; 0 would switch it off.
pub fn set_defer_accept(socket: BorrowedFd<'_>, longest: Duration) -> io::Result<()> {
    let seconds = seconds_rounded_up(longest).max(1);
    set(socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, &seconds)
}

/// Has an effect only if bit 1 of the sysctl net.ipv4.tcp_fastopen is set.
pub fn set_fastopen(socket: BorrowedFd<'_>, queue: u32) -> io::Result<()> {
    let queue = queue.min(c_int::MAX as u32) as c_uint;
    set(socket, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, &queue)
}

pub fn set_congestion(socket: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    set(socket, libc::IPPROTO_TCP, libc::TCP_CONGESTION, name.as_bytes())
}

pub fn set_cork(socket: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_flag(socket, libc::IPPROTO_TCP, libc::TCP_CORK, on)
}

/// The kernel takes at most 2,147,479,552 bytes at a time, whatever `count` says.
pub fn sendfile(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    let mut offset = i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: `offset` lives until the call returns; the kernel advances it.
    retry(|| unsafe { libc::sendfile64(socket.as_raw_fd(), file.as_raw_fd(), &mut offset, count) })
}
