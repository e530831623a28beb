//! What holds under SPED holds under AMPED: the tests in which the driver's own waiting is at stake, once
//! more.

#![expect(clippy::duplicate_mod, reason = "every file brings the part that all share")]

#[path = "proxy.rs"]
mod proxy;
#[path = "regressions.rs"]
mod regressions;
#[path = "stop.rs"]
mod stop;
