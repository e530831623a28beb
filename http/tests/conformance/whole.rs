//! What no single stimulus shows.

use stampede_http::client::{self, Asked, ResponseHead};
use stampede_http::{
    Connection, ErrorKind, Event, FieldName, Head, Limits, Method, Status, response,
};

use super::common::feed;
use super::{assert_cuts_agree, expand, outcome, trace};

/// The rows that the tests below cover: their comments name them.
pub const ROWS: [&str; 8] =
    ["LC-02", "LC-03", "LC-04", "LC-06", "LC-07", "LC-08", "LC-10", "LC-11"];

/// LC-02
#[test]
fn every_answer_is_one_of_http_1_1() {
    for status in Status::ALL {
        assert!(status.line().starts_with(b"HTTP/1.1 "), "{status}");
    }
}

/// LC-03: neither a server nor a client of this crate takes an interim response for the final one.
#[test]
fn an_interim_response_does_not_end_the_exchange() {
    let waits = trace("<P>Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert!(waits.requests[0].expects_continue && !waits.requests[0].complete);
    assert_eq!(outcome(&trace("<G>Connection: Upgrade\r\nUpgrade: x\r\n\r\n<G>\r\n")), "2 open");

    let limits = Limits::default();
    let (mut connection, mut head) = (client::Connection::new(), ResponseHead::new(&limits));
    connection.sent(Asked::Content).unwrap();
    let input = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    let step = connection.next(input, &mut head, &limits).unwrap();
    assert_eq!((step.event, connection.outstanding()), (client::Event::Interim, 1));
    let step = connection.next(&input[step.consumed..], &mut head, &limits).unwrap();
    assert_eq!((step.event, connection.outstanding()), (client::Event::Head, 0));
}

/// LC-04
#[test]
fn some_answers_have_no_content() {
    for &status in Status::ALL {
        let never = status.code() < 200 || matches!(status.code(), 204 | 304);
        let success = (200..300).contains(&status.code());
        assert_eq!(response::body_allowed(status, Method::Get), !never);
        assert_eq!(response::body_allowed(status, Method::Connect), !never && !success);
        assert!(!response::body_allowed(status, Method::Head));
    }
}

/// LC-06
#[test]
fn pipelined_requests_come_out_in_order() {
    let requests = "<P>X: 1\r\nContent-Length: 1\r\n\r\na<G>X: 2\r\n\r\n<P>X: 3\r\n\
        Transfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n";
    let trace = trace(requests);
    for (request, number) in trace.requests.iter().zip(1..=3) {
        assert!(request.head.contains(&format!("(\"X\", \"{number}\")")), "{}", request.head);
    }
    let bodies: Vec<&[u8]> = trace.requests.iter().map(|request| &request.body[..]).collect();
    assert_eq!(bodies, [&b"a"[..], b"", b"b"]);
}

/// LC-07
#[test]
fn trailer_fields_never_become_fields_of_the_head() {
    let input = expand(
        "<P>Transfer-Encoding: chunked\r\n\r\n0\r\nHost: evil\r\nCookie: evil\r\n\
         Content-Length: 99\r\n\r\n",
    );
    let limits = Limits::default();
    let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
    let step = connection.next(&input, &mut head, &limits).unwrap();
    let (head_bytes, body) = input.split_at(step.consumed);
    let end = connection.next(body, &mut head, &limits).unwrap();
    assert_eq!((end.event, end.consumed), (Event::End, body.len()));
    let request = head.request(head_bytes);
    assert_eq!((request.host(), request.fields().count()), (&b"localhost"[..], 2));
    assert!(!request.has(FieldName::Cookie) && !request.has(FieldName::ContentLength));
}

/// LC-08
#[test]
fn an_answers_field_cannot_end_its_line() {
    for byte in (0..=255u8).filter(|byte| *byte != b'\t') {
        let mut out = Vec::new();
        let written = response::field(&mut out, b"X", &[b'a', byte, b'b']);
        let control = byte < b' ' || byte == 0x7f;
        assert_eq!((written.is_err(), out.is_empty()), (control, control), "{byte}");
    }
}

/// LC-10
#[test]
fn numbers_near_2_63_and_2_64_do_not_wrap() {
    let limits = Limits::default().with_body(u64::MAX);
    for (line, expected) in [
        ("Content-Length: 9223372036854775807\r\n\r\n", "0 wait"),
        ("Content-Length: 9223372036854775808\r\n\r\n", "0 wait"),
        ("Content-Length: 18446744073709551615\r\n\r\na", "0 wait"),
        ("Content-Length: 18446744073709551616\r\n\r\n", "0 400"),
        ("Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\na", "0 wait"),
        ("Transfer-Encoding: chunked\r\n\r\n8000000000000000\r\na", "0 wait"),
        ("Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\na", "0 wait"),
        ("Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", "0 400"),
        ("Transfer-Encoding: chunked\r\n\r\n1\r\na\r\nffffffffffffffff\r\n", "0 413"),
    ] {
        let trace = assert_cuts_agree(&expand(&format!("<P>{line}")), &limits);
        assert_eq!(outcome(&trace), expected, "{line:?}");
    }
}

/// The largest and the smallest limits that can be set do what they say, to the byte.
#[test]
fn limits_at_their_extremes() {
    let widest = Limits::new(65_535, 65_535, 65_534, u64::MAX).unwrap();
    let widest = widest.with_trailer(u16::MAX).with_chunk_extensions(u16::MAX);
    let head = |len: usize| {
        let fixed = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
        fixed.replace("X: ", &format!("X: {}", "y".repeat(len - fixed.len())))
    };
    let section = |len: usize| format!("0\r\nX: {}\r\n\r\n", "y".repeat(len - "X: \r\n\r\n".len()));
    let chunked = "<P>Transfer-Encoding: chunked\r\n\r\n";
    for (input, expected) in [
        (head(65_535), "1 open"),
        (head(65_536), "0 431"),
        (format!("<G>{}\r\n", "A:\r\n".repeat(16_000)), "1 open"),
        (format!("{chunked}{}", section(65_535)), "1 open"),
        (format!("{chunked}{}", section(65_536)), "0 431"),
        (format!("{chunked}{}0\r\n\r\n", "0".repeat(15 + 65_535)), "1 open"),
        (format!("{chunked}{}0\r\n\r\n", "0".repeat(15 + 65_536)), "0 400"),
    ] {
        let input = expand(&input);
        for cuts in [&[][..], &[input.len() / 2, input.len() - 1]] {
            let outcome = outcome(&feed(&input, cuts, &widest));
            assert_eq!(outcome, expected, "{} bytes", input.len());
        }
    }
    let narrowest = Limits::new(64, 1, 1, 0).unwrap().with_trailer(0).with_chunk_extensions(0);
    for (input, expected) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "1 open"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n", "0 431"),
        ("GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "0 414"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", "0 431"),
    ] {
        assert_eq!(outcome(&assert_cuts_agree(input.as_bytes(), &narrowest)), expected, "{input}");
    }
}

