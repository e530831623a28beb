//! Stampede: every classic concurrency model of network servers, from scratch, with no async
//! runtime.
//!
//! A server does three tasks for every client; a concurrency model decides which process or thread
//! does which. The models share everything else:
//!
//! ```text
//! bin/       a few lines each: cargo run --release --bin sped
//! models/    which process or thread does Task 1, 2 and 3        (wiring only)
//! drivers/   one connection: read, parse, answer, write          (event-driven)
//! workers/   a place for work: threads behind rings
//! service/   what others know of a server: pid file, service manager; upgrade/, sandbox.rs, …
//! app.rs     Task 3, the same under every model                  site/ is the one that ships
//!            ──────────────────────────────────────────────────
//! http       bytes → requests, responses → bytes                 (sans-IO)
//! reactor    the operating system: readiness, sockets, buffers, timers
//! ```
//!
//! The crate is a framework, too: [`server::main`] runs an [`app::App`] of one's own under a model
//! chosen by name (see `servers/examples/hello.rs`).

#![forbid(unsafe_code)]

pub mod access_log;
pub mod app;
pub mod clock;
pub mod counters;
pub mod drivers;
pub mod listen;
pub mod models;
pub mod options;
pub mod privileges;
pub mod proxy_protocol;
pub mod response;
pub mod roster;
pub mod sandbox;
pub mod server;
pub mod service;
pub mod site;
pub mod upgrade;
pub mod workers;

pub use app::{Action, App, BodyPlan, Request};
pub use http::{Method, Status};
pub use response::{Piece, Prepared, Response};
