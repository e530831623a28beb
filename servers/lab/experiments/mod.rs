//! The claims, in the order in which the models are read: each file has one, or a few that one
//! measurement tests.

mod congestion;
mod five_thousand;
mod fork_cost;
mod herd;
mod hold;
mod isolation;
mod iterative_stalls;
mod loop_10k;
mod memory;
mod no_alloc;
mod overhead;
mod pool_limit;
mod sendfile;
mod slowloris;
mod sockets;
mod stall;
mod summary;
mod switch_cost;
mod symped_ceiling;
mod thread_ceiling;
mod two_per_core;

pub use summary::summary;
pub use switch_cost::pong;

use super::experiment::Experiment;

/// All of them.
pub static ALL: [&Experiment; 27] = [
    &iterative_stalls::ITERATIVE_STALLS,
    &pool_limit::POOL_LIMIT,
    &slowloris::SLOWLORIS,
    &fork_cost::FORK_COST,
    &fork_cost::THREAD_COST,
    &memory::THREAD_MEMORY,
    &thread_ceiling::THREAD_CEILING,
    &loop_10k::LOOP_10K,
    &memory::LOOP_MEMORY,
    &memory::GREEN_THREAD_MEMORY,
    &five_thousand::FIVE_THOUSAND,
    &isolation::ISOLATION,
    &herd::HERD,
    &two_per_core::TWO_PER_CORE,
    &switch_cost::SWITCH_COST,
    &stall::SPED_STALL,
    &stall::AMPED_ISOLATES,
    &overhead::AMPED_QUEUE,
    &overhead::SEDA_OVERHEAD,
    &symped_ceiling::SYMPED_CEILING,
    &stall::SYMPED_VARIANCE,
    &no_alloc::NO_ALLOC,
    &sockets::DEFER_ACCEPT,
    &sendfile::SENDFILE,
    &sockets::NAGLE,
    &sockets::LINGER,
    &congestion::CONGESTION,
];
