//! Request line, target forms, version, Host, fields.

use super::{Row, row};

pub fn request_line() -> Vec<Row> {
    vec![
        row("RL-01", "<G>\r\n", "1 open"),
        row("RL-02", "get /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        row("RL-03", "FOO /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        row("RL-04", "G(T /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("RL-05", "GET  /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("RL-06", "GET\t/index.html\tHTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("RL-07", "GET /index.html HTTP/1.1 \r\nHost: localhost\r\n\r\n", "0 400"),
        row("RL-08", "GET HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("RL-09", "GET /in dex.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("RL-10", " <G>\r\n", "0 400"),
        row("RL-11", "\r\n<G>\r\n", "1 open"),
        row("RL-12", "GET /index.html HTTP/1.1\nHost: localhost\r\n\r\n", "0 400"),
        row("RL-13", "GET /index.html HTTP/1.1\rHost: localhost\r\n\r\n", "0 400"),
        row("RL-14", "GET /a\rb HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("RL-15", "GET /a\0b HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("RL-16", "GET /\u{c3}\u{a9} HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("RL-17", "GET /index.html#frag HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("RL-18", "GET /<a>\"^'{|} HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        // The path is refused when it is decoded, not here.
        row("RL-19", "GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        row("RL-20", "GET /index.html%00.txt HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        row("RL-24", "\u{80}\u{81}\u{82}\u{83}\r\n\r\n", "0 400"),
        row("RL-25", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "0 505"),
        row("RL-26", "\u{16}\u{3}\u{1}\0\u{c0}\u{1}", "0 400"),
        row("empty lines, four", "\r\n\r\n\r\n\r\n<G>\r\n", "1 open"),
        row("empty lines, five", "\r\n\r\n\r\n\r\n\r\n<G>\r\n", "0 400"),
        row("only empty lines", "\r\n\r\n", "0 open"),
        row("an empty line between requests", "<G>\r\n\r\n<G>\r\n", "2 open"),
        row("bare LF first", "\n<G>\r\n", "0 400"),
        row("bare CR first", "\r<G>\r\n", "0 400"),
        row(
            "a path of one block, a space two blocks later",
            "GET /fffffffffffffff HTTP/1.1\r\nH!st: a:80\r\n\r\n",
            "0 400",
        ),
        row("no method", "/ HTTP/1.1\r\n", "0 400"),
        row(
            "a method of 32 bytes",
            "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM / HTTP/1.1\r\nHost: a\r\n\r\n",
            "1 open",
        ),
        row("a method of 33 bytes", "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM / HTTP/1.1\r\n", "0 501"),
        // An encoded line end is text like any other.
        row("RL-21", "GET /%0d%0aX-Injected:%201 HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
    ]
}

/// Elements that are too long are refused before they end.
pub fn too_long() -> Vec<Row> {
    let long = "a".repeat(20_000);
    vec![
        row("RL-22", format!("GET /{long}"), "0 414"),
        row("RL-23", format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..7900]), "1 open"),
        row("HF-17", format!("<G>X-A: {long}"), "0 431"),
        row("HF-18", format!("<G>{}", "X-1: a\r\n".repeat(101)), "0 431"),
        row("HF-19", format!("<G>{long}"), "0 431"),
        row("CH-12", format!("<P>Transfer-Encoding: chunked\r\n\r\n5;{long}"), "0 400"),
        row("CH-32", format!("<P>Transfer-Encoding: chunked\r\n\r\n0\r\nX: {long}"), "0 431"),
    ]
}

pub fn target_forms() -> Vec<Row> {
    vec![
        row(
            "TF-01",
            "GET http://localhost/index.html HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "1 open",
        ),
        row("TF-02", "GET http://localhost/i HTTP/1.1\r\nHost: other.example\r\n\r\n", "1 open"),
        row("TF-03", "GET http:///index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("TF-04", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        row("TF-05", "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("TF-06", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n", "1 open"),
        row("TF-07", "GET localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("TF-08", "GET index.html HTTP/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("TF-09", "GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        row("TF-11", "GET /index.html?a=b&c=%20? HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
        row("https", "GET HTTPS://a:1/x?y HTTP/1.1\r\nHost: b\r\n\r\n", "1 open"),
        row("no path", "GET http://a HTTP/1.1\r\nHost: b\r\n\r\n", "1 open"),
        row("a query and no path", "GET http://a?b/c:d HTTP/1.1\r\nHost: b\r\n\r\n", "1 open"),
        row("another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: b\r\n\r\n", "0 400"),
        row("user information", "GET http://u@a/ HTTP/1.1\r\nHost: b\r\n\r\n", "0 400"),
        row("CONNECT to a path", "CONNECT / HTTP/1.1\r\nHost: b\r\n\r\n", "0 400"),
        row("CONNECT without port", "CONNECT a HTTP/1.1\r\nHost: b\r\n\r\n", "0 400"),
        row("CONNECT with empty port", "CONNECT a: HTTP/1.1\r\nHost: b\r\n\r\n", "0 400"),
        row("raw in a path", "GET /a|b^c HTTP/1.1\r\nHost: b\r\n\r\n", "1 open"),
        row("raw in a query", "GET /?a|b^c\\d`e{f}?{ HTTP/1.1\r\nHost: b\r\n\r\n", "1 open"),
        row("raw, absolute", "GET http://b/|?{} HTTP/1.1\r\nHost: b\r\n\r\n", "1 open"),
        row("a raw host", "GET http://b|c/ HTTP/1.1\r\nHost: b\r\n\r\n", "0 400"),
        row("brackets in use", "GET /a[0]?b[]=1 HTTP/1.1\r\nHost: b\r\n\r\n", "1 open"),
        row("TF-10", "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", "1 open"),
    ]
}

/// Every byte, in a path and in a query: what RFC 3986 allows, brackets, and what browsers leave raw.
pub fn raw_bytes() -> Vec<Row> {
    let unreserved =
        |byte: char| byte.is_ascii_alphanumeric() || "-._~!$&'()*+,;=%:@/[]".contains(byte);
    let both = (0..=255u8).map(char::from).filter(|byte| !" \t\r\n".contains(*byte));
    let rows = both.flat_map(|byte| {
        let in_path = unreserved(byte) || "^|?".contains(byte);
        let in_query = in_path || "\\`{}".contains(byte);
        let expected = |passes| if passes { "1 open" } else { "0 400" };
        let line = |target: String| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        [
            row("a byte of a path", line(format!("/a{byte}b")), expected(in_path)),
            row("a byte of a query", line(format!("/a?b{byte}c")), expected(in_query)),
            // Behind the first block.
            row(
                "a byte far in",
                line(format!("/{}?{byte}{byte}", "a".repeat(99))),
                expected(in_query),
            ),
        ]
    });
    rows.collect()
}

pub fn version() -> Vec<Row> {
    vec![
        row("VE-01", "GET /index.html HTTP/1.0\r\n\r\n", "1 close"),
        row("VE-02", "GET /index.html HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "1 open"),
        row("VE-03", "GET /index.html HTTP/1.2\r\nHost: localhost\r\n\r\n", "1 open"),
        row("VE-04", "GET /index.html HTTP/2.0\r\nHost: localhost\r\n\r\n", "0 505"),
        row("VE-05", "GET /index.html\r\n", "0 400"),
        row("VE-06", "GET /index.html http/1.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("VE-07", "GET /index.html HTTP/1.10\r\nHost: localhost\r\n\r\n", "0 400"),
        row("VE-08", "GET /index.html HTTP/01.1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("VE-09", "GET /index.html HTTP/1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("VE-10", "GET /index.html HTTP/1. 1\r\nHost: localhost\r\n\r\n", "0 400"),
        row("VE-11", "GET /index.html HTTP/9.9\r\nHost: localhost\r\n\r\n", "0 505"),
        row("HTTP/0.9 with a number", "GET /index.html HTTP/0.9\r\n\r\n", "0 505"),
    ]
}

pub fn host() -> Vec<Row> {
    let taken = [
        ("HO-10", "Host: [::1]:8080"),
        ("HO-12", "Host: a_b-c.d~e:80"),
        ("an IPv4 address in IPv6", "Host: [::ffff:1.2.3.4]"),
        ("an address of the future", "Host: [v1.a:b]"),
        ("an encoded space", "Host: a%20b"),
        ("an empty port", "Host: a:"),
        ("an IPv4 address", "Host: 127.0.0.1:8080"),
        ("in other letters", "hOST:\tlocalhost \t"),
    ];
    let refused = [
        ("HO-01", "X: y"),
        ("HO-02", "Host: a\r\nHost: b"),
        ("HO-03", "Host: a\r\nHost: a"),
        ("HO-04", "Host:"),
        ("HO-04, with white space", "Host: \t "),
        ("HO-05", "Host: a b"),
        ("HO-06", "Host: user@localhost"),
        ("HO-07", "Host: localhost/x"),
        ("HO-08", "Host: a, b"),
        ("HO-09", "Host: localhost:8a"),
        ("two ports", "Host: localhost:80:80"),
        ("a port only", "Host: :80"),
        ("an open bracket", "Host: [::1"),
        ("a name behind a bracket", "Host: [::1]x"),
        ("a port of letters behind a bracket", "Host: [::1]:x"),
        ("no address in brackets", "Host: [g]"),
        ("no version in brackets", "Host: [v.a]"),
        ("nothing in brackets", "Host: []"),
        ("a percent sign and one digit", "Host: a%2"),
        ("a percent sign and letters", "Host: a%zz"),
        ("a byte above 127", "Host: \u{e9}"),
        ("a URI", "Host: http://a"),
    ];
    let with =
        |(id, host), expected| row(id, format!("GET / HTTP/1.1\r\n{host}\r\n\r\n"), expected);
    let taken = taken.into_iter().map(|host| with(host, "1 open"));
    let refused = refused.into_iter().map(|host| with(host, "0 400"));
    let two = "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n";
    taken.chain(refused).chain([row("HO-11", two, "0 400")]).collect()
}

pub fn fields() -> Vec<Row> {
    vec![
        row("HF-01", "<G>X-A : b\r\n\r\n", "0 400"),
        row("HF-02", "<G>X-A: b\r\n c\r\n\r\n", "0 400"),
        row("HF-03", "GET / HTTP/1.1\r\n X: y\r\nHost: localhost\r\n\r\n", "0 400"),
        row("HF-04", "<G>: b\r\n\r\n", "0 400"),
        row("HF-04, and a colon soon after", "<G>: X:b\r\n\r\n", "0 400"),
        row("HF-05", "<G>NoColon\r\n\r\n", "0 400"),
        row("HF-06", "<G>X[A]: b\r\n\r\n", "0 400"),
        row("HF-07", "<G>X\u{e9}: b\r\n\r\n", "0 400"),
        row("HF-08", "<G>X-A: b\rc\r\n\r\n", "0 400"),
        row("HF-09", "<G>X-A: b\nX-C: d\r\n\r\n", "0 400"),
        row("HF-10", "<G>X-A: b\0c\r\n\r\n", "0 400"),
        row("HF-11", "<G>X-A: b\u{1}c\r\n\r\n", "0 400"),
        row("HF-12", "<G>X-A: b\u{7f}c\r\n\r\n", "0 400"),
        row("HF-13", "<G>X-A: b\u{e9}c\r\n\r\n", "1 open"),
        row("HF-14", "<G>X-A: b\tc\r\n\r\n", "1 open"),
        row("HF-15", "<G>X-A:\r\nX-B: \t \r\n\r\n", "1 open"),
        row("HF-16", "<G>X-A:  \t b \t \r\n\r\n", "1 open"),
        row("HF-20", "<G>X-A: b\r\r\n\r\n", "0 400"),
        row("HF-21", "<G>X-A: b\r\n\rX", "0 400"),
        row("HF-22", "<G>!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n", "1 open"),
        row("a hundred fields", format!("<G>{}\r\n", "X-1: a\r\n".repeat(99)), "1 open"),
        row("a bare LF ends the head", "<G>\n", "0 400"),
    ]
}
