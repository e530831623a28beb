//! Stampede: every classic concurrency model of network servers, from scratch, with no async
//! runtime.
//!
//! A server does three tasks for every client; a concurrency model decides which process or thread
//! does which. The models share everything else:
//!
//! ```text
//! bin/         a few lines each: cargo run --release --bin sped
//! start.rs     arguments → options → listeners → model
//! models/      which process or thread does Task 1, 2 and 3       (wiring only; model.rs: what one is)
//! drivers/     one connection: read, parse, answer, write         (event-driven)
//! supervisor/  a master process, and the workers that it forks
//! operation/   what an operator needs: listen/, upgrade/, service/, sandbox.rs, privileges.rs, …
//! work/        a place for work: threads behind rings
//! metrics/     counters, in memory that processes share           options/, access_log/
//! app/         Task 3, the same under every model                 site/ is the one that ships
//!              ────────────────────────────────────────────────
//! http         bytes → requests, responses → bytes                (sans-IO)
//! reactor      the operating system: readiness, sockets, buffers, timers
//! ```
//!
//! The crate is a framework, too: [`start::main`] runs an [`app::App`] of one's own under a model
//! chosen by name (see `servers/examples/hello.rs`).

#![forbid(unsafe_code)]

pub mod access_log;
pub mod app;
pub mod drivers;
pub mod metrics;
pub mod model;
pub mod models;
pub mod operation;
pub mod options;
pub mod session;
pub mod site;
pub mod start;
pub(crate) mod supervisor;
pub mod work;

pub use app::response::{Piece, Prepared, Response};
pub use app::{Action, App, BodyPlan, Request};
pub use http::{Method, Status};
