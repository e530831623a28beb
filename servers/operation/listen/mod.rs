//! From configured addresses to listening sockets.
//!
//! A listener is bound here (TCP), created in the file system (Unix, removed on exit), or inherited
//! from another process, which may have bound a port that this one could not: by number (`fd:N`,
//! systemd's LISTEN_FDS), or from the server that this one replaces.
//!
//! *Not* guaranteed: that a Unix socket's file is removed when the process is killed; the next
//! server at that path replaces it.

use std::fmt::Display;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{OwnedFd, RawFd};

use reactor::net::{Address, ListenOptions, Listener, is_listening, is_stream};
use reactor::process::inherited_fd;

use crate::operation::inherited::Inherited;
use crate::options::{ListenAddr, Options};
use crate::report::report;

mod file;
mod overlap;

pub use file::SocketFile;

/// A non-blocking listening socket, and its address.
#[derive(Debug)]
pub struct Listening {
    /// The socket.
    pub listener: Listener,
    /// The address as configured, by which a successor finds it.
    pub addr: ListenAddr,
    /// Its index among the listeners of this address, each with a queue of its own.
    pub queue: usize,
    /// `http://127.0.0.1:8080` with the port actually bound, or `unix:PATH`.
    pub url: String,
    /// The file of a Unix socket created here, removed on exit.
    pub file: Option<SocketFile>,
    /// Whether other processes accept from it, too.
    pub shared: bool,
}

impl Listening {
    /// Leaves a Unix socket's file in place: another process continues to use it.
    pub fn leave_file(&mut self) {
        if let Some(file) = &mut self.file {
            file.leave();
        }
    }
}

/// Listens on every address of `options`, or on none; on TCP addresses with up to `queues`
/// listeners each. Sockets in `inherited` are used before anything is bound.
///
/// All checks come before the first address is bound: a mistake in the list is reported as such,
/// not hidden behind a port that this user may not bind.
///
/// # Errors
/// The first address that cannot be listened on, with the cause.
pub fn open(
    options: &Options,
    queues: usize,
    inherited: &mut Inherited,
) -> io::Result<Vec<Listening>> {
    overlap::refuse_repeats(&options.listen)?;
    let adopted: Vec<Vec<Listener>> = options
        .listen
        .iter()
        .map(|addr| adopt(addr, options, inherited.take(addr)))
        .collect::<io::Result<_>>()?;
    let reaches = overlap::refuse_overlaps(&options.listen, &adopted)?;
    let mut all = Vec::new();
    for ((addr, listeners), reach) in options.listen.iter().zip(adopted).zip(reaches) {
        let v6only = !reach.is_some_and(|reach| reach.takes_all_v4());
        all.extend(open_one(addr, options, (queues, v6only), listeners)?);
    }
    Ok(all)
}

/// The existing listeners of one address: from a predecessor, or by number.
fn adopt(
    addr: &ListenAddr,
    options: &Options,
    inherited: Vec<OwnedFd>,
) -> io::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for socket in inherited {
        listeners.push(adapt(socket, options).map_err(|why| refused(addr, &why))?);
    }
    if let ListenAddr::Fd(fd) = addr
        && listeners.is_empty()
    {
        listeners.push(inherit(*fd, options).map_err(|why| refused(addr, &why))?);
    }
    Ok(listeners)
}

/// The listeners of one address: the `adopted` ones, and new ones for the rest.
fn open_one(
    addr: &ListenAddr,
    options: &Options,
    (queues, v6only): (usize, bool),
    adopted: Vec<Listener>,
) -> io::Result<Vec<Listening>> {
    let mut listeners = adopted;
    let found = !listeners.is_empty();
    match addr {
        ListenAddr::Tcp(addr) => bind_queues(&mut listeners, *addr, options, (queues, v6only))?,
        ListenAddr::Unix(path) if !found => {
            listeners.push(Listener::bind_unix_as(path, options.backlog, options.unix_mode)?);
        }
        ListenAddr::Unix(_) | ListenAddr::Fd(_) => {}
    }
    let mut file = match addr {
        ListenAddr::Unix(path) => Some(SocketFile::at(path, found)?),
        ListenAddr::Tcp(_) | ListenAddr::Fd(_) => None,
    };
    let one = |(queue, listener): (usize, Listener)| {
        let (url, addr) = (url(&listener)?, addr.clone());
        Ok(Listening { listener, addr, queue, url, file: file.take(), shared: false })
    };
    listeners.into_iter().enumerate().map(one).collect()
}

