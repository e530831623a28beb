//! Drivers: how a session gets its bytes, written once for all models of a kind.
//!
//! | file | what |
//! |---|---|
//! | [`event`] | many sessions in one loop, driven by readiness |
//! | [`blocking`] | one session, on a thread that waits for its client |
//! | [`transport`] | how it waits: in the kernel, or with a loop of its own |
//! | [`forked`] | a child process for each connection: its parent, and how it waits for its client |
//! | [`parking`] | how a green thread waits: other fibers run meanwhile |
//! | [`contexts`] | the contexts that sessions on many threads share |
//! | [`main_loop`] | accepting and stopping, where connections are served elsewhere |
//! | [`staged`] | sessions that move from stage to stage |
//! | [`accept`] | accepting, for all of them; `accept_budget`: how many connections a turn |
//! | [`serving_threads`] | a fixed number of threads that serve connections |
//! | [`send`] | sending an output, as far as the socket has room |

pub mod accept;
mod accept_budget;
pub mod blocking;
pub mod contexts;
pub mod event;
pub mod forked;
pub mod main_loop;
pub mod parking;
pub mod send;
pub mod serving_threads;
pub mod staged;
pub mod transport;
