//! What holds under SPED holds under AMPED, with every request handed over: the same tests once more.

#![expect(clippy::duplicate_mod, reason = "every file brings the part that all share")]

#[path = "bodies.rs"]
mod bodies;
#[path = "conformance/main.rs"]
mod conformance;
#[path = "cutting.rs"]
mod cutting;
#[path = "limits.rs"]
mod limits;
#[path = "log.rs"]
mod log;
#[path = "regressions.rs"]
mod regressions;
#[path = "representations.rs"]
mod representations;
#[path = "site.rs"]
mod site;
#[path = "stop.rs"]
mod stop;
#[path = "timeouts.rs"]
mod timeouts;
