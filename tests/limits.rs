//! Limits of each kind: a request over the limit is refused with its own status, one just under it
//! is served, and a refused client can read the response although it was still sending.

mod common;

use std::time::Duration;

use common::server::{has_buffer_pool, serves_many, shares_body_memory};
use common::{Client, Response, Server, get, observe, post, post_chunked, request};

/// A refusal: its status, and the end.
#[track_caller]
fn expect_refusal(client: &mut Client, status: u16) -> Response {
    let answer = client.response();
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.closes(), "{answer:?}");
    client.expect_close();
    answer
}

/// A GET of exactly `len` bytes.
fn head_of(len: usize) -> Vec<u8> {
    let fixed = request("GET", "/plaintext", &["X: "]).len();
    let head = request("GET", "/plaintext", &[&format!("X: {}", "a".repeat(len - fixed))]);
    assert_eq!(head.len(), len);
    head
}

#[test]
fn a_head_of_the_limit_is_served_and_one_byte_more_is_431() {
    let server = Server::start(&["--demo", "--max-head", "1K"]);
    let mut client = server.connect();
    assert_eq!(client.exchange(&head_of(1024)).status, 200);
    client.send(&head_of(1025));
    expect_refusal(&mut client, 431);
}

#[test]
fn the_default_takes_a_head_of_16_kib_in_any_pieces() {
    if !serves_many("several clients are connected at once") {
        return;
    }
    let server = Server::demo();
    let mut ping = server.connect();
    let mut client = server.connect();
    for piece in head_of(16 * 1024).chunks(1500) {
        client.send(piece);
        ping.get("/plaintext");
    }
    assert_eq!(client.response().status, 200);
    client.send(&head_of(16 * 1024 + 1));
    expect_refusal(&mut client, 431);
}

#[test]
fn a_head_without_end_is_refused_when_the_limit_is_reached() {
    let server = Server::demo();
    let mut client = server.connect();
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ");
    let line = [b'a'; 8192];
    let mut sent = 0;
    while client.is_silent_for(Duration::ZERO) && sent < 64 << 20 {
        if client.try_send(&line).is_err() {
            break;
        }
        sent += line.len();
    }
    assert_eq!(client.response().status, 431);
}

#[test]
fn more_fields_than_allowed_are_431() {
    let server = Server::start(&["--demo", "--max-fields", "10"]);
    let mut client = server.connect();
    // With Host.
    let fields = ["X: y"; 10];
    assert_eq!(client.exchange(&request("GET", "/plaintext", &fields[..9])).status, 200);
    client.send(&request("GET", "/plaintext", &fields));
    expect_refusal(&mut client, 431);
}

#[test]
fn a_target_longer_than_allowed_is_414() {
    let server = Server::start(&["--demo", "--max-target", "100"]);
    let mut client = server.connect();
    let target = |len: usize| format!("/plaintext?{}", "a".repeat(len - "/plaintext?".len()));
    assert_eq!(client.get(&target(100)).status, 200);
    client.send(&get(&target(101)));
    expect_refusal(&mut client, 414);
}

#[test]
fn a_body_longer_than_allowed_is_413_before_it_is_sent() {
    let server = Server::start(&["--demo", "--max-body", "1000"]);
    let mut client = server.connect();
    assert_eq!(client.exchange(&post("/echo", &[], &[b'x'; 1000])).status, 200);
    client.send(&request("POST", "/echo", &["Content-Length: 1001"]));
    expect_refusal(&mut client, 413);
    let mut client = server.connect();
    let expecting = ["Content-Length: 1001", "Expect: 100-continue"];
    client.send(&request("POST", "/echo", &expecting));
    expect_refusal(&mut client, 413);
}

#[test]
fn a_chunked_body_is_413_when_it_has_become_too_long() {
    let server = Server::start(&["--demo", "--max-body", "1000"]);
    let mut client = server.connect();
    let half = [b'x'; 500];
    assert_eq!(client.exchange(&post_chunked("/echo", &[], &[&half, &half])).status, 200);
    client.send(&post_chunked("/echo", &[], &[&half, &half, b"x"]));
    expect_refusal(&mut client, 413);
}

