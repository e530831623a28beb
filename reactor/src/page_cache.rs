//! Reading files without waiting for a disk.
//!
//! A descriptor of a regular file always reports ready, and reading from it waits for the disk,
//! whatever its flags. A thread that must not wait can ask for what is already in the page cache:
//!
//! ```text
//! read_cached ──► Some(count)   it was in memory
//!            └──► None          it was not, or the kernel cannot tell: for a thread that may block
//! ```
//!
//! On Linux that is preadv2(2) with `RWF_NOWAIT`. mincore(2) would need a mapping, and reports
//! every page of a file that the caller may not write to as resident; cachestat(2) counts pages
//! whose reading has only begun. Elsewhere, and on file systems that do not know the flag
//! (`EOPNOTSUPP`: tmpfs, some FUSE file systems), the answer is always `None`.
//!
//! What is *not* guaranteed: that what was in memory a moment ago still is. And a read that finds
//! nothing may start reading that page, without waiting for it.

use std::io;
use std::ops::Range;
use std::os::fd::AsFd;

/// Reads the part of `buffer.len()` bytes at `offset` that is in memory, up to the first page that
/// is not; `Some(0)` at the file's end. `None`: nothing is known to be available without waiting.
///
/// # Errors
/// The file's, see `preadv2(2)`.
pub fn read_cached(file: impl AsFd, buffer: &mut [u8], offset: u64) -> io::Result<Option<usize>> {
    match os::read_cached(file.as_fd(), buffer, offset) {
        Ok(count) => Ok(Some(count)),
        Err(error) if cannot_tell(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Not in memory; or no such flag for this file (`EOPNOTSUPP`) or this kernel (`EINVAL` up to 4.13,
/// or no such call); or a seccomp filter forbids it (`EPERM`).
fn cannot_tell(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS | libc::EPERM)
    )
}

/// Whether the byte at `offset` is in memory, and its page with it. False where the kernel cannot
/// tell, and beyond the file's end.
pub fn is_cached(file: impl AsFd, offset: u64) -> bool {
    matches!(read_cached(file, &mut [0], offset), Ok(Some(1)))
}

/// Has the kernel start reading a part of a file, which may wait for a queue but not for the bytes.
/// Best effort: errors show when the bytes are read.
pub fn prefetch(file: impl AsFd, part: Range<u64>) {
    os::prefetch(file.as_fd(), part);
}

/// From now on the kernel reads only what is requested of this file. Otherwise it would read ahead
/// in whichever thread reaches the end of the last read-ahead, and that may be one that must not
/// wait.
pub fn stop_readahead(file: impl AsFd) {
    os::stop_readahead(file.as_fd());
}

#[cfg(target_os = "linux")]
mod os {
    use std::io;
    use std::ops::Range;
    use std::os::fd::{AsRawFd, BorrowedFd};

    use crate::sys::retry;

    pub fn read_cached(file: BorrowedFd<'_>, to: &mut [u8], offset: u64) -> io::Result<usize> {
        let part = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: to.len() };
        // musl has no call for offsets that are longer than `off_t`.
        let too_far = |_| io::Error::from_raw_os_error(libc::EINVAL);
        let offset = libc::off_t::try_from(offset).map_err(too_far)?;
        // SAFETY: `part` is one iovec, of memory that is `to`'s and outlives the call.
        retry(|| unsafe {
            libc::preadv2(file.as_raw_fd(), &raw const part, 1, offset, libc::RWF_NOWAIT)
        })
    }

    /// The kernel reads at most its read-ahead size at once and drops the rest: this much, unless
    /// it was configured smaller.
    const PREFETCH_BYTES: usize = 128 << 10;

    pub fn prefetch(file: BorrowedFd<'_>, part: Range<u64>) {
        for offset in part.clone().step_by(PREFETCH_BYTES) {
            let len = (part.end - offset).min(PREFETCH_BYTES as u64);
            advise(file, offset, len, libc::POSIX_FADV_WILLNEED);
        }
    }

    pub fn stop_readahead(file: BorrowedFd<'_>) {
        advise(file, 0, 0, libc::POSIX_FADV_RANDOM);
    }

    fn advise(file: BorrowedFd<'_>, offset: u64, len: u64, advice: libc::c_int) {
        let (offset, len) = (offset as libc::off64_t, len as libc::off64_t);
        // SAFETY: `posix_fadvise` takes integers only.
        unsafe { libc::posix_fadvise64(file.as_raw_fd(), offset, len, advice) };
    }
}

#[cfg(not(target_os = "linux"))]
mod os {
    use std::io;
    use std::ops::Range;
    use std::os::fd::BorrowedFd;

    pub fn read_cached(_file: BorrowedFd<'_>, _to: &mut [u8], _offset: u64) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }

    /// The kernel detects sequential reading by itself; and only threads that may wait read at all.
    pub fn prefetch(_file: BorrowedFd<'_>, _part: Range<u64>) {}

    pub fn stop_readahead(_file: BorrowedFd<'_>) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    /// A file without a name, in the build directory, because `/tmp` may be a tmpfs.
    fn file(contents: &[u8]) -> File {
        let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let name = folder.join(format!("page_cache-{}-{}", std::process::id(), contents.len()));
        let mut file = File::options().read(true).write(true).create_new(true).open(&name).unwrap();
        std::fs::remove_file(name).unwrap();
        file.write_all(contents).unwrap();
        file
    }

    /// Whether the kernel can tell for this file; where it cannot (a tmpfs, an emulator without the
    /// call), the test says so.
    fn kernel_can_tell(file: &File) -> bool {
        match os::read_cached(file.as_fd(), &mut [0], 0) {
            Err(error) if error.raw_os_error() != Some(libc::EAGAIN) => {
                eprintln!("what is in memory is unknown here: {error}");
                false
            }
            _ => true,
        }
    }

    #[test]
    fn what_was_just_written_is_read_up_to_the_end() {
        let file = file(b"0123456789");
        let mut buffer = [0; 8];
        if !kernel_can_tell(&file) {
            assert_eq!(read_cached(&file, &mut buffer, 4).unwrap(), None);
            return assert!(!is_cached(&file, 9));
        }
        assert_eq!(read_cached(&file, &mut buffer, 4).unwrap(), Some(6));
        assert_eq!(&buffer[..6], b"456789");
        assert_eq!(read_cached(&file, &mut buffer, 10).unwrap(), Some(0));
        assert!(is_cached(&file, 9) && !is_cached(&file, 10));
    }

    #[test]
    fn a_descriptor_that_is_not_a_file_yields_none_or_an_error() {
        let (pipe, _end) = io::pipe().unwrap();
        assert!(!is_cached(&pipe, 0));
        prefetch(&pipe, 0..1);
        stop_readahead(&pipe);
    }
}
