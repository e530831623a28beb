//! Everything the writer writes is read back unchanged: fields by the parser of heads (a response's
//! fields have the grammar of a request's), chunks by the decoder of bodies.

mod common;

use common::feed;
use proptest::prelude::*;
use stampede_http::{Limits, Status, response};

fn name() -> impl Strategy<Value = String> {
    "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}".prop_filter("not one that frames", |name| {
        !["host", "content-length", "transfer-encoding", "connection", "expect"]
            .contains(&name.to_ascii_lowercase().as_str())
    })
}

proptest! {
    #[test]
    fn fields_are_read_back(
        fields in proptest::collection::vec((name(), "[ -~\t\u{80}-\u{ff}]{0,30}"), 0..10),
    ) {
        let mut out = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
        for (name, value) in &fields {
            response::field(&mut out, name.as_bytes(), value.as_bytes()).unwrap();
        }
        response::end(&mut out);
        let limits = Limits::default();
        let mut head = stampede_http::Head::new(&limits);
        let step = stampede_http::Connection::new().next(&out, &mut head, &limits).unwrap();
        prop_assert_eq!(step.consumed, out.len());
        let read: Vec<_> = head.request(&out).fields().skip(1).collect();
        let written: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.trim_matches([' ', '\t']).as_bytes()))
            .collect();
        prop_assert_eq!(read, written);
    }

    #[test]
    fn chunks_are_read_back(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..5),
        cut in 0..500usize,
    ) {
        let mut out = b"POST / HTTP/1.1\r\nHost: a\r\n".to_vec();
        response::chunked(&mut out);
        response::end(&mut out);
        for piece in &pieces {
            response::chunk_head(&mut out, piece.len() as u64).unwrap();
            out.extend_from_slice(piece);
            response::chunk_end(&mut out);
        }
        response::last_chunk(&mut out);
        let trace = feed(&out, &[cut], &Limits::default());
        prop_assert_eq!(trace.error, None);
        prop_assert!(trace.requests[0].complete);
        prop_assert_eq!(&trace.requests[0].body, &pieces.concat());
    }

    #[test]
    fn no_field_ends_its_own_line(name: Vec<u8>, value: Vec<u8>) {
        let mut out = Vec::new();
        match response::field(&mut out, &name, &value) {
            Ok(()) => {
                let line = out.strip_suffix(b"\r\n").unwrap();
                prop_assert!(!line.iter().any(|byte| b"\r\n\0".contains(byte)));
            }
            Err(_) => prop_assert!(out.is_empty()),
        }
    }
}

#[test]
fn a_whole_head_looks_like_this() {
    let mut out = Vec::new();
    response::status_line(&mut out, Status::NOT_FOUND);
    response::field(&mut out, b"Content-Type", b"text/plain").unwrap();
    response::content_length(&mut out, 12);
    response::end(&mut out);
    let expected =
        "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\n";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}
