//! What an operator needs of a server: where it listens, who it runs as, how it is confined,
//! watched over and replaced. The models are understood without it.
//!
//! | folder or file | what |
//! |---|---|
//! | `listen` | listening sockets, from the options |
//! | `proxy_protocol` | the client's address, as a proxy in front gives it |
//! | `privileges` | a user other than the one that started it |
//! | `sandbox` | nothing but what serving needs |
//! | `service` | pid file, service manager |
//! | `upgrade` | replaced by a newer version of itself: the old process's side |
//! | `inherited` | the new process's side |

pub mod inherited;
pub mod listen;
pub mod privileges;
pub mod proxy_protocol;
pub mod sandbox;
pub mod service;
pub mod upgrade;
