//! From the addresses that a person named to sockets that listen.
//!
//! Three ways lead to a listener: bound here (TCP), made in the file system (Unix, removed in the
//! end), or inherited, when somebody else bound it, perhaps to a port that we would not be allowed:
//! by number (`fd:N`, systemd's LISTEN_FDS), or from the server that this one replaces.
//!
//! *Not* guaranteed: that a Unix socket's file is removed when the process is killed; the next
//! server at that path replaces it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{OwnedFd, RawFd};

use reactor::net::{Address, ListenOptions, Listener, is_listening, is_stream};
use reactor::process::inherited_fd;

use crate::operation::inherited::Inherited;
use crate::options::{ListenAddr, Options};

mod file;

pub use file::SocketFile;

/// A socket that listens, non-blocking, and how to reach it.
#[derive(Debug)]
pub struct Listening {
    /// The socket.
    pub listener: Listener,
    /// The address as it was asked for: a successor finds it by that.
    pub addr: ListenAddr,
    /// Its number among the listeners of this address, each with a queue of its own.
    pub queue: usize,
    /// `http://127.0.0.1:8080` with the port that was really bound, or `unix:PATH`.
    pub url: String,
    /// The file to remove in the end, of a Unix socket that was made here.
    pub file: Option<SocketFile>,
    /// Other processes accept from it, too.
    pub shared: bool,
}

impl Listening {
    /// Leaves a Unix socket's file where it is: somebody else goes on with it.
    pub fn leave_file(&mut self) {
        if let Some(file) = &mut self.file {
            file.leave();
        }
    }
}

/// Listens at every address of `options`, or at none; at TCP addresses with so many `queues`, if the
/// system can spread connections over them. What `inherited` has is used before anything is bound.
///
/// What can be checked is checked before the first address is bound: a mistake in the list is
/// reported as such, not hidden behind a port that this user may not bind.
///
/// # Errors
/// The first address that cannot be had, by name, with the cause.
pub fn open(
    options: &Options,
    queues: usize,
    inherited: &mut Inherited,
) -> io::Result<Vec<Listening>> {
    refuse_repeats(&options.listen)?;
    let adopted: Vec<Vec<Listener>> = options
        .listen
        .iter()
        .map(|addr| adopt(addr, options, inherited.take(addr)))
        .collect::<io::Result<_>>()?;
    let mut all = Vec::new();
    for (addr, listeners) in options.listen.iter().zip(adopted) {
        all.extend(open_one(addr, options, queues, listeners)?);
    }
    Ok(all)
}

/// The same address cannot be bound twice, and the same descriptor must not be owned twice.
fn refuse_repeats(listen: &[ListenAddr]) -> io::Result<()> {
    for (i, addr) in listen.iter().enumerate() {
        if listen[..i].contains(addr) {
            return Err(refused(addr, "it is named twice; name it once"));
        }
    }
    Ok(())
}

/// The listeners of one address that exist already: from a predecessor, or by number.
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

/// The listeners of one address: those that were `adopted`, and what they lack.
fn open_one(
    addr: &ListenAddr,
    options: &Options,
    queues: usize,
    adopted: Vec<Listener>,
) -> io::Result<Vec<Listening>> {
    let mut listeners = adopted;
    let found = !listeners.is_empty();
    match addr {
        ListenAddr::Tcp(addr) => bind_queues(&mut listeners, *addr, options, queues)?,
        ListenAddr::Unix(path) if !found => {
            listeners.push(Listener::bind_unix(path, options.backlog)?);
        }
        ListenAddr::Unix(_) | ListenAddr::Fd(_) => {}
    }
    let mut file = match addr {
        ListenAddr::Unix(path) => Some(SocketFile::at(path, found)?),
        ListenAddr::Tcp(_) | ListenAddr::Fd(_) => None,
    };
    let one = |(queue, listener): (usize, Listener)| {
        let (url, addr) = (url(&listener.local_addr()?), addr.clone());
        Ok(Listening { listener, addr, queue, url, file: file.take(), shared: false })
    };
    listeners.into_iter().enumerate().map(one).collect()
}

