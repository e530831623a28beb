//! What holds under SPED holds under SYMPED, with one worker: the same tests once more.

#![expect(clippy::duplicate_mod, reason = "every file brings the part that all share")]

#[path = "conformance/main.rs"]
mod conformance;
#[path = "listen.rs"]
mod listen;
#[path = "log.rs"]
mod log;
#[path = "proxy.rs"]
mod proxy;
#[path = "site.rs"]
mod site;
#[path = "stop.rs"]
mod stop;
