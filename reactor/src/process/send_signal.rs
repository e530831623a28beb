//! A signal to a process that is known by its number only.

use std::io;

use crate::signal::Signal;
use crate::sys::check;

/// Sends `signal` to the process `pid` (`kill(2)`).
///
/// For processes of other programs: a number may have been given to another process since. A
/// [`Child`](super::Child) is safe from that.
///
/// # Errors
/// `NotFound` if there is no such process, `PermissionDenied`; `InvalidInput` for 0 and numbers
/// that no process can have, which `kill(2)` would take for whole groups of processes.
pub fn send_signal(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 0);
    let pid = pid.ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: takes numbers only.
    match check(unsafe { libc::kill(pid, signal.number()) }) {
        // The standard library has no kind for ESRCH.
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
            Err(io::ErrorKind::NotFound.into())
        }
        result => result.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_is_ended_and_groups_are_out_of_reach() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat(1)");
        send_signal(child.id(), Signal::KILL).expect("it is ours");
        let status = child.wait().expect("our child");
        assert_eq!(status.signal(), Some(libc::SIGKILL));
        for pid in [0, u32::MAX, i32::MAX as u32 + 1] {
            let error = send_signal(pid, Signal::TERM).expect_err("no process");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{pid}");
        }
        let error = send_signal(i32::MAX as u32, Signal::TERM).expect_err("beyond pid_max");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
