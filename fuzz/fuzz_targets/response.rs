//! Responses and requests from both ends. The first byte chooses how many of the next ones select
//! the requests and the cuts; the rest is used twice:
//!
//! - as what a server sends: cut or whole, the client's connection gives the same, and never holds
//!   more than its limits;
//! - as a method, target, host, field name, field value and body (split at NULs), written as a
//!   request and as a response: refused, or read back as exactly what was written.
#![no_main]

#[path = "../../http/tests/common/client.rs"]
mod client;
#[path = "../../http/tests/common/mod.rs"]
mod common;

use libfuzzer_sys::fuzz_target;
use stampede_http::client::{Asked, request};
use stampede_http::{Limits, Status, response};

fuzz_target!(|input: &[u8]| {
    let Some((count, rest)) = input.split_first() else {
        return;
    };
    let (choices, bytes) = rest.split_at(rest.len().min((*count % 8) as usize));
    read_anything(choices, bytes);
    let mut parts = bytes.split(|&byte| byte == 0);
    let mut part = || parts.next().unwrap_or(&[]);
    let [method, target, host, name, value] = [part(), part(), part(), part(), part()];
    write_request(method, target, host, name, value);
    write_response(name, value, part());
});

/// The same in pieces as whole, under narrow limits; [`client::feed`] checks what is held.
fn read_anything(choices: &[u8], bytes: &[u8]) {
    const ASKED: [Asked; 4] = [Asked::Content, Asked::Head, Asked::Tunnel, Asked::Upgrade];
    let limits = Limits::new(128, 4, 16, 64)
        .expect("within bounds")
        .with_trailer(32)
        .with_chunk_extensions(16);
    let asked: Vec<Asked> = choices.iter().map(|choice| ASKED[*choice as usize % 4]).collect();
    let mut cuts: Vec<usize> = choices.iter().map(|choice| (*choice >> 1) as usize).collect();
    cuts.sort_unstable();
    let whole = client::feed(bytes, &[], &asked, &limits);
    assert_eq!(client::feed(bytes, &cuts, &asked, &limits), whole);
    let each: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(client::feed(bytes, &each, &asked, &limits), whole);
}

/// The writer's output is one request with one more field, or none.
fn write_request(method: &[u8], target: &[u8], host: &[u8], name: &[u8], value: &[u8]) {
    let mut out = Vec::new();
    let written =
        request::line(&mut out, method, target).is_ok() && request::host(&mut out, host).is_ok();
    if !written || frames(name) {
        return;
    }
    let fields = 1 + request::field(&mut out, name, value).is_ok() as usize;
    request::end(&mut out);
    if out.len() > Limits::default().head() || target.len() > Limits::default().target() {
        return;
    }
    let heard = common::feed(&out, &[], &Limits::default());
    assert_eq!((heard.error, heard.requests.len()), (None, 1), "{}", out.escape_ascii());
    assert_eq!(heard.requests[0].head_end, out.len());
    assert_eq!(out.windows(2).filter(|pair| pair == b"\r\n").count(), 2 + fields);
}

/// A written field is read back as one, by this crate's client and by another parser.
fn write_response(name: &[u8], value: &[u8], body: &[u8]) {
    let mut out = Vec::new();
    response::status_line(&mut out, Status::OK);
    if frames(name) || response::field(&mut out, name, value).is_err() {
        return;
    }
    if out.len() > Limits::default().head() / 2 {
        return;
    }
    response::content_length(&mut out, body.len() as u64);
    response::end(&mut out);
    read_by_another(&out, name, value);
    let head_end = out.len();
    out.extend_from_slice(body);
    let heard = client::feed(&out, &[head_end / 2], &[Asked::Content], &Limits::default());
    assert_eq!((heard.error, heard.persists, heard.responses.len()), (None, true, 1));
    let response = &heard.responses[0];
    assert_eq!((response.head_end, &response.body[..]), (head_end, body));
}

fn read_by_another(head: &[u8], name: &[u8], value: &[u8]) {
    let mut headers = [httparse::EMPTY_HEADER; 4];
    let mut read = httparse::Response::new(&mut headers);
    let status = read.parse(head).expect("the written bytes are a head");
    assert_eq!(status, httparse::Status::Complete(head.len()));
    assert_eq!((read.code, read.reason), (Some(200), Some("OK")));
    assert_eq!(read.headers.len(), 2);
    assert_eq!(read.headers[0].name.as_bytes(), name);
    assert_eq!(read.headers[0].value.trim_ascii(), value.trim_ascii());
}

/// Whether a field of that name changes what the message means.
fn frames(name: &[u8]) -> bool {
    ["host", "content-length", "transfer-encoding", "connection", "expect"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}
