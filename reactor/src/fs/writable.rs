//! Whether a descriptor takes bytes, without making it non-blocking for every process sharing it.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// How many bytes a pipe takes atomically, and at least takes once it is writable (pipe(7)).
pub const PIPE_BUF: usize = libc::PIPE_BUF;

/// Waits up to `patience`, in whole milliseconds, until a descriptor of any kind is writable
/// (`poll(2)`), and returns whether it is: also when the write would fail, for that reports the
/// cause.
///
/// # Errors
/// [`io::ErrorKind::Interrupted`] by a signal; out of memory.
pub fn wait_writable(fd: impl AsFd, patience: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    let timeout_ms = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: `poll` is one valid `pollfd`, and the count passed is 1.
    let ready = crate::sys::check(unsafe { libc::poll(&raw mut poll, 1, timeout_ms) })?;
    Ok(ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::fd::OwnedFd;

    /// Fills a pipe for as long as this function reports room.
    fn fill(writer: &mut io::PipeWriter) {
        while wait_writable(&*writer, Duration::ZERO).unwrap() {
            writer.write_all(&[0; PIPE_BUF]).unwrap(); // whole: it does not wait
        }
    }

    #[test]
    fn a_pipe_has_room_until_it_is_full_and_again_once_it_is_read() {
        let (mut reader, mut writer) = io::pipe().unwrap();
        fill(&mut writer);
        assert!(!wait_writable(&writer, Duration::from_millis(1)).unwrap());
        reader.read_exact(&mut [0; 2 * PIPE_BUF]).unwrap();
        assert!(wait_writable(&writer, Duration::ZERO).unwrap());
    }

    #[test]
    fn a_full_pipe_without_a_reader_is_reported_writable() {
        let (reader, mut writer) = io::pipe().unwrap();
        fill(&mut writer);
        drop(reader);
        assert!(wait_writable(OwnedFd::from(writer), Duration::ZERO).unwrap());
    }
}