/// The kernel answers bytes for a closed socket with RST, which makes the client's kernel discard
/// what it has received: so the server must read on for a while (RFC 9112, section 9.6).
#[test]
fn a_refusal_reaches_a_client_that_is_still_sending() {
    let server = Server::demo();
    for round in 0..10 {
        let mut client = server.connect();
        client.send(&request("POST", "/echo", &["Content-Length: 4000000"]));
        let piece = [b'x'; 100_000];
        for _ in 0..40 {
            client.try_send(&piece).unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
        expect_refusal(&mut client, 413);
    }
}

#[test]
fn a_refusal_of_a_chunked_body_reaches_a_client_that_is_still_sending() {
    let server = Server::start(&["--demo", "--max-body", "1000"]);
    let body = vec![b'x'; 2_000_000];
    let chunks: Vec<&[u8]> = body.chunks(10_000).collect();
    let mut client = server.connect();
    client.send(&post_chunked("/echo", &[], &chunks));
    expect_refusal(&mut client, 413);
}

#[test]
fn a_refused_client_that_never_stops_sending_is_cut_off() {
    let server = Server::demo();
    let mut client = server.connect();
    client.send(&request("POST", "/echo", &["Content-Length: 9999999"]));
    assert_eq!(client.response().status, 413);
    let begin = std::time::Instant::now();
    while client.try_send(&[b'x'; 1000]).is_ok() {
        assert!(begin.elapsed() < common::PATIENCE, "it is read from forever");
        std::thread::sleep(Duration::from_millis(5)); // the pace of a persistent client
    }
    server.until_metric("connections_open", 1);
}

#[test]
fn one_connection_more_than_allowed_waits_until_another_closes() {
    if !serves_many("several clients are connected at once") {
        return;
    }
    let server = Server::start(&["--demo", "--max-connections", "3"]);
    let mut held: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut held {
        assert_eq!(client.get("/plaintext").status, 200);
    }
    // The kernel accepts it into the backlog, the server does not.
    let mut waiting = server.connect();
    waiting.send(&get("/plaintext"));
    let others_meanwhile = held[0].get("/status.json");
    assert_eq!(others_meanwhile.status, 200);
    assert!(waiting.is_silent_for(Duration::from_millis(150)));
    let before = observe::cpu_seconds(server.serving_pid());
    assert!(waiting.is_silent_for(Duration::from_millis(500)));
    let spent = observe::cpu_seconds(server.serving_pid()) - before;
    assert!(spent < 0.1, "{spent} s of CPU time for waiting half a second");
    held.pop();
    assert_eq!(waiting.response().status, 200);
    assert!(held.iter_mut().all(Client::is_alive));
}

#[test]
fn the_last_request_of_a_connection_is_answered_with_close() {
    let server = Server::start(&["--demo", "--keepalive-requests", "3"]);
    let mut client = server.connect();
    assert!(!client.get("/plaintext").closes());
    client.send(&[get("/plaintext"), get("/plaintext"), get("/plaintext")].concat());
    assert!(!client.response().closes());
    assert!(client.response().closes());
    client.expect_close();
}

#[test]
fn bodies_beyond_the_memory_for_all_of_them_are_503() {
    if !shares_body_memory("each of them would hold as much") {
        return;
    }
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    let server = Server::start(&["--demo", "--max-body", "1M", "--body-memory", "100K"]);
    let large = post("/echo", &[], &[b'x'; 80_000]);
    let (most, rest) = large.split_at(large.len() - 10);
    let mut first = server.connect();
    first.send(most);
    common::until("most of the first body is held", || server.metric("body_bytes_held") > 79_000);
    let mut second = server.connect();
    second.send(most);
    let refusal = expect_refusal(&mut second, 503);
    assert_eq!(refusal.field("Retry-After"), Some("1"));
    first.send(rest);
    assert_eq!(first.response().status, 200);
    server.until_metric("body_bytes_held", 0);
    // And there is room again.
    assert_eq!(server.exchange(&large).status, 200);
}

/// The buffer pool is exhausted by responses that are still being read; each continues as soon as
/// its client reads.
#[test]
fn more_readers_than_buffers_take_turns() {
    if !has_buffer_pool("its connections have two buffers each") {
        return;
    }
    const LEN: usize = 6_000_000;
    let server = Server::start(&["--demo", "--buffers", "4"]);
    let mut readers: Vec<Client> =
        (0..20).map(|_| Client::connect_with_window(server.address(), 65_536)).collect();
    for reader in &mut readers {
        reader.send(&get(&format!("/bytes?n={LEN}")));
    }
    // When it has sent what the sockets take.
    observe::until_at_rest(server.serving_pid());
    std::thread::scope(|scope| {
        for reader in &mut readers {
            scope.spawn(|| {
                assert_eq!(reader.response().body.len(), LEN);
                assert_eq!(reader.get("/bytes?n=70000").body.len(), 70_000);
                assert!(reader.is_alive());
            });
        }
    });
    assert!(server.metric("buffers_starved_total") > 0, "the pool was never exhausted");
}

/// Four buffers, and 200 clients that each need one: they wait for each other, and all are served.
#[test]
fn more_clients_than_buffers_take_turns() {
    if !has_buffer_pool("its connections have two buffers each") {
        return;
    }
    let server = Server::start(&["--demo", "--buffers", "4"]);
    let target = get(&format!("/bytes?n=100000&{}", "x".repeat(2000)));
    let (begin, end) = target.split_at(1500);
    let mut clients: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(begin);
    }
    for client in &mut clients {
        client.send(end);
    }
    for (i, client) in clients.iter_mut().enumerate() {
        let answer = client.try_response().unwrap_or_else(|error| panic!("client {i}: {error}"));
        assert_eq!(answer.body.len(), 100_000);
    }
}
