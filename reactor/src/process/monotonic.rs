//! The time, as another process on this machine would read it.

use std::mem::MaybeUninit;

/// Microseconds of `CLOCK_MONOTONIC`: the clock behind [`Instant`](std::time::Instant), which does
/// not expose it.
pub fn monotonic_us() -> u64 {
    let mut now = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: `now` is valid for writes. The clock exists everywhere, so the call fills it.
    let now = unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, now.as_mut_ptr());
        now.assume_init()
    };
    // Neither is negative; their types differ from system to system.
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn it_advances_as_instants_do() {
        let (before, began) = (monotonic_us(), Instant::now());
        std::thread::sleep(Duration::from_millis(2));
        let passed = monotonic_us() - before;
        assert!(passed >= 2_000 && passed <= began.elapsed().as_micros() as u64 + 1_000_000);
    }
}
