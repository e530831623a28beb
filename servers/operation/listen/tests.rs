//! Creating, inheriting and releasing listeners.

use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::{UnixListener, UnixStream};

use reactor::process::disown_fd;

use super::*;

/// The descriptor's number, as if a parent had passed it.
fn passed(fd: impl Into<OwnedFd>) -> RawFd {
    disown_fd(fd.into()).unwrap()
}

fn open(options: &Options) -> io::Result<Vec<Listening>> {
    super::open(options, 1, &mut Inherited::default())
}

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
fn an_address_named_twice_is_refused_before_anything_is_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    // The address is in use: binding first would report that instead.
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = ListenAddr::Tcp(holder.local_addr().unwrap());
    let text = refusal(vec![ListenAddr::Unix(path.clone()), taken.clone(), taken.clone()]);
    assert_eq!(text, format!("cannot listen on {taken}: given twice"));
    assert!(!path.exists(), "no socket was made");
}

/// Otherwise two owners would close it.
#[test]
fn a_descriptor_named_twice_is_refused_and_left_open() {
    let made = TcpListener::bind("127.0.0.1:0").unwrap();
    let fd = ListenAddr::Fd(made.as_raw_fd());
    let text = refusal(vec![fd.clone(), fd.clone()]);
    assert_eq!(text, format!("cannot listen on {fd}: given twice"));
    TcpStream::connect(made.local_addr().unwrap()).unwrap();
}

#[test]
fn a_unix_socket_is_removed_on_drop_unless_it_belongs_to_another() {
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
fn a_socket_left_by_a_dead_server_is_replaced() {
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
    let open = open(&options(vec![ListenAddr::Fd(passed(made))])).unwrap();
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
    drop(open(&options(vec![ListenAddr::Fd(passed(made))])).unwrap());
    assert!(path.exists());
}

#[test]
fn descriptors_that_do_not_listen_are_refused_with_the_reason() {
    let udp = passed(UdpSocket::bind("127.0.0.1:0").unwrap());
    let text = refusal(vec![ListenAddr::Fd(udp)]);
    assert!(text.starts_with(&format!("cannot listen on fd:{udp}: not a stream")), "{text}");

    let (stream, _other) = UnixStream::pair().unwrap();
    let text = refusal(vec![ListenAddr::Fd(passed(stream))]);
    assert!(text.contains("not a listening socket"), "{text}");

    let file = passed(fs::File::open("/dev/null").unwrap());
    let text = refusal(vec![ListenAddr::Fd(file)]);
    assert!(text.contains("pass a listening socket"), "{text}");

    let text = refusal(vec![ListenAddr::Fd(0)]);
    assert!(text.ends_with("pass it as 3 or above"), "{text}");

    let ours = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = refusal(vec![ListenAddr::Fd(ours.as_raw_fd())]);
    assert!(text.contains("it was not passed to this process"), "{text}");

    let text = refusal(vec![ListenAddr::Fd(RawFd::MAX)]);
    assert!(text.contains("was it passed to this process?"), "{text}");
}

#[test]
fn a_descriptor_that_does_not_listen_is_refused_before_anything_is_bound() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let text = refusal(vec![ListenAddr::Unix(path.clone()), ListenAddr::Fd(RawFd::MAX)]);
    assert!(text.starts_with(&format!("cannot listen on fd:{}", RawFd::MAX)), "{text}");
    assert!(!path.exists(), "no socket was made");
}

#[test]
fn a_port_with_several_queues_has_a_listener_for_each() {
    let options = options(vec![tcp("127.0.0.1:0")]);
    let open = super::open(&options, 3, &mut Inherited::default()).unwrap();
    let numbers: Vec<usize> = open.iter().map(|listening| listening.queue).collect();
    assert_eq!(numbers, [0, 1, 2]);
    assert!(open.iter().all(|listening| port(listening) == port(&open[0])));
}

/// With SO_REUSEPORT, a second server of the same user would silently take half of the connections.
#[test]
fn a_port_with_several_queues_is_not_shared_with_another_server() {
    let first = options(vec![tcp("127.0.0.1:0")]);
    let first = super::open(&first, 2, &mut Inherited::default()).unwrap();
    let taken = ListenAddr::Tcp(([127, 0, 0, 1], port(&first[0])).into());
    let second = super::open(&options(vec![taken]), 2, &mut Inherited::default());
    assert_eq!(second.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn inherited_listeners_are_used_and_completed() {
    let options = options(vec![tcp("127.0.0.1:0")]);
    let old = super::open(&options, 2, &mut Inherited::default()).unwrap();
    let copy = |listening: &Listening| {
        let socket = listening.listener.as_fd().try_clone_to_owned().unwrap();
        (listening.addr.to_string(), socket)
    };
    let mut inherited = Inherited::of(old.iter().map(copy).collect());
    let new = super::open(&options, 3, &mut inherited).unwrap();
    assert_eq!(new.len(), 3);
    assert!(new.iter().all(|listening| port(listening) == port(&old[0])));
    assert!(inherited.take(&options.listen[0]).is_empty());
}
