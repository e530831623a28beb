//! The cores available to this process, and how to stay on one (`sched_setaffinity(2)`).
//!
//! A pinned worker keeps its caches warm, but cannot move to an idle core. Where a system has no
//! such call, [`pin`] returns an error.

use std::io;

/// The cores that this thread may run on, by number; empty where the system does not tell.
#[cfg(target_os = "linux")]
pub fn cores() -> Vec<usize> {
    let mut set = empty_set();
    // SAFETY: `set` has the size that is given, and is written during the call.
    let got = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if got != 0 {
        return Vec::new(); // more cores than a cpu_set_t has bits
    }
    // SAFETY: the number is below the bits of the set.
    let is_allowed = |core: &usize| unsafe { libc::CPU_ISSET(*core, &set) };
    (0..libc::CPU_SETSIZE as usize).filter(is_allowed).collect()
}

/// The same where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub fn cores() -> Vec<usize> {
    Vec::new()
}

/// Pins the calling thread, and all threads and processes that it starts from now on, to one core.
///
/// # Errors
/// `InvalidInput` for a core that does not exist or that this process may not use; `Unsupported`
/// where there is no such call.
#[cfg(target_os = "linux")]
pub fn pin(core: usize) -> io::Result<()> {
    if core >= libc::CPU_SETSIZE as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut set = empty_set();
    // SAFETY: the number is below the bits of the set, which is read during the call.
    let result = unsafe {
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    crate::sys::check(result)?;
    Ok(())
}

/// The same where there is no such call.
#[cfg(not(target_os = "linux"))]
pub fn pin(_core: usize) -> io::Result<()> {
    let text = format!("pinning to a core is not supported on {}", std::env::consts::OS);
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

#[cfg(target_os = "linux")]
fn empty_set() -> libc::cpu_set_t {
    // SAFETY: all zeros is the empty set.
    unsafe { std::mem::zeroed() }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_thread_has_one_core_and_others_keep_theirs() {
        let all = cores();
        let last = *all.last().expect("at least one core");
        let pinned = std::thread::spawn(move || {
            pin(last).expect("a core that it may use");
            cores()
        });
        assert_eq!(pinned.join().expect("no panic"), [last]);
        assert_eq!(cores(), all);
    }

    #[test]
    fn a_core_that_does_not_exist_is_refused() {
        for core in [libc::CPU_SETSIZE as usize - 1, usize::MAX] {
            assert_eq!(pin(core).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{core}");
        }
    }
}
