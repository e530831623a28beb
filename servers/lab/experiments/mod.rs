//! The claims, in the order in which the models are read: each file has one, or a few that one
//! measurement tests.

mod fork_cost;
mod hold;
mod iterative_stalls;
mod loop_10k;
mod memory;
mod pool_limit;
mod stall;
mod thread_ceiling;

use super::experiment::Experiment;

/// All of them.
pub static ALL: [&Experiment; 12] = [
    &iterative_stalls::ITERATIVE_STALLS,
    &pool_limit::POOL_LIMIT,
    &fork_cost::FORK_COST,
    &fork_cost::THREAD_COST,
    &memory::THREAD_MEMORY,
    &thread_ceiling::THREAD_CEILING,
    &loop_10k::LOOP_10K,
    &memory::LOOP_MEMORY,
    &memory::GREEN_THREAD_MEMORY,
    &stall::SPED_STALL,
    &stall::AMPED_ISOLATES,
    &stall::SYMPED_VARIANCE,
];
