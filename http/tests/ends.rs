//! Both ends in memory: the request writer's bytes go to the server's connection, the response
//! writer's to the client's. Whatever is written at one end is read at the other, pipelined, under
//! every framing, however the bytes are cut.
//!
//! ```text
//! Exchange ─► client::request ─► bytes ─► Connection ──► as sent?
//! as answered? ◄── client::Connection ◄─ bytes ◄─ response
//! ```

#[path = "common/client.rs"]
mod client;
mod common;

use proptest::prelude::*;
use stampede_http::client::{Asked, Framing, request};
use stampede_http::{Limits, Method, Status, response};

/// How a body is framed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Frame {
    Nothing,
    Length,
    Chunked,
    UntilClose,
}

#[derive(Clone, Debug)]
struct Exchange {
    method: Method,
    target: &'static str,
    asked_in: Frame,
    question: Vec<u8>,
    status: Status,
    answered_in: Frame,
    answer: Vec<u8>,
}

impl Exchange {
    fn target(&self) -> &'static str {
        match self.method {
            Method::Connect => "a:443",
            _ => self.target,
        }
    }

    fn is_tunnel(&self) -> bool {
        self.method == Method::Connect && self.status.is_success()
    }

    /// How the client must read the response's framing.
    fn framing(&self) -> Framing {
        if self.is_tunnel() {
            return Framing::Tunnel;
        }
        if !response::body_allowed(self.status, self.method) {
            return Framing::None;
        }
        match self.answered_in {
            Frame::Nothing => Framing::Length(0),
            Frame::Length => Framing::Length(self.answer.len() as u64),
            Frame::Chunked => Framing::Chunked,
            Frame::UntilClose => Framing::UntilClose,
        }
    }

    /// Whether nothing can follow it on its connection.
    fn is_last(&self) -> bool {
        self.is_tunnel() || self.framing() == Framing::UntilClose
    }

    fn write_request(&self, out: &mut Vec<u8>) {
        request::line(out, self.method.name().as_bytes(), self.target().as_bytes()).unwrap();
        request::host(out, b"a").unwrap();
        write_body(out, self.asked_in, &self.question, true);
    }

    fn write_response(&self, out: &mut Vec<u8>) {
        response::status_line(out, self.status);
        let has_body = response::body_allowed(self.status, self.method);
        if self.is_tunnel() || self.status == Status::NO_CONTENT {
            return response::end(out);
        }
        write_body(out, self.answered_in, &self.answer, has_body);
    }
}

/// The rest of a head, and its body unless there must be none.
fn write_body(out: &mut Vec<u8>, frame: Frame, body: &[u8], has_body: bool) {
    match frame {
        Frame::Nothing => response::content_length(out, 0),
        Frame::Length => response::content_length(out, body.len() as u64),
        Frame::Chunked => response::chunked(out),
        Frame::UntilClose => {}
    }
    response::end(out);
    match frame {
        _ if !has_body => {}
        Frame::Nothing => {}
        Frame::Length | Frame::UntilClose => out.extend_from_slice(body),
        Frame::Chunked => {
            for chunk in body.chunks(7) {
                response::chunk_head(out, chunk.len() as u64).unwrap();
                out.extend_from_slice(chunk);
                response::chunk_end(out);
            }
            response::last_chunk(out);
        }
    }
}

const METHODS: [Method; 9] = [
    Method::Get,
    Method::Head,
    Method::Post,
    Method::Put,
    Method::Delete,
    Method::Options,
    Method::Trace,
    Method::Connect,
    Method::Patch,
];
const REQUEST_FRAMES: [Frame; 3] = [Frame::Nothing, Frame::Length, Frame::Chunked];
const RESPONSE_FRAMES: [Frame; 4] =
    [Frame::Nothing, Frame::Length, Frame::Chunked, Frame::UntilClose];
const STATUSES: [Status; 5] = [
    Status::OK,
    Status::NO_CONTENT,
    Status::NOT_MODIFIED,
    Status::NOT_FOUND,
    Status::INTERNAL_SERVER_ERROR,
];

