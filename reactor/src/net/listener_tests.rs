//! Listeners over real sockets: what they inherit, refuse and report.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::*;
use crate::net::options::get_number;
use crate::poller::{Events, Interest, Poller, Trigger};
use crate::token::Token;

const LOCALHOST: &str = "127.0.0.1:0";

fn listen(options: &ListenOptions) -> (Listener, SocketAddr) {
    let listener = Listener::bind(LOCALHOST.parse().unwrap(), options).unwrap();
    let addr = listener.local_addr().unwrap().socket_addr().unwrap();
    (listener, addr)
}

/// Accepts a connection that is certain to come.
fn accept_soon(listener: &Listener) -> (Stream, Peer) {
    let poller = Poller::new().unwrap();
    poller.add(listener, Token::new(0, 0), Interest::READABLE, Trigger::Level).unwrap();
    let ready = poller.wait(&mut Events::with_capacity(1), Some(Duration::from_secs(10))).unwrap();
    assert_eq!(ready, 1, "no connection came");
    match listener.accept().unwrap() {
        Accept::Stream(stream, peer) => (stream, peer),
        other => panic!("{other:?}"),
    }
}

fn is_set(socket: impl AsFd, level: c_int, name: c_int) -> bool {
    get_number(socket.as_fd(), level, name).unwrap() != 0
}

fn descriptor_flags(socket: impl AsFd) -> (bool, bool) {
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: neither call takes a pointer.
    let (on_exec, status) =
        unsafe { (libc::fcntl(fd, libc::F_GETFD), libc::fcntl(fd, libc::F_GETFL)) };
    (on_exec & libc::FD_CLOEXEC != 0, status & libc::O_NONBLOCK != 0)
}

#[test]
fn an_empty_backlog_is_empty_and_a_client_is_accepted_with_its_address() {
    let (listener, addr) = listen(&ListenOptions::default());
    assert!(matches!(listener.accept().unwrap(), Accept::Empty));
    let client = TcpStream::connect(addr).unwrap();
    let (stream, peer) = accept_soon(&listener);
    assert_eq!(Option::<SocketAddr>::from(peer), Some(client.local_addr().unwrap()));
    assert_eq!(descriptor_flags(&stream), (true, true), "closed on exec, non-blocking");
    assert_eq!(descriptor_flags(&listener), (true, true));
}

#[test]
fn a_stream_is_blocking_if_it_was_accepted_so_and_the_listener_is_not() {
    let (listener, addr) = listen(&ListenOptions::default());
    assert!(matches!(listener.accept_blocking().unwrap(), Accept::Empty));
    let _client = TcpStream::connect(addr).unwrap();
    crate::net::wait(&listener, Interest::READABLE, None).unwrap();
    let Accept::Stream(stream, _) = listener.accept_blocking().unwrap() else { panic!("gone") };
    assert_eq!(descriptor_flags(&stream), (true, false), "closed on exec, blocking");
}

