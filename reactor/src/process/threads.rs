//! The number of threads in this process, which [`fork`](super::fork()) must know.
//!
//! Every system's function returns the number of all threads, at least as it was when called: 1 is
//! exact, for then there is no other thread that could start one.

/// The number of threads; `None` when the system does not tell.
///
/// One system call, as a rule: a server that forks for each connection asks each time.
#[cfg(target_os = "linux")]
pub(super) fn count() -> Option<usize> {
    if is_only_thread() {
        return Some(1);
    }
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}

/// A process of one thread may stop sharing its thread group, which changes nothing, and any other
/// may not (`unshare(2)`, EINVAL). A seccomp filter may refuse that to both.
#[cfg(target_os = "linux")]
fn is_only_thread() -> bool {
    // SAFETY: takes no pointer.
    unsafe { libc::unshare(libc::CLONE_THREAD) == 0 }
}

/// The same: `ki_numthreads` of `sysctl(3)`'s `KERN_PROC_PID`.
#[cfg(target_os = "freebsd")]
pub(super) fn count() -> Option<usize> {
    use std::mem::MaybeUninit;
    use std::ptr;

    let pid = std::process::id() as libc::c_int;
    let mib = [libc::CTL_KERN, libc::KERN_PROC, libc::KERN_PROC_PID, pid];
    let mut process = MaybeUninit::<libc::kinfo_proc>::zeroed();
    let mut len = size_of::<libc::kinfo_proc>();
    let to = process.as_mut_ptr().cast();
    // SAFETY: four numbers are read, and at most `len` bytes written to a pointer with room for
    // them.
    let result = unsafe { libc::sysctl(mib.as_ptr(), 4, to, &raw mut len, ptr::null(), 0) };
    if result != 0 || len != size_of::<libc::kinfo_proc>() {
        return None;
    }
    // SAFETY: the call has written all of it.
    usize::try_from(unsafe { (*process.as_ptr()).ki_numthreads }).ok()
}

/// The same: `pti_threadnum` of `proc_pidinfo`'s `PROC_PIDTASKINFO` (`<libproc.h>`).
#[cfg(target_vendor = "apple")]
pub(super) fn count() -> Option<usize> {
    use std::mem::MaybeUninit;

    let pid = std::process::id() as libc::c_int;
    let mut task = MaybeUninit::<libc::proc_taskinfo>::zeroed();
    let size = size_of::<libc::proc_taskinfo>() as libc::c_int;
    let to = task.as_mut_ptr().cast();
    // SAFETY: at most `size` bytes are written to a pointer with room for them.
    if unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTASKINFO, 0, to, size) } != size {
        return None;
    }
    // SAFETY: the call has written all of it.
    usize::try_from(unsafe { (*task.as_ptr()).pti_threadnum }).ok()
}

/// The same where no method is known.
#[cfg(not(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple")))]
pub(super) fn count() -> Option<usize> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls it while one more thread than usual is running.
    fn beside_another<T>(call: impl FnOnce() -> T) -> T {
        std::thread::scope(|scope| {
            let (stop, stopped) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || stopped.recv());
            let result = call();
            drop(stop);
            result
        })
    }

    #[test]
    fn another_thread_is_counted() {
        assert!(beside_another(count).is_none_or(|threads| threads >= 2));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn one_of_several_threads_is_not_taken_for_the_only_one() {
        assert!(!beside_another(is_only_thread));
    }
}
