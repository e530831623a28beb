//! How long a client may take: each timeout ends what it should end, with the response it should
//! have, and is counted.
//!
//! Lower bounds are exact but for the resolution of the server's clock; upper bounds only say "not
//! forever", for a loaded machine may be late.

mod common;

use std::time::{Duration, Instant};

use common::server::serves_many;
use common::{Client, Server, get, post, request};

/// The timeout under test.
const SHORT: Duration = Duration::from_millis(400);
const SHORT_TEXT: &str = "400ms";
/// One for clients that must stay within it, on a machine that may wake them late.
const LONG: Duration = Duration::from_millis(2000);
const LONG_TEXT: &str = "2s";
/// The server's clock counts milliseconds and is read once a turn.
const RESOLUTION: Duration = Duration::from_millis(20);

/// Reads a 408 and the end; both no earlier than a [`SHORT`] after `begin`.
#[track_caller]
fn expect_408(client: &mut Client, begin: Instant) {
    let answer = client.response();
    assert_eq!(answer.status, 408);
    assert!(answer.closes(), "{answer:?}");
    client.expect_close();
    expect_not_before(begin);
}

#[track_caller]
fn expect_not_before(begin: Instant) {
    let passed = begin.elapsed();
    assert!(passed + RESOLUTION >= SHORT, "too early, after {passed:?}");
}

#[test]
fn an_unfinished_head_is_answered_408() {
    let server = Server::start(&["--demo", "--head-timeout", SHORT_TEXT]);
    let mut client = server.connect();
    let begin = Instant::now();
    client.send(b"GET /plaintext HTTP/1.1\r\nHost: local");
    expect_408(&mut client, begin);
    assert_eq!(server.metric("timeouts_head_total"), 1);
}

#[test]
fn a_connection_that_sends_nothing_is_closed_without_a_response() {
    let server = Server::start(&["--demo", "--head-timeout", SHORT_TEXT]);
    let mut client = server.connect();
    let begin = Instant::now();
    client.expect_close();
    expect_not_before(begin);
    let (head, idle) = (server.metric("timeouts_head_total"), server.metric("timeouts_idle_total"));
    assert_eq!((head, idle), (1, 0));
}

/// One byte at a time resets no clock: the timeout is for the whole head.
#[test]
fn dripping_bytes_do_not_extend_a_heads_time() {
    let server = Server::start(&["--demo", "--head-timeout", SHORT_TEXT]);
    let mut client = server.connect();
    client.get("/plaintext");
    let begin = Instant::now();
    let drip = SHORT / 8;
    for byte in get("/plaintext").into_iter().take(40) {
        if !client.is_silent_for(drip) || client.try_send(&[byte]).is_err() {
            break;
        }
    }
    let dripped = begin.elapsed();
    assert!(dripped < SHORT * 4, "still dripping after {dripped:?}");
    expect_408(&mut client, begin);
    assert_eq!(server.metric("timeouts_head_total"), 1);
}

#[test]
fn a_head_after_a_pipelined_request_has_its_own_timeout() {
    let server = Server::start(&["--demo", "--head-timeout", SHORT_TEXT]);
    let mut client = server.connect();
    let begin = Instant::now();
    client.send(&[&get("/plaintext")[..], b"GET /js"].concat());
    assert_eq!(client.response().status, 200);
    expect_408(&mut client, begin);
}

#[test]
fn an_idle_connection_is_closed_without_a_response() {
    let server = Server::start(&["--demo", "--idle-timeout", SHORT_TEXT]);
    let mut client = server.connect();
    let begin = Instant::now();
    assert_eq!(client.get("/plaintext").status, 200);
    client.expect_close();
    expect_not_before(begin);
    assert_eq!(server.metric("timeouts_idle_total"), 1);
}

#[test]
fn each_request_restarts_the_idle_timeout() {
    let server = Server::start(&["--demo", "--idle-timeout", LONG_TEXT]);
    let mut client = server.connect();
    let begin = Instant::now();
    let mut last = begin;
    while begin.elapsed() < LONG + SHORT {
        last = Instant::now();
        client.get("/plaintext");
        assert!(client.is_silent_for(LONG / 10), "closed in use");
    }
    client.expect_close();
    assert!(last.elapsed() + RESOLUTION >= LONG);
}

#[test]
fn a_body_that_stops_is_answered_408() {
    let server = Server::start(&["--demo", "--body-timeout", SHORT_TEXT]);
    let mut client = server.connect();
    let whole = post("/echo", &[], b"0123456789");
    let begin = Instant::now();
    client.send(&whole[..whole.len() - 5]);
    expect_408(&mut client, begin);
    assert_eq!(server.metric("timeouts_body_total"), 1);
    assert_eq!(server.metric("body_bytes_held"), 0);
}

