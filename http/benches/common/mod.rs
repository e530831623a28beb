//! What the benchmarks and the counting example share: inputs, parsers, and a fair clock.
#![allow(dead_code, reason = "not every program uses all of it")]

pub mod bodies;
pub mod clock;
pub mod inputs;
pub mod parsers;
#[cfg(target_os = "linux")]
pub mod pico;
