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

/// A port that is free for all addresses, most probably.
fn free_port() -> u16 {
    TcpListener::bind("[::]:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn ipv6_leaves_ipv4_to_an_address_of_its_own_in_any_order() {
    let port = free_port();
    let (v4, v6) = (tcp(&format!("0.0.0.0:{port}")), tcp(&format!("[::]:{port}")));
    for list in [[v4.clone(), v6.clone()], [v6, v4]] {
        for queues in [1, 3] {
            let open =
                super::open(&options(list.to_vec()), queues, &mut Inherited::default()).unwrap();
            let mut urls: Vec<&str> = open.iter().map(|listening| &listening.url[..]).collect();
            urls.sort();
            urls.dedup();
            let url = |family| format!("http://localhost:{port} (all {family} addresses)");
            assert_eq!(urls, [url("IPv4"), url("IPv6")]);
        }
    }
    // A port of 0 is another one each time.
    let open = open(&options(vec![tcp("127.0.0.1:0"), tcp("[::]:0")])).unwrap();
    assert!(open[1].url.ends_with("(all addresses)"), "{}", open[1].url);
}

#[test]
fn addresses_that_overlap_are_refused_with_both_names() {
    for (first, second) in [
        ("[::]:81", "127.0.0.1:81"),
        ("127.0.0.1:81", "[::]:81"),
        ("[::]:81", "[::1]:81"),
        ("0.0.0.0:81", "127.0.0.1:81"),
        ("10.0.0.1:81", "0.0.0.0:81"),
        ("[fe80::1%3]:81", "[::]:81"),
    ] {
        let text = refusal(vec![tcp(first), tcp(second)]);
        let shown = |addr: &str| match addr.starts_with("[::]") {
            true => format!("{addr} (all addresses)"),
            false => addr.to_owned(),
        };
        let why = format!("it overlaps {}; omit one of them", shown(first));
        assert_eq!(text, format!("cannot listen on {}: {why}", shown(second)));
    }
    let text = refusal(vec![tcp("[::]:81"), tcp("0.0.0.0:81"), tcp("127.0.0.1:81")]);
    assert!(text.contains("127.0.0.1:81: it overlaps 0.0.0.0:81"), "{text}");
    let fine = ["127.0.0.1:81", "127.0.0.2:81", "[::1]:81", "127.0.0.1:82"].map(tcp);
    let none: [Vec<Listener>; 4] = Default::default();
    assert!(overlap::refuse_overlaps(&fine, &none).is_ok());
}

#[test]
fn two_spellings_of_a_path_are_one_socket() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let path = real.join("socket");
    for other in [real.join("../real/socket"), link.join("socket"), link.join("./socket")] {
        let unix = |path: &std::path::Path| ListenAddr::Unix(path.to_owned());
        let text = refusal(vec![unix(&path), unix(&other)]);
        assert!(text.contains(&format!(": it overlaps unix:{}; omit", path.display())), "{text}");
        assert!(!path.exists(), "no socket was made");
    }
}

#[test]
fn an_inherited_socket_and_an_address_that_overlap_are_refused() {
    let made = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = made.local_addr().unwrap();
    for other in
        [addr.to_string(), format!("0.0.0.0:{}", addr.port()), format!("[::]:{}", addr.port())]
    {
        let fd = passed(made.try_clone().unwrap());
        let text = refusal(vec![ListenAddr::Fd(fd), tcp(&other)]);
        assert!(text.starts_with(&format!("cannot listen on {other}")), "{text}");
        assert!(
            text.ends_with(&format!("it overlaps fd:{fd} ({addr}); omit one of them")),
            "{text}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let unix = passed(UnixListener::bind(&path).unwrap());
    let text = refusal(vec![ListenAddr::Unix(path.clone()), ListenAddr::Fd(unix)]);
    assert!(text.contains(&format!("it overlaps unix:{}", path.display())), "{text}");
}

#[test]
fn two_descriptors_of_one_socket_are_refused_and_two_sockets_of_one_address_are_not() {
    let made = TcpListener::bind("127.0.0.1:0").unwrap();
    let (one, other) = (passed(made.try_clone().unwrap()), passed(made));
    let text = refusal(vec![ListenAddr::Fd(one), ListenAddr::Fd(other)]);
    assert!(text.contains(&format!("it overlaps fd:{one}")), "{text}");

    let shared = super::open(&options(vec![tcp("127.0.0.1:0")]), 2, &mut Inherited::default());
    let fds = shared.unwrap().into_iter().map(|one| ListenAddr::Fd(passed(one.listener)));
    assert_eq!(open(&options(fds.collect())).unwrap().len(), 2);
}

#[test]
fn an_inherited_socket_for_ipv4_leaves_ipv6_to_another() {
    let made = TcpListener::bind("0.0.0.0:0").unwrap();
    let v6 = tcp(&format!("[::]:{}", made.local_addr().unwrap().port()));
    let open = open(&options(vec![v6, ListenAddr::Fd(passed(made))])).unwrap();
    assert!(open[0].url.ends_with("(all IPv6 addresses)"), "{}", open[0].url);
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

/// Each would otherwise find the port free, and then share it.
#[test]
#[cfg(target_os = "linux")]
fn of_two_servers_that_start_at_the_same_moment_one_gets_the_port() {
    for _ in 0..50 {
        let options = options(vec![tcp(&format!("127.0.0.1:{}", free_port()))]);
        let barrier = std::sync::Barrier::new(2);
        let start = || {
            barrier.wait();
            super::open(&options, 2, &mut Inherited::default())
        };
        let [one, other] = std::thread::scope(|scope| {
            let threads = [scope.spawn(start), scope.spawn(start)];
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(one.is_err() || other.is_err(), "both have it");
    }
}

#[test]
fn all_queues_of_a_port_get_connections() {
    let options = options(vec![tcp("127.0.0.1:0")]);
    let open = super::open(&options, 3, &mut Inherited::default()).unwrap();
    let clients: Vec<TcpStream> =
        (0..300).map(|_| TcpStream::connect(("127.0.0.1", port(&open[0]))).unwrap()).collect();
    let count = |listening: &Listening| {
        let mut count = 0;
        while let reactor::net::Accept::Stream(..) = listening.listener.accept().unwrap() {
            count += 1;
        }
        count
    };
    let counts: Vec<usize> = open.iter().map(count).collect();
    assert_eq!(counts.iter().sum::<usize>(), clients.len());
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
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
