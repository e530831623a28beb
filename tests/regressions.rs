//! Bugs that were once made here, each with the test that would have found it.

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::server::{has_buffer_pool, serves_many, shares_body_memory};
use common::{Client, Server, get, request, until};

/// A request with a head of this many bytes more than it needs.
fn padded(target: &str, bytes: usize) -> Vec<u8> {
    request("GET", target, &[&format!("X-Pad: {}", "x".repeat(bytes))])
}

/// The timeout for a whole request once ran from its connection's first one, if they were pipelined
/// behind a wait.
#[test]
fn each_pipelined_request_has_its_own_time() {
    let server = Server::start(&["--demo", "--request-timeout", "1500ms"]);
    let mut client = server.connect();
    client.send(&get("/sleep?ms=700").repeat(3));
    for _ in 0..3 {
        assert_eq!(client.response().status, 200);
    }
}

/// `--keepalive-requests` once did not count for requests whose body came in pieces.
#[test]
fn the_limit_of_requests_holds_for_bodies_in_pieces() {
    let server = Server::start(&["--demo", "--keepalive-requests", "2"]);
    let mut client = server.connect();
    for last in [false, true] {
        client.send(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
        );
        assert_eq!(client.response().status, 100);
        client.send(b"abcd");
        assert_eq!(client.response().closes(), last);
    }
    client.expect_close();
}

/// `--body-memory` once bounded bodies only, not the heads that are saved during a wait.
#[test]
fn heads_that_wait_count_as_memory() {
    if !shares_body_memory("each of them would hold as much") {
        return;
    }
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    const WAITING: usize = 10;
    let server = Server::start(&["--demo", "--body-memory", "40K"]);
    let mut clients: Vec<Client> = (0..WAITING)
        .map(|_| {
            let mut client = server.connect();
            client.send(&padded("/sleep?ms=1000", 10_000));
            client
        })
        .collect();
    let refused =
        clients.iter_mut().map(Client::response).filter(|answer| answer.status == 503).count();
    assert_eq!(refused, WAITING - 4, "40 KiB hold four of them");
    server.until_metric("body_bytes_held", 0);
    server.until_metric("waits", 0);
}

/// Pipelined work was once all done in one turn of the loop, without handling signals.
#[test]
fn other_clients_are_served_between_two_pieces_of_work() {
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    const WORKS: usize = 40;
    let server = Server::demo();
    let mut busy = server.connect();
    let mut other = server.connect();
    busy.send(&get("/work?us=50000").repeat(WORKS));
    assert_eq!(busy.response().status, 200);
    assert_eq!(other.get("/plaintext").status, 200);
    let works = server.metric("works_total");
    assert!(works < WORKS as u64, "all of it was done first");
    for _ in 1..WORKS {
        assert_eq!(busy.response().status, 200);
    }
}

/// `close(2)` waits for `SO_LINGER`'s time even on a non-blocking socket, and the loop with it.
#[test]
fn no_client_waits_for_anothers_so_linger() {
    let server = Server::start(&["--demo", "--linger", "20s"]);
    let mut slow = Client::connect_with_window(server.address(), 4096);
    // More than the client has room for, and no more than the kernel keeps for it.
    let last = request("GET", "/bytes?n=20000", &["Connection: close"]);
    slow.send(&last);
    slow.read_head().expect("an answer");
    let begin = Instant::now();
    server.until_metric("connections_open", 1);
    assert!(begin.elapsed() < Duration::from_secs(10));
}

/// The timeout for an unwanted body once ran while the response was still pending.
#[test]
fn the_time_of_a_discarded_body_begins_when_it_is_read() {
    let server = Server::start(&["--demo", "--body-timeout", "1s"]);
    let mut client = server.connect();
    client.send(b"GET /sleep?ms=1500 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345");
    assert_eq!(client.response().status, 200);
    assert!(client.is_silent_for(Duration::from_millis(300)));
    client.send(b"67890");
    assert!(client.is_alive());
}

/// With the buffers nearly exhausted, bytes read from a file into the loop's own buffer could stay
/// there, and go out on the next connection.
#[test]
fn no_client_gets_bytes_read_for_another() {
    const FILE_BYTES: usize = 16 << 20;
    const MADE_BYTES: usize = 400_000;
    let root = tempfile::tempdir().expect("a directory");
    fs::write(root.path().join("file"), vec![b'F'; FILE_BYTES]).expect("a file");
    let arguments = ["--no-sendfile", "--buffers", "4", "--buffer-size", "20K"];
    let server = Server::root(root.path(), &arguments);
    let download = || {
        let body = server.get("/file").body;
        assert!(body.len() == FILE_BYTES && body.iter().all(|&byte| byte == b'F'));
    };
    let pipeline = || {
        let mut client = Client::connect_with_window(server.address(), 4096);
        let made = padded(&format!("/bytes?n={MADE_BYTES}"), 600);
        client.send(&made[..620]);
        client.send(&[&made[620..], &padded("/plaintext", 700)].concat());
        assert_eq!(client.response().body.len(), MADE_BYTES);
        assert_eq!(client.response().text(), "Hello, World!");
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..2).for_each(|_| download()));
        }
        for _ in 0..12 {
            scope.spawn(|| (0..2).for_each(|_| pipeline()));
        }
    });
    server.until_metric("buffers_large_used", 2);
}

