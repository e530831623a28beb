//! A listening socket: created with its options in the right order, and what accepting can return.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use libc::c_int;

use super::address::RawAddress;
use super::{Address, ListenOptions, Peer, Stream, options, os};
use crate::sys::check;

/// A socket on which connections arrive.
///
/// One that was bound here is non-blocking; an inherited one keeps its mode.
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

/// The result of an attempt to accept.
#[derive(Debug)]
pub enum Accept {
    /// A connection, closed on exec; non-blocking unless it was asked for otherwise.
    Stream(Stream, Peer),
    /// No connection is pending. Expensive to find out: better to stop when a budget is spent.
    Empty,
    /// This client was gone before it was accepted; the next one may be fine: carry on.
    Aborted,
    /// Out of descriptors or memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`); Linux checks that
    /// first, and reports it even if no connection is pending.
    ///
    /// The connection stays in the backlog and a level-triggered listener stays ready: stop
    /// watching it until some connection has ended or a moment has passed, or the loop spins.
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

    /// Listens on a Unix socket at `path`, which the caller should remove when done.
    ///
    /// A socket that a dead server left behind (connecting is refused) is replaced; one that is in
    /// use, or a file that is not a socket, is `AddrInUse`. Two servers that start at the same
    /// instant can both find it abandoned: the later one gets the path.
    pub fn bind_unix(path: impl AsRef<Path>, backlog: u32) -> io::Result<Listener> {
        Listener::bind_path(path.as_ref(), backlog)
    }

    /// The same, with these permissions whatever the process's umask: to connect, a process needs
    /// write permission. They hold from the moment when the name exists.
    ///
    /// A file that another thread creates during the call may get them, too: meant for the start,
    /// before there are threads.
    pub fn bind_unix_as(path: impl AsRef<Path>, backlog: u32, mode: u32) -> io::Result<Listener> {
        with_umask(!mode & 0o777, || Listener::bind_path(path.as_ref(), backlog))
    }

    fn bind_path(path: &Path, backlog: u32) -> io::Result<Listener> {
        Listener::bind_named(path, backlog)
            .map_err(|error| explain(&Address::Unix(Some(path.into())), error))
    }

    fn bind_named(path: &Path, backlog: u32) -> io::Result<Listener> {
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

    /// Sets those options that a TCP socket accepts while it listens: for a listener that was
    /// inherited. `backlog`, `reuse_port` and `v6only` stay as its creator chose.
    pub fn tune(&self, options: &ListenOptions) -> io::Result<()> {
        options::after_listen(self.as_fd(), options)
    }

    /// Lets others that are bound with [`ListenOptions::reuse_port`] share its port from now on. One
    /// that was bound without it had the port for itself at that moment, which one that is bound
    /// with it cannot know.
    ///
    /// # Errors
    /// `Unsupported` but on Linux.
    pub fn share_port(&self) -> io::Result<()> {
        os::share_port(self.as_fd())
    }

    /// Whether it takes no IPv4 connections (`IPV6_V6ONLY`).
    ///
    /// # Errors
    /// It is no IPv6 listener.
    pub fn is_v6only(&self) -> io::Result<bool> {
        let on = options::get_number(self.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY)?;
        Ok(on != 0)
    }

    /// Another descriptor of the same socket, with the same queue.
    pub fn try_clone(&self) -> io::Result<Listener> {
        Ok(Listener { fd: self.fd.try_clone()? })
    }

    /// Takes the connection that has waited longest.
    ///
    /// An error is about the listener itself (not a socket, not listening): abandon it.
    #[inline]
    pub fn accept(&self) -> io::Result<Accept> {
        self.accept_as(Mode::NonBlocking)
    }

    /// The same, but the connection's own calls wait: for a thread that serves it alone.
    ///
    /// Whether accepting itself waits still depends on the listener's mode.
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

    /// The address it listens on; with the port that the system chose if 0 was requested.
    pub fn local_addr(&self) -> io::Result<Address> {
        Ok(RawAddress::of(self.as_fd())?.address())
    }

    /// Whether accept waits instead of returning [`Accept::Empty`].
    pub fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        super::set_nonblocking(self.as_fd(), on)
    }
}

/// `accept(2)` also reports pending errors of the connection it would have returned.
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

/// Calls `make` with this umask. Not chmod(2) afterwards: it would follow a link that another user
/// puts in place of the name.
fn with_umask<T>(umask: u32, make: impl FnOnce() -> T) -> T {
    // Or the umask that one thread restores could be the other's.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: takes a number, and cannot fail.
    let before = unsafe { libc::umask(umask as libc::mode_t) };
    let made = make();
    // SAFETY: as above.
    unsafe { libc::umask(before) };
    made
}

/// Whether `path` is a socket on which no process listens any more.
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
    // Anything but a refusal, even a full backlog, means that a server is listening.
    Ok(connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused))
}

/// Names the address, the cause, and for the common causes the fix.
fn explain(address: &dyn std::fmt::Display, error: io::Error) -> io::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            ": already in use; stop the other server or choose another address"
        }
        io::ErrorKind::AddrNotAvailable => ": not an address of this machine",
        io::ErrorKind::PermissionDenied => {
            ": ports below 1024 and other users' directories need privileges"
        }
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
