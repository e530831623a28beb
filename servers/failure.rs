//! What the system refuses, as an operator needs it: what was to be done, the cause, and what may
//! help.
//!
//! `Resource temporarily unavailable (os error 11)` is all that `clone(2)` says, whether it is the
//! user's limit, the service's or the container's. The number alone is no message: what it stands
//! for depends on the call, and the fix on both.

use std::fmt::Display;
use std::io;
use std::time::Instant;

use reactor::Errno;

use crate::report::{Failing, report};

/// Adds to an error what failed, and what may help.
pub trait Named<T> {
    /// `what`, for a message: `cannot start worker 3`.
    ///
    /// # Errors
    /// The same, as `what: cause; fix`.
    fn named(self, what: impl Display) -> io::Result<T>;
}

impl<T> Named<T> for io::Result<T> {
    fn named(self, what: impl Display) -> io::Result<T> {
        self.map_err(|error| io::Error::new(error.kind(), format!("{what}: {}", explained(&error))))
    }
}

/// An error with what may help, if that is known.
pub fn explained(error: &io::Error) -> String {
    match Errno::of(error).and_then(fix) {
        Some(fix) => format!("{error}; {fix}"),
        None => error.to_string(),
    }
}

/// An error that ends the server: one that has no name yet gets one.
pub fn last_words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => format!("the system refused what the server needs: {}", explained(error)),
        None => error.to_string(),
    }
}

/// What may help against an error of a call that makes something: a process, a thread, a
/// descriptor, memory.
fn fix(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::EAGAIN => {
            "more processes or threads must be allowed (ulimit -u, TasksMax=, pids.max), or memory \
             for their stacks (ulimit -v)"
        }
        Errno::EMFILE => "more open files must be allowed (ulimit -n, LimitNOFILE=)",
        Errno::ENFILE => "the whole system is out of open files (fs.file-max)",
        Errno::ENOMEM => {
            "more memory must be allowed (ulimit -v, MemoryMax=), or less be asked for: see \
             --buffers, --max-connections"
        }
        Errno::ENOSYS | Errno::EPERM => {
            "the kernel lacks this call, or a sandbox (seccomp) forbids it: allow it there"
        }
        _ => return None,
    })
}

/// The error of a listener all of whose connections end before they are accepted.
pub fn none_lasts() -> io::Error {
    let text = "all end before they are accepted, or a sandbox (seccomp) forbids accept(2)";
    io::Error::new(io::ErrorKind::ConnectionAborted, text)
}

/// Something that is tried again until it succeeds: a line when it begins to fail, and no more than
/// one a second where it fails and succeeds by turns.
#[derive(Debug, Default)]
pub struct Retrying(Failing);

impl Retrying {
    /// It has failed: `cannot do it; trying again: cause; fix`.
    #[cold]
    pub fn failed(&mut self, what: impl Display, error: &io::Error) {
        if self.0.failed(Instant::now()) {
            report!("{what}; trying again: {}", explained(error));
        }
    }

    /// It has succeeded.
    pub fn succeeded(&mut self) {
        self.0.succeeded();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing() -> io::Error {
        std::fs::File::open("/nowhere/to/be/found").unwrap_err()
    }

    #[test]
    fn an_error_is_named_and_keeps_its_kind() {
        let error = Err::<(), _>(missing()).named("cannot open it").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with("cannot open it: "), "{error}");
    }

    #[test]
    fn an_error_without_a_name_gets_one_and_others_keep_theirs() {
        assert!(last_words(&missing()).starts_with("the system refused"));
        assert_eq!(last_words(&io::Error::other("a sentence")), "a sentence");
    }
}
