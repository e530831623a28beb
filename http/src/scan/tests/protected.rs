//! Bytes beside pages that must not be touched: reading one too far, either way, faults.

#![allow(unsafe_code, reason = "pages are protected")]

const PAGE_BYTES: usize = 4096;

/// A page that can be used, between two that cannot.
pub struct Page(*mut u8);

impl Page {
    pub fn new() -> Page {
        let (nothing, usable) = (libc::PROT_NONE, libc::PROT_READ | libc::PROT_WRITE);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping, of which the middle is made accessible.
        unsafe {
            let pages = libc::mmap(std::ptr::null_mut(), 3 * PAGE_BYTES, nothing, flags, -1, 0);
            assert_ne!(pages, libc::MAP_FAILED);
            let page = pages.byte_add(PAGE_BYTES);
            assert_eq!(libc::mprotect(page, PAGE_BYTES, usable), 0);
            Page(page.cast())
        }
    }

    /// Its first `len` bytes.
    pub fn first(&mut self, len: usize) -> &mut [u8] {
        assert!(len <= PAGE_BYTES);
        // SAFETY: they are in the usable page, which lives as long as `self`.
        unsafe { std::slice::from_raw_parts_mut(self.0, len) }
    }

    /// Its last `len` bytes.
    pub fn last(&mut self, len: usize) -> &mut [u8] {
        assert!(len <= PAGE_BYTES);
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(PAGE_BYTES - len), len) }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` has made; nothing borrows from it any more.
        unsafe { libc::munmap(self.0.sub(PAGE_BYTES).cast(), 3 * PAGE_BYTES) };
    }
}
