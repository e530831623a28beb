//! What holds under SPED holds on green threads: the same tests once more.

#![expect(clippy::duplicate_mod, reason = "every file brings the part that all share")]

#[path = "bodies.rs"]
mod bodies;
#[path = "conformance/main.rs"]
mod conformance;
#[path = "cutting.rs"]
mod cutting;
#[path = "limits.rs"]
mod limits;
#[path = "listen.rs"]
mod listen;
#[path = "log.rs"]
mod log;
#[path = "proxy.rs"]
mod proxy;
#[path = "regressions.rs"]
mod regressions;
#[path = "representations.rs"]
mod representations;
#[path = "site.rs"]
mod site;
#[path = "slow.rs"]
mod slow;
#[path = "stop.rs"]
mod stop;
#[path = "timeouts.rs"]
mod timeouts;
