//! Connection and methods.

use super::{Row, row};

pub fn connection() -> Vec<Row> {
    vec![
        row("CO-01", "<G>Connection: close\r\n\r\n", "1 close"),
        row("CO-02", "<G>\r\n", "1 open"),
        row("CO-03", "<G>Connection: CLOSE\r\n\r\n", "1 close"),
        row("CO-04", "<G>Connection: foo , close\r\n\r\n", "1 close"),
        row("CO-05", "<G>Connection: foo\r\nConnection: close\r\n\r\n", "1 close"),
        row("CO-06", "<G>Connection: closed\r\n\r\n", "1 open"),
        row("CO-07", "<G>Connection: Upgrade\r\nUpgrade: foo/9\r\n\r\n", "1 open"),
        row(
            "CO-08",
            "<G>\r\nGET /nope HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
            "3 open",
        ),
        row("CO-09", "<G>Connection: close\r\n\r\n<G>\r\n", "1 close"),
        row("CO-12", "GET /index.html HTTP/1.1\r\nHo", "0 wait"),
        row("CO-13", "BAD\0\r\n\r\n<G>\r\n", "0 400"),
        row(
            "close after a body",
            "<P>Connection: close\r\nContent-Length: 5\r\n\r\nhello<G>\r\n",
            "1 close",
        ),
        row("1.0, both", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "1 close"),
        // A client may finish sending before it is answered; and every row is fed byte by byte.
        row("CO-10", "<G>\r\n", "1 open"),
        row("CO-11", "<G>\r\n", "1 open"),
    ]
}

/// Which methods there are is up to the application.
pub fn methods() -> Vec<Row> {
    vec![
        row("ME-01", "HEAD /index.html HTTP/1.1\r\nHost: a\r\n\r\n", "1 open"),
        row("ME-02", "OPTIONS /index.html HTTP/1.1\r\nHost: a\r\n\r\n", "1 open"),
        row("ME-03", "TRACE /i HTTP/1.1\r\nHost: a\r\nCookie: secret\r\n\r\n", "1 open"),
        row("ME-04", "DELETE /index.html HTTP/1.1\r\nHost: a\r\n\r\n", "1 open"),
        row("ME-05", "HEAD /nope HTTP/1.1\r\nHost: a\r\n\r\n", "1 open"),
        row("ME-08", "GET /index.html HTTP/1.0\r\nHost: a\r\n\r\n", "1 close"),
    ]
}
