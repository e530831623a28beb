//! Receiving and sending by the C library's functions.

use std::os::fd::RawFd;

use libc::{c_int, c_void};

/// # Safety
///
/// As for `recv(2)`.
#[inline(always)]
pub unsafe fn recv(fd: RawFd, to: *mut c_void, room: usize, flags: c_int) -> isize {
    // SAFETY: the caller's promise.
    unsafe { libc::recv(fd, to, room, flags) }
}

/// # Safety
///
/// As for `send(2)`.
#[inline(always)]
pub unsafe fn send(fd: RawFd, from: *const c_void, len: usize, flags: c_int) -> isize {
    // SAFETY: the caller's promise.
    unsafe { libc::send(fd, from, len, flags) }
}
