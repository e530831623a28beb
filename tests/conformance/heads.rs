//! Request line, target forms, version, Host, fields.

use super::{Closed, Open, Row, line, only, row, with};

pub fn request_line() -> Vec<Row> {
    let long = |len: usize| line(format!("GET /{} HTTP/1.1", "a".repeat(len)));
    vec![
        row("RL-01", with("X: y"), 200, Open),
        row("RL-02", line("get /index.html HTTP/1.1"), 501, Open),
        row("RL-03", line("FOO /index.html HTTP/1.1"), 501, Open),
        row("RL-04", line("G(T /index.html HTTP/1.1"), 400, Closed),
        row("RL-05", line("GET  /index.html HTTP/1.1"), 400, Closed),
        row("RL-06", line("GET\t/index.html\tHTTP/1.1"), 400, Closed),
        row("RL-07", line("GET /index.html HTTP/1.1 "), 400, Closed),
        row("RL-08", line("GET HTTP/1.1"), 400, Closed),
        row("RL-09", line("GET /in dex.html HTTP/1.1"), 400, Closed),
        row("RL-10", line(" GET /index.html HTTP/1.1"), 400, Closed),
        row("RL-11", line("\r\nGET /index.html HTTP/1.1"), 200, Open),
        row("RL-12", "GET /index.html HTTP/1.1\nHost: localhost\r\n\r\n", 400, Closed),
        row("RL-13", "GET /index.html HTTP/1.1\rHost: localhost\r\n\r\n", 400, Closed),
        row("RL-14", line("GET /a\rb HTTP/1.1"), 400, Closed),
        row("RL-15", line("GET /a\0b HTTP/1.1"), 400, Closed),
        row("RL-16", line("GET /é HTTP/1.1"), 400, Closed),
        row("RL-17", line("GET /index.html#frag HTTP/1.1"), 400, Closed),
        row("RL-18", line("GET /<a>\"^`{|} HTTP/1.1"), 400, Closed),
        row("raw in a path", line("GET /a|b^c HTTP/1.1"), 404, Open),
        row("raw in a query", line("GET /index.html?a|b^c\\d`e{f} HTTP/1.1"), 200, Open),
        row("a brace in a path", line("GET /{a} HTTP/1.1"), 400, Closed),
        row("RL-19", line("GET /%zz HTTP/1.1"), 400, Open),
        row("RL-20", line("GET /index.html%00.txt HTTP/1.1"), 400, Open),
        row("RL-21", line("GET /%0d%0aX-Injected:%201 HTTP/1.1"), 404, Open),
        row("RL-22", long(100_000), 414, Closed),
        row("RL-23", long(7_900), 404, Open),
        row("RL-24", [&[0x80, 0xff].repeat(128)[..], b"\r\n\r\n"].concat(), 400, Closed),
        row("RL-25", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, Closed),
        row("RL-26", b"\x16\x03\x01\x00\xc0\x01\x00\x00\xbc\x03\x03\r\n\r\n", 400, Closed),
    ]
}

pub fn target_forms() -> Vec<Row> {
    let connect = "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n";
    let other_host = "GET http://localhost/index.html HTTP/1.1\r\nHost: other.example\r\n\r\n";
    vec![
        row("TF-01", line("GET http://localhost/index.html HTTP/1.1"), 200, Open),
        row("TF-02", other_host, 200, Open),
        row("TF-03", line("GET http:///index.html HTTP/1.1"), 400, Closed),
        row("TF-04", line("OPTIONS * HTTP/1.1"), 204, Open),
        row("TF-05", line("GET * HTTP/1.1"), 400, Closed),
        row("TF-06", connect, 405, Open),
        row("TF-07", line("GET localhost:80 HTTP/1.1"), 400, Closed),
        row("TF-08", line("GET index.html HTTP/1.1"), 400, Closed),
        row("TF-09", line("GET /../../../../etc/passwd HTTP/1.1"), 404, Open),
        row("TF-10", line("GET /%2e%2e/%2e%2e/%2e%2e/etc/passwd HTTP/1.1"), 404, Open),
        row("TF-11", line("GET /index.html?a=b&c=%20? HTTP/1.1"), 200, Open),
    ]
}

