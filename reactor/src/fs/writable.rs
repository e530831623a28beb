//! Writing without waiting, to a descriptor that other processes share.
//!
//! `O_NONBLOCK` is a flag of the open file description: set on an inherited standard error, it
//! would apply to the shell, too. So each write is made one that does not wait:
//!
//! | descriptor | how |
//! |---|---|
//! | regular file | `write(2)`: there is always room, or an error |
//! | socket | `send(2)` with `MSG_DONTWAIT` |
//! | pipe (Linux 6.4 and later) | `pwritev2(2)` with `RWF_NOWAIT` |
//! | terminal, device, other pipes | `poll(2)`, then `write(2)` of at most [`PIPE_BUF`] bytes |
//!
//! *Not* guaranteed: the last row. A writable pipe takes `PIPE_BUF` bytes, unless another process
//! fills it between the two calls; a terminal is writable with room for fewer bytes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use crate::sys::{check, retry};

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
    let ready = check(unsafe { libc::poll(&raw mut poll, 1, timeout_ms) })?;
    Ok(ready > 0)
}

/// Writes what there is room for now, and returns how much that was. Up to [`PIPE_BUF`] bytes go
/// into a pipe whole or not at all, so that they do not mix with another process's.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] when there is no room; those of `write(2)`.
pub fn write_now(fd: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let fd = fd.as_fd();
    match kind(fd)? {
        libc::S_IFREG => write(fd, bytes),
        libc::S_IFSOCK => send(fd, bytes),
        _ => write_no_wait(fd, bytes).unwrap_or_else(|| write_if_writable(fd, bytes)),
    }
}

/// The file's type, of those in `st_mode`.
fn kind(fd: BorrowedFd<'_>) -> io::Result<libc::mode_t> {
    let mut found = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `found` is written during the call.
    check(unsafe { libc::fstat(fd.as_raw_fd(), found.as_mut_ptr()) })?;
    // SAFETY: the call succeeded and so filled it in.
    Ok(unsafe { found.assume_init() }.st_mode & libc::S_IFMT)
}

fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: reads `bytes` during the call.
    retry(|| unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) })
}

fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let (start, flags) = (bytes.as_ptr().cast(), libc::MSG_DONTWAIT);
    // SAFETY: reads `bytes` during the call.
    retry(|| unsafe { libc::send(fd.as_raw_fd(), start, bytes.len(), flags) })
}

/// `None`: not with this kernel, or not with such a file.
#[cfg(target_os = "linux")]
fn write_no_wait(fd: BorrowedFd<'_>, bytes: &[u8]) -> Option<io::Result<usize>> {
    let part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let result = retry(|| {
        // SAFETY: `part` is one valid part, of which the call reads. -1: there is no offset.
        unsafe { libc::pwritev2(fd.as_raw_fd(), &raw const part, 1, -1, libc::RWF_NOWAIT) }
    });
    match result {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => None,
        result => Some(result),
    }
}

#[cfg(not(target_os = "linux"))]
fn write_no_wait(_: BorrowedFd<'_>, _: &[u8]) -> Option<io::Result<usize>> {
    None
}

fn write_if_writable(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    if !wait_writable(fd, Duration::ZERO)? {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    write(fd, &bytes[..bytes.len().min(PIPE_BUF)])
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

    /// How each kind of writer waits if it is written to as usual.
    fn never_waits(writer: impl AsFd, way: fn(BorrowedFd<'_>, &[u8]) -> io::Result<usize>) {
        let line = [b'x'; 100];
        let mut written = 0;
        let error = loop {
            match way(writer.as_fd(), &line) {
                Ok(count) => written += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(written > PIPE_BUF, "{written} bytes");
    }

    #[test]
    fn a_writer_without_room_is_an_error_and_does_not_wait() {
        let (_reader, writer) = io::pipe().unwrap();
        never_waits(writer, |fd, bytes| write_now(fd, bytes));
        let (_reader, writer) = io::pipe().unwrap();
        never_waits(writer, write_if_writable);
        let (_reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        never_waits(writer, |fd, bytes| write_now(fd, bytes));
    }

    #[test]
    fn what_cannot_be_written_is_the_error_of_a_write() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
        if let Ok(full) = full {
            let error = write_now(&full, b"line\n").unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
        }
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert_eq!(write_now(&writer, b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_regular_file_takes_everything() {
        let mut file = tempfile();
        assert_eq!(write_now(&file, &[7; 3 * PIPE_BUF]).unwrap(), 3 * PIPE_BUF);
        use std::io::Seek as _;
        assert_eq!(file.stream_position().unwrap(), 3 * PIPE_BUF as u64);
    }

    /// A file without a name.
    fn tempfile() -> std::fs::File {
        let path = std::env::temp_dir().join(format!("writable-{}", std::process::id()));
        let options = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
        std::fs::remove_file(&path).unwrap();
        options.unwrap()
    }

    #[test]
    fn a_full_pipe_without_a_reader_is_reported_writable() {
        let (reader, mut writer) = io::pipe().unwrap();
        fill(&mut writer);
        drop(reader);
        assert!(wait_writable(OwnedFd::from(writer), Duration::ZERO).unwrap());
    }
}
