//! The server shuts down as requested: gracefully at the first signal, at once at the second.

mod common;

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use common::server::serves_many;
use common::{Client, Server, get, post, until};

/// Longer than a shutdown takes when there is nothing to wait for, with a margin for a loaded
/// machine.
const SOON: Duration = Duration::from_secs(5);

/// Signals, and waits until the drain has begun: connecting fails from then on.
fn begin_stop(server: &Server, signal: i32) {
    server.signal(signal);
    until("the listener is closed", || Client::try_connect(server.address()).is_err());
}

#[test]
fn every_signal_ends_an_idle_server_with_status_0() {
    if !serves_many("several clients are connected at once") {
        return;
    }
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        let mut server = Server::demo();
        // They do not delay it: it waits a moment for bytes that may be in transit, no longer.
        let mut idle = server.connect();
        idle.get("/plaintext");
        let mut silent = server.connect();
        server.get("/plaintext");
        let begin = Instant::now();
        server.signal(signal);
        let status = server.wait();
        assert_eq!(status.code(), Some(0), "{status}");
        assert!(begin.elapsed() < SOON, "after {:?}", begin.elapsed());
        idle.expect_close();
        silent.expect_close();
        assert!(Client::try_connect(server.address()).is_err());
    }
}

#[test]
fn a_response_in_flight_is_completed() {
    let mut server = Server::demo();
    let mut client = Client::connect_with_window(server.address(), 65_536);
    client.send(&get("/bytes?n=20000000"));
    let head = client.read_head().expect("an answer");
    assert_eq!(head.field("Content-Length"), Some("20000000"));
    begin_stop(&server, libc::SIGTERM);
    client.read_bytes(20_000_000);
    client.expect_close();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_wait_and_a_body_in_flight_are_completed() {
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    let mut server = Server::demo();
    let (mut waiting, mut writing) = (server.connect(), server.connect());
    waiting.send(&get("/sleep?ms=800"));
    let whole = post("/echo", &[], b"0123456789");
    let (most, rest) = whole.split_at(whole.len() - 5);
    writing.send(most);
    until("both are in flight", || {
        server.metric("waits") == 1 && server.metric("body_bytes_held") > 0
    });
    begin_stop(&server, libc::SIGINT);
    let answer = waiting.response();
    assert_eq!(answer.text(), "waited for 800 ms\n");
    assert!(answer.closes());
    waiting.expect_close();
    writing.send(rest);
    let answer = writing.response();
    assert!(answer.body.ends_with(b"0123456789") && answer.closes());
    writing.expect_close();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_request_that_arrives_during_the_drain_is_answered_with_close() {
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    let mut server = Server::demo();
    let (mut kept, mut busy) = (server.connect(), server.connect());
    assert!(!kept.get("/plaintext").closes());
    busy.send(&get("/sleep?ms=1000"));
    until("the busy one is busy", || server.metric("waits") == 1);
    begin_stop(&server, libc::SIGTERM);
    let answer = kept.get("/plaintext");
    assert_eq!(answer.text(), "Hello, World!");
    assert!(answer.closes(), "{answer:?}");
    kept.expect_close();
    assert_eq!(busy.response().status, 200);
    assert_eq!(server.wait().code(), Some(0));
}

/// The kernel has completed their handshakes; they have not been accepted when the signal comes.
#[test]
fn connections_in_the_backlog_are_served() {
    let mut server = Server::demo();
    let mut busy = server.connect();
    busy.get("/plaintext"); // the loop runs, and takes signals
    // While it computes, it accepts no connection.
    busy.send(&get("/work?us=300000"));
    let mut queued: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut queued {
        client.send(&get("/plaintext"));
    }
    server.signal(libc::SIGTERM);
    assert_eq!(busy.response().status, 200);
    for client in &mut queued {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn requests_longer_than_the_drain_timeout_are_cut_off() {
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    let mut server = Server::start(&["--demo", "--drain-timeout", "500ms"]);
    let mut client = server.connect();
    client.send(&get("/sleep?ms=60000"));
    until("it waits", || server.metric("waits") == 1);
    let begin = Instant::now();
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    let passed = begin.elapsed();
    assert!(passed >= Duration::from_millis(480) && passed < SOON, "after {passed:?}");
    client.expect_end();
}

#[test]
fn quit_has_no_time_limit_until_term_arrives() {
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    let mut server = Server::start(&["--demo", "--drain-timeout", "10ms"]);
    let (mut slow, mut slower) = (server.connect(), server.connect());
    slow.send(&get("/sleep?ms=1000"));
    slower.send(&get("/sleep?ms=60000"));
    until("they wait", || server.metric("waits") == 2);
    begin_stop(&server, libc::SIGQUIT);
    assert_eq!(slow.response().text(), "waited for 1000 ms\n");
    assert!(server.is_running());
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    slower.expect_end();
}

#[test]
fn a_second_signal_ends_it_at_once() {
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    let mut server = Server::start(&["--demo", "--drain-timeout", "60s"]);
    let mut client = server.connect();
    client.send(&get("/sleep?ms=60000"));
    until("it waits", || server.metric("waits") == 1);
    begin_stop(&server, libc::SIGTERM);
    assert!(client.is_silent_for(Duration::from_millis(100)));
    assert!(server.is_running());
    let begin = Instant::now();
    server.signal(libc::SIGTERM);
    let status = server.wait();
    assert!(begin.elapsed() < SOON, "after {:?}", begin.elapsed());
    assert!(status.signal().is_none(), "it ends by itself: {status}");
    client.expect_end();
}

#[test]
fn the_access_log_is_complete_when_it_has_stopped() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("log");
    let log = ["--access-log", "common", "--log-file", file.to_str().expect("UTF-8")];
    let mut server = Server::start(&[&["--demo"], &log[..]].concat());
    let mut client = server.connect();
    for i in 0..500 {
        client.get(&format!("/plaintext?{i}"));
    }
    assert_eq!(server.stop().code(), Some(0));
    let text = std::fs::read_to_string(file).expect("the log");
    assert_eq!(text.lines().count(), 500);
    assert!(text.lines().last().expect("a line").contains("/plaintext?499 "));
}
