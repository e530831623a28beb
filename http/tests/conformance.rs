//! What is accepted and what is refused, row by row: the answers of a strict origin server.
//!
//! Each row is fed whole, cut at every place, and byte by byte; all must give the same. A row says
//! how many requests are complete and what comes then: `open` (the connection persists), `close`,
//! `wait` (in the middle of a request), or the status of the refusal.

mod common;

use common::assert_cuts_agree;
use http::{ErrorKind, Limits};

/// `<G>` and `<P>` stand for the beginning of a plain GET and POST.
fn expand(stimulus: &str) -> Vec<u8> {
    let get = "GET /index.html HTTP/1.1\r\nHost: localhost\r\n";
    let post = "POST /index.html HTTP/1.1\r\nHost: localhost\r\n";
    let text = stimulus.replace("<G>", get).replace("<P>", post);
    // One char a byte, so that every byte can be written.
    text.chars().map(|c| u8::try_from(c as u32).expect("a byte")).collect()
}

fn outcome(input: &[u8]) -> String {
    let trace = assert_cuts_agree(input, &Limits::default());
    let complete = trace.requests.iter().filter(|request| request.complete).count();
    let end = match trace.error {
        Some((kind, offset)) => {
            assert!(offset <= input.len(), "an error is at a byte that was given");
            kind.status().code().to_string()
        }
        None if !trace.may_end => "wait".to_owned(),
        None if trace.persists => "open".to_owned(),
        None => "close".to_owned(),
    };
    format!("{complete} {end}")
}

fn check(rows: &[(&str, &str, &str)]) {
    for (id, stimulus, expected) in rows {
        assert_eq!(outcome(&expand(stimulus)), *expected, "{id}: {stimulus:?}");
    }
}

