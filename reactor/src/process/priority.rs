//! How a thread shares its core with others: what makes a busy thread yield to one that wakes up.
//!
//! | [`Priority`] | call | effect |
//! |---|---|---|
//! | `Nice` | `setpriority(2)` of the thread | a smaller share; others run sooner on waking |
//! | `Batch` | `SCHED_BATCH` | it does not preempt others when it wakes; its share is as before |
//! | `Idle` | `SCHED_IDLE` | hardly any share; any waking thread preempts it at once |
//! | `Slice` | `sched_setattr(2)`, Linux 6.12 | as before, but in slices of this length |
//!
//! See `sched(7)`. Lowering needs no privilege; the caller reports what a sandbox refuses. On
//! systems other than Linux a thread has no nice value of its own: all but `Normal` is refused.

use std::io;

/// How a thread shares its core.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Priority {
    /// As all others.
    Normal,
    /// With this nice value, 1 to 19.
    Nice(u8),
    /// As a batch job.
    Batch,
    /// When no other thread wants the core.
    Idle,
    /// In slices of this many microseconds, 100 to 100,000.
    Slice(u32),
}

impl Priority {
    /// Sets the priority of the calling thread.
    ///
    /// # Errors
    /// The error of the call; `Unsupported` where there is no such call.
    #[cfg(target_os = "linux")]
    pub fn apply(self) -> io::Result<()> {
        match self {
            Priority::Normal => Ok(()),
            Priority::Nice(nice) => set_nice(nice),
            Priority::Batch => set_policy(libc::SCHED_BATCH),
            Priority::Idle => set_policy(libc::SCHED_IDLE),
            Priority::Slice(us) => set_slice(us),
        }
    }

    /// The same where there is no such call.
    #[cfg(not(target_os = "linux"))]
    pub fn apply(self) -> io::Result<()> {
        match self {
            Priority::Normal => Ok(()),
            _ => {
                let text =
                    format!("this thread priority is not supported on {}", std::env::consts::OS);
                Err(io::Error::new(io::ErrorKind::Unsupported, text))
            }
        }
    }
}

/// On Linux a nice value belongs to a thread (setpriority(2), "C library/kernel differences").
#[cfg(target_os = "linux")]
fn set_nice(nice: u8) -> io::Result<()> {
    // SAFETY: a call without pointers. 0: the calling thread.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, i32::from(nice)) };
    crate::sys::check(result)?;
    Ok(())
}

#[cfg(target_os = "linux")]
fn set_policy(policy: i32) -> io::Result<()> {
    // SAFETY: all zeros is a valid one: priority 0, the only one of these policies.
    let param: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: `param` is read during the call. 0: the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const param) };
    crate::sys::check(result)?;
    Ok(())
}

/// `struct sched_attr` in its first version, 48 bytes (sched_setattr(2)).
#[cfg(target_os = "linux")]
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    /// For `SCHED_OTHER`: the length of a slice in nanoseconds, since Linux 6.12; before, ignored.
    runtime: u64,
    deadline: u64,
    period: u64,
}

#[cfg(target_os = "linux")]
fn set_slice(us: u32) -> io::Result<()> {
    let attr = SchedAttr {
        size: size_of::<SchedAttr>() as u32,
        policy: libc::SCHED_OTHER as u32,
        // As it is: the call sets it, too, and less would take a privilege.
        // SAFETY: takes no pointer; 0: the calling thread, which exists.
        nice: unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) },
        runtime: u64::from(us) * 1000,
        ..SchedAttr::default()
    };
    // SAFETY: `attr` has the size that it says, and is read during the call. The C library has no
    // wrapper. 0: the calling thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
    crate::sys::check(result as i32)?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Policy and nice value of the calling thread, as the kernel has them.
    fn present() -> (i32, i32) {
        // SAFETY: calls without pointers, about the calling thread.
        unsafe { (libc::sched_getscheduler(0), libc::getpriority(libc::PRIO_PROCESS, 0)) }
    }

    /// On a thread of its own: lowering cannot be undone.
    fn applied(priority: Priority) -> (i32, i32) {
        let thread = std::thread::spawn(move || {
            priority.apply().expect("lowering needs no privilege");
            present()
        });
        thread.join().expect("no panic")
    }

    #[test]
    fn each_priority_is_what_the_kernel_has_afterwards() {
        let (policy, nice) = present();
        assert_eq!(applied(Priority::Normal), (policy, nice));
        assert_eq!(applied(Priority::Nice(19)), (policy, 19));
        assert_eq!(applied(Priority::Batch).0, libc::SCHED_BATCH);
        assert_eq!(applied(Priority::Idle).0, libc::SCHED_IDLE);
        assert_eq!(applied(Priority::Slice(500)), (libc::SCHED_OTHER, nice));
        assert_eq!(present(), (policy, nice), "the others' threads are as before");
    }
}
