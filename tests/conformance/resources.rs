//! Connection, methods, ranges, conditions.

use super::common::server::serves_many;
use super::common::{Response, request};
use super::{Closed, Fixture, Open, Row, line, row, with};

/// The rows that the tests below cover: their comments name them.
pub const IN_TESTS: [&str; 7] = ["CO-08", "CO-10", "CO-11", "ME-06", "ME-07", "ME-09", "CN-19"];

pub fn connection() -> Vec<Row> {
    let file = with("X: y");
    let after_close = [with("Connection: close"), file.clone()].concat();
    vec![
        row("CO-01", with("Connection: close"), 200, Closed),
        row("CO-02", file.clone(), 200, Open),
        row("CO-03", with("Connection: CLOSE"), 200, Closed),
        row("CO-04", with("Connection: foo , close"), 200, Closed),
        row("CO-05", with("Connection: foo\r\nConnection: close"), 200, Closed),
        row("CO-06", with("Connection: closed"), 200, Open),
        row("CO-07", with("Connection: Upgrade\r\nUpgrade: foo/9"), 200, Open),
        row("CO-09", after_close, 200, Closed),
        row("CO-13", [&b"BAD\x00\r\n\r\n"[..], &file].concat(), 400, Closed),
    ]
}

/// CO-08
#[test]
fn pipelined_requests_are_answered_in_order() {
    let fixture = Fixture::new();
    let mut client = fixture.server.connect();
    let requests = [("GET", "/index.html"), ("GET", "/nope"), ("HEAD", "/index.html")];
    client.send(&requests.map(|(method, target)| request(method, target, &[])).concat());
    assert_eq!(client.response().status, 200);
    assert_eq!(client.response().status, 404);
    assert_eq!(client.response_to_head().field("Content-Length"), Some("50"));
    assert!(client.is_alive());
}

/// CO-10
#[test]
fn a_client_that_half_closes_gets_its_answer() {
    let fixture = Fixture::new();
    let mut client = fixture.server.connect();
    client.send(&with("X: y"));
    client.half_close();
    assert_eq!(client.response().status, 200);
    client.expect_close();
}

/// CO-11
#[test]
fn a_head_may_come_byte_by_byte() {
    let fixture = Fixture::new();
    let mut client = fixture.server.connect();
    for byte in with("X: y") {
        client.send(&[byte]);
    }
    assert_eq!(client.response().status, 200);
    assert!(client.is_alive());
}

pub fn methods() -> Vec<Row> {
    vec![
        row("ME-01", line("HEAD /index.html HTTP/1.1"), 200, Open),
        row("ME-02", line("OPTIONS /index.html HTTP/1.1"), 204, Open),
        row("ME-03", line("TRACE /index.html HTTP/1.1"), 405, Open),
        row("ME-04", line("DELETE /index.html HTTP/1.1"), 405, Open),
        row("ME-05", line("HEAD /nope HTTP/1.1"), 404, Open),
        row("ME-08", "GET /index.html HTTP/1.0\r\nHost: localhost\r\n\r\n", 200, Closed),
    ]
}

