//! Sockets on Linux: `socket(2)`, `accept(2)`, `tcp(7)`, `sendfile(2)`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use libc::{c_int, c_uint, c_void};

pub use super::accept4::{accept, socket};
use crate::net::options::{seconds_rounded_up, set, set_flag};
use crate::sys::retry;

pub const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL;
pub const MORE: c_int = libc::MSG_MORE;
pub const LINGER: c_int = libc::SO_LINGER;
pub const NOTSENT_LOWAT: Option<c_int> = Some(libc::TCP_NOTSENT_LOWAT);
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

/// The next listener at this port makes a group of both (`reuseport_add_sock` in the kernel).
pub fn share_port(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_reuse_port(socket)
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

/// Not by the C library's function: that is a point where a thread may be cancelled, which costs a
/// program with several threads two locked operations around each call (glibc before 2.41: 30 ns of
/// a request's 3 µs). No thread is cancelled here.
///
/// # Safety
///
/// As for `recv(2)`.
#[inline(always)]
pub unsafe fn recv(fd: RawFd, to: *mut c_void, room: usize, flags: c_int) -> isize {
    // SAFETY: the caller's promise; without the sender's address it is recv(2).
    unsafe { libc::syscall(libc::SYS_recvfrom, fd, to, room, flags, NONE, NONE) as isize }
}

/// The same for sending.
///
/// # Safety
///
/// As for `send(2)`.
#[inline(always)]
pub unsafe fn send(fd: RawFd, from: *const c_void, len: usize, flags: c_int) -> isize {
    // SAFETY: the caller's promise; without a receiver's address it is send(2).
    unsafe { libc::syscall(libc::SYS_sendto, fd, from, len, flags, NONE, 0usize) as isize }
}

/// No address.
const NONE: *const c_void = std::ptr::null();

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
