//! Content-Length, Transfer-Encoding, chunks, Expect.

use super::{Row, row, trace};

pub fn content_length() -> Vec<Row> {
    vec![
        row("CL-01", "<P>Content-Length: 5\r\n\r\nhello<G>\r\n", "2 open"),
        row("CL-02", "<P>Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "0 400"),
        row("CL-03", "<P>Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "0 400"),
        row("CL-04", "<P>Content-Length: 5, 5\r\n\r\nhello", "0 400"),
        row("CL-05", "<P>Content-Length: 5, 6\r\n\r\nhello!", "0 400"),
        row("CL-06", "<P>Content-Length: +5\r\n\r\nhello", "0 400"),
        row("CL-07", "<P>Content-Length: -1\r\n\r\nhello", "0 400"),
        row("CL-08", "<P>Content-Length: 0x5\r\n\r\nhello", "0 400"),
        row("CL-09", "<P>Content-Length: 18446744073709551616\r\n\r\nhello", "0 400"),
        row("CL-10", "<P>Content-Length: 99999999999999999999999\r\n\r\nhello", "0 400"),
        row("CL-11", "<P>Content-Length: 5 5\r\n\r\nhello", "0 400"),
        row("CL-12", "<P>Content-Length: \r\n\r\nhello", "0 400"),
        row("CL-13", "<P>Content-Length: 1_0\r\n\r\nhello", "0 400"),
        row("CL-14", "<P>Content-Length: 5;a=b\r\n\r\nhello", "0 400"),
        row("CL-15", "<P>Content-Length: 5.0\r\n\r\nhello", "0 400"),
        row("CL-16", "<P>Content-Length: -0\r\n\r\nhello", "0 400"),
        row("CL-17", "<P>Content-Length: 005\r\n\r\nhello", "1 open"),
        row("CL-18", "<P>Content-Length: \t 5 \r\n\r\nhello", "1 open"),
        row("CL-19", "<P>Content-Length: 50\r\n\r\nhello", "0 wait"),
        row("CL-20", "<P>Content-Length: 99999999999\r\n\r\n", "0 413"),
        row("CL-21", "<G>Content-Length: 5\r\n\r\nhello<G>\r\n", "2 open"),
        row("zero", "<P>Content-Length: 0\r\n\r\n<G>\r\n", "2 open"),
        row("2^64 - 1", "<P>Content-Length: 18446744073709551615\r\n\r\n", "0 413"),
    ]
}

pub fn transfer_encoding() -> Vec<Row> {
    let values = [
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
    ];
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    let rows = values.into_iter().map(|(id, value, expected)| {
        row(id, format!("<P>Transfer-Encoding: {value}\r\n\r\n{chunks}"), expected)
    });
    let old = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    rows.chain([row("TE-12", old, "0 400")]).collect()
}

pub fn chunked() -> Vec<Row> {
    let many = format!("0\r\n{}", "X: a\r\n".repeat(101));
    let zeros = |count| format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(count));
    let (most_zeros, too_many_zeros) = (zeros(15 + 1024), zeros(15 + 1025));
    let last_of_zeros = format!("5\r\nhello\r\n{}\r\n\r\n", "0".repeat(300));
    let bodies = [
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
        ("CH-26, with zeros", "00000000000000005\r\nhello\r\n0\r\n\r\n", "1 open"),
        ("CH-27", "FFFFFFFFFFFFFFFF\r\nhello", "0 413"),
        ("CH-28", "5\r\nhello\r\n0\r\n\n", "0 400"),
        ("CH-29", "5\r\nhello\r\n0\r\nX-T: v\r\n\r\n<G>\r\n", "2 open"),
        ("CH-30", "5\r\nhello\r\n0\r\nContent-Length: 99\r\nHost: evil\r\n\r\n", "1 open"),
        ("CH-31", "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n", "0 400"),
        ("CH-33", "5\r\nhel", "0 wait"),
        // Every row is also fed byte by byte.
        ("CH-34", "5\r\nhello\r\n0\r\n\r\n", "1 open"),
        ("no end", "5\r\nhello\r\n", "0 wait"),
        ("no end of the trailers", "0\r\n", "0 wait"),
        ("an empty body", "0\r\n\r\n", "1 open"),
        ("a folded trailer", "0\r\nX: a\r\n b\r\n\r\n", "0 400"),
        ("too many trailers", &many, "0 431"),
        ("as many leading zeros as extensions", &most_zeros, "1 open"),
        ("one leading zero more", &too_many_zeros, "0 400"),
        ("a last chunk of many zeros", &last_of_zeros, "1 open"),
        ("white space behind an extension", "5;a=b \r\nhello\r\n0\r\n\r\n", "0 400"),
        ("an open quote", "5;a=\"b\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("a control character, quoted", "5;a=\"\\\u{1}\"\r\nhello\r\n0\r\n\r\n", "0 400"),
        ("bytes in a quoted value", "5;a=\"\u{e9}\t\\\u{e9}\"\r\nhello\r\n0\r\n\r\n", "1 open"),
    ];
    let rows = bodies.into_iter().map(|(id, body, expected)| {
        row(id, format!("<P>Transfer-Encoding: chunked\r\n\r\n{body}"), expected)
    });
    rows.collect()
}

pub fn expect() -> Vec<Row> {
    vec![
        row("EX-01", "<P>Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello", "1 open"),
        row("EX-02", "<G>Expect: 200-maybe\r\n\r\n", "0 417"),
        row(
            "EX-03",
            "POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello",
            "1 close",
        ),
        row("EX-04", "<G>Expect: 100-continue\r\n\r\n", "1 open"),
        row("one of two", "<G>Expect: 100-continue, x\r\n\r\n", "0 417"),
    ]
}

/// When a 100 is wanted.
#[test]
fn expect_100() {
    let wants = |row: &str| trace(row).requests[0].expects_continue;
    assert!(wants("<P>Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n"), "EX-01");
    assert!(wants("<P>Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"));
    assert!(
        !wants("POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"),
        "EX-03"
    );
    assert!(!wants("<G>Expect: 100-continue\r\n\r\n"), "EX-04");
    assert!(!wants("<G>Expect: 100-continue\r\nContent-Length: 0\r\n\r\n"));
}
