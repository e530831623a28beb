//! From C's return values to `io::Result`, once for the crate.

use std::io;

/// `-1` is an error whose number is in `errno`; anything else is the result.
#[inline]
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A vector with room for `capacity` elements, which is not touched yet; or an error, where
/// `Vec::with_capacity` would end the process.
pub(crate) fn room_for<T>(capacity: usize) -> io::Result<Vec<T>> {
    let mut room = Vec::new();
    room.try_reserve_exact(capacity).map_err(|_| {
        let text = format!("no memory for {capacity} of {} bytes each", size_of::<T>());
        io::Error::new(io::ErrorKind::OutOfMemory, text)
    })?;
    Ok(room)
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
