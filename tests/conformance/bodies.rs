//! Content-Length, Transfer-Encoding, chunks, Expect.

use super::{Closed, Fixture, Open, Row, chunked, posted, row, with};

/// The rows that the tests below cover: their comments name them.
pub const IN_TESTS: [&str; 3] = ["CL-19", "CH-33", "CH-34"];

const CHUNKS: &str = "5\r\nhello\r\n0\r\n\r\n";

pub fn content_length() -> Vec<Row> {
    let length = |value: &str| posted(format!("Content-Length: {value}"), "hello");
    let two = |values: [&str; 2]| {
        let [a, b] = values;
        posted(format!("Content-Length: {a}\r\nContent-Length: {b}"), "hello!")
    };
    vec![
        row("CL-01", length("5"), 200, Open),
        row("CL-02", two(["5", "5"]), 400, Closed),
        row("CL-03", two(["5", "6"]), 400, Closed),
        row("CL-04", length("5, 5"), 400, Closed),
        row("CL-05", length("5, 6"), 400, Closed),
        row("CL-06", length("+5"), 400, Closed),
        row("CL-07", length("-1"), 400, Closed),
        row("CL-08", length("0x5"), 400, Closed),
        row("CL-09", length("18446744073709551616"), 400, Closed),
        row("CL-10", length("99999999999999999999999"), 400, Closed),
        row("CL-11", length("5 5"), 400, Closed),
        row("CL-12", length(""), 400, Closed),
        row("CL-13", length("1_0"), 400, Closed),
        row("CL-14", length("5;a=b"), 400, Closed),
        row("CL-15", length("5.0"), 400, Closed),
        row("CL-16", length("-0"), 400, Closed),
        row("CL-17", length("005"), 200, Open),
        row("CL-18", length("\t 5 "), 200, Open),
        row("CL-20", posted("Content-Length: 99999999999", ""), 413, Closed),
        row("CL-21", [&with("Content-Length: 5")[..], b"hello"].concat(), 200, Open),
    ]
}

pub fn transfer_encoding() -> Vec<Row> {
    let coding = |value: &str| posted(format!("Transfer-Encoding: {value}"), CHUNKS);
    let in_1_0 = "POST /echo HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    vec![
        row("TE-01", coding("chunked"), 200, Open),
        row("TE-02", coding("ChUnKeD"), 200, Open),
        row("TE-03", coding("gzip"), 400, Closed),
        row("TE-04", coding("gzip, chunked"), 501, Closed),
        row("TE-05", coding("chunked, gzip"), 400, Closed),
        row("TE-06", coding("chunked, chunked"), 400, Closed),
        row("TE-07", coding("chunked\r\nTransfer-Encoding: chunked"), 400, Closed),
        row("TE-08", coding("identity"), 400, Closed),
        row("TE-09", coding("xchunked"), 400, Closed),
        row("TE-10", coding(""), 400, Closed),
        row("TE-11", coding("chunked\r\nContent-Length: 3"), 400, Closed),
        row("TE-12", format!("{in_1_0}{CHUNKS}"), 400, Closed),
        row("TE-13", coding("chunked,"), 200, Open),
        row("TE-14", coding("\x0bchunked"), 400, Closed),
        row("TE-15", coding("chunked;q=1"), 400, Closed),
        row("TE-16", coding("\r\n chunked"), 400, Closed),
        row("TE-17", coding("\tchunked"), 200, Open),
        row("TE-18", coding("\"chunked\""), 400, Closed),
    ]
}

pub fn chunks_that_are_well_formed() -> Vec<Row> {
    let forbidden = "5\r\nhello\r\n0\r\nContent-Length: 99\r\nHost: evil\r\n\r\n";
    vec![
        row("CH-01", chunked("A\r\n0123456789\r\n0\r\n\r\n"), 200, Open),
        row("CH-02", chunked("a\r\n0123456789\r\n0\r\n\r\n"), 200, Open),
        row("CH-03", chunked("0005\r\nhello\r\n000\r\n\r\n"), 200, Open),
        row("CH-04", chunked("5;a=b;c\r\nhello\r\n0;x\r\n\r\n"), 200, Open),
        row("CH-05", chunked("5;a=\"x;\\\"y\"\r\nhello\r\n0\r\n\r\n"), 200, Open),
        row("CH-06", chunked("5 ; a = b\r\nhello\r\n0\r\n\r\n"), 200, Open),
        row("CH-29", chunked("5\r\nhello\r\n0\r\nX-T: v\r\n\r\n"), 200, Open),
        row("CH-30", chunked(forbidden), 200, Open),
    ]
}

pub fn chunks_that_are_not() -> Vec<Row> {
    let long_extension = format!("5;{}\r\nhello\r\n0\r\n\r\n", "a".repeat(100_000));
    let long_trailer = format!("5\r\nhello\r\n0\r\nX: {}\r\n\r\n", "a".repeat(300_000));
    vec![
        row("CH-07", chunked("5;\r\nhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-08", chunked("5;a[=x\r\nhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-09", chunked("5;a\nb\r\nhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-10", chunked("5;a\rb\r\nhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-11", chunked("5;a\0\r\nhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-12", chunked(long_extension), 400, Closed),
        row("CH-13", chunked("5\nhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-14", chunked("5\r\nhello\n0\r\n\r\n"), 400, Closed),
        row("CH-15", chunked("5\r\nhello0\r\n\r\n"), 400, Closed),
        row("CH-16", chunked("5\r\nhello!!\r\n0\r\n\r\n"), 400, Closed),
        row("CH-17", chunked("5\rhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-18", chunked("\r\nhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-19", chunked(" 5\r\nhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-20", chunked("5 \r\nhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-21", chunked("0x5\r\nhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-22", chunked("+5\r\nhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-23", chunked("-1\r\nhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-24", chunked("5_0\r\nhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-25", chunked("g\r\nhello\r\n0\r\n\r\n"), 400, Closed),
        row("CH-26", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), 413, Closed),
        row("CH-27", chunked("FFFFFFFFFFFFFFFF\r\nhello"), 413, Closed),
        row("CH-28", chunked("5\r\nhello\r\n0\r\n\n"), 400, Closed),
        row("CH-31", chunked("5\r\nhello\r\n0\r\nbad trailer\r\n\r\n"), 400, Closed),
        row("CH-32", chunked(long_trailer), 431, Closed),
    ]
}

pub fn expect() -> Vec<Row> {
    let in_1_0 = "POST /echo HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello";
    let go_on = "Content-Length: 5\r\nExpect: 100-continue";
    vec![
        row("EX-01", posted(go_on, "hello"), 200, Open),
        row("EX-02", with("Expect: 200-maybe"), 417, Closed),
        row("EX-03", in_1_0, 200, Closed),
        row("EX-04", with("Expect: 100-continue"), 200, Open),
    ]
}

/// CL-19, CH-33: an incomplete message is never acted upon.
#[test]
fn bodies_that_end_too_soon() {
    let fixture = Fixture::new();
    for bytes in [posted("Content-Length: 50", "hello"), chunked("5\r\nhel")] {
        let mut client = fixture.server.connect();
        client.send(&bytes);
        client.half_close();
        assert_eq!(client.response().status, 400);
        client.expect_close();
    }
}

/// CH-34. Bytes of a request that are sent one by one arrive one by one, or a few at a time.
#[test]
fn chunks_that_come_byte_by_byte() {
    let fixture = Fixture::new();
    let mut client = fixture.server.connect();
    for byte in chunked(CHUNKS) {
        client.send(&[byte]);
    }
    assert_eq!(client.response().status, 200);
    assert!(client.is_alive());
}
