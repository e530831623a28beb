//! Messages to the operator: lines on standard error that begin with the server's name.
//!
//! If standard error is closed, or a pipe without a reader, messages are lost: unlike `eprintln!`,
//! this does not panic.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The server's name; a process runs one model.
static NAME: OnceLock<&'static str> = OnceLock::new();

/// Sets the name that lines begin with; only the first call counts.
pub fn name_is(name: &'static str) {
    let _ = NAME.set(name);
}

/// Reports one line, in one write: lines of several threads and processes do not mix.
pub fn line(text: fmt::Arguments<'_>) {
    let name = NAME.get().unwrap_or(&"stampede");
    let _ = io::stderr().write_all(format!("{name}: {text}\n").as_bytes());
}

/// Reports a line to the operator; takes the arguments of `format!`.
macro_rules! report {
    ($($text:tt)*) => {
        $crate::report::line(format_args!($($text)*))
    };
}

pub(crate) use report;

/// The least time between two lines about the same failure.
const APART: Duration = Duration::from_secs(1);

/// A failure that is tried again until it succeeds: the operator gets one line for all that, and
/// one a second where it fails and succeeds by turns.
#[derive(Debug, Default)]
pub struct Failing {
    reported: bool,
    last: Option<Instant>,
}

impl Failing {
    /// It has failed; `true`: that is to be reported.
    pub fn failed(&mut self, now: Instant) -> bool {
        let is_due = |last| now.saturating_duration_since(last) >= APART;
        if self.reported || !self.last.is_none_or(is_due) {
            return false;
        }
        (self.reported, self.last) = (true, Some(now));
        true
    }

    /// It has succeeded.
    pub fn succeeded(&mut self) {
        self.reported = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_reported_once_until_it_has_succeeded_and_a_second_has_passed() {
        let (mut failing, first) = (Failing::default(), Instant::now());
        assert!(failing.failed(first));
        assert!(!failing.failed(first + 5 * APART), "the same one");
        failing.succeeded();
        assert!(failing.failed(first + 6 * APART), "another one");
        failing.succeeded();
        assert!(!failing.failed(first + 6 * APART + APART / 2), "too soon");
        assert!(failing.failed(first + 7 * APART), "it goes on");
    }
}
