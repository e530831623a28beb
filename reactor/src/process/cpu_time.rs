//! The CPU time of a thread, see `clock_gettime(2)`.

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use crate::sys::check;

/// CPU time that the calling thread has used so far (`CLOCK_THREAD_CPUTIME_ID`). A real system call
/// (0.2 µs), because the vDSO does not handle this clock.
///
/// # Errors
/// The system has no such clock.
pub fn thread_cpu_time() -> io::Result<Duration> {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the pointer is valid for a write of one `timespec`.
    check(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, time.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it has filled `time` in.
    let time = unsafe { time.assume_init() };
    // CPU time is never negative, and its nanoseconds are below a second.
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted_and_waiting_is_not() {
        let before = thread_cpu_time().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        let slept = thread_cpu_time().unwrap();
        assert!(slept - before < Duration::from_millis(15));
        while thread_cpu_time().unwrap() - slept < Duration::from_millis(2) {}
    }
}
