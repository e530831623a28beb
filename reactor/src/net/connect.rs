//! Connecting without waiting: `connect(2)` on a non-blocking socket.
//!
//! ```text
//!   Stream::connect ──► watch for WRITABLE ──► event ──► connected()
//!        │ Err                    │                         │ Ok(true)   established
//!        ▼                        ▼ timeout                 │ Ok(false)  not yet: the event was stale
//!    nothing was begun        drop the stream               └ Err        refused, unreachable, reset
//! ```
//!
//! The kernel gives up by itself after minutes (`tcp_syn_retries`); a caller that will not wait that
//! long sets the source a deadline and drops the stream when it comes.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use super::address::RawAddress;
#[cfg(target_os = "linux")]
use super::options;
use super::{Stream, os};
use crate::sys::check;

impl Stream {
    /// Begins to connect to a TCP address, IPv4 or IPv6, and does not wait.
    ///
    /// Watch the stream for [`WRITABLE`](crate::Interest::WRITABLE): an event comes when the outcome
    /// is known, and [`connected`](Stream::connected) tells it. If the connection is established at
    /// once, the event comes all the same, with the next wait.
    ///
    /// ```
    /// use stampede_reactor::event_loop::{Config, EventLoop, Handler};
    /// use stampede_reactor::{Interest, Readiness, Stream, Token, Trigger};
    /// use std::{io, net::TcpListener, time::Duration};
    ///
    /// struct Client(Stream, Option<io::Result<bool>>);
    ///
    /// impl Handler for Client {
    ///     fn ready(&mut self, ev: &mut EventLoop, _: Token, _: Readiness) {
    ///         self.1 = Some(self.0.connected());
    ///         ev.stop();
    ///     }
    ///
    ///     fn timeout(&mut self, ev: &mut EventLoop, _: Token) {
    ///         self.1 = Some(Err(io::ErrorKind::TimedOut.into()));
    ///         ev.stop();
    ///     }
    /// }
    ///
    /// let server = TcpListener::bind("127.0.0.1:0")?;
    /// let mut client = Client(Stream::connect(server.local_addr()?)?, None);
    /// let mut ev = EventLoop::new(Config::with_sources(1))?;
    /// let token = ev.register(&client.0, Interest::WRITABLE, Trigger::Level)?;
    /// ev.set_deadline_after(token, Duration::from_secs(3));
    /// ev.run(&mut client)?;
    /// assert!(matches!(client.1, Some(Ok(true))));
    /// # io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// Nothing was begun, and no event comes: no descriptor or no local port is free
    /// (`AddrNotAvailable`), there is no route (`NetworkUnreachable`), and some systems report a
    /// refusal by this machine at once.
    pub fn connect(address: SocketAddr) -> io::Result<Stream> {
        let family = if address.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET };
        begin(family, &RawAddress::inet(address))
    }

    /// The same from a local address, whose port may be 0. For a client with more connections to one
    /// address than there are ports (some 28,000 on Linux): each address of its own has as many.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Stream::connect); `AddrNotAvailable` also if `local` is no address of this
    /// machine.
    pub fn connect_from(local: SocketAddr, address: SocketAddr) -> io::Result<Stream> {
        let family = if address.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET };
        let socket = os::socket(family)?;
        #[cfg(target_os = "linux")]
        {
            // The port is chosen by connect, which knows the other half of the connection: one port
            // may serve for several addresses (ip(7)).
            let option = libc::IP_BIND_ADDRESS_NO_PORT;
            options::set_flag(socket.as_fd(), libc::SOL_IP, option, true)?;
        }
        let local = RawAddress::inet(local);
        let (from, len) = local.as_ptr();
        // SAFETY: `from` points at an address of `len` bytes.
        check(unsafe { libc::bind(socket.as_raw_fd(), from, len) })?;
        connect(socket, &RawAddress::inet(address))
    }

    /// Begins to connect to the Unix socket at `path`. Usually the connection is established when
    /// this returns; the protocol is that of [`connect`](Stream::connect) all the same.
    ///
    /// # Errors
    ///
    /// Nothing was begun, and no event comes. `WouldBlock`: on Linux, the listener's backlog is full;
    /// the kernel does not tell when there is room, so try again after a while. `ConnectionRefused`:
    /// no process listens any more (elsewhere, also a full backlog). `NotFound`: there is no such
    /// socket. `InvalidInput`: the path is too long for an address.
    pub fn connect_unix(path: impl AsRef<Path>) -> io::Result<Stream> {
        begin(libc::AF_UNIX, &RawAddress::unix(path.as_ref())?)
    }

    /// The outcome of [`connect`](Stream::connect), to be asked after an event: whether the
    /// connection is established. `false` means that it is not known yet: wait for another event.
    ///
    /// # Errors
    ///
    /// Why it failed (`SO_ERROR`), reported once: `ConnectionRefused`, `TimedOut`,
    /// `HostUnreachable`, `ConnectionReset` if the peer ended it at once. The stream is of no use
    /// then.
    pub fn connected(&self) -> io::Result<bool> {
        if let Some(error) = self.take_error()? {
            return Err(error);
        }
        match RawAddress::of_peer(self.as_fd()) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn begin(family: libc::c_int, address: &RawAddress) -> io::Result<Stream> {
    connect(os::socket(family)?, address)
}

fn connect(socket: OwnedFd, address: &RawAddress) -> io::Result<Stream> {
    let (to, len) = address.as_ptr();
    // SAFETY: `to` points at an address of `len` bytes.
    match check(unsafe { libc::connect(socket.as_raw_fd(), to, len) }) {
        Ok(_) => Ok(socket.into()),
        // Interrupted by a signal it goes on as well, and must not be called again (POSIX).
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => {
            Ok(socket.into())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "connect_tests.rs"]
mod tests;
