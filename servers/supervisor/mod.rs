//! A master process and its workers: forking, replacing and stopping them, and the control messages
//! between them. How a worker serves its clients is up to the model.
//!
//! ```text
//!  run(…, work) ─► Master ── fork ─► work(WorkerSetup): builds a handler ─► serve()
//!                    ▲  └── ControlMessage ──► Worker ──► Supervised: receive, adopt, end, …
//!                    └───── Ready, Leave ───────┘
//! ```
//!
//! | file | what |
//! |---|---|
//! | `master` | decisions |
//! | `workers` | worker slots and the processes in them |
//! | `rolling_restart` | replacing all workers, and stopping |
//! | `queues` | which worker accepts from which listener, also during a back-off |
//! | `fd_passing` | connections that the master accepts for its workers |
//! | `control` | messages between master and workers |
//! | `lifetime` | when a worker asks for a successor by itself |
//! | `worker` | the worker process: its setup, and how it follows the master |

mod control;
mod fd_passing;
mod lifetime;
mod master;
mod queues;
mod rolling_restart;
mod worker;
mod workers;

use std::io;

use reactor::Token;
use reactor::event_loop::Config;

use crate::failure::Retrying;
use crate::metrics::Metrics;
use crate::operation::listen::Listening;
use crate::operation::log_file::LogFile;
use crate::operation::service::Service;
use crate::operation::upgrade::Upgrade;
use crate::operation::{self, SIGNALS};
use crate::options::{Accept, Options};
use fd_passing::Passing;
use queues::QueueTakeover;
use rolling_restart::{RollingRestart, Stage};
use workers::Workers;

pub use worker::{Supervised, WorkerSetup, serve};

/// Sources of the master's loop: two for each worker, and a few more. It has no connections.
const SOURCES_MAX: u32 = 16 * 1024;

/// Counters per worker slot: for the worker itself, and for predecessors that are still finishing
/// requests. When all are taken, the next replacement waits for one of them to exit.
pub const SLOTS_PER_POST: usize = 4;

/// Keeps a worker in every worker slot (one per loop of `metrics`) until a signal stops the server.
/// Also returns in every worker, with the result of `work`. Connections reach the workers as
/// `accept` says.
///
/// # Errors
/// In the master: a failing system call at startup, or a first worker that could not start.
pub fn run(
    options: &Options,
    accept: Accept,
    listeners: Vec<Listening>,
    metrics: Metrics,
    service: Service,
    work: impl FnOnce(WorkerSetup) -> io::Result<()>,
) -> io::Result<()> {
    let mut event_loop = operation::event_loop(Config::with_sources(SOURCES_MAX), &SIGNALS)?;
    let mut master = Master::new(&mut event_loop, options, accept, (listeners, metrics, service))?;
    while !master.is_done() {
        while let Some(post) = master.next_vacancy() {
            if let Some(setup) = master.fill(&mut event_loop, post) {
                // This is the worker: it must not keep the master's descriptors.
                drop((master, event_loop));
                return work(setup);
            }
        }
        event_loop.run(&mut master)?;
    }
    master.result()
}

/// The master's loop handler.
struct Master {
    /// All listeners, open while the server serves: closing one would drop its queue.
    listeners: Vec<Listening>,
    workers: Workers,
    /// Worker slots to fill now.
    vacancies: Vec<usize>,
    stage: Stage,
    rolling_restart: RollingRestart,
    upgrade: Upgrade,
    /// The source whose deadline kills the remaining workers.
    kill_timer: Token,
    drain_ms: u64,
    /// Which workers accept in place of those in back-off.
    takeover: QueueTakeover,
    /// With `--accept pass`.
    passing: Option<Passing>,
    /// Announced when every worker slot is serving for the first time.
    service: Service,
    /// The log file, if it has to be made for the workers.
    log_file: Option<LogFile>,
    /// Why a worker could not start before the server was ever ready.
    failed: Option<String>,
    /// Forking fails, and is tried again.
    forking: Retrying,
}
