//! From C's return values to `io::Result`, once for the crate.

use std::io;

/// `-1` is an error whose number is in `errno`; anything else is the answer.
#[inline]
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Makes a call again for as long as a signal interrupts it (`EINTR`), and counts its bytes.
///
/// The only place of the crate that repeats a call; waiting for events does not come here, because
/// its timeout has to be worked out anew (see `Poller::wait`).
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