#[test]
fn the_version_is_shown_as_it_came() {
    for version in ["HTTP/1.0", "HTTP/1.1", "HTTP/1.7", "HTTP/3.0"] {
        for target in ["/", "/a?b{", "http://a/b"] {
            let input = format!("\r\nGET {target} {version}\r\nHost: a\r\n\r\n");
            let limits = Limits::default();
            let mut head = Head::new(&limits);
            let step = Connection::new().next(input.as_bytes(), &mut head, &limits);
            assert_eq!(step.is_ok(), version != "HTTP/3.0");
            let request = head.request(input.as_bytes());
            assert_eq!(request.version_text(), version.as_bytes());
        }
    }
}

/// LC-11
#[test]
fn each_limit_has_its_own_error_and_status() {
    let limits = Limits::new(256, 4, 16, 16).unwrap().with_trailer(16).with_chunk_extensions(8);
    let long = "a".repeat(300);
    let chunked = "<P>Transfer-Encoding: chunked\r\n\r\n";
    for (input, kind, status) in [
        (format!("GET /{long}"), ErrorKind::TargetTooLong, 414),
        (format!("<G>X: {long}"), ErrorKind::HeadTooLarge, 431),
        (format!("<G>{}", "X: a\r\n".repeat(4)), ErrorKind::TooManyFields, 431),
        ("<P>Content-Length: 17\r\n\r\n".to_owned(), ErrorKind::BodyTooLarge, 413),
        (format!("{chunked}11\r\n"), ErrorKind::BodyTooLarge, 413),
        (format!("{chunked}1;aaaaaaaa"), ErrorKind::ChunkExtensionsTooLong, 400),
        (format!("{chunked}0\r\nX: {long}"), ErrorKind::TrailerTooLarge, 431),
    ] {
        let error = assert_cuts_agree(&expand(&input), &limits).error.expect("a refusal").0;
        assert_eq!((error, error.status().code()), (kind, status), "{input:?}");
    }
}