/// Binds the listeners missing from `listeners`.
fn bind_queues(
    listeners: &mut Vec<Listener>,
    addr: SocketAddr,
    options: &Options,
    (queues, v6only): (usize, bool),
) -> io::Result<()> {
    let tcp = ListenOptions { v6only, ..listen_options(options) };
    if listeners.is_empty() {
        listeners.push(match queues {
            1 => bind_tcp(addr, &tcp)?,
            _ => bind_first(addr, &tcp)?,
        });
    }
    let bound = listeners[0].local_addr()?.socket_addr().unwrap_or(addr);
    let tcp = ListenOptions { reuse_port: true, ..tcp };
    while listeners.len() < queues {
        match Listener::bind(bound, &tcp) {
            Ok(listener) => listeners.push(listener),
            // An inherited listener may not allow sharing its port: then all workers share it.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Binds the first of several listeners on one port. They need `SO_REUSEPORT` (`socket(7)`), with
/// which two servers of one user could share a port by mistake: so the first one is bound without,
/// which fails if the port is taken, and shares it afterwards.
fn bind_first(addr: SocketAddr, tcp: &ListenOptions) -> io::Result<Listener> {
    let alone = bind_tcp(addr, tcp)?;
    if alone.share_port().is_ok() {
        return Ok(alone);
    }
    // Not Linux: the port is free for a moment, in which another server may begin to share it.
    let bound = alone.local_addr()?.socket_addr().unwrap_or(addr);
    drop(alone);
    bind_tcp(bound, &ListenOptions { reuse_port: true, ..tcp.clone() })
}

/// Binds a TCP address. `[::]` means all addresses of the machine: without `v6only` it accepts IPv4
/// too, and falls back to `0.0.0.0` on a machine without IPv6.
fn bind_tcp(addr: SocketAddr, tcp: &ListenOptions) -> io::Result<Listener> {
    match Listener::bind(addr, tcp) {
        Err(error) if !tcp.v6only && addr.is_ipv6() && may_lack_v6(&error) => {
            let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
            Listener::bind(v4, tcp).map_err(|_| error)
        }
        result => result,
    }
}

/// Whether an error may be due to a machine without IPv6 rather than to the port.
fn may_lack_v6(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

fn listen_options(options: &Options) -> ListenOptions {
    ListenOptions {
        backlog: options.backlog,
        nodelay: options.tcp.nodelay,
        defer_accept: options.tcp.defer_accept,
        linger: options.tcp.linger,
        fastopen: options.tcp.fastopen,
        congestion: options.tcp.congestion.clone(),
        notsent_lowat: options.tcp.notsent_lowat,
        ..ListenOptions::default()
    }
}

/// Takes over a descriptor that was passed to this process.
///
/// It becomes non-blocking for every process that shares its open file description, including a
/// parent that keeps it.
fn inherit(fd: RawFd, options: &Options) -> Result<Listener, String> {
    match inherited_fd(fd) {
        Ok(socket) => adapt(socket, options),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(error.to_string()),
        Err(error) => Err(format!("{error}; was it passed to this process?")),
    }
}

/// Turns a socket bound by another process into a listener like our own.
fn adapt(socket: OwnedFd, options: &Options) -> Result<Listener, String> {
    let stream = is_stream(&socket);
    if !stream.map_err(|error| format!("{error}; pass a listening socket"))? {
        return Err("not a stream socket; pass a TCP or Unix stream socket".to_owned());
    }
    if is_listening(&socket).is_ok_and(|listens| !listens) {
        return Err("not a listening socket; call listen(2) before passing it".to_owned());
    }
    let listener = Listener::from(socket);
    let prepare = || {
        listener.set_nonblocking(true)?;
        match listener.local_addr()? {
            Address::Inet(_) => listener.tune(&listen_options(options)),
            Address::Unix(_) => Ok(()),
        }
    };
    prepare().map_err(|error| error.to_string())?;
    Ok(listener)
}

/// Closes and reports unused sockets from systemd: clients that connect to them would wait forever.
/// To be called before this process opens anything, lest a wrong LISTEN_FDS closes a descriptor of
/// its own.
pub fn close_unused(options: &Options) {
    let close =
        |addr: &&ListenAddr| matches!(addr, ListenAddr::Fd(fd) if inherited_fd(*fd).is_ok());
    let closed: Vec<String> =
        options.unused.iter().filter(close).map(ToString::to_string).collect();
    if !closed.is_empty() {
        let closed = closed.join(", ");
        report!(
            "closed sockets passed by systemd ({closed}) that --listen does not name; \
             omit --listen to use them"
        );
    }
}

fn refused(addr: &impl Display, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("cannot listen on {addr}: {why}"))
}

/// The URL for a browser, which cannot connect to `0.0.0.0`; and what is really bound.
fn url(listener: &Listener) -> io::Result<String> {
    let address = listener.local_addr()?;
    let Address::Inet(addr) = address else {
        return Ok(address.to_string());
    };
    let which = match addr.ip() {
        ip if !ip.is_unspecified() => return Ok(format!("http://{addr}")),
        IpAddr::V4(_) => "all IPv4 addresses",
        IpAddr::V6(_) if listener.is_v6only()? => "all IPv6 addresses",
        IpAddr::V6(_) => "all addresses",
    };
    Ok(format!("http://localhost:{} ({which})", addr.port()))
}

#[cfg(test)]
mod tests;
