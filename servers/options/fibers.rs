//! Options of a model with green threads.

use std::ffi::OsStr;
use std::thread::available_parallelism;

use super::error::Fault;
use super::table::{Entry, Number, Setter, utf8};
use super::workers::{set_worker_count, worker_count};
use super::{KIB, MIB, Options, value};

/// Default for `--max-fibers`: on Linux before 6.13 each stack is two of the 65,530 mappings that a
/// process may have (`vm.max_map_count`).
const FIBERS_DEFAULT: u32 = 16 * 1024;
/// A larger number is a typing error.
const FIBERS_MAX: u64 = 1_000_000;

/// Settings for green threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fibers {
    /// Green threads at a time; `None`: 16,384, or the connection limit if that is lower.
    pub max: Option<u32>,
    /// Stack size in bytes.
    pub stack: usize,
}

impl Default for Fibers {
    fn default() -> Self {
        Fibers { max: None, stack: 256 * KIB }
    }
}

impl Options {
    /// Green threads at a time, at most one for each connection allowed.
    pub fn fibers_max(&self) -> u32 {
        self.fibers.max.unwrap_or(FIBERS_DEFAULT).min(self.limits.connections)
    }

    /// Cores that run green threads.
    pub fn cores(&self) -> usize {
        self.workers.count.unwrap_or_else(|| available_parallelism().map_or(1, usize::from))
    }
}

pub(super) const FIBERS: &[Entry] = &[
    Entry {
        flag: "workers",
        value: "N",
        help: "carrier threads, each with an event loop; auto: one per processor. More are started \
               while a fiber blocks one of them",
        setter: Setter::Other { get: worker_count, set: set_worker_count },
    },
    Entry {
        flag: "max-fibers",
        value: "N",
        help: "connections served at once; the rest wait in the kernel until a fiber ends",
        setter: Setter::Other { get: |options| options.fibers_max().to_string(), set: set_max },
    },
    Entry {
        flag: "stack-size",
        value: "SIZE",
        help: "stack size of each fiber; untouched pages take no memory",
        setter: Setter::Size(Number {
            allowed: 64 * KIB as u64..=64 * MIB as u64,
            get: |options| options.fibers.stack as u64,
            set: |options, n| options.fibers.stack = n as usize,
        }),
    },
];

fn set_max(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    match value::count(utf8(text)?)? {
        max @ 1..=FIBERS_MAX => options.fibers.max = Some(max as u32),
        _ => return Err(Fault::invalid(format_args!("1 to {FIBERS_MAX}"))),
    }
    Ok(())
}
