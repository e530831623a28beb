//! Stampede: every classic concurrency model of network servers, from scratch, with no async
//! runtime.
//!
//! A server does three tasks for every client; a concurrency model decides which process or thread
//! does which. The models share everything else. Dependencies point downward only:
//!
//! ```text
//! bin/         a few lines each: cargo run --release --bin sped
//! start        arguments → options → listeners → model   (layers: .ci/layers.py)
//! models/      which process or thread does Task 1, 2 and 3       (wiring only)
//! supervisor/  a master process and the workers it forks          (independent of what they run)
//! drivers/     moving the bytes of connections                    (event-driven, blocking or staged)
//! session/     HTTP on one connection, without its socket         (sans-IO)
//! work/        running work elsewhere: worker threads and rings
//! operation/   listening, upgrades, service managers, privileges, sandbox
//! site/        the application that ships; any other App can take its place
//! app/         what an application (Task 3) is, the same under every model
//! access_log/  a line for each response
//! options/     command line and environment
//! metrics/     counters, in memory that processes share
//! model, report, failure   a model's description; messages to the operator
//!              ────────────────────────────────────────────────
//! http         bytes → requests, responses → bytes                (sans-IO)
//! reactor      the operating system: readiness, sockets, buffers, timers
//! ```
//!
//! The crate is also a framework: [`start::main`] runs your own [`app::App`] under a model chosen
//! by name (see `servers/examples/hello.rs`).

#![forbid(unsafe_code)]
// Messages go through `report`, which neither panics nor waits.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout, clippy::dbg_macro))]

pub mod access_log;
pub mod app;
pub mod drivers;
pub mod failure;
#[cfg(feature = "lab")]
pub mod lab;
pub mod metrics;
pub mod model;
pub mod models;
pub mod operation;
pub mod options;
pub mod report;
pub mod session;
pub mod site;
pub mod start;
pub(crate) mod supervisor;
pub mod work;

pub use app::response::{Piece, Prepared, Response};
pub use app::{Action, App, BodyPlan, Request};
pub use http::{Method, Status};
