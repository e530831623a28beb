//! Messages to the operator: lines on standard error that begin with the server's name.
//!
//! If standard error is closed, or a pipe without a reader, messages are lost: unlike `eprintln!`,
//! this does not panic.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::OnceLock;

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
