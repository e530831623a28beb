//! What differs between systems with sockets; the choice between them is made here only.
//!
//! Every system's file has these, in this order (or has them from `accept4` or `copy`):
//!
//! | item | what |
//! |---|---|
//! | `SEND_FLAGS` | for every send: no `SIGPIPE`, where that is a flag |
//! | `MORE` | for a send that others will follow at once; 0 where there is no such flag |
//! | `LINGER` | the option whose lingering time is in seconds |
//! | `NOTSENT_LOWAT` | the option that bounds unsent bytes; `None` where there is none |
//! | `CONNECTION_ERRORS` | what accept may answer about one connection, not about the listener |
//! | `socket` | a stream socket: non-blocking, closed on exec, no `SIGPIPE` |
//! | `accept` | a connection: the same |
//! | `set_reuse_port` | several listeners on one port, connections **spread** between them |
//! | `share_port` | the same for a listener that had its port for itself so far |
//! | `set_defer_accept` | no connection without data |
//! | `set_fastopen` | data in the first packet |
//! | `set_congestion` | the algorithm by name |
//! | `set_cork` | hold small segments back |
//! | `recv`, `send` | `recv(2)`, `send(2)` |
//! | `sendfile` | at most `count` bytes of a file from `offset`; 0 at the file's end |
//!
//! What a system lacks is refused with `Unsupported`.

#[cfg(target_vendor = "apple")]
#[path = "apple.rs"]
mod chosen;
#[cfg(target_os = "freebsd")]
#[path = "freebsd.rs"]
mod chosen;
#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod chosen;
#[cfg(target_os = "netbsd")]
#[path = "netbsd.rs"]
mod chosen;

// What several of them do in the same way.
#[cfg(not(target_vendor = "apple"))]
mod accept4;
#[cfg(any(test, target_os = "netbsd"))]
pub(super) mod copy;
#[cfg(not(target_os = "linux"))]
mod transfer;

pub(super) use chosen::*;