/// A client's progress was once noticed only when the socket became writable: a third of its buffer
/// later, which at this speed is after the timeout.
#[test]
fn a_slow_reader_is_not_taken_for_one_that_does_not_read() {
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    const PIECE_BYTES: usize = 20_000;
    // A full send buffer, as it was then: a third of it takes some four seconds.
    let options = ["--demo", "--write-timeout", "2s", "--notsent-lowat", "off"];
    let server = Server::start(&options);
    let mut client = server.connect();
    client.send(&get("/bytes?n=100000000"));
    client.read_head().expect("an answer");
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(5) {
        client.read_bytes(PIECE_BYTES);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(server.metric("timeouts_write_total"), 0);
}

/// Long unfinished heads, one buffer each, once blocked all other clients for as long as a head may
/// take.
#[test]
fn slow_heads_give_way_when_others_wait_for_their_buffers() {
    if !has_buffer_pool("its connections have two buffers each") {
        return;
    }
    let server = Server::start(&["--demo", "--buffers", "4", "--head-timeout", "60s"]);
    let mut slow: Vec<Client> = (0..20)
        .map(|_| {
            let mut client = server.connect();
            client.send(&padded("/plaintext", 1000)[..900]);
            client
        })
        .collect();
    let begin = Instant::now();
    assert_eq!(server.get("/plaintext").status, 200);
    assert!(begin.elapsed() < Duration::from_secs(20));
    assert_eq!(slow[0].response().status, 503);
}

/// Without a timeout for heads, a connection that never sent a byte was once kept forever.
#[test]
fn a_connection_that_sends_nothing_is_idle_when_heads_have_all_time() {
    let server = Server::start(&["--demo", "--head-timeout", "0", "--idle-timeout", "300ms"]);
    server.connect().expect_close();
}

/// A head that is refused for its meaning is a request all the same.
#[test]
fn a_refused_head_is_answered_and_logged_as_what_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    let path = log.to_str().expect("a path");
    let mut server =
        Server::start(&["--demo", "--access-log", "common", "--log-file", path, "--max-body", "9"]);
    let mut client = server.connect();
    client.send(b"HEAD /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    let answer = client.read_to_end().expect("an end");
    assert!(answer.starts_with(b"HTTP/1.1 413 "));
    assert!(answer.ends_with(b"\r\n\r\n"), "HEAD gets no content");
    server.stop();
    let lines = std::fs::read_to_string(&log).expect("a log");
    assert!(lines.contains("\"HEAD /echo HTTP/1.1\" 413 "), "{lines}");
}

/// Connections that wait for a time and hold pipelined input in large buffers once kept each other,
/// and all others, from going on: each of them waited for a buffer that another one had.
#[test]
fn waiting_requests_with_pipelined_input_go_on_when_the_buffers_are_exhausted() {
    if !has_buffer_pool("its connections have two buffers each") {
        return;
    }
    for arguments in [
        &["--demo", "--buffers", "4"][..],
        &["--demo", "--buffers", "4", "--request-timeout", "20s"],
    ] {
        let server = Server::start(arguments);
        let batch = [get("/sleep?ms=300"), padded("/plaintext", 950)].concat();
        let mut clients: Vec<Client> = (0..12).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send(&batch);
        }
        for client in &mut clients {
            assert_eq!(client.response().text(), "waited for 300 ms\n");
            assert_eq!(client.response().text(), "Hello, World!");
        }
        assert_eq!(server.get("/plaintext").status, 200);
    }
}

/// The rest of a PROXY header that was refused for its slowness was once read as another header.
#[test]
fn a_slow_proxy_header_is_refused_and_the_server_goes_on() {
    if !has_buffer_pool("its connections have two buffers each") {
        return;
    }
    let options = ["--demo", "--buffers", "4", "--proxy-protocol", "--trusted", "127.0.0.1"];
    let mut server = Server::start(&options);
    // Version 2, PROXY, TCP over IPv4, 2000 bytes of address and additional fields.
    let header = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x07\xd0"[..], &[0; 604]].concat();
    let mut clients: Vec<Client> = (0..12).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&header);
    }
    // At least one of them is told to come again.
    until("one is refused", || clients.iter().any(Client::has_answer));
    drop(clients);
    let mut client = server.connect();
    client.send(&[b"PROXY UNKNOWN\r\n".to_vec(), get("/plaintext")].concat());
    assert_eq!(client.response().text(), "Hello, World!");
    assert!(server.is_running());
}

/// A blocking receive once looked at its deadline only when there was nothing to receive.
#[test]
fn a_client_that_never_stops_sending_does_not_outlive_its_deadlines() {
    let server = Server::start(&["--demo", "--request-timeout", "1s"]);
    for head in [
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\n", // 413, then lingers
        "POST /plaintext HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", // discarded
    ] {
        let mut client = server.connect();
        client.send(head.as_bytes());
        until("the server closes", || client.try_send(&[b'x'; 1000]).is_err());
    }
}

/// Bytes that arrived during a response once made the close a reset, which destroyed its end.
#[test]
fn bytes_that_arrive_during_the_last_response_do_not_destroy_it() {
    let server = Server::demo();
    let mut client = Client::connect_with_window(server.address(), 4096);
    client.send(&request("GET", "/bytes?n=5000000", &["Connection: close"]));
    until("the response has begun", || client.has_answer());
    client.send(&get("/plaintext"));
    assert_eq!(client.response().body.len(), 5_000_000);
    client.expect_close();
}
