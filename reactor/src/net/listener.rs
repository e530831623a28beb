//! A listening socket: made with its options in the right order, and what accepting can come to.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use libc::c_int;

use super::address::RawAddress;
use super::{Address, ListenOptions, Peer, Stream, options, os};
use crate::sys::check;

/// A socket on which connections arrive.
///
/// One that was bound here is non-blocking; one that comes from elsewhere is as it was.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
}

/// Whether the calls of a connection wait.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    NonBlocking,
    Blocking,
}

/// What became of an attempt to accept.
#[derive(Debug)]
pub enum Accept {
    /// A connection, closed on exec; non-blocking unless it was asked for otherwise.
    Stream(Stream, Peer),
    /// Nobody waits. Dear to find out: better to stop when a budget is spent.
    Empty,
    /// This client was gone before it was accepted; the next one may be fine: go on.
    Aborted,
    /// No descriptor or no memory left (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`); Linux finds that
    /// out first, and says so even if nobody waits.
    ///
    /// The connection stays in the backlog and a level-triggered listener stays ready: watch it no
    /// more until some connection has ended or a moment has passed, or the loop spins.
    Exhausted(io::Error),
}

impl Listener {
    /// Listens for TCP connections. An error names the address and the cause.
    pub fn bind(addr: SocketAddr, options: &ListenOptions) -> io::Result<Listener> {
        Listener::bind_inet(addr, options).map_err(|error| explain(&addr, error))
    }

    fn bind_inet(addr: SocketAddr, options: &ListenOptions) -> io::Result<Listener> {
        let family = if addr.is_ipv6() { libc::AF_INET6 } else { libc::AF_INET };
        let listener = Listener { fd: os::socket(family)? };
        options::before_bind(listener.as_fd(), addr.is_ipv6(), options)?;
        listener.bind_to(&RawAddress::inet(addr))?;
        listener.listen(options.backlog)?;
        options::after_listen(listener.as_fd(), options)?;
        Ok(listener)
    }

    /// Listens on a Unix socket at `path`, which should be the caller's to remove in the end.
    ///
    /// A socket that a dead server left behind (nobody answers) is replaced; one that is in use, or
    /// a file that is no socket, is `AddrInUse`. Two servers that start at the same instant can
    /// both think so: the later one has the path.
    pub fn bind_unix(path: impl AsRef<Path>, backlog: u32) -> io::Result<Listener> {
        let path = path.as_ref();
        Listener::bind_path(path, backlog)
            .map_err(|error| explain(&Address::Unix(Some(path.into())), error))
    }

    fn bind_path(path: &Path, backlog: u32) -> io::Result<Listener> {
        let raw = RawAddress::unix(path)?;
        let listener = Listener { fd: os::socket(libc::AF_UNIX)? };
        match listener.bind_to(&raw) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path, &raw)? => {
                fs::remove_file(path)?;
                listener.bind_to(&raw)?;
            }
            result => result?,
        }
        listener.listen(backlog)?;
        Ok(listener)
    }

    fn bind_to(&self, address: &RawAddress) -> io::Result<()> {
        let (from, len) = address.as_ptr();
        // SAFETY: `from` points at an address of `len` bytes.
        check(unsafe { libc::bind(self.as_raw_fd(), from, len) })?;
        Ok(())
    }

    fn listen(&self, backlog: u32) -> io::Result<()> {
        let backlog = backlog.min(c_int::MAX as u32) as c_int;
        // SAFETY: takes no pointer.
        check(unsafe { libc::listen(self.as_raw_fd(), backlog) })?;
        Ok(())
    }

    /// Sets, of the options, those that a TCP socket can be given while it listens: for a listener
    /// that was inherited. `backlog`, `reuse_port` and `v6only` are as its maker chose.
    pub fn tune(&self, options: &ListenOptions) -> io::Result<()> {
        options::after_listen(self.as_fd(), options)
    }

    /// Takes the connection that has waited longest.
    ///
    /// An error is about the listener itself (not a socket, not listening): give it up.
    #[inline]
    pub fn accept(&self) -> io::Result<Accept> {
        self.accept_as(Mode::NonBlocking)
    }

    /// The same, but the connection's own calls wait: for a thread that serves it alone.
    ///
    /// Whether accepting waits is still the listener's choice.
    pub fn accept_blocking(&self) -> io::Result<Accept> {
        self.accept_as(Mode::Blocking)
    }

    #[inline(always)]
    fn accept_as(&self, mode: Mode) -> io::Result<Accept> {
        let mut peer = RawAddress::empty();
        match os::accept(self.as_fd(), &mut peer, mode) {
            Ok(fd) => Ok(Accept::Stream(fd.into(), peer.peer())),
            Err(error) => classify(error),
        }
    }

    /// Where it listens; with the port that the system chose if 0 was asked for.
    pub fn local_addr(&self) -> io::Result<Address> {
        Ok(RawAddress::of(self.as_fd())?.address())
    }

    /// Whether accept waits instead of answering [`Accept::Empty`].
    pub fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        super::set_nonblocking(self.as_fd(), on)
    }
}

/// `accept(2)` also passes on errors of the connection that it would have returned.
#[cold]
fn classify(error: io::Error) -> io::Result<Accept> {
    match error.raw_os_error() {
        Some(libc::EAGAIN) => Ok(Accept::Empty),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
            Ok(Accept::Exhausted(error))
        }
        Some(number) if os::CONNECTION_ERRORS.contains(&number) => Ok(Accept::Aborted),
        _ => Err(error),
    }
}

/// Whether `path` is a socket at which nobody listens any more.
fn is_stale(path: &Path, address: &RawAddress) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => return Ok(false),
        Ok(_) => {}
        Err(error) => return Err(error),
    }
    let probe = os::socket(libc::AF_UNIX)?;
    let (to, len) = address.as_ptr();
    // SAFETY: `to` points at an address of `len` bytes.
    let connected = check(unsafe { libc::connect(probe.as_raw_fd(), to, len) });
    // Anything but a refusal, a full backlog too, comes from somebody who is there.
    Ok(connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
}

/// Names the address, the cause, and for the common causes the mend.
fn explain(address: &dyn std::fmt::Display, error: io::Error) -> io::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => ": somebody else is there; stop them or choose another",
        io::ErrorKind::AddrNotAvailable => ": this machine does not have that address",
        io::ErrorKind::PermissionDenied => ": ports below 1024 and foreign folders need privileges",
        _ => "",
    };
    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}{hint}"))
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl From<OwnedFd> for Listener {
    fn from(fd: OwnedFd) -> Listener {
        Listener { fd }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Listener {
        OwnedFd::from(listener).into()
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Listener {
        OwnedFd::from(listener).into()
    }
}

impl From<Listener> for OwnedFd {
    fn from(listener: Listener) -> OwnedFd {
        listener.fd
    }
}

#[cfg(test)]
#[path = "listener_tests.rs"]
mod tests;
