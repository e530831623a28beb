//! Options of models with workers: threads fed by rings, or processes.

use std::ffi::OsStr;

use super::error::Fault;
use super::table::{DAY, Entry, Setter, number, time, utf8};
use super::value::{self, name_of, value_of};
use super::{Accept, Offload, Options, Overload};

/// More workers than any machine has processors.
const WORKERS_MAX: u64 = 1024;
/// A job takes the address space of two buffers and, once used, that much memory.
const RING_MAX: u64 = 1 << 16;

/// Options of worker threads.
pub(super) const THREADS: &[Entry] = &[
    Entry {
        flag: "workers",
        value: "N",
        help: "worker threads; auto: one per processor except the loop's, at least one",
        setter: Setter::Other { get: worker_count, set: set_worker_count },
    },
    Entry {
        flag: "ring",
        value: "N",
        help: "jobs queued per worker at most, rounded up to a power of two",
        setter: Setter::Count(number!(1..=RING_MAX, workers.ring: usize)),
    },
    Entry {
        flag: "offload",
        value: "WHAT",
        help: "requests to offload: blocking (those the application marks) or all",
        setter: Setter::Other {
            get: |options| name_of(&OFFLOADS, options.workers.offload).to_owned(),
            set: |options, text| {
                options.workers.offload = value_of(&OFFLOADS, text)?;
                Ok(())
            },
        },
    },
    Entry {
        flag: "overload",
        value: "WHAT",
        help: "when all rings are full: wait (stop reading the connection) or reject (503)",
        setter: Setter::Other {
            get: |options| name_of(&OVERLOADS, options.workers.overload).to_owned(),
            set: |options, text| {
                options.workers.overload = value_of(&OVERLOADS, text)?;
                Ok(())
            },
        },
    },
    Entry {
        flag: "work-timeout",
        value: "TIME",
        help: "reply 503 to a job that takes longer, and start a replacement worker; 0: never",
        setter: time!(DAY, workers.timeout),
    },
    Entry {
        flag: "worker-priority",
        value: "P",
        help: "scheduling of workers on the loop's core: normal, nice:1 to nice:19, batch, idle, \
               or slice:TIME (time slices of 100us to 100ms)",
        setter: Setter::Other {
            get: |options| value::show_priority(options.workers.priority),
            set: |options, text| {
                options.workers.priority = value::priority(utf8(text)?)?;
                Ok(())
            },
        },
    },
    Entry {
        flag: "pin",
        value: "",
        help: "pin the loop and each worker to a processor of its own",
        setter: Setter::Switch(|options| &mut options.workers.pin),
    },
];

/// Options of worker processes.
pub(super) const PROCESSES: &[Entry] = &[
    Entry {
        flag: "workers",
        value: "N",
        help: "worker processes; auto: one per processor available to the server",
        setter: Setter::Other { get: worker_count, set: set_worker_count },
    },
    Entry {
        flag: "accept",
        value: "HOW",
        help: "reuseport: one listener per worker, balanced by the kernel; shared: one listener \
               for all; pass: the master accepts and passes to the least loaded worker",
        setter: Setter::Other {
            get: |options| name_of(&ACCEPTS, options.workers.accept).to_owned(),
            set: |options, text| {
                options.workers.accept = value_of(&ACCEPTS, text)?;
                Ok(())
            },
        },
    },
    Entry {
        flag: "pin",
        value: "",
        help: "pin each worker to a processor of its own",
        setter: Setter::Switch(|options| &mut options.workers.pin),
    },
];

const ACCEPTS: [(&str, Accept); 3] =
    [("reuseport", Accept::ReusePort), ("shared", Accept::Shared), ("pass", Accept::Pass)];

const OFFLOADS: [(&str, Offload); 2] = [("blocking", Offload::Blocking), ("all", Offload::All)];

const OVERLOADS: [(&str, Overload); 2] = [("wait", Overload::Wait), ("reject", Overload::Reject)];

pub(super) fn worker_count(options: &Options) -> String {
    options.workers.count.map_or("auto".to_owned(), |count| count.to_string())
}

pub(super) fn set_worker_count(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    options.workers.count = match utf8(text)? {
        "auto" => None,
        text => match value::count(text)? {
            count @ 1..=WORKERS_MAX => Some(count as usize),
            _ => return Err(Fault::invalid(format_args!("1 to {WORKERS_MAX}, or auto"))),
        },
    };
    Ok(())
}
