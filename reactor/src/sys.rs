//! From C's return values to `io::Result`, once for the crate.

use std::io;

/// `-1` is an error whose number is in `errno`; anything else is the result.
#[inline]
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Retries a call while a signal interrupts it (`EINTR`), and returns its byte count.
///
/// The only place in the crate that retries a call; waiting for events does not come here, because
/// its timeout has to be computed again (see `Poller::wait`).
#[inline(always)]
pub(crate) fn retry(mut call: impl FnMut() -> isize) -> io::Result<usize> {
    loop {
        let result = call();
        if result >= 0 {
            return Ok(result as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
