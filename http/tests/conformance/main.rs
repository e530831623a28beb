//! What is accepted and what is refused, row by row: the answers of a strict origin server. RFC
//! 9112 and RFC 9110.
//!
//! Each row is fed whole, cut at every place, and byte by byte; all must give the same. A row has
//! the number of complete requests and what follows: `open` (the connection persists), `close`,
//! `wait` (in the middle of a request), or the status of the refusal.
//!
//! ```text
//! heads.rs       request line, target forms, version, Host, fields
//! bodies.rs      Content-Length, Transfer-Encoding, chunks, Expect
//! connection.rs  connection, methods
//! resources.rs   ranges, conditions: the values reach the application as they were sent
//! whole.rs       what no single stimulus shows
//! ```
//!
//! The workspace's own tests send the same rows to a server over a socket. Only there:
//!
//! | rows | why not here |
//! |---|---|
//! | ME-06, ME-07, ME-09 | Date and Content-Type: the writer writes the fields it is given |
//! | LC-01 | half-closing and draining: there is no socket here |
//! | LC-05 | 408 to a slow client: there is no clock here |
//! | LC-09 | which fields go with a status: the application's |

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/ids.rs"]
mod ids;

mod bodies;
mod connection;
mod heads;
mod resources;
mod whole;

use common::{Trace, assert_cuts_agree};
use stampede_http::{ErrorKind, Limits};

/// See above.
const SOCKET_ONLY: [&str; 6] = ["ME-06", "ME-07", "ME-09", "LC-01", "LC-05", "LC-09"];

/// A row of the table.
struct Row {
    id: &'static str,
    stimulus: String,
    expected: &'static str,
}

fn row(id: &'static str, stimulus: impl Into<String>, expected: &'static str) -> Row {
    Row { id, stimulus: stimulus.into(), expected }
}

/// `<G>` and `<P>` stand for the beginning of a plain GET and POST.
fn expand(stimulus: &str) -> Vec<u8> {
    let get = "GET /index.html HTTP/1.1\r\nHost: localhost\r\n";
    let post = "POST /index.html HTTP/1.1\r\nHost: localhost\r\n";
    let text = stimulus.replace("<G>", get).replace("<P>", post);
    // One char per byte, so that every byte can be written.
    text.chars().map(|c| u8::try_from(c as u32).expect("a byte")).collect()
}

fn trace(stimulus: &str) -> Trace {
    let input = expand(stimulus);
    let trace = assert_cuts_agree(&input, &Limits::default());
    if let Some((_, offset)) = trace.error {
        assert!(offset <= input.len(), "an error is at a byte of the input");
    }
    trace
}

fn outcome(trace: &Trace) -> String {
    let complete = trace.requests.iter().filter(|request| request.complete).count();
    let end = match trace.error {
        Some((kind, _)) => kind.status().code().to_string(),
        None if !trace.may_end => "wait".to_owned(),
        None if trace.persists => "open".to_owned(),
        None => "close".to_owned(),
    };
    format!("{complete} {end}")
}

fn rows() -> Vec<Row> {
    [
        heads::request_line(),
        heads::too_long(),
        heads::target_forms(),
        heads::raw_bytes(),
        heads::version(),
        heads::host(),
        heads::fields(),
        bodies::content_length(),
        bodies::transfer_encoding(),
        bodies::chunked(),
        bodies::expect(),
        connection::connection(),
        connection::methods(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_row_is_answered_as_expected() {
    let wrong: Vec<String> = rows()
        .iter()
        .filter_map(|row| {
            let outcome = outcome(&trace(&row.stimulus));
            let text = format!("{}: {outcome} for {}: {:?}", row.id, row.expected, row.stimulus);
            (outcome != row.expected).then_some(text)
        })
        .collect();
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_row_is_missing() {
    let rows = rows();
    let rows = rows.iter().map(|row| row.id);
    let values = resources::VALUES.iter().map(|(id, ..)| *id);
    ids::assert_complete(rows.chain(values).chain(whole::ROWS).chain(SOCKET_ONLY));
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
        let trace = trace(input);
        assert_eq!(trace.error, Some((kind, offset)), "{input:?}");
    }
}