/// ME-01 to ME-04, ME-06, ME-07, ME-09: what the responses say besides their status.
#[test]
fn answers_have_the_fields_that_go_with_their_method() {
    if !serves_many("several clients are connected at once") {
        return;
    }
    let fixture = Fixture::new();
    let ask = |method: &str, target: &str| fixture.server.exchange(&request(method, target, &[]));
    assert!(ask("OPTIONS", "/index.html").field("Allow").is_some());
    assert!(ask("DELETE", "/index.html").field("Allow").is_some());
    for answer in [ask("GET", "/index.html"), ask("GET", "/nope")] {
        assert!(is_fixdate(answer.field("Date").expect("a date")), "{answer:?}");
        assert!(answer.field("Content-Type").is_some());
    }
    let mut client = fixture.server.connect();
    client.send(&request("HEAD", "/index.html", &[]));
    let to_head = client.response_to_head();
    for name in ["Content-Length", "Content-Type", "Last-Modified", "Accept-Ranges"] {
        let to_get = client.get("/index.html");
        assert_eq!(to_head.field(name), to_get.field(name), "{name}");
    }
    let secret = request("TRACE", "/index.html", &["Cookie: secret"]);
    assert!(!format!("{:?}", fixture.server.exchange(&secret)).contains("secret"));
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn is_fixdate(date: &str) -> bool {
    let pattern = b"Aaa, dd Aaa dddd dd:dd:dd GMT";
    let fits = |(byte, pattern): (u8, &u8)| match pattern {
        b'd' => byte.is_ascii_digit(),
        b'A' => byte.is_ascii_uppercase(),
        b'a' => byte.is_ascii_lowercase(),
        other => byte == *other,
    };
    date.len() == pattern.len() && date.bytes().zip(pattern).all(fits)
}

pub fn ranges(tag: &str) -> Vec<Row> {
    let if_range = |value: &str| with(format!("Range: bytes=0-4\r\nIf-Range: {value}"));
    let to_head = "HEAD /index.html HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-4\r\n\r\n";
    let to_post = "POST /index.html HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-4\r\n\
                   Content-Length: 0\r\n\r\n";
    vec![
        row("RA-01", range("bytes=0-4"), 206, Open),
        row("RA-02", range("bytes=-5"), 206, Open),
        row("RA-03", range("bytes=45-"), 206, Open),
        row("RA-04", range("bytes=0-999"), 206, Open),
        row("RA-05", range("bytes=50-"), 416, Open),
        row("RA-06", range("bytes=abc"), 200, Open),
        row("RA-07", range("bytes=5-2"), 200, Open),
        row("RA-08", range("frobs=0-4"), 200, Open),
        row("RA-09", to_post, 405, Open),
        row("RA-10", range("bytes=0-1,4-5"), 206, Open),
        row("RA-11", range(&format!("bytes={}", ["0-"; 500].join(","))), 200, Open),
        row("RA-12", if_range(tag), 206, Open),
        row("RA-13", if_range("\"other\""), 200, Open),
        row("RA-14", if_range(&format!("W/{tag}")), 200, Open),
        row("RA-15", if_range("Thu, 01 Jan 2026 00:00:00 GMT"), 206, Open),
        row("RA-16", to_head, 200, Open),
        row("RA-17", range("bytes=-0"), 416, Open),
        row("RA-18", range("bytes=99999999999999999999-"), 416, Open),
    ]
}

fn range(value: &str) -> Vec<u8> {
    with(format!("Range: {value}"))
}

/// RA-01 to RA-05
#[test]
fn a_partial_response_names_its_range() {
    let fixture = Fixture::new();
    let part = |answer: Response| {
        let place = answer.field("Content-Range").expect("a place").to_owned();
        (place, answer.body.len())
    };
    for (value, place, len) in [
        ("bytes=0-4", "bytes 0-4/50", 5),
        ("bytes=-5", "bytes 45-49/50", 5),
        ("bytes=45-", "bytes 45-49/50", 5),
        ("bytes=0-999", "bytes 0-49/50", 50),
    ] {
        assert_eq!(part(fixture.server.exchange(&range(value))), (place.to_owned(), len));
    }
    assert_eq!(part(fixture.server.exchange(&range("bytes=50-"))).0, "bytes */50");
}

pub fn conditions(tag: &str) -> Vec<Row> {
    const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
    const PAST: &str = "Thu, 01 Jan 2015 00:00:00 GMT";
    let to_head =
        format!("HEAD /index.html HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\n\r\n");
    let both = format!("If-None-Match: \"nope\"\r\nIf-Modified-Since: {DATE}");
    let match_and_date = format!("If-Match: {tag}\r\nIf-Unmodified-Since: {PAST}");
    vec![
        row("CN-01", with(format!("If-None-Match: {tag}")), 304, Open),
        row("CN-02", with("If-None-Match: *"), 304, Open),
        row("CN-03", with(format!("If-None-Match: \"x\", {tag}, \"y\"")), 304, Open),
        row("CN-04", with(format!("If-None-Match: W/{tag}")), 304, Open),
        row("CN-05", with("If-None-Match: \"nope\""), 200, Open),
        row("CN-06", with(both), 200, Open),
        row("CN-07", with(format!("If-Modified-Since: {DATE}")), 304, Open),
        row("CN-08", with(format!("If-Modified-Since: {PAST}")), 200, Open),
        row("CN-09", with("If-Modified-Since: yesterday"), 200, Open),
        row("CN-10", with("If-Modified-Since: Thursday, 01-Jan-26 00:00:00 GMT"), 304, Open),
        row("CN-11", with("If-Modified-Since: Thu Jan  1 00:00:00 2026"), 304, Open),
        row("CN-12", with("If-Match: \"nope\""), 412, Open),
        row("CN-13", with("If-Match: *"), 200, Open),
        row("CN-14", with(format!("If-Match: W/{tag}")), 412, Open),
        row("CN-15", with(format!("If-Unmodified-Since: {PAST}")), 412, Open),
        row("CN-16", with(match_and_date), 200, Open),
        row("CN-17", with(format!("Range: bytes=0-4\r\nIf-None-Match: {tag}")), 304, Open),
        row("CN-18", to_head, 304, Open),
    ]
}

/// CN-19
#[test]
fn a_304_has_the_fields_of_the_200_and_no_content() {
    let fixture = Fixture::new();
    let tag = fixture.tag();
    let answer = fixture.server.exchange(&with(format!("If-None-Match: {tag}")));
    assert_eq!(answer.field("ETag"), Some(tag.as_str()));
    assert!(answer.field("Date").is_some() && answer.field("Transfer-Encoding").is_none());
}
