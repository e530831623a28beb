//! The routes alone: a request's bytes in, a response's bytes out, without a driver.

use std::io::Read as _;
use std::time::Duration;

use http::{Connection, Event, Head, Limits, Status};
use reactor::BufferPool;
use reactor::buffer::Class;

use super::bytes::BYTES;
use super::work::WORK_US;
use crate::app::clock::Clock;
use crate::app::response::{Frame, Output};
use crate::app::{Action, App as _, BodyPlan, Piece, Request, Response};
use crate::metrics::Metrics;
use crate::model::ModelInfo;
use crate::options::Options;
use crate::site::Site;

/// A response, taken apart.
pub(in crate::site) struct Answer {
    pub status: Status,
    /// Status line and fields.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of the field called `name`.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Parses `raw`, lets `answer` answer it, and collects the output. What follows the head is the
/// body, as if a driver had collected it.
pub(in crate::site) fn exchange<T>(
    raw: &str,
    answer: impl FnOnce(&Request<'_>, &mut Response<'_>) -> T,
) -> (T, Answer) {
    let (limits, clock) = (Limits::default(), Clock::new(0));
    let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
    let step = connection.next(raw.as_bytes(), &mut head, &limits).unwrap();
    assert_eq!(step.event, Event::Head);
    let body = &raw.as_bytes()[step.consumed..];
    let request = Request::new(head.request(raw.as_bytes()), body, &clock);
    let pool = BufferPool::new(&[Class { size: 32 * 1024, count: 1 }]).unwrap();
    let mut out = Output::new(pool.take(0).unwrap());
    let frame = Frame {
        method: request.method(),
        version: request.version(),
        connection_line: connection.connection_line(),
    };
    let mut response = Response::new(&mut out, &clock, frame);
    let result = answer(&request, &mut response);
    let finished = response.outcome();
    let mut bytes = out.bytes.to_vec();
    while let Some(piece) = out.pieces.front() {
        match piece {
            Piece::Bytes(piece) => bytes.extend_from_slice(piece),
            Piece::Generate { source, left, .. } => {
                let read = source.read_to_end(&mut bytes).unwrap();
                assert_eq!(Some(read as u64), *left, "as long as it was announced");
            }
            Piece::File { .. } => unreachable!("no built-in page is a file"),
        }
        out.pieces.pop_front();
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let body = bytes.split_off(end);
    (result, Answer { status: finished.status, head: String::from_utf8(bytes).unwrap(), body })
}

/// A site with the demonstration routes, and so much memory for echoes.
fn site(memory: usize) -> Site {
    let mut options = Options::default();
    (options.limits.body, options.limits.body_memory) = (1 << 20, memory);
    Site::new(&options, Metrics::new(1).unwrap(), (&INFO).into()).unwrap()
}

const INFO: ModelInfo = ModelInfo {
    name: "",
    title: "",
    lesson: "",
    task1: "",
    task2: "",
    task3: "",
    in_flight: "",
    picture: "",
    disk: crate::app::Disk::Wait,
};

/// What the site does at first with a whole request.
fn ask(raw: &str) -> (Action, Answer) {
    let site = site(1 << 20);
    let mut local = site.local(0);
    exchange(raw, |request, response| site.handle(&mut local, request, response))
}

/// What `handle` does with a request line (and a Host field).
fn handle(line: &str) -> (Action, Answer) {
    ask(&format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n"))
}

/// The answer after `work` or `resume`, when `handle` asked for it.
fn handle_to_the_end(line: &str) -> Answer {
    let site = site(1 << 20);
    let mut local = site.local(0);
    exchange(&format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n"), |request, response| {
        match site.handle(&mut local, request, response) {
            Action::Done => {}
            Action::Work => site.work(request, response),
            Action::Wait(_) => {
                assert_eq!(site.resume(&mut local, request, response), Action::Done);
            }
        }
    })
    .1
}

#[test]
fn plaintext_and_json_are_what_the_benchmarks_expect() {
    let (action, answer) = handle("GET /plaintext");
    assert_eq!((action, answer.status, answer.text()), (Action::Done, Status::OK, "Hello, World!"));
    assert_eq!(answer.field("Content-Type"), Some("text/plain"));
    assert_eq!(answer.field("Content-Length"), Some("13"));
    let (_, answer) = handle("GET /json?x");
    assert_eq!(answer.text(), r#"{"message":"Hello, World!"}"#);
    assert_eq!(answer.field("Content-Type"), Some("application/json"));
}

#[test]
fn head_gets_the_head_that_get_would() {
    for target in ["/plaintext", "/json", "/bytes?n=100000", "/work?us=0", "/sleep?ms=0"] {
        let get = handle_to_the_end(&format!("GET {target}"));
        let head = handle_to_the_end(&format!("HEAD {target}"));
        assert!(!get.body.is_empty() && head.body.is_empty(), "{target}");
        assert_eq!(get.field("Content-Length"), head.field("Content-Length"), "{target}");
        assert_eq!(get.field("Content-Length"), Some(&*get.body.len().to_string()), "{target}");
    }
}

#[test]
fn other_methods_get_the_list_of_allowed_ones() {
    for target in ["/plaintext", "/json", "/work", "/sleep", "/bytes"] {
        let (action, answer) = handle(&format!("DELETE {target}"));
        assert_eq!((action, answer.status), (Action::Done, Status::METHOD_NOT_ALLOWED));
        assert_eq!(answer.field("Allow"), Some("GET, HEAD, OPTIONS"));
        let (_, answer) = handle(&format!("OPTIONS {target}"));
        assert_eq!((answer.status, answer.body.len()), (Status::NO_CONTENT, 0));
        assert_eq!(answer.field("Allow"), Some("GET, HEAD, OPTIONS"));
    }
}

#[test]
fn an_echo_is_the_request_as_it_was_received() {
    let site = site(1 << 20);
    let mut local = site.local(0);
    for body in ["<script>".to_owned(), "x".repeat(100_000)] {
        let raw = format!(
            "PUT /echo?a HTTP/1.1\r\nhost:  x\r\nContent-length:{}\r\n\r\n{body}",
            body.len()
        );
        let (action, answer) = exchange(&raw, |request, response| {
            let plan = site.body(&mut local, request);
            assert!(matches!(plan, BodyPlan::Collect(max) if max == 1 << 20));
            site.handle(&mut local, request, response)
        });
        assert_eq!((action, answer.status), (Action::Done, Status::OK));
        assert_eq!(answer.text(), raw);
        assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(answer.field("Content-Type"), Some("text/plain; charset=utf-8"));
    }
}

#[test]
fn an_echo_for_which_there_is_no_memory_is_refused() {
    let site = site(10_000);
    let mut local = site.local(0);
    let raw = format!(
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n{}",
        "x".repeat(20_000)
    );
    let (_, answer) =
        exchange(&raw, |request, response| site.handle(&mut local, request, response));
    assert_eq!(answer.status, Status::SERVICE_UNAVAILABLE);
    assert_eq!(answer.field("Retry-After"), Some("1"));
}

#[test]
fn work_and_waits_are_asked_for_and_then_answered() {
    assert_eq!(handle("GET /work?us=10").0, Action::Work);
    assert_eq!(handle("GET /sleep?ms=250").0, Action::Wait(Duration::from_millis(250)));
    assert_eq!(handle("GET /sleep").0, Action::Wait(Duration::from_millis(100)));
    assert!(handle_to_the_end("GET /work?us=10").text().starts_with("computed for 10 us: "));
    assert_eq!(handle_to_the_end("GET /sleep?ms=250").text(), "waited for 250 ms\n");
}

#[test]
fn bytes_come_as_many_as_asked_for() {
    for (target, len) in [("/bytes", 1024), ("/bytes?n=0", 0), ("/bytes?n=100001", 100_001)] {
        let answer = handle_to_the_end(&format!("GET {target}"));
        assert_eq!((answer.status, answer.body.len()), (Status::OK, len), "{target}");
    }
}

#[test]
fn a_bad_argument_is_a_400_that_says_what_is_allowed() {
    for (path, name, max) in
        [("/work", "us", "10000000"), ("/sleep", "ms", "60000"), ("/bytes", "n", "1073741824")]
    {
        let above = (max.parse::<u64>().unwrap() + 1).to_string();
        for value in
            [&*above, "", "-1", "+1", "1.5", "0x10", "1%30", "%3Cb%3E", "99999999999999999999"]
        {
            let (action, answer) = handle(&format!("GET {path}?{name}={value}"));
            assert_eq!((action, answer.status), (Action::Done, Status::BAD_REQUEST), "{value}");
            assert!(answer.text().contains(&format!("0 to {max}")), "{}", answer.text());
            assert!(!answer.text().contains("%3Cb%3E"));
        }
    }
    assert_eq!(BYTES.of(Some(b"n=1073741824")), Some(1 << 30));
}

#[test]
fn of_the_query_only_the_argument_counts_and_the_first_of_several() {
    assert_eq!(WORK_US.of(None), Some(1_000));
    for (query, us) in [
        ("", Some(1_000)),
        ("a=b&us=7&us=x", Some(7)),
        ("xus=1&usx=2&us", Some(1_000)),
        ("us=007", Some(7)),
        ("us=7&", Some(7)),
        ("us=x&us=7", None),
    ] {
        assert_eq!(WORK_US.of(Some(query.as_bytes())), us, "{query}");
    }
}
