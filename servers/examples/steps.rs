//! Counts the instructions that a running process executes in user space, one by one, until it
//! exits: on the real processor, because a simulator (callgrind) hides some, such as AVX-512.
//!
//! ```text
//! steps PID      ──► "attached", and when the process has ended "N instructions"
//! ```
//!
//! ptrace(2) stops the process after every instruction (PTRACE_SINGLESTEP); a system call counts as
//! one. Each takes some microseconds, so a thousand requests take seconds. In a process with
//! several threads only the first is counted. `measure/instructions.py --native` uses it.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let Some(pid) = std::env::args().nth(1).and_then(|pid| pid.parse().ok()) else {
        eprintln!("usage: steps PID");
        return ExitCode::FAILURE;
    };
    match linux::count(pid) {
        Ok(count) => println!("{count} instructions"),
        Err(error) => {
            eprintln!("steps: process {pid}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("steps: needs Linux");
    ExitCode::FAILURE
}

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::{c_int, c_uint};
    use std::{io, ptr};

    /// Steps through `pid` until it exits.
    pub fn count(pid: libc::pid_t) -> io::Result<u64> {
        // Its first stop is this call's SIGSTOP, which must not be delivered.
        trace(libc::PTRACE_ATTACH, pid, 0)?;
        let (mut count, mut signal) = (0, 0);
        while let Some(stopped_by) = wait(pid)? {
            if count == 0 {
                println!("attached");
            } else {
                signal = if stopped_by == libc::SIGTRAP { 0 } else { stopped_by };
            }
            trace(libc::PTRACE_SINGLESTEP, pid, signal)?;
            count += 1;
        }
        Ok(count)
    }

    fn trace(request: c_uint, pid: libc::pid_t, signal: c_int) -> io::Result<()> {
        let nowhere = ptr::null_mut::<libc::c_void>();
        // SAFETY: neither request reads or writes memory of this process.
        match unsafe { libc::ptrace(request, pid, nowhere, libc::c_long::from(signal)) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// The signal that has stopped it; `None` when it has exited.
    fn wait(pid: libc::pid_t) -> io::Result<Option<c_int>> {
        let mut status = 0;
        // SAFETY: `status` is valid for the duration of the call.
        if unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) } == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(libc::WIFSTOPPED(status).then(|| libc::WSTOPSIG(status)))
    }
}
