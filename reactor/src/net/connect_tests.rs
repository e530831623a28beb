//! Every outcome of a connect, as an event of the loop.

use super::*;
use crate::event_loop::{Config, EventLoop, Handler};
use crate::net::{Accept, ListenOptions, Listener};
use crate::{Interest, Readiness, Token, Trigger};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::time::Duration;

/// What came of a stream that is connecting.
enum Outcome {
    Connected(Stream),
    Failed(io::ErrorKind),
    DeadlineCame,
}

struct Connecting {
    stream: Option<Stream>,
    outcome: Option<Outcome>,
}

impl Handler for Connecting {
    fn ready(&mut self, ev: &mut EventLoop, _: Token, readiness: Readiness) {
        assert!(readiness.is_writable());
        let stream = self.stream.take().expect("one event");
        self.outcome = Some(match stream.connected() {
            Ok(true) => Outcome::Connected(stream),
            Ok(false) => return self.stream = Some(stream),
            Err(error) => Outcome::Failed(error.kind()),
        });
        ev.stop();
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        ev.release(token);
        self.outcome = Some(Outcome::DeadlineCame);
        ev.stop();
    }
}

fn outcome_within(stream: Stream, limit: Duration) -> Outcome {
    let mut ev = EventLoop::new(Config::with_sources(1)).unwrap();
    let token = ev.register(&stream, Interest::WRITABLE, Trigger::Edge).unwrap();
    ev.set_deadline_after(token, limit);
    let mut handler = Connecting { stream: Some(stream), outcome: None };
    ev.run(&mut handler).unwrap();
    handler.outcome.unwrap()
}

fn outcome(stream: Stream) -> Outcome {
    outcome_within(stream, Duration::from_secs(10))
}

/// Sends a byte there and receives it.
fn assert_works(here: &Stream, listener: &Listener) {
    let Accept::Stream(there, _) = listener.accept().unwrap() else {
        panic!("the connection is established, so it can be accepted");
    };
    assert_eq!(here.send(b"x").unwrap(), 1);
    let received = crate::net::wait(&there, Interest::READABLE, Some(Duration::from_secs(10)));
    assert!(received.unwrap().is_readable());
    assert_eq!(there.recv(&mut [0; 2]).unwrap(), 1);
}

#[test]
fn tcp_connects_over_both_protocols() {
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    for address in [v4, v6] {
        let listener = match Listener::bind(address, &ListenOptions::default()) {
            Err(error) if address.is_ipv6() => return eprintln!("without IPv6: {error}"),
            result => result.unwrap(),
        };
        let address = listener.local_addr().unwrap().socket_addr().unwrap();
        let Outcome::Connected(stream) = outcome(Stream::connect(address).unwrap()) else {
            panic!("{address}");
        };
        assert_works(&stream, &listener);
    }
}

#[test]
fn a_unix_socket_connects() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = Listener::bind_unix(&path, 8).unwrap();
    let Outcome::Connected(stream) = outcome(Stream::connect_unix(&path).unwrap()) else {
        panic!("not connected");
    };
    assert_works(&stream, &listener);
}

/// The port of a listener that is closed: no process gets it back at once.
fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_refusal_is_an_event() {
    match Stream::connect(closed_port()) {
        Ok(stream) => {
            let Outcome::Failed(why) = outcome(stream) else { panic!("not refused") };
            assert_eq!(why, io::ErrorKind::ConnectionRefused);
        }
        // Allowed, and never seen on Linux.
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused),
    }
}

#[test]
fn the_reason_of_a_failure_is_reported_once() {
    let Ok(stream) = Stream::connect(closed_port()) else { return };
    crate::net::wait(&stream, Interest::WRITABLE, None).unwrap();
    assert_eq!(stream.connected().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    assert!(!stream.connected().unwrap());
}

/// A listener whose backlog is full ignores further attempts: they stay pending.
#[cfg(target_os = "linux")]
#[test]
fn an_attempt_without_an_answer_is_pending_until_its_deadline() {
    let options = ListenOptions { backlog: 0, ..Default::default() };
    let listener = Listener::bind(([127, 0, 0, 1], 0).into(), &options).unwrap();
    let address = listener.local_addr().unwrap().socket_addr().unwrap();
    let _first = Stream::connect(address).unwrap();
    let pending = Stream::connect(address).unwrap();
    let (start, limit) = (std::time::Instant::now(), Duration::from_millis(50));
    assert!(matches!(outcome_within(pending, limit), Outcome::DeadlineCame));
    assert!(start.elapsed() >= limit);
}

#[cfg(target_os = "linux")]
#[test]
fn a_unix_socket_with_a_full_backlog_is_would_block() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = Listener::bind_unix(&path, 0).unwrap();
    let _first = Stream::connect_unix(&path).unwrap();
    assert_eq!(Stream::connect_unix(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(matches!(listener.accept().unwrap(), Accept::Stream(..)));
    assert!(Stream::connect_unix(&path).unwrap().connected().unwrap(), "there is room again");
}

#[test]
fn unix_sockets_without_a_listener_are_errors_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let kind = |path: &Path| Stream::connect_unix(path).unwrap_err().kind();
    assert_eq!(kind(&folder.path().join("none")), io::ErrorKind::NotFound);
    let path = folder.path().join("socket");
    drop(Listener::bind_unix(&path, 1).unwrap());
    assert_eq!(kind(&path), io::ErrorKind::ConnectionRefused);
    assert_eq!(kind(Path::new(&"x".repeat(200))), io::ErrorKind::InvalidInput);
}

#[test]
fn a_peer_that_ended_it_at_once_was_connected() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = Stream::connect(listener.local_addr().unwrap()).unwrap();
    drop(listener.accept().unwrap());
    assert!(crate::net::wait(&stream, Interest::READABLE, None).unwrap().is_readable());
    assert!(stream.connected().unwrap());
    assert_eq!(stream.recv(&mut [0; 1]).unwrap(), 0);
}

/// Only Linux has the whole of 127.0.0.0/8.
#[cfg(target_os = "linux")]
#[test]
fn a_client_connects_from_an_address_of_its_choice() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let local = SocketAddr::from(([127, 0, 0, 77], 0));
    let stream = Stream::connect_from(local, listener.local_addr().unwrap()).unwrap();
    assert!(matches!(outcome(stream), Outcome::Connected(_)));
    let (_, peer) = listener.accept().unwrap();
    assert_eq!(peer.ip(), local.ip());
}
