//! Options of a model whose workers are processes.

use super::Accept;
use super::list::{name_of, set_worker_count, value_of, worker_count};
use super::table::{Entry, Setter};

pub(super) const PROCESSES: &[Entry] = &[
    Entry {
        flag: "workers",
        value: "N",
        help: "worker processes; auto: as many as there are processors for this one",
        setter: Setter::Other { get: worker_count, set: set_worker_count },
    },
    Entry {
        flag: "accept",
        value: "HOW",
        help: "reuseport: a listener for each worker, connections spread by the kernel; shared: \
               one listener for all; pass: the master accepts and passes to whoever has the fewest",
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
        help: "keep each worker on a processor of its own",
        setter: Setter::Switch(|options| &mut options.workers.pin),
    },
];

const ACCEPTS: [(&str, Accept); 3] =
    [("reuseport", Accept::ReusePort), ("shared", Accept::Shared), ("pass", Accept::Pass)];