/// Binds what `listeners` lacks. Several listeners on one port are a matter of `SO_REUSEPORT`
/// (`socket(7)`), with which two servers of one user could share a port by mistake: so the first
/// attempt is made without.
fn bind_queues(
    listeners: &mut Vec<Listener>,
    addr: SocketAddr,
    options: &Options,
    queues: usize,
) -> io::Result<()> {
    if queues == 1 {
        if listeners.is_empty() {
            listeners.push(bind_tcp(addr, options, false)?);
        }
        return Ok(());
    }
    if listeners.is_empty() {
        if addr.port() != 0 {
            drop(bind_tcp(addr, options, false)?);
        }
        listeners.push(bind_tcp(addr, options, true)?);
    }
    let bound = listeners[0].local_addr()?.socket_addr().unwrap_or(addr);
    let tcp = ListenOptions {
        v6only: !takes_v4_too(addr, &options.listen),
        reuse_port: true,
        ..listen_options(options)
    };
    while listeners.len() < queues {
        match Listener::bind(bound, &tcp) {
            Ok(listener) => listeners.push(listener),
            // One that was inherited may not share its port: then its queue is everybody's.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Binds a TCP address. `[::]` stands for every address of the machine, as far as it can: it takes
/// IPv4 too unless that was asked for by itself, and where there is no IPv6 it is IPv4's.
fn bind_tcp(addr: SocketAddr, options: &Options, reuse_port: bool) -> io::Result<Listener> {
    let takes_v4 = takes_v4_too(addr, &options.listen);
    let tcp = ListenOptions { v6only: !takes_v4, reuse_port, ..listen_options(options) };
    match Listener::bind(addr, &tcp) {
        Err(error) if takes_v4 && may_lack_v6(&error) => {
            let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, addr.port()));
            Listener::bind(v4, &tcp).map_err(|_| error)
        }
        result => result,
    }
}

/// Whether `addr` is `[::]` and no other address of the list is IPv4 on its port.
fn takes_v4_too(addr: SocketAddr, all: &[ListenAddr]) -> bool {
    let v4_beside = |other: &ListenAddr| match other {
        ListenAddr::Tcp(other) => other.is_ipv4() && other.port() == addr.port(),
        ListenAddr::Unix(_) | ListenAddr::Fd(_) => false,
    };
    addr.is_ipv6() && addr.ip().is_unspecified() && !all.iter().any(v4_beside)
}

/// Whether an error may come of a machine without IPv6, and not of the port.
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
        ..ListenOptions::default()
    }
}

/// Takes over a descriptor that was passed to this process.
///
/// It becomes non-blocking for everybody who shares its open file description: the parent that
/// keeps it, too, if it ever accepts by itself.
fn inherit(fd: RawFd, options: &Options) -> Result<Listener, String> {
    match inherited_fd(fd) {
        Ok(socket) => adapt(socket, options),
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(error.to_string()),
        Err(error) => Err(format!("{error}; is it passed to this process?")),
    }
}

/// Makes a socket that somebody else bound a listener like our own.
fn adapt(socket: OwnedFd, options: &Options) -> Result<Listener, String> {
    let stream = is_stream(&socket);
    if !stream.map_err(|error| format!("{error}; pass a socket that listens"))? {
        return Err("it is no stream socket; pass a TCP or Unix stream socket".to_owned());
    }
    if is_listening(&socket).is_ok_and(|listens| !listens) {
        return Err("the socket does not listen; call listen(2) before it is passed".to_owned());
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

/// Closes the sockets that systemd has passed for nothing, and says so: clients that connect to them
/// would wait for ever. Before this process opens anything itself, for what systemd says of
/// descriptors that it has not passed would be said of ours.
pub fn close_unused(server: &str, options: &Options) {
    let close =
        |addr: &&ListenAddr| matches!(addr, ListenAddr::Fd(fd) if inherited_fd(*fd).is_ok());
    let closed: Vec<String> =
        options.unused.iter().filter(close).map(ToString::to_string).collect();
    if !closed.is_empty() {
        let closed = closed.join(", ");
        eprintln!(
            "{server}: --listen says where to listen, so what systemd has passed is closed ({closed}); \
             leave --listen out to serve there"
        );
    }
}

fn refused(addr: &ListenAddr, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("cannot listen on {addr}: {why}"))
}

/// What a person types into a browser to come here: nobody can go to `0.0.0.0`.
fn url(address: &Address) -> String {
    let Address::Inet(addr) = address else {
        return address.to_string();
    };
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            format!("http://localhost:{} (every IPv4 address)", addr.port())
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            format!("http://localhost:{} (every address)", addr.port())
        }
        _ => format!("http://{addr}"),
    }
}

#[cfg(test)]
mod tests;