#[test]
fn request_line() {
    check(&[
        ("RL-01", "<G>\r\n", "1 open"),
        ("RL-02", "get /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        ("RL-03", "FOO /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        ("RL-04", "G(T /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("RL-05", "GET  /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("RL-06", "GET\t/index.html\tHTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("RL-07", "GET /index.html HTTP/1.1 \r\nHost: localhost\r\n\r\n", "0 400"),
        ("RL-08", "GET HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("RL-09", "GET /in dex.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("RL-10", " <G>\r\n", "0 400"),
        ("RL-11", "\r\n<G>\r\n", "1 open"),
        ("RL-12", "GET /index.html HTTP/1.1\nHost: localhost\r\n\r\n", "0 400"),
        ("RL-13", "GET /index.html HTTP/1.1\rHost: localhost\r\n\r\n", "0 400"),
        ("RL-14", "GET /a\rb HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("RL-15", "GET /a\0b HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("RL-16", "GET /\u{c3}\u{a9} HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("RL-17", "GET /index.html#frag HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("RL-18", "GET /<a>\"^'{|} HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        // The path is refused when it is decoded, not here.
        ("RL-19", "GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        ("RL-20", "GET /index.html%00.txt HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        ("RL-24", "\u{80}\u{81}\u{82}\u{83}\r\n\r\n", "0 400"),
        ("RL-25", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "0 505"),
        ("RL-26", "\u{16}\u{3}\u{1}\0\u{c0}\u{1}", "0 400"),
        ("empty lines, four", "\r\n\r\n\r\n\r\n<G>\r\n", "1 open"),
        ("empty lines, five", "\r\n\r\n\r\n\r\n\r\n<G>\r\n", "0 400"),
        ("only empty lines", "\r\n\r\n", "0 open"),
        ("an empty line between requests", "<G>\r\n\r\n<G>\r\n", "2 open"),
        ("bare LF first", "\n<G>\r\n", "0 400"),
        ("bare CR first", "\r<G>\r\n", "0 400"),
        (
            "a path of one block, a space two blocks later",
            "GET /fffffffffffffff HTTP/1.1\r\nH!st: a:80\r\n\r\n",
            "0 400",
        ),
        ("no method", "/ HTTP/1.1\r\n", "0 400"),
        (
            "a method of 32 bytes",
            "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM / HTTP/1.1\r\nHost: a\r\n\r\n",
            "1 open",
        ),
        ("a method of 33 bytes", "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM / HTTP/1.1\r\n", "0 501"),
    ]);
}

#[test]
fn what_is_too_long_is_refused_before_it_ends() {
    let long = "a".repeat(20_000);
    check(&[
        ("RL-22", &format!("GET /{long}"), "0 414"),
        ("RL-23", &format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..7900]), "1 open"),
        ("HF-17", &format!("<G>X-A: {long}"), "0 431"),
        ("HF-18", &format!("<G>{}", "X-1: a\r\n".repeat(101)), "0 431"),
        ("HF-19", &format!("<G>{long}"), "0 431"),
        ("CH-12", &format!("<P>Transfer-Encoding: chunked\r\n\r\n5;{long}"), "0 400"),
        ("CH-32", &format!("<P>Transfer-Encoding: chunked\r\n\r\n0\r\nX: {long}"), "0 431"),
    ]);
}

#[test]
fn target_forms() {
    check(&[
        ("TF-01", "GET http://localhost/index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        ("TF-02", "GET http://localhost/i HTTP/1.1\r\nHost: other.example\r\n\r\n", "1 open"),
        ("TF-03", "GET http:///index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("TF-04", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        ("TF-05", "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("TF-06", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", "1 open"),
        ("TF-07", "GET localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("TF-08", "GET index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("TF-09", "GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        ("TF-11", "GET /index.html?a=b&c=%20? HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        ("https", "GET HTTPS://a:1/x?y HTTP/1.1\r\nHost: b\r\n\r\n", "1 open"),
        ("no path", "GET http://a HTTP/1.1\r\nHost: b\r\n\r\n", "1 open"),
        ("a query and no path", "GET http://a?b/c:d HTTP/1.1\r\nHost: b\r\n\r\n", "1 open"),
        ("another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: b\r\n\r\n", "0 400"),
        ("user information", "GET http://u@a/ HTTP/1.1\r\nHost: b\r\n\r\n", "0 400"),
        ("CONNECT to a path", "CONNECT / HTTP/1.1\r\nHost: b\r\n\r\n", "0 400"),
        ("CONNECT without port", "CONNECT a HTTP/1.1\r\nHost: b\r\n\r\n", "0 400"),
        ("CONNECT with empty port", "CONNECT a: HTTP/1.1\r\nHost: b\r\n\r\n", "0 400"),
        ("brackets in use", "GET /a[0]?b[]=1 HTTP/1.1\r\nHost: b\r\n\r\n", "1 open"),
    ]);
}

#[test]
fn version() {
    check(&[
        ("VE-01", "GET /index.html HTTP/1.0\r\n\r\n", "1 close"),
        ("VE-02", "GET /index.html HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "1 open"),
        ("VE-03", "GET /index.html HTTP/1.2\r\nHost: localhost\r\n\r\n", "1 open"),
        ("VE-04", "GET /index.html HTTP/2.0\r\nHost: localhost\r\n\r\n", "0 505"),
        ("VE-05", "GET /index.html\r\n", "0 400"),
        ("VE-06", "GET /index.html http/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("VE-07", "GET /index.html HTTP/1.10\r\nHost: localhost\r\n\r\n", "0 400"),
        ("VE-08", "GET /index.html HTTP/01.1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("VE-09", "GET /index.html HTTP/1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("VE-10", "GET /index.html HTTP/1. 1\r\nHost: localhost\r\n\r\n", "0 400"),
        ("VE-11", "GET /index.html HTTP/9.9\r\nHost: localhost\r\n\r\n", "0 505"),
        ("HTTP/0.9 with a number", "GET /index.html HTTP/0.9\r\n\r\n", "0 505"),
    ]);
}

#[test]
fn host() {
    let with = |host: &str| format!("GET / HTTP/1.1\r\n{host}\r\n\r\n");
    let row = |host: &str| outcome(&expand(&with(host)));
    for host in [
        "Host: [::1]:8080",
        "Host: [::ffff:1.2.3.4]",
        "Host: [v1.a:b]",
        "Host: a_b-c.d~e:80",
        "Host: a%20b",
        "Host: a:",
        "Host: 127.0.0.1:8080",
        "hOST:\tlocalhost \t",
    ] {
        assert_eq!(row(host), "1 open", "{host}");
    }
    for host in [
        "X: y",
        "Host: a\r\nHost: b",
        "Host: a\r\nHost: a",
        "Host:",
        "Host: \t ",
        "Host: a b",
        "Host: user@localhost",
        "Host: localhost/x",
        "Host: a, b",
        "Host: localhost:8a",
        "Host: localhost:80:80",
        "Host: :80",
        "Host: [::1",
        "Host: [::1]x",
        "Host: [::1]:x",
        "Host: [g]",
        "Host: [v.a]",
        "Host: []",
        "Host: a%2",
        "Host: a%zz",
        "Host: \u{e9}",
        "Host: http://a",
    ] {
        assert_eq!(row(host), "0 400", "{host}");
    }
    let two = "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n";
    assert_eq!(outcome(&expand(two)), "0 400", "HO-11");
}

#[test]
fn fields() {
    check(&[
        ("HF-01", "<G>X-A : b\r\n\r\n", "0 400"),
        ("HF-02", "<G>X-A: b\r\n c\r\n\r\n", "0 400"),
        ("HF-03", "GET / HTTP/1.1\r\n X: y\r\nHost: localhost\r\n\r\n", "0 400"),
        ("HF-04", "<G>: b\r\n\r\n", "0 400"),
        ("HF-04, and a colon soon after", "<G>: X:b\r\n\r\n", "0 400"),
        ("HF-05", "<G>NoColon\r\n\r\n", "0 400"),
        ("HF-06", "<G>X[A]: b\r\n\r\n", "0 400"),
        ("HF-07", "<G>X\u{e9}: b\r\n\r\n", "0 400"),
        ("HF-08", "<G>X-A: b\rc\r\n\r\n", "0 400"),
        ("HF-09", "<G>X-A: b\nX-C: d\r\n\r\n", "0 400"),
        ("HF-10", "<G>X-A: b\0c\r\n\r\n", "0 400"),
        ("HF-11", "<G>X-A: b\u{1}c\r\n\r\n", "0 400"),
        ("HF-12", "<G>X-A: b\u{7f}c\r\n\r\n", "0 400"),
        ("HF-13", "<G>X-A: b\u{e9}c\r\n\r\n", "1 open"),
        ("HF-14", "<G>X-A: b\tc\r\n\r\n", "1 open"),
        ("HF-15", "<G>X-A:\r\nX-B: \t \r\n\r\n", "1 open"),
        ("HF-16", "<G>X-A:  \t b \t \r\n\r\n", "1 open"),
        ("HF-20", "<G>X-A: b\r\r\n\r\n", "0 400"),
        ("HF-21", "<G>X-A: b\r\n\rX", "0 400"),
        ("HF-22", "<G>!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n", "1 open"),
        ("a hundred fields", &format!("<G>{}\r\n", "X-1: a\r\n".repeat(99)), "1 open"),
        ("a bare LF ends the head", "<G>\n", "0 400"),
    ]);
}

#[test]
fn content_length() {
    check(&[
        ("CL-01", "<P>Content-Length: 5\r\n\r\nhello<G>\r\n", "2 open"),
        ("CL-02", "<P>Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "0 400"),
        ("CL-03", "<P>Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "0 400"),
        ("CL-04", "<P>Content-Length: 5, 5\r\n\r\nhello", "0 400"),
        ("CL-05", "<P>Content-Length: 5, 6\r\n\r\nhello!", "0 400"),
        ("CL-06", "<P>Content-Length: +5\r\n\r\nhello", "0 400"),
        ("CL-07", "<P>Content-Length: -1\r\n\r\nhello", "0 400"),
        ("CL-08", "<P>Content-Length: 0x5\r\n\r\nhello", "0 400"),
        ("CL-09", "<P>Content-Length: 18446744073709551616\r\n\r\nhello", "0 400"),
        ("CL-10", "<P>Content-Length: 99999999999999999999999\r\n\r\nhello", "0 400"),
        ("CL-11", "<P>Content-Length: 5 5\r\n\r\nhello", "0 400"),
        ("CL-12", "<P>Content-Length: \r\n\r\nhello", "0 400"),
        ("CL-13", "<P>Content-Length: 1_0\r\n\r\nhello", "0 400"),
        ("CL-14", "<P>Content-Length: 5;a=b\r\n\r\nhello", "0 400"),
        ("CL-15", "<P>Content-Length: 5.0\r\n\r\nhello", "0 400"),
        ("CL-16", "<P>Content-Length: -0\r\n\r\nhello", "0 400"),
        ("CL-17", "<P>Content-Length: 005\r\n\r\nhello", "1 open"),
        ("CL-18", "<P>Content-Length: \t 5 \r\n\r\nhello", "1 open"),
        ("CL-19", "<P>Content-Length: 50\r\n\r\nhello", "0 wait"),
        ("CL-20", "<P>Content-Length: 99999999999\r\n\r\n", "0 413"),
        ("CL-21", "<G>Content-Length: 5\r\n\r\nhello<G>\r\n", "2 open"),
        ("zero", "<P>Content-Length: 0\r\n\r\n<G>\r\n", "2 open"),
        ("2^64 - 1", "<P>Content-Length: 18446744073709551615\r\n\r\n", "0 413"),
    ]);
}

#[test]
fn transfer_encoding() {
    let chunks = "\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (id, value, expected) in [
        ("TE-01", "chunked", "1 open"),
        ("TE-02", "ChUnKeD", "1 open"),
        ("TE-03", "gzip", "0 400"),
        ("TE-04", "gzip, chunked", "0 501"),
        ("TE-04", "gzip\r\nTransfer-Encoding: chunked", "0 501"),
        ("TE-05", "chunked, gzip", "0 400"),
        ("TE-06", "chunked, chunked", "0 400"),
        ("TE-07", "chunked\r\nTransfer-Encoding: chunked", "0 400"),
        ("TE-08", "identity", "0 400"),
        ("TE-09", "xchunked", "0 400"),
        ("TE-10", "", "0 400"),
        ("TE-11", "chunked\r\nContent-Length: 3", "0 400"),
        ("TE-13", "chunked,", "1 open"),
        ("TE-14", "\u{b}chunked", "0 400"),
        ("TE-15", "chunked;q=1", "0 400"),
        ("TE-16", "\r\n chunked", "0 400"),
        ("TE-17", "\tchunked", "1 open"),
        ("TE-18", "\"chunked\"", "0 400"),
        ("an unknown coding below", "x, chunked", "0 501"),
        ("a malformed coding below", "x y, chunked", "0 400"),
    ] {
        let row = format!("<P>Transfer-Encoding: {value}{chunks}");
        assert_eq!(outcome(&expand(&row)), expected, "{id}: {value}");
    }
    let old = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(outcome(&expand(old)), "0 400", "TE-12");
}

#[test]
fn chunked() {
    for (id, body, expected) in [
        ("CH-01", "A\r\n0123456789\r\n0\r\n\r\n<G>\r\n", "2 open"),
        ("CH-02", "a\r\n0123456789\r\n0\r\n\r\n<G>\r\n", "2 open"),
        ("CH-03", "0005\r\nhello\r\n000\r\n\r\n<G>\r\n", "2 open"),
        ("CH-04", "5;a=b;c\r\nhello\r\n0;x\r\n\r\n<G>\r\n", "2 open"),
        ("CH-05", "5;a=\"x;\\\"y\"\r\nhello\r\n0\r\n\r\n<G>\r\n", "2 open"),
        ("CH-06", "5 ; a = b\r\nhello\r\n0\r\n\r\n", "1 open"),
        ("CH-07", "5;\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-08", "5;a[=x\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-09", "5;a\nb\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-10", "5;a\rb\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-11", "5;a\0\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-13", "5\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-14", "5\r\nhello\n0\r\n\r\n", "0 400"),
        ("CH-15", "5\r\nhello0\r\n\r\n", "0 400"),
        ("CH-16", "5\r\nhello!!\r\n0\r\n\r\n", "0 400"),
        ("CH-17", "5\rhello\r\n0\r\n\r\n", "0 400"),
        ("CH-18", "\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-19", " 5\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-20", "5 \r\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-21", "0x5\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-22", "+5\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-23", "-1\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-24", "5_0\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-25", "g\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-26", "10000000000000005\r\nhello\r\n0\r\n\r\n", "0 413"),
        ("CH-26, with zeros", "00000000000000005\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("CH-27", "FFFFFFFFFFFFFFFF\r\nhello", "0 413"),
        ("CH-28", "5\r\nhello\r\n0\r\n\n", "0 400"),
        ("CH-29", "5\r\nhello\r\n0\r\nX-T: v\r\n\r\n<G>\r\n", "2 open"),
        ("CH-30", "5\r\nhello\r\n0\r\nContent-Length: 99\r\nHost: evil\r\n\r\n", "1 open"),
        ("CH-31", "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n", "0 400"),
        ("CH-33", "5\r\nhel", "0 wait"),
        ("no end", "5\r\nhello\r\n", "0 wait"),
        ("no end of the trailers", "0\r\n", "0 wait"),
        ("an empty body", "0\r\n\r\n", "1 open"),
        ("a folded trailer", "0\r\nX: a\r\n b\r\n\r\n", "0 400"),
        ("too many trailers", &format!("0\r\n{}", "X: a\r\n".repeat(101)), "0 431"),
        ("white space behind an extension", "5;a=b \r\nhello\r\n0\r\n\r\n", "0 400"),
        ("an open quote", "5;a=\"b\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("a control character, quoted", "5;a=\"\\\u{1}\"\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("bytes in a quoted value", "5;a=\"\u{e9}\t\\\u{e9}\"\r\nhello\r\n0\r\n\r\n", "1 open"),
    ] {
        let row = format!("<P>Transfer-Encoding: chunked\r\n\r\n{body}");
        assert_eq!(outcome(&expand(&row)), expected, "{id}: {body:?}");
    }
}

#[test]
fn expect() {
    check(&[
        ("EX-01", "<P>Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello", "1 open"),
        ("EX-02", "<G>Expect: 200-maybe\r\n\r\n", "0 417"),
        (
            "EX-03",
            "POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
            "1 close",
        ),
        ("EX-04", "<G>Expect: 100-continue\r\n\r\n", "1 open"),
        ("one of two", "<G>Expect: 100-continue, x\r\n\r\n", "0 417"),
    ]);
    let wants = |row: &str| {
        assert_cuts_agree(&expand(row), &Limits::default()).requests[0].expects_continue
    };
    assert!(wants("<P>Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n"), "EX-01");
    assert!(wants("<P>Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"));
    assert!(
        !wants("POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"),
        "EX-03"
    );
    assert!(!wants("<G>Expect: 100-continue\r\n\r\n"), "EX-04");
    assert!(!wants("<G>Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"));
}

#[test]
fn connection() {
    check(&[
        ("CO-01", "<G>Connection: close\r\n\r\n", "1 close"),
        ("CO-02", "<G>\r\n", "1 open"),
        ("CO-03", "<G>Connection: CLOSE\r\n\r\n", "1 close"),
        ("CO-04", "<G>Connection: foo , close\r\n\r\n", "1 close"),
        ("CO-05", "<G>Connection: foo\r\nConnection: close\r\n\r\n", "1 close"),
        ("CO-06", "<G>Connection: closed\r\n\r\n", "1 open"),
        ("CO-07", "<G>Connection: Upgrade\r\nUpgrade: foo/9\r\n\r\n", "1 open"),
        (
            "CO-08",
            "<G>\r\nGET /nope HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
            "3 open",
        ),
        ("CO-09", "<G>Connection: close\r\n\r\n<G>\r\n", "1 close"),
        ("CO-12", "GET /index.html HTTP/1.1\r\nHo", "0 wait"),
        ("CO-13", "BAD\0\r\n\r\n<G>\r\n", "0 400"),
        (
            "close after a body",
            "<P>Connection: close\r\nContent-Length: 5\r\n\r\nhello<G>\r\n",
            "1 close",
        ),
        ("1.0, both", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "1 close"),
    ]);
}

#[test]
fn an_error_is_at_its_byte() {
    for (input, kind, offset) in [
        ("G(T / HTTP/1.1", ErrorKind::Method, 1),
        ("GET  / HTTP/1.1", ErrorKind::Target, 4),
        ("GET /a# HTTP/1.1", ErrorKind::Target, 6),
        ("GET / HTTP/1.x", ErrorKind::Version, 13),
        ("GET / HTTP/1.1x", ErrorKind::LineEnd, 14),
        ("GET / HTTP/1.1\r\n X", ErrorKind::Fold, 16),
        ("GET / HTTP/1.1\r\nA b", ErrorKind::FieldName, 17),
        ("GET / HTTP/1.1\r\nA: \u{1}", ErrorKind::FieldValue, 19),
        ("GET / HTTP/1.1\r\nA: b\n", ErrorKind::LineEnd, 20),
        ("GET / HTTP/3.1\r\n\r\n", ErrorKind::UnsupportedVersion, 11),
        ("GET / HTTP/1.1\r\n\r\n", ErrorKind::MissingHost, 18),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", ErrorKind::InvalidHost, 22),
        ("\r\nGET / HTTP/1.1\r\nHost: a b\r\n\r\n", ErrorKind::InvalidHost, 24),
    ] {
        let trace = assert_cuts_agree(&expand(input), &Limits::default());
        assert_eq!(trace.error, Some((kind, offset)), "{input:?}");
    }
}
