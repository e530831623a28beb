//! From the addresses that a person named to sockets that listen.
//!
//! Three ways lead to a listener: bound here (TCP), made in the file system (Unix, removed in the
//! end), or inherited (`fd:N`, systemd's LISTEN_FDS), when somebody else bound it, perhaps to a
//! port that we would not be allowed.
//!
//! *Not* guaranteed: that a Unix socket's file is removed when the process is killed; the next
//! server at that path replaces it.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use libc::{c_int, socklen_t};
use reactor::net::{Address, ListenOptions, Listener};

use crate::options::{ListenAddr, Options};

/// A socket that listens, non-blocking, and how to reach it.
#[derive(Debug)]
pub struct Listening {
    /// The socket.
    pub listener: Listener,
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
            file.maker = 0; // nobody's number
        }
    }
}

/// Listens at every address of `options`, or at none.
///
/// # Errors
/// The first address that cannot be had, by name, with the cause.
pub fn open(options: &Options) -> io::Result<Vec<Listening>> {
    for (i, addr) in options.listen.iter().enumerate() {
        if options.listen[..i].contains(addr) {
            return Err(refused(addr, "it is named twice; name it once"));
        }
    }
    options.listen.iter().map(|addr| open_one(addr, options)).collect()
}

fn open_one(addr: &ListenAddr, options: &Options) -> io::Result<Listening> {
    let (listener, file) = match addr {
        ListenAddr::Tcp(addr) => (bind_tcp(*addr, options)?, None),
        ListenAddr::Unix(path) => {
            let listener = Listener::bind_unix(path, options.backlog)?;
            (listener, Some(SocketFile::at(path)?))
        }
        ListenAddr::Fd(fd) => (inherit(*fd, options).map_err(|why| refused(addr, &why))?, None),
    };
    let url = url(&listener.local_addr()?);
    Ok(Listening { listener, url, file, shared: false })
}

