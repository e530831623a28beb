//! What holds outside a sandbox holds inside: tests of files, logs and the end once more, with every
//! request handed to a thread.

#![cfg(target_os = "linux")]
#![expect(clippy::duplicate_mod, reason = "every file brings the part that all share")]

#[path = "log.rs"]
mod log;
#[path = "representations.rs"]
mod representations;
#[path = "site.rs"]
mod site;
#[path = "stop.rs"]
mod stop;
