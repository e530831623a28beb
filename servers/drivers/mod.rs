//! Drivers: how a conversation gets its bytes, written once for all models of a kind.
//!
//! | file | what |
//! |---|---|
//! | [`event`] | many conversations in one loop, over readiness |
//! | [`send`] | sending an output, as far as the socket has room |

pub mod accept;
pub mod event;
pub mod send;
