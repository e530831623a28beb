//! A master process and its workers: forking, replacing, ending them, and what they say to each
//! other.
//!
//! | file | what |
//! |---|---|
//! | `master` | decides |
//! | `workers` | posts and the workers in them |
//! | `rolling_restart` | replacing all, and ending |
//! | `queues` | whose listener is whose, also while a worker is in back-off |
//! | `fd_passing` | connections that the master accepts for its workers |
//! | `control` | what the processes say |
//! | `worker` | the worker process |

mod control;
mod fd_passing;
pub mod master;
mod queues;
mod rolling_restart;
pub mod worker;
mod workers;
