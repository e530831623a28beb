//! Options of a model with one child process per connection.

use std::ffi::OsStr;

use reactor::process::process_limit;

use super::Options;
use super::error::Fault;
use super::table::{Entry, Setter, utf8};
use super::value;

/// Default for `--max-children`. A child has some 200 KiB of memory of its own: that many are a
/// quarter of a gigabyte.
const CHILDREN_DEFAULT: u32 = 1024;
/// A larger number is a typing error: Linux has at most 4,194,304 processes.
const CHILDREN_MAX: u64 = 1_000_000;

/// Settings for one child process per connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Children {
    /// Children at a time; `None`: 1,024, or fewer where a limit is lower.
    pub max: Option<u32>,
}

impl Options {
    /// Children at a time: at most one for each connection allowed, and by default three quarters
    /// of the user's processes (`ulimit -u`), for there are others. Where even so the system gives
    /// no more, the next connection waits.
    pub fn children_max(&self) -> u32 {
        let default = || {
            let allowed = process_limit().map_or(u64::MAX, |limit| (limit / 4 * 3).max(1));
            CHILDREN_DEFAULT.min(u32::try_from(allowed).unwrap_or(u32::MAX))
        };
        self.children.max.unwrap_or_else(default).min(self.limits.connections)
    }
}

pub(super) const CONNECTION_CHILDREN: &[Entry] = &[Entry {
    flag: "max-children",
    value: "N",
    help: "connections served at once, a process each; the rest wait in the kernel until one ends",
    setter: Setter::Other { get: |options| options.children_max().to_string(), set: set_max },
}];

fn set_max(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    match value::count(utf8(text)?)? {
        max @ 1..=CHILDREN_MAX => options.children.max = Some(max as u32),
        _ => return Err(Fault::invalid(format_args!("1 to {CHILDREN_MAX}"))),
    }
    Ok(())
}
