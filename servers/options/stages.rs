//! Options of a model with stages.

use std::ffi::OsStr;
use std::thread::available_parallelism;

use super::error::Fault;
use super::table::{Entry, Setter, number, utf8};
use super::threads::CONTEXTS;
use super::value;
use super::workers::PRIORITY;

/// A larger number is a typing error.
const THREADS_MAX: u64 = 1024;
const QUEUE_MAX: u64 = 1 << 16;
const READERS_MAX: u64 = 64;
/// Processors for each thread that reads: one parses more requests than four of them answer.
const CORES_A_READER: usize = 4;
/// Threads that a stage may have on a small machine: they wait for disks or other services, too.
const WAITING_MIN: usize = 8;

/// Settings of stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stages {
    /// Requests that wait to be handled at most.
    pub handle_queue: usize,
    /// Requests that wait for work at most.
    pub work_queue: usize,
    /// Threads of each stage at most; `None`: depends on the stage and the processors.
    pub threads: Option<usize>,
    /// Threads that read; `None`: depends on the processors.
    pub readers: Option<usize>,
}

impl Default for Stages {
    fn default() -> Self {
        Stages {
            // As many as there are buffers for: by default the socket is where requests wait.
            handle_queue: 1024,
            // With work of 5 ms on each of two processors, more than half a second's worth: a
            // client that would have to wait longer is better told at once.
            work_queue: 256,
            threads: None,
            readers: None,
        }
    }
}

impl Stages {
    /// Threads of a stage that never waits: more than processors are of no use.
    pub fn threads_max(&self) -> usize {
        self.threads.unwrap_or_else(cores)
    }

    /// Threads of a stage that may wait.
    pub fn waiting_threads_max(&self) -> usize {
        self.threads.unwrap_or_else(|| (2 * cores()).max(WAITING_MIN))
    }

    /// Threads that read.
    pub fn readers(&self) -> usize {
        self.readers.unwrap_or_else(|| cores().div_ceil(CORES_A_READER))
    }
}

fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

pub(super) const STAGES: &[Entry] = &[
    Entry {
        flag: "readers",
        value: "N",
        help: "threads that read and parse, a loop each; auto: one per four processors",
        setter: Setter::Other {
            get: |options| show_auto(options.stages.readers),
            set: |options, text| set_auto(&mut options.stages.readers, text, READERS_MAX),
        },
    },
    Entry {
        flag: "stage-threads",
        value: "N",
        help: "threads of each other stage at most; auto: one per processor, and two, at least 8, \
               where they may wait",
        setter: Setter::Other {
            get: |options| show_auto(options.stages.threads),
            set: |options, text| set_auto(&mut options.stages.threads, text, THREADS_MAX),
        },
    },
    Entry {
        flag: "handle-queue",
        value: "N",
        help: "requests that wait to be handled, rounded up to a power of two; more get 503",
        setter: Setter::Count(number!(1..=QUEUE_MAX, stages.handle_queue: usize)),
    },
    Entry {
        flag: "work-queue",
        value: "N",
        help: "requests that wait for work, rounded up to a power of two; more get 503",
        setter: Setter::Count(number!(1..=QUEUE_MAX, stages.work_queue: usize)),
    },
    PRIORITY,
    CONTEXTS,
];

fn show_auto(number: Option<usize>) -> String {
    number.map_or("auto".to_owned(), |number| number.to_string())
}

fn set_auto(field: &mut Option<usize>, text: &OsStr, most: u64) -> Result<(), Fault> {
    *field = match utf8(text)? {
        "auto" => None,
        text => match value::count(text)? {
            count if (1..=most).contains(&count) => Some(count as usize),
            _ => return Err(Fault::invalid(format_args!("1 to {most}, or auto"))),
        },
    };
    Ok(())
}
