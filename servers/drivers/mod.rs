//! Drivers: how a session gets its bytes, written once for all models of a kind.
//!
//! | file | what |
//! |---|---|
//! | [`event`] | many sessions in one loop, driven by readiness |
//! | [`blocking`] | one session, on a thread that waits for its client |
//! | [`transport`] | how it waits: in the kernel, or with a loop of its own |
//! | [`forked`] | a child process for each connection: its parent, and how it waits for its client |
//! | [`contexts`] | the contexts that sessions on many threads share |
//! | [`main_loop`] | accepting and stopping, where connections are served elsewhere |
//! | [`accept`] | accepting, for all of them |
//! | [`send`] | sending an output, as far as the socket has room |

pub mod accept;
pub mod blocking;
pub mod contexts;
pub mod event;
pub mod forked;
pub mod main_loop;
pub mod send;
pub mod transport;