#[test]
fn accepted_streams_inherit_nodelay_and_lingering() {
    for nodelay in [false, true] {
        let options =
            ListenOptions { nodelay, linger: Some(Duration::from_secs(3)), ..Default::default() };
        let (listener, addr) = listen(&options);
        let _client = TcpStream::connect(addr).unwrap();
        let (stream, _) = accept_soon(&listener);
        assert_eq!(is_set(&stream, libc::IPPROTO_TCP, libc::TCP_NODELAY), nodelay);
        // The first number of the struct: on or off.
        assert!(is_set(&stream, libc::SOL_SOCKET, os::LINGER));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn accepted_streams_inherit_the_congestion_algorithm() {
    // One that every Linux has, and that is seldom the default.
    let congestion = Some("reno".to_string());
    let (listener, addr) = listen(&ListenOptions { congestion, ..Default::default() });
    let _client = TcpStream::connect(addr).unwrap();
    let (stream, _) = accept_soon(&listener);
    let reno = i32::from_ne_bytes(*b"reno");
    let found = get_number(stream.as_fd(), libc::IPPROTO_TCP, libc::TCP_CONGESTION).unwrap();
    assert_eq!(found, reno);
}

/// Bytes that wait to be sent for the first time (`SIOCOUTQNSD`, which libc does not name).
#[cfg(target_os = "linux")]
fn unsent_bytes(stream: &Stream) -> usize {
    let mut bytes: c_int = 0;
    // SAFETY: SIOCOUTQNSD writes one number, which lives until the call returns.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), 0x894b, &raw mut bytes) };
    assert_eq!(result, 0);
    bytes as usize
}

#[cfg(target_os = "linux")]
#[test]
fn no_more_is_unsent_than_the_listener_says_and_room_is_reported_as_an_edge() {
    const LOWAT: u32 = 64 * 1024;
    const SEGMENT: usize = 64 * 1024; // one that was begun below the mark is filled
    let (listener, addr) =
        listen(&ListenOptions { notsent_lowat: Some(LOWAT), ..Default::default() });
    let client = Stream::from(TcpStream::connect(addr).unwrap());
    let (stream, _) = accept_soon(&listener);
    let poller = Poller::new().unwrap();
    poller.add(&stream, Token::new(0, 0), Interest::WRITABLE, Trigger::Edge).unwrap();
    let mut events = Events::with_capacity(1);
    assert_eq!(poller.wait(&mut events, Some(Duration::from_secs(10))).unwrap(), 1);

    let bytes = [0; 256 * 1024];
    let mut full = false;
    while !full {
        full = stream.send(&bytes).map_or(true, |sent| sent < bytes.len());
        let unsent = unsent_bytes(&stream);
        assert!(unsent <= LOWAT as usize + SEGMENT, "{unsent}");
    }
    // Read whatever is there until the edge comes: a client that reads gets the rest.
    let mut edges = 0;
    while edges == 0 {
        let _ = client.recv(&mut [0; 32 * 1024]).unwrap();
        edges = poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
    }
    assert!(unsent_bytes(&stream) < LOWAT as usize);
    assert!(stream.send(&bytes).is_ok_and(|sent| sent > 0));
}

#[test]
fn a_system_without_it_refuses_a_bound_on_unsent_bytes() {
    let options = ListenOptions { notsent_lowat: Some(64 * 1024), ..Default::default() };
    let result = Listener::bind(LOCALHOST.parse().unwrap(), &options);
    match crate::net::HAS_NOTSENT_LOWAT {
        true => assert!(result.is_ok()),
        false => assert!(result.unwrap_err().to_string().contains("TCP_NOTSENT_LOWAT")),
    }
}

#[test]
fn an_unknown_congestion_algorithm_is_named_in_the_error() {
    let options = ListenOptions { congestion: Some("hope".into()), ..Default::default() };
    let error = Listener::bind(LOCALHOST.parse().unwrap(), &options).unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:0") && error.contains("hope"), "{error}");
}

#[test]
fn an_address_in_use_is_refused_with_its_name() {
    let (_listener, addr) = listen(&ListenOptions::default());
    let error = Listener::bind(addr, &ListenOptions::default()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
}

#[test]
fn a_listener_can_be_bound_again_while_old_connections_linger() {
    let (listener, addr) = listen(&ListenOptions::default());
    let client = TcpStream::connect(addr).unwrap();
    drop(accept_soon(&listener)); // the server closes first: its side is in TIME_WAIT for a minute
    drop((client, listener));
    Listener::bind(addr, &ListenOptions::default()).unwrap();
}

#[cfg(any(target_os = "linux", target_os = "freebsd"))]
#[test]
fn listeners_can_share_a_port() {
    let options = ListenOptions { reuse_port: true, ..Default::default() };
    let (_first, addr) = listen(&options);
    Listener::bind(addr, &options).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_deferred_connection_comes_with_its_data() {
    let defer_accept = Some(Duration::from_secs(30));
    let (listener, addr) = listen(&ListenOptions { defer_accept, ..Default::default() });
    let mut client = TcpStream::connect(addr).unwrap(); // connected, as the client sees it
    assert!(matches!(listener.accept().unwrap(), Accept::Empty));
    client.write_all(b"hello").unwrap();
    let (stream, _) = accept_soon(&listener);
    assert_eq!(stream.recv(&mut [0; 16]).unwrap(), 5, "at once, without waiting");
}

#[cfg(target_os = "linux")]
#[test]
fn fast_open_is_set_with_its_queue() {
    let (listener, _) = listen(&ListenOptions { fastopen: Some(16), ..Default::default() });
    let queue = get_number(listener.as_fd(), libc::IPPROTO_TCP, libc::TCP_FASTOPEN).unwrap();
    assert_eq!(queue, 16);
}

#[test]
fn ipv6_is_apart_from_ipv4_unless_asked_otherwise() {
    let both = ListenOptions { v6only: false, ..Default::default() };
    let listener = match Listener::bind("[::]:0".parse().unwrap(), &both) {
        Ok(listener) => listener,
        Err(error) => return eprintln!("skipped, no IPv6 here: {error}"),
    };
    let port = listener.local_addr().unwrap().socket_addr().unwrap().port();
    let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    assert!(matches!(accept_soon(&listener).1, Peer::V6(..)));

    let alone = Listener::bind("[::]:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    assert!(is_set(&alone, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY));
}

#[test]
fn an_inherited_listener_can_be_tuned() {
    let listener = Listener::from(TcpListener::bind(LOCALHOST).unwrap());
    listener.set_nonblocking(true).unwrap();
    assert!(matches!(listener.accept().unwrap(), Accept::Empty));
    listener.tune(&ListenOptions::default()).unwrap();
    assert!(is_set(&listener, libc::IPPROTO_TCP, libc::TCP_NODELAY));
}

#[test]
fn a_listener_that_is_taken_over_gets_the_default_of_what_its_creator_bounded() {
    let Some(name) = os::NOTSENT_LOWAT else { return };
    let bounded = ListenOptions { notsent_lowat: Some(64 * 1024), ..Default::default() };
    let (listener, _) = listen(&bounded);
    assert!(is_set(&listener, libc::IPPROTO_TCP, name));
    listener.tune(&ListenOptions::default()).unwrap();
    assert!(!is_set(&listener, libc::IPPROTO_TCP, name));
}

#[test]
fn a_client_that_reset_at_once_does_not_disturb_the_others() {
    let (listener, addr) = listen(&ListenOptions::default());
    let gone = Stream::from(TcpStream::connect(addr).unwrap());
    gone.set_linger(Some(Duration::ZERO)).unwrap();
    drop(gone);
    let client = TcpStream::connect(addr).unwrap();
    // Linux hands the dead connection out, others say Aborted or nothing: all lead to the next.
    let start = Instant::now();
    loop {
        match listener.accept().unwrap() {
            Accept::Stream(_, peer)
                if peer.to_string() == client.local_addr().unwrap().to_string() =>
            {
                break;
            }
            other => assert!(start.elapsed() < Duration::from_secs(10), "{other:?}"),
        }
    }
}

#[test]
fn errors_of_accept_are_told_apart() {
    let outcome = |number| classify(io::Error::from_raw_os_error(number));
    assert!(matches!(outcome(libc::EAGAIN), Ok(Accept::Empty)));
    assert!(matches!(outcome(libc::ECONNABORTED), Ok(Accept::Aborted)));
    for number in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
        assert!(matches!(outcome(number), Ok(Accept::Exhausted(_))));
    }
    for number in [libc::EBADF, libc::EINVAL, libc::ENOTSOCK] {
        assert!(outcome(number).is_err(), "the listener is broken");
    }
}

#[test]
fn accepting_from_a_socket_that_does_not_listen_is_an_error() {
    let (stream, _other) = UnixStream::pair().unwrap();
    assert!(Listener::from(OwnedFd::from(stream)).accept().is_err());
}

#[test]
fn a_unix_listener_accepts_and_knows_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.sock");
    let listener = Listener::bind_unix(&path, 16).unwrap();
    assert_eq!(listener.local_addr().unwrap(), Address::Unix(Some(path.clone())));
    let mut client = UnixStream::connect(&path).unwrap();
    client.write_all(b"hi").unwrap();
    let (stream, peer) = accept_soon(&listener);
    assert_eq!(peer, Peer::Unix);
    assert_eq!(stream.recv(&mut [0; 8]).unwrap(), 2);
}

#[test]
fn a_unix_socket_has_the_mode_that_is_asked_for_whatever_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o666, 0o600, 0o777, 0] {
        let path = folder.path().join("server.sock");
        let _listener = Listener::bind_unix_as(&path, 16, mode).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_socket_left_by_a_dead_server_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.sock");
    drop(Listener::bind_unix(&path, 16).unwrap());
    assert!(path.exists(), "closing does not remove it");
    let listener = Listener::bind_unix(&path, 16).unwrap();
    let _client = UnixStream::connect(&path).unwrap();
    accept_soon(&listener);
}

#[test]
fn a_socket_in_use_and_a_file_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (path, file) = (folder.path().join("server.sock"), folder.path().join("file"));
    let listener = Listener::bind_unix(&path, 16).unwrap();
    std::fs::write(&file, "precious").unwrap();
    for taken in [&path, &file] {
        let error = Listener::bind_unix(taken, 16).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(taken.to_str().unwrap()), "{error}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    let _client = UnixStream::connect(&path).unwrap();
    accept_soon(&listener); // the probe, which is gone again; the listener is unharmed
}
