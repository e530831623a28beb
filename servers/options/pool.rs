//! Options of a model whose connections are served by a fixed number of threads in processes.

use std::thread::available_parallelism;

use super::Options;
use super::table::{Entry, Setter, number};
use super::threads::{CONTEXTS, STACK_SIZE};
use super::workers::{MAX_REQUESTS, set_worker_count, worker_count};

/// Clients served at once by default, per processor. A keep-alive client holds its thread also
/// while it is idle, and a browser opens six connections. A process takes about 200 KiB beside its
/// caches (measured, 32 of them), so that more than work needs cost little.
const CLIENTS_PER_CORE: usize = 16;
/// Upper bound of the default number of processes: Apache's `MaxRequestWorkers`.
const PROCESSES_DEFAULT_MAX: usize = 256;
/// More threads in one process are a typing error.
const THREADS_MAX: u64 = 16 * 1024;

impl Options {
    /// Threads that serve in each process, at most one for each connection allowed.
    pub fn serving_threads(&self) -> usize {
        self.threads.per_process.min(self.limits.connections) as usize
    }

    /// Processes that serve.
    pub fn serving_processes(&self) -> usize {
        let cores = || available_parallelism().map_or(1, usize::from);
        let threads = self.serving_threads();
        self.workers.count.unwrap_or_else(|| processes_default(cores(), threads))
    }

    /// Contexts shared by the threads of a process.
    pub fn serving_contexts(&self) -> usize {
        self.contexts().min(self.serving_threads())
    }
}

/// At least one for each processor, and enough for the clients.
fn processes_default(cores: usize, threads: usize) -> usize {
    (cores * CLIENTS_PER_CORE).div_ceil(threads).max(cores).min(PROCESSES_DEFAULT_MAX)
}

pub(super) const POOL: &[Entry] = &[
    Entry {
        flag: "workers",
        value: "N",
        help: "worker processes; auto: as many as it takes to serve 16 clients per processor, but \
               one per processor at least, and 256 at most",
        setter: Setter::Other { get: worker_count, set: set_worker_count },
    },
    Entry {
        flag: "threads",
        value: "N",
        help: "clients served at once by each process, a thread each; the rest wait in the kernel",
        setter: Setter::Count(number!(1..=THREADS_MAX, threads.per_process: u32)),
    },
    MAX_REQUESTS,
    STACK_SIZE,
    CONTEXTS,
    Entry {
        flag: "pin",
        value: "",
        help: "pin each process to one processor, in turn",
        setter: Setter::Switch(|options| &mut options.workers.pin),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_serves_as_many_clients_with_fewer_processes_of_more_threads() {
        assert_eq!(processes_default(2, 1), 32);
        assert_eq!(processes_default(2, 8), 4);
        assert_eq!(processes_default(2, 25), 2);
        assert_eq!(processes_default(64, 1), 256);
        assert_eq!(processes_default(64, 64), 64);
    }
}