/// Binds a TCP address. `[::]` stands for every address of the machine, as far as it can: it takes
/// IPv4 too unless that was asked for by itself, and where there is no IPv6 it is IPv4's.
fn bind_tcp(addr: SocketAddr, options: &Options) -> io::Result<Listener> {
    let takes_v4 = takes_v4_too(addr, &options.listen);
    let tcp = ListenOptions { v6only: !takes_v4, ..listen_options(options) };
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
    let socket = take(fd).map_err(|error| format!("{error}; is it passed to this process?"))?;
    let kind = socket_number(&socket, libc::SO_TYPE);
    let kind = kind.map_err(|error| format!("{error}; pass a socket that listens"))?;
    if kind != libc::SOCK_STREAM {
        return Err("it is no stream socket; pass a TCP or Unix stream socket".to_owned());
    }
    if socket_number(&socket, libc::SO_ACCEPTCONN).is_ok_and(|listens| listens == 0) {
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

/// Makes an inherited descriptor ours, and no child's by accident.
fn take(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD and F_SETFD touch no memory; on a descriptor that is not open they fail.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: as above.
    if unsafe { libc::fcntl(fd, libc::F_SETFD, flags | libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, a person named it to be used by us, and `open` refuses to take it twice.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Reads a socket option that is a number.
fn socket_number(socket: &OwnedFd, option: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut size = size_of::<c_int>() as socklen_t;
    let to = (&raw mut value).cast();
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: `to` has room for the `size` bytes it is said to have.
    match unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, to, &raw mut size) } {
        0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
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

/// A Unix socket's file, removed on drop, by the process that made it and if it is still the same.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    maker: u32,
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        let identity = identity(path)?;
        Ok(SocketFile { path: path.to_owned(), identity, maker: std::process::id() })
    }
}

/// Device and inode of the socket at `path`.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    match found.file_type().is_socket() {
        true => Ok((found.dev(), found.ino())),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "no socket")),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = std::process::id() == self.maker;
        if ours && identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::IntoRawFd as _;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    fn options(listen: Vec<ListenAddr>) -> Options {
        Options { listen, ..Options::default() }
    }

    fn tcp(text: &str) -> ListenAddr {
        ListenAddr::Tcp(text.parse().unwrap())
    }

    fn refusal(listen: Vec<ListenAddr>) -> String {
        open(&options(listen)).expect_err("should be refused").to_string()
    }

    fn port(listening: &Listening) -> u16 {
        listening.listener.local_addr().unwrap().socket_addr().unwrap().port()
    }

    #[test]
    fn the_url_names_the_port_that_was_bound() {
        let open = open(&options(vec![tcp("127.0.0.1:0")])).unwrap();
        assert_eq!(open[0].url, format!("http://127.0.0.1:{}", port(&open[0])));
        assert_ne!(port(&open[0]), 0);
        TcpStream::connect(("127.0.0.1", port(&open[0]))).unwrap();
    }

    #[test]
    fn every_address_includes_ipv4() {
        let open = open(&options(vec![tcp("[::]:0")])).unwrap();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port(&open[0]))).unwrap();
        assert!(open[0].url.starts_with("http://localhost:"), "{}", open[0].url);
    }

    #[test]
    fn ipv6_leaves_ipv4_to_an_address_of_its_own() {
        let all = [tcp("[::]:80"), tcp("0.0.0.0:80"), tcp("0.0.0.0:81"), tcp("[::]:82")];
        let takes = |text: &str| takes_v4_too(text.parse().unwrap(), &all);
        assert!(!takes("[::]:80") && !takes("[::]:81") && takes("[::]:82"));
        assert!(!takes("[::1]:82") && !takes("0.0.0.0:82"));
    }

    #[test]
    fn an_address_in_use_is_named() {
        let holder = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = holder.local_addr().unwrap();
        let text = refusal(vec![ListenAddr::Tcp(taken)]);
        assert!(text.contains(&taken.to_string()), "{text}");
    }

    #[test]
    fn an_address_named_twice_is_refused() {
        let text = refusal(vec![tcp("127.0.0.1:1"), tcp("127.0.0.1:1")]);
        assert_eq!(text, "cannot listen on 127.0.0.1:1: it is named twice; name it once");
    }

    #[test]
    fn a_unix_socket_is_removed_in_the_end_unless_it_is_another_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let first = open(&options(vec![ListenAddr::Unix(path.clone())])).unwrap();
        assert_eq!(first[0].url, format!("unix:{}", path.display()));
        UnixStream::connect(&path).unwrap();
        drop(first);
        assert!(!path.exists());

        let first = open(&options(vec![ListenAddr::Unix(path.clone())])).unwrap();
        // Both exist at once, so they cannot have the same inode.
        let other = folder.path().join("other");
        let successor = UnixListener::bind(&other).unwrap();
        fs::rename(&other, &path).unwrap();
        drop(first);
        assert!(path.exists(), "the successor's file stays");
        drop(successor);
    }

    #[test]
    fn a_socket_that_a_dead_server_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        let again = open(&options(vec![ListenAddr::Unix(path.clone())])).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(again);
    }

    #[test]
    fn an_inherited_listener_is_used_as_it_is_bound() {
        let made = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = made.local_addr().unwrap();
        let open = open(&options(vec![ListenAddr::Fd(made.into_raw_fd())])).unwrap();
        assert_eq!(open[0].url, format!("http://{addr}"));
        let accept = open[0].listener.accept().unwrap();
        assert!(matches!(accept, reactor::net::Accept::Empty), "it does not block: {accept:?}");
        TcpStream::connect(addr).unwrap();
    }

    #[test]
    fn an_inherited_unix_listener_is_used_and_its_file_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let made = UnixListener::bind(&path).unwrap();
        drop(open(&options(vec![ListenAddr::Fd(made.into_raw_fd())])).unwrap());
        assert!(path.exists());
    }

    #[test]
    fn descriptors_that_do_not_listen_are_refused_with_the_reason() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap().into_raw_fd();
        let text = refusal(vec![ListenAddr::Fd(udp)]);
        assert!(text.starts_with(&format!("cannot listen on fd:{udp}: it is no stream")), "{text}");

        let (stream, _other) = UnixStream::pair().unwrap();
        let text = refusal(vec![ListenAddr::Fd(stream.into_raw_fd())]);
        assert!(text.contains("does not listen"), "{text}");

        let file = fs::File::open("/dev/null").unwrap().into_raw_fd();
        let text = refusal(vec![ListenAddr::Fd(file)]);
        assert!(text.contains("pass a socket that listens"), "{text}");

        let text = refusal(vec![ListenAddr::Fd(RawFd::MAX)]);
        assert!(text.contains("is it passed to this process?"), "{text}");
    }
}
