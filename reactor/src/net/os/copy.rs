//! `sendfile(2)` for systems without it: read some, send what was read.
//!
//! What the socket does not take is read again next time; the page cache makes that cheap.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::off_t;

use super::SEND_FLAGS;
use crate::sys::retry;

/// On the stack; a larger one would mostly be read twice, for a socket that takes less.
const CHUNK_BYTES: usize = 16 * 1024;

pub fn sendfile(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    count: usize,
) -> io::Result<usize> {
    let offset = off_t::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut chunk = [0_u8; CHUNK_BYTES];
    let (to, count) = (chunk.as_mut_ptr().cast(), count.min(CHUNK_BYTES));
    // SAFETY: `chunk` has room for `count` bytes.
    let read = retry(|| unsafe { libc::pread(file.as_raw_fd(), to, count, offset) })?;
    if read == 0 {
        return Ok(0);
    }
    let from = chunk.as_ptr().cast();
    // SAFETY: the first `read` bytes of `chunk` are to be sent.
    retry(|| unsafe { libc::send(socket.as_raw_fd(), from, read, SEND_FLAGS) })
}
