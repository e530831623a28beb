//! Options of models with workers: threads fed by rings, or processes.

use std::ffi::OsStr;

use reactor::process::Channel;

use super::error::Fault;
use super::table::{DAY, Entry, Setter, number, time, utf8};
use super::value::{self, name_of, value_of};
use super::{Accept, Offload, Options, Overload};

/// More workers than any machine has processors.
const WORKERS_MAX: u64 = 1024;
/// More is never.
const REQUESTS_MAX: u64 = 1 << 40;
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
    PRIORITY,
    Entry {
        flag: "pin",
        value: "",
        help: "pin the loop and each worker to a processor of its own",
        setter: Setter::Switch(|options| &mut options.workers.pin),
    },
];

/// For every model with threads that work.
pub(super) const PRIORITY: Entry = Entry {
    flag: "worker-priority",
    value: "P",
    help: "scheduling of threads that work: normal, nice:1 to nice:19, batch, idle, or slice:TIME \
           (time slices of 100us to 100ms)",
    setter: Setter::Other {
        get: |options| value::show_priority(options.workers.priority),
        set: |options, text| {
            options.workers.priority = value::priority(utf8(text)?)?;
            Ok(())
        },
    },
};

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
               for all; pass (not on macOS): the master accepts and passes to the least loaded \
               worker",
        setter: Setter::Other {
            get: |options| name_of(&ACCEPTS, options.workers.accept).to_owned(),
            set: |options, text| {
                options.workers.accept = accept(text, Channel::KEEPS_CLOSED)?;
                Ok(())
            },
        },
    },
    MAX_REQUESTS,
    Entry {
        flag: "pin",
        value: "",
        help: "pin each worker to a processor of its own",
        setter: Setter::Switch(|options| &mut options.workers.pin),
    },
];

/// Of each worker process.
pub(super) const MAX_REQUESTS: Entry = Entry {
    flag: "max-requests",
    value: "N",
    help: "replace a worker process after about N requests (N to 1.25 N, so that not all are \
           replaced at once); 0: never",
    setter: Setter::Count(number!(0..=REQUESTS_MAX, workers.requests_max: u64)),
};

const ACCEPTS: [(&str, Accept); 3] =
    [("reuseport", Accept::ReusePort), ("shared", Accept::Shared), ("pass", Accept::Pass)];

/// The master closes a connection as soon as it has passed it: it cannot keep thousands of them
/// open until their workers have them, and its copy would hold back the end of each.
fn accept(text: &OsStr, channel_keeps_closed: bool) -> Result<Accept, Fault> {
    match value_of(&ACCEPTS, text)? {
        Accept::Pass if !channel_keeps_closed => Err(Fault::new(
            "this system can lose connections on their way to a worker",
            "use --accept shared",
        )),
        accept => Ok(accept),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_passed_only_where_none_is_lost() {
        for (name, accept_as) in ACCEPTS {
            assert_eq!(accept(OsStr::new(name), true), Ok(accept_as));
            assert_eq!(accept(OsStr::new(name), false).is_err(), accept_as == Accept::Pass);
        }
        let fault = accept(OsStr::new("pass"), false).unwrap_err();
        assert_eq!(fault.hint, "use --accept shared");
    }
}
