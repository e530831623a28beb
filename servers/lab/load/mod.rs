//! The load generator: clients for any HTTP/1.1 server, with our own loop and parser.
//!
//! ```text
//! Plan ─► Running ─┬─ thread: Driver ─ EventLoop ─ Client, Client, …     its share of the plan
//!                  ├─ thread: Driver …
//!                  └─ sum of their Records, at any time and at the end
//! ```
//!
//! | file | what |
//! |---|---|
//! | `plan` | what a load is |
//! | `routes` | requests, their weights, the right answers |
//! | `driver` | the loop: connects, sends, receives, starts again |
//! | `client` | one connection, without its loop |
//! | `pace` | when the next request is due |
//! | `slow` | clients that stall |
//! | `record` | counts and latencies |
//! | `running` | threads, and what they have done so far |
//! | `command` | `lab load` |
//!
//! A latency is the time from when a request is sent (open loop: from when it was due) until its
//! response is complete. What is *not* measured: the time that a connection takes to come about,
//! but for requests that were due before.

mod client;
pub mod command;
mod connect;
mod driver;
pub mod expect;
mod pace;
pub mod plan;
mod progress;
pub mod record;
pub mod routes;
pub mod running;
pub mod slow;

pub use plan::{Pace, Plan};
pub use record::{Counts, Record};
pub use routes::{Described, Route};
pub use running::Running;
pub use slow::Slow;
