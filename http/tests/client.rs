//! How a client reads responses, row by row: bytes in, events out.
//!
//! Each row is fed whole, cut at every place, and byte by byte; all must give the same. A row has
//! the requests, the bytes received, and the result: a word for each response, then the
//! connection's state.
//!
//! ```text
//! 200:hello    a final response and its body    200:he…  the same, not complete
//! 100+         an interim response              |rest    bytes left for another protocol
//! open, close  whether another request could follow
//! LineEnd@17   the error, and its byte
//! ```

#[path = "common/client.rs"]
mod common;

use common::{Seen, Trace, assert_cuts_agree};
use stampede_http::client::Asked::{self, Content, Head, Tunnel, Upgrade};
use stampede_http::client::{Connection, Event, Framing, ResponseHead};
use stampede_http::{ErrorKind, FieldName, Limits, Method, Status};

fn outcome(trace: &Trace) -> String {
    let mut words: Vec<String> = trace.responses.iter().map(word).collect();
    if !trace.tunnelled.is_empty() {
        words.push(format!("|{}", trace.tunnelled.escape_ascii()));
    }
    words.push(match trace.error {
        Some((kind, offset)) => format!("{kind:?}@{offset}"),
        None if trace.persists => "open".to_owned(),
        None => "close".to_owned(),
    });
    words.join(" ")
}

fn word(seen: &Seen) -> String {
    let end = if seen.complete { "" } else { "…" };
    match (seen.interim, seen.body.is_empty()) {
        (true, _) => format!("{}+", seen.code),
        (false, true) => format!("{}{end}", seen.code),
        (false, false) => format!("{}:{}{end}", seen.code, seen.body.escape_ascii()),
    }
}

/// One char per byte, so that every byte can be written.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c as u32).expect("a byte")).collect()
}

fn check_within(limits: &Limits, rows: &[(&[Asked], &str, &str)]) {
    for (asked, input, expected) in rows {
        let trace = assert_cuts_agree(&bytes(input), asked, limits);
        assert_eq!(outcome(&trace), *expected, "{asked:?} {input:?}");
    }
}

fn check(rows: &[(&[Asked], &str, &str)]) {
    check_within(&Limits::default(), rows);
}

/// The same, each as the answer to one GET.
fn check_get(rows: &[(&str, &str)]) {
    for (input, expected) in rows {
        check(&[(&[Content], input, expected)]);
    }
}

