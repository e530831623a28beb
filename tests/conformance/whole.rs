//! What no single stimulus shows.

use std::fs;

use super::common::{Server, post, post_chunked, request};
use super::{Closed, Fixture, Open, chunked, posted, row, with};

/// The rows that the tests below cover: their comments name them.
pub const IN_TESTS: [&str; 12] = [
    "CO-12", "LC-01", "LC-02", "LC-03", "LC-04", "LC-05", "LC-06", "LC-07", "LC-08", "LC-09",
    "LC-10", "LC-11",
];

/// LC-01: 400, 413, 414, 431. The kernel answers bytes for a closed socket with RST, and RST makes
/// the client's kernel drop what it has received.
#[test]
fn a_refusal_reaches_a_client_that_has_not_finished_sending() {
    let fixture = Fixture::new();
    let long = "a".repeat(100_000);
    for (begin, status) in [
        (posted("Content-Length: x", ""), 400),
        (posted("Content-Length: 99999999999", ""), 413),
        (format!("GET /{long}").into_bytes(), 414),
        (with(format!("X: {long}")), 431),
    ] {
        let mut client = fixture.server.connect();
        client.send(&begin);
        for _ in 0..10 {
            client.try_send(long.as_bytes()).expect("the server reads on");
        }
        client.half_close();
        let answer = client.response();
        assert_eq!((answer.status, answer.closes()), (status, true));
        client.expect_close();
    }
}

/// LC-02
#[test]
fn a_client_of_1_0_is_answered_in_1_1_and_without_chunks() {
    let fixture = Fixture::new();
    for target in ["/index.html", "/", "/nope", "/bytes?n=100000", "/status"] {
        // A status line of HTTP/1.1 is what the client checks.
        let request = format!("GET {target} HTTP/1.0\r\nRange: bytes=0-1,4-5\r\n\r\n");
        let answer = fixture.server.exchange(request.as_bytes());
        assert_eq!(answer.field("Transfer-Encoding"), None, "{target}");
        assert!(answer.closes(), "{target}");
    }
}

/// LC-03
#[test]
fn an_interim_answer_is_not_the_last_and_protocols_are_not_switched() {
    let fixture = Fixture::new();
    let mut client = fixture.server.connect();
    client.send(&posted("Content-Length: 5\r\nExpect: 100-continue", ""));
    assert_eq!(client.response().status, 100);
    client.send(b"hello");
    assert_eq!(client.response().status, 200);
    client.send(&with("Connection: Upgrade\r\nUpgrade: h2c, websocket"));
    assert_eq!(client.response().status, 200);
    assert!(client.is_alive());
}

/// LC-04
#[test]
fn answers_without_content_say_nothing_of_its_length() {
    let fixture = Fixture::new();
    let tag = fixture.tag();
    let mut client = fixture.server.connect();
    client.send(&posted("Content-Length: 5\r\nExpect: 100-continue", ""));
    assert_eq!(client.response().head, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.exchange(b"hello").status, 200);
    let options = client.exchange(&request("OPTIONS", "/index.html", &[]));
    let unchanged = client.exchange(&with(format!("If-None-Match: {tag}")));
    assert_eq!((options.status, unchanged.status), (204, 304));
    for answer in [&options, &unchanged] {
        assert_eq!(answer.field("Transfer-Encoding"), None, "{answer:?}");
    }
    assert_eq!(options.field("Content-Length"), None);
    assert!(matches!(unchanged.field("Content-Length"), None | Some("50")));
    // Nothing came after their heads.
    assert!(client.is_alive());
}

/// CO-12, LC-05
#[test]
fn a_slow_client_is_answered_408() {
    let server = Server::start(&["--demo", "--head-timeout", "1s"]);
    let mut client = server.connect();
    client.send(b"GET /plaintext HTTP/1.1\r\nHo");
    let answer = client.response();
    assert_eq!((answer.status, answer.closes()), (408, true));
    client.expect_close();
}

/// LC-05
#[test]
fn an_idle_connection_is_closed_without_a_response() {
    let server = Server::start(&["--demo", "--idle-timeout", "200ms"]);
    let mut client = server.connect();
    assert_eq!(client.get("/plaintext").status, 200);
    client.expect_close();
}

/// LC-06
#[test]
fn an_unsafe_request_waits_for_the_answer_to_the_one_before() {
    let fixture = Fixture::new();
    let mut client = fixture.server.connect();
    let posts = ["first", "second"].map(|body| post("/echo", &[], body.as_bytes()));
    let [first, second] = posts;
    let sleep = request("GET", "/sleep?ms=50", &[]);
    client.send(&[first, sleep, second, with("X: y")].concat());
    assert!(client.response().body.ends_with(b"first"));
    assert!(client.response().text().contains("50"));
    assert!(client.response().body.ends_with(b"second"));
    assert_eq!(client.response().body, [b'x'; 50]);
}

