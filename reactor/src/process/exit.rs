//! The end of a forked child.

/// Ends this process at once, without what a process does at its end (`_exit(2)`): handlers of
/// `atexit(3)` and buffers of standard streams, which a forked child has from its parent. No
/// destructor runs either.
pub fn exit_at_once(status: i32) -> ! {
    // SAFETY: takes no pointer, and does not return.
    unsafe { libc::_exit(status) }
}