/// Sends all, answers all, and compares.
fn converse(exchanges: &[Exchange], question_cuts: &[usize], answer_cuts: &[usize]) {
    let limits = Limits::default();
    let mut sent = Vec::new();
    exchanges.iter().for_each(|exchange| exchange.write_request(&mut sent));
    let heard = common::feed(&sent, question_cuts, &limits);
    assert_eq!((heard.error, heard.requests.len()), (None, exchanges.len()));
    for (exchange, request) in exchanges.iter().zip(&heard.requests) {
        let beginning = format!("{:?} {}", exchange.method, exchange.method.name());
        assert!(request.head.starts_with(&beginning), "{} {exchange:?}", request.head);
        assert!(request.head.contains(exchange.target()) && request.complete);
        let question =
            if exchange.asked_in == Frame::Nothing { &[] } else { &exchange.question[..] };
        assert_eq!(request.body, question);
    }

    let asked: Vec<Asked> = exchanges.iter().map(|exchange| exchange.method.into()).collect();
    // A response that ends with the connection is the last.
    let last = exchanges.iter().position(Exchange::is_last).unwrap_or(exchanges.len());
    let answered = &exchanges[..exchanges.len().min(last + 1)];
    let mut sent = Vec::new();
    answered.iter().for_each(|exchange| exchange.write_response(&mut sent));
    let heard = client::feed(&sent, answer_cuts, &asked, &limits);
    assert_eq!((heard.error, heard.responses.len()), (None, answered.len()));
    assert_eq!(heard.unanswered, exchanges.len() - answered.len());
    assert_eq!(heard.persists, last == exchanges.len());
    for (exchange, response) in answered.iter().zip(&heard.responses) {
        assert_eq!((response.code, response.framing), (exchange.status.code(), exchange.framing()));
        assert!(response.complete && !response.interim);
        let empty = matches!(exchange.framing(), Framing::None | Framing::Length(0))
            || exchange.is_tunnel();
        let answer = if empty { &[] } else { &exchange.answer[..] };
        assert_eq!(response.body, answer);
    }
}

#[test]
fn every_method_with_every_framing_and_status() {
    for method in METHODS {
        for asked_in in REQUEST_FRAMES {
            for status in STATUSES {
                for answered_in in RESPONSE_FRAMES {
                    let exchange = Exchange {
                        method,
                        target: "/a?b",
                        asked_in,
                        question: b"question".to_vec(),
                        status,
                        answered_in,
                        answer: b"the answer".to_vec(),
                    };
                    // A second one shows that the first was framed correctly.
                    converse(&[exchange.clone(), exchange], &[], &[]);
                }
            }
        }
    }
}

fn exchange() -> impl Strategy<Value = Exchange> {
    let body = || proptest::collection::vec(any::<u8>(), 0..40);
    let targets = vec!["/", "/a%20b?c=d&e", "http://a:80/x?y", "https://[::1]"];
    (
        proptest::sample::select(METHODS.to_vec()),
        proptest::sample::select(targets),
        proptest::sample::select(REQUEST_FRAMES.to_vec()),
        body(),
        proptest::sample::select(STATUSES.to_vec()),
        proptest::sample::select(RESPONSE_FRAMES.to_vec()),
        body(),
    )
        .prop_map(|(method, target, asked_in, question, status, answered_in, answer)| {
            Exchange { method, target, asked_in, question, status, answered_in, answer }
        })
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0..1000usize, 0..12).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts
    })
}

proptest! {
    #[test]
    fn pipelines_cut_anywhere(
        exchanges in proptest::collection::vec(exchange(), 0..8),
        question_cuts in cuts(),
        answer_cuts in cuts(),
    ) {
        converse(&exchanges, &question_cuts, &answer_cuts);
    }

    /// A request line that the writer accepts, a strict server accepts and reads the same. One that
    /// it refuses leaves no byte.
    #[test]
    fn every_written_request_is_read_as_one(
        method in "[A-Z]{1,8}|[ -~]{0,4}",
        target in "/[ -~\r\n]{0,10}|https?://[a-z:\\[\\]@0-9]{0,8}[/?]?[a-z]{0,3}|[ -~]{0,8}",
        host in "[a-z0-9:.\\[\\]%]{0,8}|[ -~\r\n]{0,6}",
        name in "[A-Za-z-]{1,6}|[ -~\r\n]{0,4}",
        value in "[ -~\t\r\n\0]{0,12}",
    ) {
        let mut out = Vec::new();
        if request::line(&mut out, method.as_bytes(), target.as_bytes()).is_err() {
            prop_assert!(out.is_empty());
            request::line(&mut out, b"GET", b"/").unwrap();
        }
        if request::host(&mut out, host.as_bytes()).is_err() {
            request::host(&mut out, b"a").unwrap();
        }
        let field = request::field(&mut out, format!("X{name}").as_bytes(), value.as_bytes());
        request::end(&mut out);
        let heard = common::feed(&out, &[], &Limits::default());
        prop_assert_eq!((heard.error, heard.requests.len()), (None, 1));
        prop_assert_eq!(heard.requests[0].head_end, out.len());
        let lines = out.windows(2).filter(|pair| pair == b"\r\n").count();
        prop_assert_eq!(lines, 3 + field.is_ok() as usize);
    }
}
