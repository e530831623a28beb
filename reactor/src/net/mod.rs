//! The sockets of a server: listeners and streams, for a loop that is told when to act, or for a
//! thread that waits in the call itself.
//!
//! ```text
//!   Listener::bind / bind_unix          accept()            Stream (4 bytes: a descriptor)
//!   socket, options, bind, listen  --------------->  recv, send, write_vectored, sendfile, ...
//!                                       | Empty      wait for the next event
//!                                       | Aborted    one client gone: go on
//!                                       | Exhausted  no descriptor, no memory: pause
//! ```
//!
//! [`Stream::connect`] and [`Stream::connect_unix`] begin a connection from this side; its outcome is
//! an event.
//!
//! [`ListenOptions`] has the options that servers set; a system that lacks one refuses it
//! (`Unsupported`) instead of ignoring it. [`Peer`] is the address of the other end.
//!
//! Reads and writes are `recv(2)` and `send(2)` themselves (a `read(2)` that finds nothing costs a
//! fifth more), retried when a signal interrupts them, not raising `SIGPIPE`; `WouldBlock` is an
//! [`ErrorKind`](std::io::ErrorKind) as in std. Sockets of std convert by `From`.
//!
//! [`is_stream`] and [`is_listening`] identify an inherited socket.
//!
//! A thread that serves one connection has [`Listener::accept_blocking`], the timeouts of
//! [`Stream::set_receive_timeout`] and [`wait()`]. What each way of keeping a deadline costs is
//! measured by `examples/deadlines.rs`.
//!
//! Datagrams need no type of their own: a `UdpSocket` of the standard library that is non-blocking
//! is a source like any other, and has the calls (`examples/udp_echo.rs`).
//!
//! Where the systems differ, `os/` has one file for each, the same functions in the same order.

mod address;
mod connect;
mod kind;
mod listener;
mod options;
mod os;
mod stream;
mod wait;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

pub use self::address::{Address, Peer};
pub use self::kind::{is_listening, is_stream};
pub use self::listener::{Accept, Listener};
pub use self::options::{HAS_NOTSENT_LOWAT, ListenOptions};
pub use self::stream::Stream;
pub use self::wait::{FAILURE, wait, wait_any};

/// One call where `fcntl(2)` would need two, and the same everywhere.
fn set_nonblocking(socket: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let on = libc::c_int::from(on);
    // SAFETY: FIONBIO reads one number, which lives until the call returns.
    crate::sys::check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONBIO, &on) })?;
    Ok(())
}
