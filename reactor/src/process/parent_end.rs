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
        Err(io::Error::new(io::ErrorKind::NotFound, "the parent process has ended"))
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
