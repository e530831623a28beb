//! An application whose answers show every way that a request can take.
//!
//! | target | answer |
//! |---|---|
//! | `/` and all others | a few bytes at once; the body is discarded |
//! | `/echo`, `/echo/MAX` | the body, collected |
//! | `/stream` | the body's length, streamed; 400 at the first `!` |
//! | `/shared/N` | N bytes in memory |
//! | `/sized/N`, `/unsized/N` | N bytes of a generator, announced or not |
//! | `/short/N`, `/broken/N` | a generator that ends one byte too early, or fails |
//! | `/work`, `/work/echo`, `/work/close`, `/work/wait` | work |
//! | `/wait/MS`, `/wait/MS/work` | after a time; after work behind it |
//! | `/close` | the connection's last |
//! | `/nothing` | none: 500 |

use std::io;
use std::time::Duration;

use http::Status;

use super::server::app::{Action, App, BodyPlan, Request, Response, SharedBytes, Sink};

/// See the module's head.
pub struct Answers;

/// What a `/sized` or `/shared` body consists of.
pub fn pattern(at: usize) -> u8 {
    b'a' + (at % 23) as u8
}

impl App for Answers {
    type Local = ();

    fn local(&self, _index: usize) {}

    fn body(&self, _local: &mut (), request: &Request<'_>) -> BodyPlan {
        match words(request) {
            ["echo", ..] => BodyPlan::Collect(number(request).unwrap_or(1 << 20)),
            ["work", "echo", _] => BodyPlan::Collect(1 << 20),
            ["stream", ..] => BodyPlan::Stream(Box::new(Length(0))),
            _ => BodyPlan::Discard,
        }
    }

    fn handle(&self, _: &mut (), request: &Request<'_>, response: &mut Response<'_>) -> Action {
        let n = number(request).unwrap_or(0);
        match words(request) {
            ["work", "close", _] => {
                response.close();
                return Action::Work;
            }
            ["work", ..] => return Action::Work,
            ["wait", ..] => return Action::Wait(Duration::from_millis(n)),
            ["echo", ..] => response.start(Status::OK).bytes(request.body()),
            ["shared", ..] => {
                let body: Vec<u8> = (0..n as usize).map(pattern).collect();
                response.start(Status::OK).shared(SharedBytes::from(body));
            }
            ["sized", ..] => generate(response, Some(n), n, false),
            ["unsized", ..] => generate(response, None, n, false),
            ["short", ..] => generate(response, Some(n + 1), n, false),
            ["broken", ..] => generate(response, None, n, true),
            ["nothing", ..] => {}
            ["close", ..] => {
                response.close();
                response.start(Status::OK).bytes(b"bye");
            }
            _ => response.start(Status::OK).bytes(b"hello"),
        }
        Action::Done
    }

    fn work(&self, request: &Request<'_>, response: &mut Response<'_>) {
        match words(request) {
            ["work", "echo", _] => response.start(Status::OK).bytes(request.body()),
            _ => response.start(Status::OK).bytes(b"worked"),
        }
    }

    fn resume(&self, _: &mut (), request: &Request<'_>, response: &mut Response<'_>) -> Action {
        match words(request) {
            ["wait", _, "work"] => return Action::Work,
            _ => response.start(Status::OK).bytes(b"waited"),
        }
        Action::Done
    }
}

fn generate(response: &mut Response<'_>, announced: Option<u64>, len: u64, fails: bool) {
    let source = Pattern { at: 0, len: len as usize, fails };
    response.start(Status::OK).generate(announced, Box::new(source));
}

/// The target's words: at most three of them are looked at.
fn words<'a>(request: &Request<'a>) -> [&'a str; 3] {
    let target = std::str::from_utf8(request.target()).unwrap_or_default();
    let mut words = target.split('/').skip(1);
    std::array::from_fn(|_| words.next().unwrap_or_default())
}

/// The second word as a number, of a size that a test can bear.
fn number(request: &Request<'_>) -> Option<u64> {
    words(request)[1].parse().ok().filter(|number| *number < 1 << 32)
}

/// Counts the bytes of a body.
struct Length(usize);

impl Sink for Length {
    fn data(&mut self, piece: &[u8]) -> Result<(), Status> {
        self.0 += piece.len();
        if piece.contains(&b'!') { Err(Status::BAD_REQUEST) } else { Ok(()) }
    }

    fn finish(self: Box<Self>, _request: &Request<'_>, response: &mut Response<'_>) {
        response.start(Status::OK).bytes(self.0.to_string().as_bytes());
    }
}

/// A generator: so many bytes, then the end or an error.
struct Pattern {
    at: usize,
    len: usize,
    fails: bool,
}

impl io::Read for Pattern {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = room.len().min(self.len - self.at);
        if len == 0 && self.fails {
            return Err(io::Error::other("the generator fails"));
        }
        for byte in &mut room[..len] {
            *byte = pattern(self.at);
            self.at += 1;
        }
        Ok(len)
    }
}