pub fn version() -> Vec<Row> {
    vec![
        row("VE-01", "GET /index.html HTTP/1.0\r\n\r\n", 200, Closed),
        row("VE-02", "GET /index.html HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, Open),
        row("VE-03", line("GET /index.html HTTP/1.2"), 200, Open),
        row("VE-04", line("GET /index.html HTTP/2.0"), 505, Closed),
        row("VE-05", "GET /index.html\r\n", 400, Closed),
        row("VE-06", line("GET /index.html http/1.1"), 400, Closed),
        row("VE-07", line("GET /index.html HTTP/1.10"), 400, Closed),
        row("VE-08", line("GET /index.html HTTP/01.1"), 400, Closed),
        row("VE-09", line("GET /index.html HTTP/1"), 400, Closed),
        row("VE-10", line("GET /index.html HTTP/1. 1"), 400, Closed),
        row("VE-11", line("GET /index.html HTTP/9.9"), 505, Closed),
    ]
}

pub fn host() -> Vec<Row> {
    let two_in_1_0 = "GET /index.html HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n";
    vec![
        row("HO-01", only(""), 400, Closed),
        row("HO-02", with("Host: other"), 400, Closed),
        row("HO-03", with("Host: localhost"), 400, Closed),
        row("HO-04", only("Host:\r\n"), 400, Closed),
        row("HO-05", only("Host: a b\r\n"), 400, Closed),
        row("HO-06", only("Host: user@localhost\r\n"), 400, Closed),
        row("HO-07", only("Host: localhost/x\r\n"), 400, Closed),
        row("HO-08", only("Host: a, b\r\n"), 400, Closed),
        row("HO-09", only("Host: localhost:8a\r\n"), 400, Closed),
        row("HO-10", only("Host: [::1]:8080\r\n"), 200, Open),
        row("HO-11", two_in_1_0, 400, Closed),
        row("HO-12", only("Host: a_b-c.d~e:80\r\n"), 200, Open),
    ]
}

pub fn fields() -> Vec<Row> {
    let many: String = (0..20_000).map(|i| format!("X-{i}: a\r\n")).collect();
    vec![
        row("HF-01", with("X-A : b"), 400, Closed),
        row("HF-02", with("X-A: b\r\n c"), 400, Closed),
        row("HF-03", only(" X: y\r\nHost: localhost\r\n"), 400, Closed),
        row("HF-04", with(": b"), 400, Closed),
        row("HF-05", with("NoColon"), 400, Closed),
        row("HF-06", with("X[A]: b"), 400, Closed),
        row("HF-07", with(b"X\xe9: b"), 400, Closed),
        row("HF-08", with("X-A: b\rc"), 400, Closed),
        row("HF-09", with("X-A: b\nX-C: d"), 400, Closed),
        row("HF-10", with("X-A: b\0c"), 400, Closed),
        row("HF-11", with("X-A: b\x01c"), 400, Closed),
        row("HF-12", with("X-A: b\x7fc"), 400, Closed),
        row("HF-13", with(b"X-A: b\xe9c"), 200, Open),
        row("HF-14", with("X-A: b\tc"), 200, Open),
        row("HF-15", with("X-A:\r\nX-B: \t "), 200, Open),
        row("HF-16", with("X-A:  \t b \t "), 200, Open),
        row("HF-17", with(format!("X-A: {}", "a".repeat(300_000))), 431, Closed),
        row("HF-18", with(many), 431, Closed),
        row("HF-19", with(format!("{}: a", "X".repeat(70_000))), 431, Closed),
        row("HF-20", with("X-A: b\r"), 400, Closed),
        row("HF-21", only("Host: localhost\r\nX-A: b\r\n\rX"), 400, Closed),
        row("HF-22", with("!#$%&'*+-.^_`|~09azAZ: x"), 200, Open),
    ]
}
