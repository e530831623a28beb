//! The client's side.

pub mod request;
