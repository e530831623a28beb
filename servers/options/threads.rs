//! Options of a model with one thread per connection.

use std::ffi::OsStr;
use std::thread::available_parallelism;

use super::error::Fault;
use super::table::{Entry, Number, Setter, utf8};
use super::{KIB, MIB, Options, value};

/// Default for `--max-threads`: what a machine of ordinary size schedules well.
const THREADS_DEFAULT: u32 = 4096;
/// A larger number is a typing error.
const THREADS_MAX: u64 = 1_000_000;
const CONTEXTS_MAX: u64 = 1024;
/// Upper bound of the default number of contexts: each has its own file cache.
const CONTEXTS_DEFAULT_MAX: usize = 16;

/// Settings for one thread per connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threads {
    /// Threads at a time; `None`: 4,096, or the connection limit if that is lower.
    pub max: Option<u32>,
    /// Stack size in bytes.
    pub stack: usize,
    /// Contexts shared by the threads; `None`: two per processor.
    pub contexts: Option<usize>,
}

impl Default for Threads {
    fn default() -> Self {
        Threads { max: None, stack: 256 * KIB, contexts: None }
    }
}

impl Options {
    /// Threads at a time, at most one for each connection allowed.
    pub fn threads_max(&self) -> u32 {
        self.threads.max.unwrap_or(THREADS_DEFAULT).min(self.limits.connections)
    }

    /// Contexts shared by the threads.
    pub fn contexts(&self) -> usize {
        let cores = || available_parallelism().map_or(1, usize::from);
        self.threads.contexts.unwrap_or_else(|| (2 * cores()).min(CONTEXTS_DEFAULT_MAX))
    }
}

pub(super) const CONNECTION_THREADS: &[Entry] = &[
    Entry {
        flag: "max-threads",
        value: "N",
        help: "connections served at once; the rest wait in the kernel until a thread ends",
        setter: Setter::Other { get: |options| options.threads_max().to_string(), set: set_max },
    },
    Entry {
        flag: "stack-size",
        value: "SIZE",
        help: "stack size of each thread; untouched pages take no memory",
        setter: Setter::Size(Number {
            allowed: 64 * KIB as u64..=64 * MIB as u64,
            get: |options| options.threads.stack as u64,
            set: |options, n| options.threads.stack = n as usize,
        }),
    },
    CONTEXTS,
];

/// For every model whose threads share contexts.
pub(super) const CONTEXTS: Entry = Entry {
    flag: "contexts",
    value: "N",
    help: "caches and counters shared by the threads; auto: two per processor, at most 16",
    setter: Setter::Other { get: show_contexts, set: set_contexts },
};

fn set_max(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    match value::count(utf8(text)?)? {
        max @ 1..=THREADS_MAX => options.threads.max = Some(max as u32),
        _ => return Err(Fault::invalid(format_args!("1 to {THREADS_MAX}"))),
    }
    Ok(())
}

fn show_contexts(options: &Options) -> String {
    options.threads.contexts.map_or("auto".to_owned(), |count| count.to_string())
}

fn set_contexts(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    options.threads.contexts = match utf8(text)? {
        "auto" => None,
        text => match value::count(text)? {
            count @ 1..=CONTEXTS_MAX => Some(count as usize),
            _ => return Err(Fault::invalid(format_args!("1 to {CONTEXTS_MAX}, or auto"))),
        },
    };
    Ok(())
}
