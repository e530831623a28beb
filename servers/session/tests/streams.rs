//! Responses that are more than bytes in a buffer, and the log lines of all.

use super::app::pattern;
use super::pair::{At, BUFFER_BYTES, Works};
use super::*;

/// The bytes behind the only head.
fn body(pair: &Pair) -> &[u8] {
    let at = pair.received.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    &pair.received[at + 4..]
}

fn expected(len: usize) -> Vec<u8> {
    (0..len).map(pattern).collect()
}

/// What chunks contain.
fn decoded(mut chunks: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let at = chunks.windows(2).position(|two| two == b"\r\n").expect("a chunk's size");
        let size = std::str::from_utf8(&chunks[..at]).expect("digits");
        let size = usize::from_str_radix(size, 16).expect("digits");
        all.extend_from_slice(&chunks[at + 2..][..size]);
        chunks = &chunks[at + 2 + size + 2..];
        if size == 0 {
            assert_eq!(chunks, b"", "bytes behind the last chunk");
            return all;
        }
    }
}

#[test]
fn large_bodies_come_whole_however_little_the_socket_takes() {
    for (target, len) in [("/shared/20000", 20_000), ("/sized/20000", 20_000), ("/sized/0", 0)] {
        for step in [1, 777, BUFFER_BYTES, usize::MAX] {
            let mut pair = pair();
            pair.room = 0;
            pair.send(&get(target));
            while pair.at == At::Sends {
                pair.take(step);
            }
            assert_eq!(body(&pair), expected(len), "{target} in steps of {step}");
            assert_eq!(pair.at, At::Reads);
            let sent = pair.cx.counters.bytes_sent.get();
            assert_eq!(sent, pair.received.len() as u64);
            pair.end();
        }
    }
}

#[test]
fn a_body_of_unknown_length_is_chunked() {
    for step in [1_000, usize::MAX] {
        let mut pair = pair();
        pair.room = 0;
        pair.send(&get("/unsized/20000"));
        while pair.at == At::Sends {
            pair.take(step);
        }
        assert_eq!(decoded(body(&pair)), expected(20_000));
        assert_eq!(pair.at, At::Reads);
    }
}

#[test]
fn a_body_of_unknown_length_ends_with_the_connection_for_http_1_0() {
    let mut pair = pair();
    pair.send(b"GET /unsized/20000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!((body(&pair), pair.at), (&expected(20_000)[..], CLOSED));
    assert!(pair.says("Connection: close\r\n"));
}

#[test]
fn a_body_that_breaks_off_is_seen_to() {
    for target in ["/short/9", "/broken/9"] {
        let mut pair = pair();
        pair.send(&get(target));
        // The connection ends before the last chunk, or before the announced length.
        assert_eq!((pair.at, pair.cx.counters.responses_aborted.get()), (CLOSED, 1), "{target}");
        pair.end();
    }
    let mut pair = pair();
    pair.send(b"GET /broken/9 HTTP/1.0\r\n\r\n");
    assert_eq!(pair.at, RESET, "FIN would say that it was complete");
    let mut pair = super::pair();
    pair.send(b"GET /short/9 HTTP/1.0\r\n\r\n");
    assert_eq!(pair.at, CLOSED, "its length was announced");
}

#[test]
fn a_line_is_written_with_each_response() {
    let (mut pair, file) = logged(Works::Inline, |_| {});
    pair.send(&[GET, &post("/echo", "abc"), b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    pair.send(b"?\r\n");
    let expected = [
        "GET / HTTP/1.1\" 200 5",
        "POST /echo HTTP/1.1\" 200 3",
        "HEAD / HTTP/1.1\" 200 0",
        "?\" 400 16",
    ];
    assert_eq!(lines(&mut pair, &file), expected);
}

#[test]
fn the_line_of_a_streamed_response_is_written_when_it_is_sent() {
    for target in ["/shared/20000", "/sized/20000"] {
        let (mut pair, file) = logged(Works::Inline, |_| {});
        pair.room = 5_000;
        pair.send(&[GET, &get(target), GET].concat());
        assert_eq!(lines(&mut pair, &file), ["GET / HTTP/1.1\" 200 5"]);
        pair.take(100_000);
        let line = format!("GET {target} HTTP/1.1\" 200 20000");
        assert_eq!(lines(&mut pair, &file)[1..], [&line[..], "GET / HTTP/1.1\" 200 5"]);
    }
}

#[test]
fn the_line_of_a_response_that_is_not_read_to_its_end_has_the_bytes_that_were_sent() {
    let (mut pair, file) = logged(Works::Inline, |_| {});
    pair.room = 0;
    pair.send(&get("/shared/20000"));
    pair.take(10_000);
    let sent = body(&pair).len();
    pair.end();
    assert_eq!(lines(&mut pair, &file), [format!("GET /shared/20000 HTTP/1.1\" 200 {sent}")]);
}

#[test]
fn the_line_of_a_response_of_which_only_a_part_of_the_head_was_sent_has_no_bytes() {
    let (mut pair, file) = logged(Works::Inline, |_| {});
    pair.room = 10;
    pair.send(&get("/shared/20000"));
    pair.pass(11_000);
    assert_eq!(pair.at, RESET);
    assert_eq!(lines(&mut pair, &file), ["GET /shared/20000 HTTP/1.1\" 200 0"]);
}

#[test]
fn the_line_of_a_response_that_breaks_off_has_the_bytes_before_that() {
    let (mut pair, file) = logged(Works::Inline, |_| {});
    pair.send(&get("/short/9000"));
    assert_eq!(lines(&mut pair, &file), ["GET /short/9000 HTTP/1.1\" 200 9000"]);
}

#[test]
fn a_duration_is_the_requests_own() {
    let (mut pair, file) = logged(Works::Inline, |options| options.log.format = LogFormat::Json);
    let lines = |pair: &mut Pair| {
        pair.cx.log.flush();
        let text = std::fs::read_to_string(file.path()).expect("the log");
        let of = |line: &str| {
            let text = line.split("duration_us\":").nth(1).expect("a duration");
            text.trim_end_matches('}').parse::<u64>().expect("a number") / 1000
        };
        text.lines().map(of).collect::<Vec<u64>>()
    };
    pair.pass(2_000);
    // The first on a connection that was opened early, and one behind a body that took its time.
    pair.send(&post_head("/echo", 3));
    pair.pass(1_000);
    pair.send(&[b"abc", GET].concat());
    pair.send(&get("/wait/500"));
    pair.pass(500);
    assert_eq!(lines(&mut pair), [1_000, 0, 500]);
}