#[test]
fn a_body_that_goes_on_in_time_is_taken() {
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    let slow = ["--body-timeout", LONG_TEXT, "--body-rate", "0"];
    let server = Server::start(&[&["--demo"], &slow[..]].concat());
    let mut client = server.connect();
    let whole = post("/echo", &[], b"0123456789abcdef");
    let (most, rest) = whole.split_at(whole.len() - 16);
    client.send(most);
    let begin = Instant::now();
    for byte in rest {
        assert!(client.is_silent_for(LONG / 13), "an answer before the end");
        client.send(&[*byte]);
    }
    assert!(begin.elapsed() > LONG);
    assert!(client.response().body.ends_with(b"0123456789abcdef"));
    assert_eq!(server.metric("timeouts_body_total"), 0);
}

/// Pieces that come in time but bring too little: the window is the time between two pieces.
#[test]
fn a_body_below_its_rate_is_answered_408() {
    let server = Server::start(&["--demo", "--body-timeout", SHORT_TEXT, "--body-rate", "1000"]);
    let mut client = server.connect();
    let begin = Instant::now();
    client.send(&request("POST", "/echo", &["Content-Length: 100000"]));
    while client.is_silent_for(SHORT / 20) && client.try_send(b"x").is_ok() {
        assert!(begin.elapsed() < common::PATIENCE, "a body may come as slowly as it likes");
    }
    expect_408(&mut client, begin);
    assert_eq!(server.metric("timeouts_body_total"), 1);
}

/// A response that the client never reads: the connection is reset, because FIN would wait behind
/// the unsent bytes.
#[test]
fn a_client_that_stops_reading_is_reset() {
    let server = Server::start(&["--demo", "--write-timeout", SHORT_TEXT]);
    let mut client = Client::connect_with_window(server.address(), 4096);
    let begin = Instant::now();
    client.send(&get("/bytes?n=100000000"));
    server.until_metric("timeouts_write_total", 1);
    expect_not_before(begin);
    client.expect_end();
}

#[test]
fn a_client_that_reads_slowly_is_served_to_the_end() {
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    const PIECE: usize = 500_000;
    const PIECES: usize = 26;
    let server = Server::start(&["--demo", "--write-timeout", LONG_TEXT]);
    let mut client = Client::connect_with_window(server.address(), 65_536);
    client.send(&get(&format!("/bytes?n={}", PIECE * PIECES)));
    client.read_head().expect("an answer");
    let begin = Instant::now();
    for _ in 0..PIECES {
        client.read_bytes(PIECE);
        std::thread::sleep(LONG / 20); // the slowness that is tested
    }
    assert!(begin.elapsed() > LONG);
    assert_eq!(server.metric("timeouts_write_total"), 0);
    assert!(client.is_alive());
}

#[test]
fn a_request_as_a_whole_may_have_a_time() {
    let server = Server::start(&["--demo", "--request-timeout", SHORT_TEXT]);
    let mut client = server.connect();
    let begin = Instant::now();
    client.send(&get("/sleep?ms=60000"));
    expect_408(&mut client, begin);
    assert_eq!(server.metric("timeouts_request_total"), 1);
    assert_eq!(server.metric("waits"), 0);
}

/// However steadily bytes move.
#[test]
fn a_requests_time_counts_its_body_and_its_response() {
    let server = Server::start(&["--demo", "--request-timeout", SHORT_TEXT]);
    let begin = Instant::now();
    let mut client = server.connect();
    client.send(&request("POST", "/echo", &["Content-Length: 100000"]));
    while client.is_silent_for(SHORT / 20) && client.try_send(b"x").is_ok() {
        assert!(begin.elapsed() < common::PATIENCE, "a request may take as long as it likes");
    }
    expect_408(&mut client, begin);

    let begin = Instant::now();
    let mut client = Client::connect_with_window(server.address(), 4096);
    client.send(&get("/bytes?n=1000000000"));
    client.read_head().expect("an answer");
    server.until_metric("timeouts_request_total", 2);
    expect_not_before(begin);
    client.expect_end();
}

#[test]
fn times_that_are_off_do_not_end_anything() {
    if !serves_many("several clients are connected at once") {
        return;
    }
    let off = ["--head-timeout", "0", "--idle-timeout", "0", "--body-timeout", "0"];
    let server = Server::start(&[&["--demo"], &off[..]].concat());
    let (mut idle, mut head, mut body) = (server.connect(), server.connect(), server.connect());
    idle.get("/plaintext");
    head.send(b"GET /plaintext HTTP/1.1\r\nHo");
    body.send(&request("POST", "/echo", &["Content-Length: 1"]));
    assert!(idle.is_silent_for(SHORT) && head.is_silent_for(SHORT) && body.is_silent_for(SHORT));
    head.send(b"st: localhost\r\n\r\n");
    body.send(b"x");
    assert_eq!((head.response().status, body.response().status), (200, 200));
    assert!(idle.is_alive());
}

#[test]
fn a_wait_that_the_application_asks_for_is_no_timeout() {
    let short = ["--head-timeout", "100ms", "--idle-timeout", "100ms", "--body-timeout", "100ms"];
    let server = Server::start(&[&["--demo", "--write-timeout", "100ms"], &short[..]].concat());
    let mut client = server.connect();
    let begin = Instant::now();
    client.send(&get("/sleep?ms=500"));
    assert_eq!(client.response().text(), "waited for 500 ms\n");
    assert!(begin.elapsed() + RESOLUTION >= Duration::from_millis(500));
}
