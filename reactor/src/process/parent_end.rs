//! A child that learns of its parent's end.

use std::io;

use crate::signal::Signal;
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
use crate::sys::check;

/// Has the system send this process `signal` when its parent has ended, where it can (Linux and
/// FreeBSD). To be called in a child, with the PID of its parent: that one may have ended already.
///
/// # Errors
/// The parent has ended already.
pub fn signal_when_parent_ends(signal: Signal, parent: u32) -> io::Result<()> {
    ask_for_signal(signal)?;
    if std::os::unix::process::parent_id() == parent {
        Ok(())
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

#[cfg(target_os = "linux")]
fn ask_for_signal(signal: Signal) -> io::Result<()> {
    let signal = signal.number() as libc::c_ulong;
    // SAFETY: PR_SET_PDEATHSIG takes a number.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) })?;
    Ok(())
}

#[cfg(target_os = "freebsd")]
fn ask_for_signal(signal: Signal) -> io::Result<()> {
    let mut number = signal.number();
    let (this, number) = (0, (&raw mut number).cast());
    // SAFETY: PROC_PDEATHSIG_CTL reads one number, which lives during the call.
    check(unsafe { libc::procctl(libc::P_PID, this, libc::PROC_PDEATHSIG_CTL, number) })?;
    Ok(())
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn ask_for_signal(_signal: Signal) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, any(target_os = "linux", target_os = "freebsd")))]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    /// Runs `body` in a child, which takes no lock, and ends that.
    fn child(body: impl FnOnce()) -> libc::pid_t {
        // SAFETY: the child runs `body`, and exits without running anything of the parent's.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            body();
            // SAFETY: as above.
            unsafe { libc::_exit(0) };
        }
        assert!(pid > 0, "fork");
        pid
    }

    fn wait(pid: libc::pid_t) {
        // SAFETY: waits for our own child and asks for no status.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    }

    #[test]
    fn a_child_is_sent_the_signal_when_its_parent_ends() {
        let (mut here, there) = UnixStream::pair().unwrap();
        let parent = child(|| {
            let parent = std::process::id();
            child(|| {
                if signal_when_parent_ends(Signal::KILL, parent).is_ok() {
                    let _ = (&there).write_all(b"!");
                    // SAFETY: takes no pointer.
                    unsafe { libc::pause() };
                }
            });
            let _ = (&there).read(&mut [0]);
        });
        drop(there);
        here.read_exact(&mut [0]).unwrap();
        here.write_all(b"?").unwrap();
        wait(parent);
        assert_eq!(here.read(&mut [0]).unwrap(), 0, "the child is gone, too");
    }

    #[test]
    fn one_whose_parent_has_ended_already_learns_that() {
        let (mut here, there) = UnixStream::pair().unwrap();
        wait(child(|| {
            let other = std::process::id();
            if signal_when_parent_ends(Signal::TERM, other).is_err() {
                let _ = (&there).write_all(b"!");
            }
        }));
        here.read_exact(&mut [0]).unwrap();
    }
}
