//! Descriptors that this process inherited at exec, found by their number.
//!
//! ```text
//!  parent: descriptor 7, not closed on exec ─► exec ─► inherited_fd(7)   owned, closed on exec
//!                                                      inherited_fd(7)   refused
//! ```
//!
//! A number is not a descriptor: code that makes an [`OwnedFd`] of one that something else owns
//! closes it twice, the second time perhaps after the number was reused. So a number is accepted
//! only if
//!
//! - it is above those of the standard streams, which the standard library uses;
//! - the descriptor is not closed on exec. One that has come through an exec is not, and one that
//!   the standard library or this crate has opened is (on macOS from the second call on);
//! - it has not been taken before in this process.
//!
//! *Not* known: whether a C library, or Rust code that clears `FD_CLOEXEC`, has opened the
//! descriptor since. So take inherited ones before doing anything else.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd, IntoRawFd as _, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use crate::sys::check;

/// The numbers that have been taken. Locked while flags are read and changed, so that two threads
/// cannot both find a descriptor untaken.
static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// Takes ownership of an inherited descriptor by its number. It is closed on exec from now on.
/// Every number is handed out once.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] for what cannot have been inherited, with the reason; `EBADF`
/// when the descriptor is not open.
pub fn inherited_fd(number: RawFd) -> io::Result<OwnedFd> {
    if (0..=2).contains(&number) {
        return Err(refused("0 to 2 are the standard streams, pass it as 3 or above"));
    }
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: F_GETFD touches no memory; on a descriptor that is not open it fails.
    let flags = check(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    if flags & libc::FD_CLOEXEC != 0 || taken.contains(&number) {
        return Err(refused("it was not passed to this process, or has been taken already"));
    }
    // SAFETY: as above.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC) })?;
    taken.push(number);
    // SAFETY: the descriptor is open, and as far as can be known (see the module) nothing owns it:
    // it was inherited, or given up by `disown_fd`, and it is handed out here only.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Gives up a descriptor as if this process had inherited it: for code that finds it by its number.
/// It stays open, here and in programs that are started, until it is claimed by [`inherited_fd`].
///
/// # Errors
/// Those of `fcntl(2)`; the descriptor is closed.
pub fn disown_fd(fd: OwnedFd) -> io::Result<RawFd> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: touches no memory.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) })?;
    let number = fd.into_raw_fd();
    taken.retain(|&other| other != number);
    Ok(number)
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Errno;
    use std::fs::File;
    use std::io::{Read as _, Write as _};

    fn refusal(number: RawFd) -> String {
        let error = inherited_fd(number).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        error.to_string()
    }

    #[test]
    fn a_descriptor_is_handed_out_once_and_closed_on_exec() {
        let (mut reader, writer) = io::pipe().unwrap();
        let number = disown_fd(writer.into()).unwrap();
        let mut writer = File::from(inherited_fd(number).unwrap());
        assert!(refusal(number).ends_with("has been taken already"));
        // SAFETY: takes no pointer.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
        assert_eq!(flags, libc::FD_CLOEXEC);
        writer.write_all(b"still open").unwrap();
        let mut text = [0; 10];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"still open");
    }

    #[test]
    fn a_number_that_was_given_up_again_is_handed_out_again() {
        let (_reader, writer) = io::pipe().unwrap();
        let number = disown_fd(writer.into()).unwrap();
        let taken = inherited_fd(number).unwrap();
        assert_eq!(disown_fd(taken).unwrap(), number);
        assert_eq!(inherited_fd(number).unwrap().as_raw_fd(), number);
    }

    #[test]
    fn only_one_of_several_threads_gets_it() {
        let (_reader, writer) = io::pipe().unwrap();
        let number = disown_fd(writer.into()).unwrap();
        let take = || inherited_fd(number).ok().map(|fd| fd.into_raw_fd());
        let taken = std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| scope.spawn(take));
            threads.map(|thread| thread.join().unwrap()).into_iter().flatten().count()
        });
        assert_eq!(taken, 1);
        // SAFETY: the thread that has taken it has given it up without closing it.
        drop(unsafe { OwnedFd::from_raw_fd(number) });
    }

    #[test]
    fn a_number_that_cannot_be_inherited_is_refused() {
        for number in 0..=2 {
            assert!(refusal(number).ends_with("pass it as 3 or above"));
        }
        let file = File::open("/dev/null").unwrap();
        assert!(refusal(file.as_raw_fd()).starts_with("it was not passed"));
        for number in [-1, RawFd::MAX] {
            let error = inherited_fd(number).unwrap_err();
            assert_eq!(Errno::of(&error), Some(Errno::EBADF));
        }
    }
}
