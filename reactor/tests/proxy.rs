//! The example `proxy`, on a thread of its own, between clients and servers of the tests.

#[path = "../examples/proxy.rs"]
#[allow(dead_code)]
mod proxy;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// Proxies until the test binary ends.
fn proxy_to(upstream: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || proxy::serve(listener, upstream).unwrap());
    address
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(PATIENCE).unwrap();
    stream
}

/// Both ends of a connection through a proxy: the client's and the server's.
fn pair() -> (TcpStream, TcpStream) {
    let (listener, upstream) = listen();
    let client = connect(proxy_to(upstream));
    let server = listener.accept().unwrap().0;
    server.set_read_timeout(PATIENCE).unwrap();
    (client, server)
}

/// Not periodic in any size of a buffer.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn bytes_pass_both_ways_in_order() {
    let (mut client, mut server) = pair();
    let mut buffer = [0; 5];
    for _ in 0..100 {
        client.write_all(b"there").unwrap();
        server.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"there");
        server.write_all(b"back!").unwrap();
        client.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"back!");
    }
}

#[test]
fn much_passes_both_ways_at_once() {
    let (client, server) = pair();
    let bytes = pattern(20_000_000);
    thread::scope(|scope| {
        for mut end in [&client, &server] {
            scope.spawn(|| {
                (&*end).write_all(&bytes).unwrap();
                end.shutdown(Shutdown::Write).unwrap();
            });
            let bytes = &bytes;
            scope.spawn(move || {
                let mut received = Vec::new();
                end.read_to_end(&mut received).unwrap();
                assert!(received == *bytes);
            });
        }
    });
}

#[test]
fn the_end_of_a_clients_bytes_reaches_the_server_which_may_still_answer() {
    let (mut client, mut server) = pair();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut server), b"question");
    let answer = pattern(3_000_000);
    let sending = thread::spawn(move || server.write_all(&answer).map(|()| answer));
    let received = read_to_end(&mut client);
    assert!(received == sending.join().unwrap().unwrap());
}

#[test]
fn a_server_that_has_finished_is_still_sent_to() {
    let (mut client, mut server) = pair();
    server.write_all(b"bye").unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut client), b"bye");
    client.write_all(b"one more thing").unwrap();
    drop(client);
    assert_eq!(read_to_end(&mut server), b"one more thing");
}

/// Writes until there has been no room for a while; returns how much.
fn fill(mut stream: &TcpStream, bytes: &[u8]) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..bytes.len().min(sent + 65_536)]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    sent
}

#[test]
fn a_reader_that_stops_stops_its_sender_and_loses_nothing() {
    let (client, mut server) = pair();
    let bytes = pattern(100_000_000);
    let sent = fill(&client, &bytes);
    // The kernel's buffers of two connections, and the proxy's one.
    assert!(sent < bytes.len(), "all was taken, for a server that reads nothing");
    client.shutdown(Shutdown::Write).unwrap();
    assert!(read_to_end(&mut server) == bytes[..sent]);
}

#[test]
fn a_server_that_refuses_is_passed_on_and_the_proxy_goes_on() {
    let (listener, upstream) = listen();
    drop(listener);
    let proxy = proxy_to(upstream);
    for _ in 0..3 {
        let ended = connect(proxy).read(&mut [0; 1]);
        assert!(ended.map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |n| n == 0));
    }
    let listener = TcpListener::bind(upstream).unwrap();
    let mut client = connect(proxy);
    client.write_all(b"x").unwrap();
    assert_eq!(listener.accept().unwrap().0.read(&mut [0; 2]).unwrap(), 1);
}

/// Its backlog is full: on Linux it ignores whoever comes then.
#[cfg(target_os = "linux")]
#[test]
fn a_server_that_does_not_answer_is_given_up() {
    use stampede_reactor::net::{ListenOptions, Listener};
    let options = ListenOptions { backlog: 0, ..Default::default() };
    let listener = Listener::bind(([127, 0, 0, 1], 0).into(), &options).unwrap();
    let upstream = listener.local_addr().unwrap().socket_addr().unwrap();
    let _in_the_backlog = TcpStream::connect(upstream).unwrap();
    let proxy = proxy_to(upstream);
    let start = std::time::Instant::now();
    let error = connect(proxy).read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(start.elapsed() >= Duration::from_secs(4));
}

#[test]
fn a_reset_is_passed_on_as_a_reset() {
    let (mut client, server) = pair();
    (&server).write_all(b"half an ans").unwrap();
    client.read_exact(&mut [0; 11]).unwrap();
    stampede_reactor::Stream::from(server).set_linger(Some(Duration::ZERO)).unwrap();
    let error = client.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_reset_after_the_end_of_its_bytes_is_passed_on_too() {
    let (client, mut server) = pair();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut server), b"");
    stampede_reactor::Stream::from(client).set_linger(Some(Duration::ZERO)).unwrap();
    let error = stampede_reactor::net::wait(&server, stampede_reactor::net::FAILURE, PATIENCE);
    assert!(error.unwrap().is_error());
}

/// More than it has places for at a time: whatever a connection takes is given back.
#[test]
fn places_are_given_back() {
    let (listener, upstream) = listen();
    let proxy = proxy_to(upstream);
    for number in 0..1_200 {
        let client = connect(proxy);
        let mut server = listener.accept().unwrap().0;
        match number % 3 {
            0 => drop(client),
            1 => client.shutdown(Shutdown::Write).unwrap(),
            _ => stampede_reactor::Stream::from(client).set_linger(Some(Duration::ZERO)).unwrap(),
        }
        let _ = server.read(&mut [0; 1]);
    }
}
