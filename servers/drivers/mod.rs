//! Drivers: how a connection is served, written once for all models of a kind.
//!
//! [`event`] serves many connections from one loop over readiness. (A driver for threads and
//! fibers, which may block, belongs beside it.)

pub mod event;
