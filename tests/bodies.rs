//! Request bodies: with a length, chunked, expected with 100-continue, cut anywhere, refused when
//! broken.
//!
//! `/echo` answers with the request as it was received: its head byte for byte, its body decoded.

mod common;

use std::time::Duration;

use common::server::serves_many;
use common::{Server, get, noise, post, post_chunked, request};

/// The head of a request.
fn head_of(request: &[u8]) -> &[u8] {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n").expect("a blank line");
    &request[..end + 4]
}

#[track_caller]
fn assert_echo(answer: &common::Response, request: &[u8], body: &[u8]) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let (head, rest) = answer.body.split_at(head_of(request).len());
    assert_eq!(String::from_utf8_lossy(head), String::from_utf8_lossy(head_of(request)));
    assert!(rest == body, "{} bytes came back of {}", rest.len(), body.len());
}

#[test]
fn a_body_comes_back_whatever_its_length() {
    let server = Server::start(&["--demo", "--max-body", "8M"]);
    let mut client = server.connect();
    // Around the sizes of buffers and of what is copied after a head.
    let sizes = [0, 1, 511, 512, 4000, 4096, 32_000, 32_768, 40_000, 65_536, 1 << 20, 5_000_001];
    for len in sizes {
        let body = noise(len, len as u64);
        let with_length = post("/echo", &["X-Some: field"], &body);
        assert_echo(&client.exchange(&with_length), &with_length, &body);
        let chunks: Vec<&[u8]> = body.chunks(10_007).collect();
        let chunked = post_chunked("/echo", &[], &chunks);
        assert_echo(&client.exchange(&chunked), &chunked, &body);
    }
}

#[test]
fn a_body_sent_separately_from_its_head_is_joined_to_it() {
    if !serves_many("a second client's ping shows that the first's bytes have been read") {
        return;
    }
    let server = Server::demo();
    let (mut client, mut ping) = (server.connect(), server.connect());
    let body = noise(3000, 3);
    let whole = post("/echo", &[], &body);
    client.send(head_of(&whole));
    for piece in whole[head_of(&whole).len()..].chunks(700) {
        ping.get("/plaintext");
        client.send(piece);
    }
    assert_echo(&client.response(), &whole, &body);
}

#[test]
fn chunk_extensions_and_trailers_are_skipped() {
    let server = Server::demo();
    let head = request("POST", "/echo", &["Transfer-Encoding: chunked"]);
    let chunks = b"0003;name=value;quoted=\"a;b\\\"\"\r\nabc\r\nA\r\n0123456789\r\n00;last\r\n\
                   Trailer-Field: x\r\nContent-Length: 99\r\n\r\n";
    let mut client = server.connect();
    let whole = [&head[..], chunks].concat();
    assert_echo(&client.exchange(&whole), &whole, b"abc0123456789");
    assert!(client.is_alive());
}

#[test]
fn a_chunked_body_may_be_cut_anywhere() {
    if !serves_many("a second client's ping shows that the first's bytes have been read") {
        return;
    }
    let server = Server::demo();
    let (mut client, mut ping) = (server.connect(), server.connect());
    let chunked = post_chunked("/echo", &[], &[b"first", b"second chunk", b"\r\n"]);
    for at in head_of(&chunked).len()..chunked.len() {
        client.send(&chunked[..at]);
        ping.get("/plaintext");
        client.send(&chunked[at..]);
        assert_echo(&client.response(), &chunked, b"firstsecond chunk\r\n");
    }
}

#[test]
fn a_client_that_expects_100_gets_it_and_then_its_answer() {
    let server = Server::demo();
    let mut client = server.connect();
    for _ in 0..2 {
        let whole = post("/echo", &["Expect: 100-continue"], b"hello");
        client.send(head_of(&whole));
        let go_on = client.response();
        assert_eq!((go_on.status, go_on.head.as_str()), (100, "HTTP/1.1 100 Continue\r\n\r\n"));
        client.send(b"hello");
        assert_echo(&client.response(), &whole, b"hello");
    }
    let chunked = post_chunked("/echo", &["Expect: 100-Continue"], &[b"hello"]);
    client.send(head_of(&chunked));
    assert_eq!(client.response().status, 100);
    client.send(b"5\r\nhello\r\n0\r\n\r\n");
    assert_echo(&client.response(), &chunked, b"hello");
}

#[test]
fn a_client_that_has_sent_its_body_already_needs_no_100() {
    let server = Server::demo();
    let mut client = server.connect();
    let whole = post("/echo", &["Expect: 100-continue"], b"hello");
    client.send(&whole);
    assert_echo(&client.response(), &whole, b"hello");
    assert!(client.is_alive());
}

#[test]
fn the_final_response_replaces_100_when_the_body_is_not_wanted() {
    let server = Server::demo();
    let mut client = server.connect();
    client.send(&request("POST", "/plaintext", &["Content-Length: 5", "Expect: 100-continue"]));
    let answer = client.response();
    assert_eq!(answer.status, 405);
    // It is unknown whether the five bytes will come.
    assert!(answer.closes());
    client.expect_close();
}

