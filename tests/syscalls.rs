//! What a request costs in system calls, counted by strace.
//!
//! A request under load costs one receive and one send; everything else (waiting, accepting,
//! registering, timers, the clock) is shared or done once per connection. These are the README's
//! numbers.

#![cfg(target_os = "linux")]

mod common;

use common::observe::{self, Traced, between, count, name};
use common::{Client, get, request};

/// A request that can be found in a trace.
fn mark(name: &str) -> Vec<u8> {
    get(&format!("/plaintext?{name}"))
}

fn is_receive(name: &str) -> bool {
    matches!(name, "recvfrom" | "recvmsg" | "read" | "readv" | "recv")
}

fn is_send(name: &str) -> bool {
    matches!(name, "sendto" | "sendmsg" | "write" | "writev" | "send")
}

fn is_wait(name: &str) -> bool {
    name.starts_with("epoll_wait") || name.starts_with("epoll_pwait")
}

/// No call but receiving, sending and waiting, and no more waits than one per batch.
#[track_caller]
fn expect_only_transfers(calls: &[String], receives: usize, sends: usize) {
    let other = calls.iter().find(|call| {
        let name = name(call);
        !is_receive(name) && !is_send(name) && !is_wait(name)
    });
    assert!(other.is_none(), "a call too many: {}", other.expect("it is there"));
    assert_eq!(count(calls, is_receive), receives, "receives");
    assert_eq!(count(calls, is_send), sends, "sends");
    let waits = count(calls, is_wait);
    assert!(waits <= receives + 1, "{waits} waits for {receives} receives");
}

#[test]
fn a_keep_alive_request_is_one_receive_and_one_send() {
    const REQUESTS: usize = 200;
    if !observe::can_trace("system calls of a keep-alive request") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let traced = Traced::start(folder.path(), &[]);
    let mut client = traced.server.connect();
    client.get("/plaintext"); // accepted and registered
    client.exchange(&mark("begin"));
    for _ in 0..REQUESTS {
        client.get("/plaintext");
    }
    client.exchange(&mark("end"));
    drop(client);
    let calls = traced.finish();
    // The first mark's answer is still to be sent.
    expect_only_transfers(between(&calls, "begin", "end"), REQUESTS, REQUESTS + 1);
}

#[test]
fn sixteen_pipelined_requests_are_one_receive_and_one_send() {
    const BATCHES: usize = 50;
    if !observe::can_trace("system calls of pipelined requests") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let traced = Traced::start(folder.path(), &[]);
    let mut client = traced.server.connect();
    client.get("/plaintext"); // accepted and registered
    client.exchange(&mark("begin"));
    let batch = get("/plaintext").repeat(16);
    for _ in 0..BATCHES {
        client.send(&batch);
        for _ in 0..16 {
            assert_eq!(client.response().status, 200);
        }
    }
    client.exchange(&mark("end"));
    drop(client);
    let calls = traced.finish();
    expect_only_transfers(between(&calls, "begin", "end"), BATCHES, BATCHES + 1);
}

#[test]
fn many_connections_with_a_request_each_share_their_waits() {
    const CLIENTS: usize = 64;
    const ROUNDS: usize = 10;
    if !observe::can_trace("shared waits") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let traced = Traced::start(folder.path(), &[]);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| traced.server.connect()).collect();
    for client in &mut clients {
        client.get("/plaintext");
    }
    clients[0].exchange(&mark("begin"));
    for _ in 0..ROUNDS {
        for client in &mut clients {
            client.send(&get("/plaintext"));
        }
        for client in &mut clients {
            client.response();
        }
    }
    clients[0].exchange(&mark("end"));
    drop(clients);
    let calls = traced.finish();
    let calls = between(&calls, "begin", "end");
    expect_only_transfers(calls, CLIENTS * ROUNDS, CLIENTS * ROUNDS + 1);
}

/// Calls per connection, for this many connections with one request each, waiting aside.
fn calls_per_connection(arguments: &[&str]) -> f64 {
    const CONNECTIONS: usize = 500;
    let folder = tempfile::tempdir().expect("a directory");
    let traced = Traced::start(folder.path(), arguments);
    let mut marker = traced.server.connect();
    marker.get("/plaintext"); // accepted and registered
    marker.exchange(&mark("begin"));
    for _ in 0..CONNECTIONS {
        let mut client = traced.server.connect();
        client.send(&request("GET", "/plaintext", &["Connection: close"]));
        client.response();
        client.expect_close();
    }
    marker.exchange(&mark("end"));
    drop(marker);
    let calls = traced.finish();
    let calls = between(&calls, "begin", "end");
    calls.len() as f64 / CONNECTIONS as f64
}

#[test]
fn a_connection_with_one_request_costs_at_most_eight_calls() {
    if observe::can_trace("system calls of a connection") {
        let calls = calls_per_connection(&[]);
        assert!(calls <= 8.1, "{calls} calls");
    }
}

/// The request is there when the connection is accepted: accept, receive, send, close, and a wait.
#[test]
fn a_deferred_connection_with_one_request_costs_at_most_five_calls() {
    if observe::can_trace("system calls of a deferred connection") {
        let calls = calls_per_connection(&["--defer-accept", "1s"]);
        assert!(calls <= 5.1, "{calls} calls");
    }
}