/// LC-07: the echo shows the head and the body as the application has them.
#[test]
fn trailer_fields_are_dropped() {
    let fixture = Fixture::new();
    let mut client = fixture.server.connect();
    let trailers = "5\r\nhello\r\n0\r\nHost: evil\r\nContent-Length: 99\r\nCookie: evil\r\n\r\n";
    let answer = client.exchange(&chunked(trailers));
    assert!(answer.body.ends_with(b"\r\n\r\nhello"), "{answer:?}");
    assert!(!answer.text().contains("evil") && client.is_alive());
}

/// LC-08: a directory whose name would end the line of the `Location` in the response.
#[test]
fn no_name_adds_a_field_to_an_answer() {
    let root = tempfile::tempdir().expect("a directory");
    fs::create_dir(root.path().join("a\r\nX-Injected: 1")).expect("a folder");
    let server = Server::root(root.path(), &[]);
    for end in ["", "/", "?%0d%0aX-Injected:%202"] {
        let target = format!("/a%0d%0aX-Injected:%201{end}");
        let answer = server.get(&target);
        assert_eq!(answer.field("X-Injected"), None, "{answer:?}");
        assert!(end == "/" || answer.status == 301, "{answer:?}");
    }
}

/// LC-09. Nothing here asks for authentication: no 401.
#[test]
fn an_answer_has_the_fields_that_its_status_requires() {
    let root = tempfile::tempdir().expect("a directory");
    fs::create_dir(root.path().join("folder")).expect("a folder");
    fs::write(root.path().join("file"), "12345").expect("a file");
    let server = Server::root(root.path(), &["--body-memory", "1K"]);
    let required = |request: &[u8], status: u16, field: &str| {
        let answer = server.exchange(request);
        assert_eq!(answer.status, status, "{answer:?}");
        answer.field(field).unwrap_or_else(|| panic!("no {field}: {answer:?}")).to_owned()
    };
    let get = |target: &str, fields: &[&str]| request("GET", target, fields);
    assert_eq!(required(&get("/folder", &[]), 301, "Location"), "/folder/");
    assert!(required(&request("DELETE", "/file", &[]), 405, "Allow").contains("GET"));
    let beyond = get("/file", &["Range: bytes=5-"]);
    assert_eq!(required(&beyond, 416, "Content-Range"), "bytes */5");
    let large = [b'x'; 1000];
    let shed = post_chunked("/echo", &[], &[&large, &large, &large]);
    assert!(required(&shed, 503, "Retry-After").parse::<u32>().is_ok());
}

/// LC-10
#[test]
fn numbers_near_2_63_and_2_64_do_not_wrap() {
    let numbers = [(1u128 << 63) - 1, 1 << 63, (1 << 64) - 1];
    let mut rows = Vec::new();
    for number in numbers {
        rows.push(row("length", posted(format!("Content-Length: {number}"), "x"), 413, Closed));
        rows.push(row("chunk", chunked(format!("{number:x}\r\nx")), 413, Closed));
        rows.push(row("range", with(format!("Range: bytes=0-{number}")), 206, Open));
        rows.push(row("start", with(format!("Range: bytes={number}-")), 416, Open));
        rows.push(row("suffix", with(format!("Range: bytes=-{number}")), 206, Open));
    }
    let over = 1u128 << 64;
    rows.push(row("length", posted(format!("Content-Length: {over}"), "x"), 400, Closed));
    rows.push(row("range", with(format!("Range: bytes=0-{over}")), 206, Open));
    Fixture::new().check(rows);
}

/// LC-11: for each limit its own status; and a limit of requests.
#[test]
fn each_limit_has_its_own_status() {
    let long = "a".repeat(5_000);
    let root = tempfile::tempdir().expect("a directory");
    let limits = ["--max-head", "4K", "--max-target", "1K", "--max-body", "1K"];
    let server = Server::root(root.path(), &[&limits[..], &["--keepalive-requests", "2"]].concat());
    for (bytes, status) in [
        (format!("GET /{long}").into_bytes(), 414),
        (with(format!("X: {long}")), 431),
        (posted("Content-Length: 1025", ""), 413),
        (chunked(format!("1;{long}\r\n")), 400),
        (chunked(format!("0\r\nX: {long}")), 431),
    ] {
        let answer = server.exchange(&bytes);
        assert_eq!((answer.status, answer.closes()), (status, true));
    }
    let mut client = server.connect();
    assert!(!client.get("/plaintext").closes());
    assert!(client.get("/plaintext").closes());
    client.expect_close();
}
