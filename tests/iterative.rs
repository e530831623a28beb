//! One connection at a time: the others wait, and the server hears its signals all the same.

mod common;

use std::time::{Duration, Instant};

use common::{Client, Server, get, server};

/// Long enough that an answer would have come.
const A_WHILE: Duration = Duration::from_millis(150);
/// Longer than a stop takes when there is nothing to wait for.
const SOON: Duration = Duration::from_secs(5);

fn start(arguments: &[&str]) -> Server {
    let mut command = server::iterative();
    command.args(["--listen", "127.0.0.1:0", "--demo"]).args(arguments);
    Server::spawn(command)
}

#[test]
fn the_second_client_waits_until_the_first_has_gone() {
    let server = start(&[]);
    let mut first = server.connect();
    assert_eq!(first.get("/plaintext").status, 200);
    let (mut second, mut third) = (server.connect(), server.connect());
    second.send(&get("/plaintext"));
    third.send(&get("/json"));
    assert!(second.is_silent_for(A_WHILE));
    assert_eq!(first.get("/plaintext").status, 200, "the first one goes on");
    drop(first);
    assert_eq!(second.response().text(), "Hello, World!");
    assert!(third.is_silent_for(A_WHILE));
    drop(second);
    assert_eq!(third.response().status, 200);
}

#[test]
fn a_client_that_says_nothing_makes_way_after_the_idle_time() {
    let server = start(&["--idle-timeout", "300ms"]);
    let mut silent = server.connect();
    let begin = Instant::now();
    let mut second = server.connect();
    assert_eq!(second.get("/plaintext").status, 200);
    assert!(begin.elapsed() >= Duration::from_millis(290), "after {:?}", begin.elapsed());
    silent.expect_close();
}

#[test]
fn it_stops_while_an_idle_client_is_connected() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
        let mut server = start(&[]);
        let mut idle = server.connect();
        assert_eq!(idle.get("/plaintext").status, 200);
        let begin = Instant::now();
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0));
        assert!(begin.elapsed() < SOON, "after {:?}", begin.elapsed());
        idle.expect_close();
    }
}

#[test]
fn those_that_wait_are_served_before_it_stops() {
    let mut server = start(&[]);
    let mut idle = server.connect();
    assert_eq!(idle.get("/plaintext").status, 200);
    let mut waiting: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    let mut silent = server.connect();
    for client in &mut waiting {
        client.send(&get("/plaintext"));
    }
    server.signal(libc::SIGTERM);
    for client in &mut waiting {
        let answer = client.response();
        assert!(answer.status == 200 && answer.closes(), "{answer:?}");
    }
    assert_eq!(server.wait().code(), Some(0));
    silent.expect_close();
}

#[test]
fn a_response_in_flight_is_completed_and_a_second_signal_cuts_it_off() {
    let mut server = start(&[]);
    let mut client = server.connect();
    client.send(&get("/sleep?ms=500"));
    assert!(client.is_silent_for(A_WHILE));
    server.signal(libc::SIGTERM);
    assert_eq!(client.response().text(), "waited for 500 ms\n");
    assert_eq!(server.wait().code(), Some(0));

    let mut server = start(&["--drain-timeout", "60s"]);
    let mut client = server.connect();
    client.send(&get("/sleep?ms=60000"));
    assert!(client.is_silent_for(A_WHILE));
    server.signal(libc::SIGTERM);
    assert!(client.is_silent_for(A_WHILE));
    let begin = Instant::now();
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(begin.elapsed() < SOON, "after {:?}", begin.elapsed());
    client.expect_end();
}

#[test]
fn what_takes_longer_than_the_drain_is_cut_off() {
    let mut server = start(&["--drain-timeout", "300ms"]);
    let mut client = server.connect();
    client.send(&get("/sleep?ms=60000"));
    assert!(client.is_silent_for(A_WHILE));
    let begin = Instant::now();
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(begin.elapsed() >= Duration::from_millis(290) && begin.elapsed() < SOON);
    client.expect_end();
}

#[test]
fn it_waits_without_working() {
    let server = start(&[]);
    let mut idle = server.connect();
    assert_eq!(idle.get("/plaintext").status, 200);
    let _waiting: Vec<Client> = (0..5).map(|_| server.connect()).collect();
    let before = common::observe::cpu_seconds(server.pid());
    assert!(idle.is_silent_for(Duration::from_millis(500)));
    let spent = common::observe::cpu_seconds(server.pid()) - before;
    assert!(spent < 0.05, "{spent} s of CPU time while nothing happened");
}
