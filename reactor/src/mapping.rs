//! Anonymous memory straight from `mmap(2)`: zeroed, and not backed by pages until touched.

use std::io;
use std::ptr::{self, NonNull};

/// Which processes see what is written into a mapping.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Sharing {
    /// This process; a forked child gets a copy.
    Private,
    /// This process and all children forked from now on.
    Shared,
}

/// A mapping that is unmapped on drop.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// Maps `len` bytes, rounded up to whole pages by the kernel. Zero bytes are one page.
    pub(crate) fn new(len: usize, sharing: Sharing) -> io::Result<Self> {
        let flags = match sharing {
            Sharing::Private => libc::MAP_PRIVATE | libc::MAP_ANON,
            Sharing::Shared => libc::MAP_SHARED | libc::MAP_ANON,
        };
        Mapping::with_flags(len, flags)
    }

    /// The same for stacks, private: of a large reservation most is never touched, so it does not
    /// count as promised memory (unless the system promises none that it does not have).
    pub(crate) fn for_stacks(len: usize) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
        // FreeBSD promises more than it has anyway, and its MAP_STACK is a mapping that grows by
        // itself; macOS does not have that one.
        #[cfg(target_os = "linux")]
        let flags = flags | libc::MAP_NORESERVE | libc::MAP_STACK;
        Mapping::with_flags(len, flags)
    }

    fn with_flags(len: usize, flags: libc::c_int) -> io::Result<Self> {
        let len = len.max(1);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: without MAP_FIXED no existing mapping is replaced.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mapping = Mapping { base, len };
        mapping.forbid_huge_pages();
        Ok(mapping)
    }

    /// One byte touched should cost 4 KiB of memory, not 2 MiB: an idle server is small. Where the
    /// advice is not understood nothing is lost.
    fn forbid_huge_pages(&self) {
        #[cfg(target_os = "linux")]
        // SAFETY: the range is our own mapping; the advice does not change its contents.
        unsafe {
            libc::madvise(self.base.as_ptr().cast(), self.len, libc::MADV_NOHUGEPAGE);
        }
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

// SAFETY: an address and a length. Code that makes references out of them answers for those.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and len are what mmap was asked for, and neither is used after this.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
    }
}
