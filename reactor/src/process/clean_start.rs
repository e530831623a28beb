//! What a process inherits of the one that started it, set right before anything else happens.
//!
//! Through `execve(2)` come the signals that are ignored or blocked, and the mask for new files'
//! modes. A shell, `nohup`, a service manager or a container's first process may have set any of
//! them, for reasons of its own:
//!
//! | inherited | what it would do to a server |
//! |---|---|
//! | `SIGCHLD` ignored | children cannot be waited for, and their ends go unnoticed |
//! | `SIGTERM` blocked or ignored | it can only be killed |
//! | `SIGHUP` not blocked yet | one that arrives early ends it |
//! | `RLIMIT_FSIZE`, `RLIMIT_CPU` | a full log ends it (`SIGXFSZ`), where an error would do |
//! | umask 0777 | it cannot open its own log a second time |
//!
//! The limits themselves stay as they are.

use std::io;

use crate::signal::{Signal, change_mask, set_of};

/// Ignored: what they report is also an error of the system call (`EPIPE`, `EFBIG`), or not for the
/// process to act on (`RLIMIT_CPU`; its hard limit kills).
pub(super) const IGNORED: [libc::c_int; 3] = [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGXCPU];

/// The owner's part of a mode.
const OWNER: libc::mode_t = 0o700;

/// Makes what was inherited what a server needs: the signals `blocked` wait until they are read,
/// no other is blocked, children are to be waited for, exceeded limits and missing readers are
/// errors, and new files are accessible to their owner.
///
/// To be called first, while there is one thread. See [`Signals`](crate::Signals) for reading what
/// is blocked here.
///
/// # Errors
/// Those of `sigaction(2)` and `pthread_sigmask(3)`.
pub fn clean_start(blocked: &[Signal]) -> io::Result<()> {
    // Blocked before the default takes effect, which would end the process.
    change_mask(libc::SIG_SETMASK, &set_of(blocked)?)?;
    for signal in blocked.iter().chain([&Signal::CHLD]) {
        set(signal.number(), libc::SIG_DFL)?;
    }
    IGNORED.into_iter().try_for_each(|signal| set(signal, libc::SIG_IGN))?;
    // SAFETY: takes no pointer, and cannot fail.
    unsafe { libc::umask(libc::umask(OWNER) & !OWNER) };
    Ok(())
}

fn set(signal: libc::c_int, action: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: neither SIG_DFL nor SIG_IGN runs code of ours.
    match unsafe { libc::signal(signal, action) } {
        libc::SIG_ERR => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
