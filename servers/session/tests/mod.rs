//! Both ends in memory, simulated time.
//!
//! | file | what |
//! |---|---|
//! | `app` | an application whose answers show every way that a request can take |
//! | `pair`, `driver` | a connection in memory, and who carries the conversation's wishes out |
//! | `requests`, `bodies`, `ends`, `refusals`, `saved` | what is said, and how it ends |
//! | `timeouts` | every deadline, to the millisecond |
//! | `refused_lines` | what the log shows of requests that are refused |
//! | `streams` | responses that are more than bytes in a buffer, and their log lines |
//! | `cutting` | the same answers, however input and output are cut |

mod app;
mod bodies;
mod cutting;
mod driver;
mod ends;
mod pair;
mod refusals;
mod refused_lines;
mod requests;
mod saved;
mod streams;
mod timeouts;

use std::time::Duration;

use pair::{At, Pair, Works};

/// What the fuzzer calls the same.
use crate as server;
use crate::options::{LogFormat, LogTarget, Options};
use tempfile::NamedTempFile;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Options whose limits are small, and whose timeouts are all different.
fn options() -> Options {
    let mut options = Options::default();
    options.limits.head = 1024;
    options.limits.fields = 10;
    options.limits.target = 200;
    options.limits.body = 100_000;
    options.limits.body_memory = 200_000;
    let seconds = Duration::from_secs;
    options.timeouts.head = seconds(3);
    options.timeouts.body = seconds(5);
    options.timeouts.body_rate = 100;
    options.timeouts.idle = seconds(7);
    options.timeouts.write = seconds(11);
    options
}

/// A new connection, at a time that is not zero; work is done at once.
fn pair() -> Pair {
    Pair::new(&options(), Works::Inline, 1_000)
}

/// The same with options that `change` changes.
fn pair_with(works: Works, change: impl FnOnce(&mut Options)) -> Pair {
    let mut options = options();
    change(&mut options);
    Pair::new(&options, works, 1_000)
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

fn post(target: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n{body}").into_bytes()
}

/// The beginning of a POST whose body is to be `len` bytes.
fn post_head(target: &str, len: usize) -> Vec<u8> {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n").into_bytes()
}

/// A connection that is logged into a file.
fn logged(works: Works, change: impl FnOnce(&mut Options)) -> (Pair, NamedTempFile) {
    let file = NamedTempFile::new().expect("a file");
    let pair = pair_with(works, |options| {
        options.log.format = LogFormat::Common;
        options.log.target = LogTarget::File(file.path().to_owned());
        change(options);
    });
    (pair, file)
}

/// The lines so far, from the request on: the rest is the time.
fn lines(pair: &mut Pair, file: &NamedTempFile) -> Vec<String> {
    pair.cx.log.flush();
    let text = std::fs::read_to_string(file.path()).expect("the log");
    text.lines().map(|line| line.split_once('"').expect("a request").1.to_owned()).collect()
}

const CLOSED: At = At::Closed { reset: false };
const RESET: At = At::Closed { reset: true };

impl Pair {
    /// The statuses received, and the bodies of known length behind them.
    fn answers(&self) -> Vec<(u16, String)> {
        let mut rest = String::from_utf8_lossy(&self.received).into_owned();
        let mut answers = Vec::new();
        while let Some((head, behind)) = rest.split_once("\r\n\r\n") {
            let status = head["HTTP/1.1 ".len()..][..3].parse().expect("a status");
            let len = head.split("Content-Length: ").nth(1).map_or(0, |text| {
                text.split("\r\n").next().unwrap_or_default().parse().expect("a length")
            });
            let len = behind.len().min(len);
            answers.push((status, behind[..len].to_owned()));
            rest = behind[len..].to_owned();
        }
        assert_eq!(rest, "", "bytes behind the last response");
        answers
    }

    /// The statuses alone.
    fn statuses(&self) -> Vec<u16> {
        self.answers().into_iter().map(|(status, _)| status).collect()
    }

    /// Milliseconds until something happens by itself.
    fn time_left(&self) -> u64 {
        self.deadline_ms() - self.now_ms
    }

    fn says(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.received).contains(text)
    }
}