#[test]
fn a_client_of_1_0_never_gets_100() {
    let server = Server::demo();
    let mut client = server.connect();
    client.send(b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert!(client.is_silent_for(Duration::from_millis(100)));
    client.send(b"hello");
    assert_eq!(client.response().status, 200);
    client.expect_close();
}

#[test]
fn a_get_may_have_a_body() {
    let server = Server::demo();
    let mut client = server.connect();
    let whole = [&request("GET", "/echo", &["Content-Length: 4"])[..], b"body"].concat();
    assert_echo(&client.exchange(&whole), &whole, b"body");
    // A handler that ignores it reads it all the same, or it would be taken for a request.
    let body = get("/json");
    let length = format!("Content-Length: {}", body.len());
    client.send(&[request("GET", "/plaintext", &[&length]), body, get("/echo?next")].concat());
    assert_eq!(client.response().text(), "Hello, World!");
    assert!(client.response().text().starts_with("GET /echo?next "));
}

#[test]
fn an_unwanted_body_is_discarded_whatever_its_length() {
    let server = Server::demo();
    let mut client = server.connect();
    for len in [10, 5_000, 100_000, 1_000_000] {
        client.send(&post("/plaintext", &[], &noise(len, 1)));
        assert_eq!(client.response().status, 405, "{len} bytes");
        assert_eq!(client.get("/plaintext").status, 200, "after {len} bytes");
        let chunked = noise(len, 2);
        let chunks: Vec<&[u8]> = chunked.chunks(999).collect();
        client.send(&post_chunked("/missing", &[], &chunks));
        assert_eq!(client.response().status, 404);
        assert_eq!(client.get("/plaintext").status, 200);
    }
}

#[test]
fn head_gets_the_fields_of_get_and_no_content() {
    let server = Server::demo();
    let mut client = server.connect();
    for target in ["/plaintext", "/json", "/bytes?n=100000", "/missing", "/"] {
        client.send(&request("HEAD", target, &[]));
        let head = client.response_to_head();
        let whole = client.get(target);
        assert_eq!(head.status, whole.status, "{target}");
        assert_eq!(head.field("Content-Length"), whole.field("Content-Length"), "{target}");
        assert_eq!(head.field("Content-Type"), whole.field("Content-Type"), "{target}");
    }
}

#[test]
fn broken_chunks_are_400_and_end_the_connection() {
    let server = Server::demo();
    let broken: [&[u8]; 7] = [
        b"5\r\nhelloX",
        b"5\nhello\r\n0\r\n\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    ];
    for body in broken {
        let mut client = server.connect();
        let head = request("POST", "/echo", &["Transfer-Encoding: chunked"]);
        client.send(&[&head[..], body].concat());
        let answer = client.response();
        assert_eq!(answer.status, 400, "{:?}", String::from_utf8_lossy(body));
        assert!(answer.closes());
        client.expect_close();
    }
    assert_eq!(server.metric("requests_malformed_total"), broken.len() as u64);
}

/// 2^64 and more: too large for a number, hence too large for a body.
#[test]
fn a_chunk_size_that_overflows_is_413() {
    let server = Server::demo();
    let head = request("POST", "/echo", &["Transfer-Encoding: chunked"]);
    for size in ["10000000000000005", "FFFFFFFFFFFFFFFF", "100000"] {
        let mut client = server.connect();
        client.send(&[&head[..], size.as_bytes(), b"0\r\nhello"].concat());
        assert_eq!(client.response().status, 413, "{size}");
        client.expect_close();
    }
}

/// A body that nothing needs is decoded like any other before the answer, as far as it is there.
#[test]
fn a_broken_body_is_refused_before_the_answer_whatever_the_resource() {
    let server = Server::demo();
    let targets =
        ["/plaintext", "/json", "/missing", "/echo", "/bytes?n=70000", "/sleep?ms=1", "/work?us=1"];
    let mut refused = 0;
    for target in targets {
        for method in ["GET", "HEAD", "POST", "DELETE"] {
            for (body, status) in [("ZZZ\r\n", 400), ("1\r\nab", 400), ("FFFFFFFF\r\n", 413)] {
                let head = request(method, target, &["Transfer-Encoding: chunked"]);
                let mut client = server.connect();
                client.send(&[&head, body.as_bytes()].concat());
                let answer = match method {
                    "HEAD" => client.response_to_head(),
                    _ => client.response(),
                };
                assert_eq!(answer.status, status, "{method} {target} {body:?}");
                assert!(answer.closes(), "{method} {target} {body:?}: {answer:?}");
                client.expect_close();
                refused += 1;
            }
        }
    }
    assert_eq!(server.metric("requests_malformed_total"), refused);
}

#[test]
fn leading_zeros_of_a_chunk_size_are_skipped() {
    let server = Server::demo();
    let head = request("POST", "/echo", &["Transfer-Encoding: chunked"]);
    let mut client = server.connect();
    for zeros in [15, 16, 100, 1000] {
        let size = "0".repeat(zeros);
        let whole = [&head[..], size.as_bytes(), b"5\r\nhello\r\n0\r\n\r\n"].concat();
        assert_echo(&client.exchange(&whole), &whole, b"hello");
    }
    client.send(&[&head[..], "0".repeat(2000).as_bytes()].concat());
    assert_eq!(client.response().status, 400);
}

/// The response is already sent when the body turns out broken: closing is all that is left.
#[test]
fn broken_chunks_after_a_response_end_the_connection_without_another() {
    let server = Server::demo();
    let (mut client, mut ping) = (server.connect(), server.connect());
    client.send(&request("POST", "/plaintext", &["Transfer-Encoding: chunked"]));
    assert_eq!(client.response().status, 405);
    ping.get("/plaintext");
    client.send(b"zz\r\n");
    client.expect_close();
}

#[test]
fn an_incomplete_body_is_never_taken_for_a_whole_one() {
    let server = Server::demo();
    let cut: [Vec<u8>; 2] = [
        [&request("POST", "/echo", &["Content-Length: 10"])[..], b"12345"].concat(),
        [&request("POST", "/echo", &["Transfer-Encoding: chunked"])[..], b"5\r\n12345\r\n"]
            .concat(),
    ];
    for bytes in cut {
        let mut client = server.connect();
        client.send(&bytes);
        client.half_close();
        let rest = client.read_to_end().expect("FIN, no reset");
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 4"));
    }
    server.until_metric("body_bytes_held", 0);
}