#[test]
fn status_line() {
    check_get(&[
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 open"),
        ("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 open"),
        ("HTTP/1.1 200 a\tb \u{e9}\r\nContent-Length: 0\r\n\r\n", "200 open"),
        ("HTTP/1.9 200 OK\r\nContent-Length: 0\r\n\r\n", "200 open"),
        ("HTTP/1.1 999 OK\r\nContent-Length: 2\r\n\r\nab", "999:ab open"),
        ("HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nab", "0:ab open"),
        ("HTTP/1.1 299 OK\r\nContent-Length: 2\r\n\r\nab", "299:ab open"),
        ("\r\n\r\n\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "204 open"),
        ("\r\n\r\n\r\n\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "EmptyLines@8"),
        ("HTTP/1.1 200\r\n\r\n", "StatusCode@12"),
        ("HTTP/1.1 20 OK\r\n\r\n", "StatusCode@11"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "StatusCode@12"),
        ("HTTP/1.1 +20 OK\r\n\r\n", "StatusCode@9"),
        ("HTTP/1.1  200 OK\r\n\r\n", "StatusCode@9"),
        ("HTTP/1.1\t200 OK\r\n\r\n", "StatusCode@8"),
        ("HTTP/1.1 200\tOK\r\n\r\n", "StatusCode@12"),
        ("HTTP/1.1 200 O\0K\r\n\r\n", "Reason@14"),
        ("HTTP/1.1 200 O\u{7f}K\r\n\r\n", "Reason@14"),
        ("HTTP/1.1 200 OK\n\r\n", "LineEnd@15"),
        ("HTTP/1.1 200 OK\rX: y\r\n\r\n", "LineEnd@16"),
        ("HTTP/2.0 200 OK\r\n\r\n", "UnsupportedVersion@5"),
        ("HTTP/0.9 200 OK\r\n\r\n", "UnsupportedVersion@5"),
        ("http/1.1 200 OK\r\n\r\n", "Version@0"),
        ("HTTP/1.10 200 OK\r\n\r\n", "StatusCode@8"),
        ("HTTP/11 200 OK\r\n\r\n", "Version@6"),
        (" HTTP/1.1 200 OK\r\n\r\n", "Version@0"),
        ("\nHTTP/1.1 200 OK\r\n\r\n", "Version@0"),
        ("\rHTTP/1.1 200 OK\r\n\r\n", "LineEnd@1"),
        ("<html>", "Version@0"),
    ]);
}

#[test]
fn fields_are_as_strict_as_in_requests() {
    let rows = [
        ("X: y", "204 open"),
        ("X:", "204 open"),
        ("X:\t y\u{e9} \t", "204 open"),
        ("X : y", "FieldName@26"),
        (" X: y", "Fold@25"),
        ("X: y\r\n z", "Fold@31"),
        (": y", "FieldName@25"),
        ("NoColon", "FieldName@32"),
        ("X\u{e9}: y", "FieldName@26"),
        ("X: \0", "FieldValue@28"),
        ("X: \u{1}", "FieldValue@28"),
        ("X: y\n", "LineEnd@29"),
        ("X: y\rz", "LineEnd@30"),
    ];
    for (field, expected) in rows {
        let input = format!("HTTP/1.1 204 No Content\r\n{field}\r\n\r\n");
        check_get(&[(&input, expected)]);
    }
    check_get(&[("HTTP/1.1 204 No Content\r\n\rX", "LineEnd@26")]);
}

/// RFC 9112, section 6.3: rules 1 and 2.
#[test]
fn a_response_without_content_has_none_whatever_its_fields_say() {
    for says in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: x\r\n"]
    {
        for (asked, line, expected) in [
            (&[Head, Content], "200 OK", "200 204 open"),
            (&[Head, Content], "404 Not Found", "404 204 open"),
            (&[Content, Content], "204 No Content", "204 204 open"),
            (&[Content, Content], "304 Not Modified", "304 204 open"),
            (&[Content, Content], "103 Early Hints", "103+ 204 open"),
            (&[Tunnel, Content], "200 OK", "200 |HTTP/1.1 204 \\r\\n\\r\\n close"),
        ] {
            let input = format!("HTTP/1.1 {line}\r\n{says}\r\nHTTP/1.1 204 \r\n\r\n");
            check(&[(asked, &input, expected)]);
        }
    }
}

#[test]
fn content_length() {
    let rows = [
        ("5", "200:hello open"),
        ("005", "200:hello open"),
        ("\t 5 ", "200:hello open"),
        ("6", "200:hello… Incomplete@43"),
        ("5\r\nContent-Length: 5", "ContentLength@33"),
        ("5\r\nContent-Length: 6", "ContentLength@33"),
        ("5, 5", "ContentLength@33"),
        ("5, 6", "ContentLength@33"),
        ("+5", "ContentLength@33"),
        ("-5", "ContentLength@33"),
        ("0x5", "ContentLength@33"),
        ("5.0", "ContentLength@33"),
        ("5 5", "ContentLength@33"),
        ("18446744073709551616", "ContentLength@33"),
        ("18446744073709551615", "BodyTooLarge@33"),
        ("1048577", "BodyTooLarge@33"),
    ];
    for (value, expected) in rows {
        let input = format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\nhello");
        check_get(&[(&input, expected)]);
    }
    check_get(&[("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", "ContentLength@32")]);
    let long = "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nhello";
    let end = format!("200:hello… Incomplete@{}", long.len());
    check_within(&Limits::default().with_body(u64::MAX), &[(&[Content], long, &end)]);
}

#[test]
fn transfer_encoding() {
    let rows = [
        ("chunked", "200:hello open"),
        ("ChUnKeD,", "200:hello open"),
        ("gzip, chunked", "UnsupportedCoding@36"),
        ("gzip", "TransferEncoding@36"),
        ("identity", "TransferEncoding@36"),
        ("chunked, gzip", "TransferEncoding@36"),
        ("chunked, chunked", "TransferEncoding@36"),
        ("chunked;q=1", "TransferEncoding@36"),
        ("chunked\r\nContent-Length: 5", "AmbiguousLength@61"),
    ];
    for (value, expected) in rows {
        let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {value}\r\n\r\n");
        let input = format!("{head}3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nT: u\r\n\r\n");
        check_get(&[(&input, expected)]);
    }
    let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    check_get(&[(old, "TransferEncoding@36")]);
}

#[test]
fn chunks_that_end_too_soon_or_are_malformed() {
    for (body, expected) in [
        ("0\r\n\r\n", "200 open"),
        ("0\r\n", "200… Incomplete@50"),
        ("5\r\nh", "200:h… Incomplete@51"),
        ("5\nhello", "200… LineEnd@48"),
        ("1\r\nhello", "200:h… ChunkEnd@51"),
        ("\r\n", "200… ChunkSize@47"),
    ] {
        let input = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        check_get(&[(&input, expected)]);
    }
}

/// RFC 9112, section 6.3, rule 8.
#[test]
fn without_a_length_the_body_ends_where_the_connection_does() {
    check_get(&[
        ("HTTP/1.1 200 OK\r\n\r\nhello", "200:hello close"),
        ("HTTP/1.1 200 OK\r\n\r\n", "200 close"),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello", "200:hello close"),
        ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "200:HTTP/1.1 200 OK\\r\\n\\r\\n close"),
    ]);
    let limits = Limits::default().with_body(4);
    check_within(
        &limits,
        &[
            (&[Content], "HTTP/1.1 200 OK\r\n\r\nhell", "200:hell close"),
            (&[Content], "HTTP/1.1 200 OK\r\n\r\nhello", "200:hell… BodyTooLarge@23"),
        ],
    );
}

#[test]
fn persistence() {
    let rows = [
        ("HTTP/1.1", "", "200:a open"),
        ("HTTP/1.1", "Connection: close\r\n", "200:a close"),
        ("HTTP/1.1", "Connection: x, CLOSE\r\n", "200:a close"),
        ("HTTP/1.1", "Connection: x\r\nConnection: close\r\n", "200:a close"),
        ("HTTP/1.1", "Connection: closed\r\n", "200:a open"),
        ("HTTP/1.0", "", "200:a close"),
        ("HTTP/1.0", "Connection: Keep-Alive\r\n", "200:a open"),
        ("HTTP/1.0", "Connection: keep-alive, close\r\n", "200:a close"),
    ];
    for (version, fields, expected) in rows {
        let input = format!("{version} 200 OK\r\n{fields}Content-Length: 1\r\n\r\na");
        check_get(&[(&input, expected)]);
    }
    // Anything after the last response is ignored.
    let after = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK";
    let trace = assert_cuts_agree(after.as_bytes(), &[Content; 3], &Limits::default());
    assert_eq!((outcome(&trace).as_str(), trace.unanswered), ("200:a close", 2));
}

/// RFC 9112, sections 9.2 and 9.3.2.
#[test]
fn responses_answer_requests_in_order() {
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    let chunked =
        "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ncd\r\n0\r\n\r\n";
    let last = "HTTP/1.1 500 Internal Server Error\r\n\r\nef";
    let all = format!("{sized}ab{sized}\r\n{chunked}HTTP/1.1 100 Continue\r\n\r\n{last}");
    let length = sized.len() + 2;
    // Empty lines are counted afresh before each.
    let apart = "\r\n\r\n\r\nHTTP/1.1 204 \r\n\r\n".repeat(2);
    check(&[
        (&[Content; 2], &apart, "204 204 open"),
        (&[Content, Head, Content, Content], &all, "200:ab 200 404:cd 100+ 500:ef close"),
        (&[], "", "open"),
        (&[], "\r\n\r\n", "open"),
        (&[], "H", "Unasked@0"),
        (&[], "\r\nHTTP/1.1 408 Request Timeout\r\n\r\n", "Unasked@2"),
        (&[Content], &format!("{sized}ab\r\n"), "200:ab open"),
        (&[Content], &format!("{sized}ab{sized}"), &format!("200:ab Unasked@{length}")),
        (&[Content; 2], &format!("{sized}ab"), "200:ab open"),
        (&[Content; 2], &format!("{sized}abHT"), &format!("200:ab Incomplete@{}", length + 2)),
        (&[Content], "\r\nHTTP", "Incomplete@6"),
        (&[Content], &format!("{sized}a"), &format!("200:a… Incomplete@{}", length - 1)),
    ]);
}

/// RFC 9110, sections 7.8, 9.3.6 and 15.2.
#[test]
fn interim_responses_and_other_protocols() {
    let switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n\0\r\n";
    let rest = "|\\x00\\r\\n";
    check(&[
        (
            &[Content],
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nX: y\r\n\r\nHTTP/1.1 204 \r\n\r\n",
            "100+ 103+ 204 open",
        ),
        (&[Content], "HTTP/1.1 100 Continue\r\n\r\n", "100+ open"),
        (&[Upgrade], switched, &format!("101 {rest} close")),
        (&[Content], switched, "UnaskedUpgrade@9"),
        (&[Head], switched, "UnaskedUpgrade@9"),
        (&[Tunnel], switched, "UnaskedUpgrade@9"),
        (&[Upgrade], "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "200:a open"),
        (&[Tunnel], "HTTP/1.1 200 OK\r\n\r\n\0\r\n", &format!("200 {rest} close")),
        (&[Tunnel], "HTTP/1.1 299 \r\n\r\n\0\r\n", &format!("299 {rest} close")),
        (&[Tunnel], "HTTP/1.1 407 \r\nContent-Length: 1\r\n\r\na", "407:a open"),
    ]);
}

#[test]
fn limits_apply_before_the_head_ends() {
    let limits = Limits::new(64, 2, 10, 10).unwrap().with_trailer(8).with_chunk_extensions(4);
    let line = "HTTP/1.1 200 OK\r\n";
    let chunked = "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n";
    let trailer = format!("200… TrailerTooLarge@{}", chunked.len() + 3 + 8);
    let body = format!("200… BodyTooLarge@{}", chunked.len());
    let extensions = format!("200… ChunkExtensionsTooLong@{}", chunked.len() + 5);
    check_within(
        &limits,
        &[
            (&[Content], &format!("{line}X: {}", "a".repeat(100)), "HeadTooLarge@64"),
            (&[Content], &format!("HTTP/1.1 200 {}", "a".repeat(100)), "HeadTooLarge@64"),
            (&[Content], &format!("\r\n{line}X: {}", "a".repeat(100)), "HeadTooLarge@66"),
            (&[Content], &format!("{line}A: b\r\nC: d\r\nE"), "TooManyFields@29"),
            (&[Content], &format!("{chunked}0\r\nX: {}", "a".repeat(9)), &trailer),
            (&[Content], &format!("{chunked}b\r\n"), &body),
            (&[Content], &format!("{chunked}1;abcd\r\n"), &extensions),
        ],
    );
}

#[test]
fn a_responses_view_shows_everything() {
    let limits = Limits::default();
    let (mut connection, mut head) = (Connection::new(), ResponseHead::new(&limits));
    connection.sent(Method::Get).unwrap();
    let input = b"\r\nHTTP/1.1 404 Not Here\r\nServer: s\r\nCache-Control: a\r\ncache-control:  b \
        \r\nContent-Length: 7\r\n\r\nabc";
    let step = connection.next(input, &mut head, &limits).unwrap();
    assert_eq!((step.consumed, step.event), (input.len() - 3, Event::Head));
    assert_eq!((head.status(), head.framing()), (Some(Status::NOT_FOUND), Framing::Length(7)));
    let response = head.response(input);
    assert_eq!((response.code(), response.reason()), (404, &b"Not Here"[..]));
    assert_eq!(response.field_by_name("SERVER"), Some(&b"s"[..]));
    assert_eq!(response.field(FieldName::CacheControl), Some(&b"a"[..]));
    let all: Vec<_> = response.values(FieldName::CacheControl).collect();
    assert_eq!(all, [&b"a"[..], b"b"]);
    assert!(response.has(FieldName::ContentLength) && !response.has(FieldName::Date));
    assert_eq!(response.fields().count(), 4);
    assert_eq!(response.head_bytes(), &input[2..input.len() - 3]);
    assert!(connection.body_follows() && !connection.is_between_responses());
    assert_eq!(head.response(b"HTTP").reason(), b"");
}

#[test]
fn a_refused_framing_leaves_a_head_to_log_and_a_malformed_one_none() {
    let limits = Limits::default();
    let mut head = ResponseHead::new(&limits);
    let mut refused = |input: &[u8]| {
        let mut connection = Connection::new();
        connection.sent(Method::Get).unwrap();
        let error = connection.next(input, &mut head, &limits).unwrap_err();
        assert!(!connection.persists());
        let after = connection.next(input, &mut head, &limits).unwrap();
        assert_eq!((after.consumed, after.event), (input.len(), Event::NeedMore));
        (error.kind, head.is_complete(), head.code())
    };
    let differing = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
    assert_eq!(refused(differing), (ErrorKind::ContentLength, true, 200));
    let malformed = b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n";
    assert_eq!(refused(malformed), (ErrorKind::FieldName, false, 0));
}

#[test]
fn sixty_four_requests_may_wait() {
    let limits = Limits::default();
    let (mut connection, mut head) = (Connection::new(), ResponseHead::new(&limits));
    for _ in 0..Connection::OUTSTANDING_MAX {
        connection.sent(Method::Head).unwrap();
    }
    let error = connection.sent(Method::Get).unwrap_err();
    assert_eq!(error.to_string(), "64 requests are waiting for their responses already");
    let responses = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".repeat(64);
    let mut at = 0;
    for left in (0..64).rev() {
        at += connection.next(&responses[at..], &mut head, &limits).unwrap().consumed;
        assert_eq!((connection.outstanding(), connection.persists()), (left, true));
    }
    assert_eq!(at, responses.len());
}
