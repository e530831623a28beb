//! Responses as they go out.

use super::*;
use reactor::BufferPool;
use reactor::buffer::Class;

const FRAME: Frame = Frame { method: Method::Get, version: Version::Http11, connection_line: b"" };

/// What goes out for a response that `make` makes, and how many bytes its pieces announce.
fn made(frame: Frame, make: impl FnOnce(&mut Response<'_>)) -> (String, Option<u64>) {
    let pool = BufferPool::new(&[Class::new(8192, 1)]).expect("a pool");
    let mut out = Output::new(pool.take(0).expect("a buffer"));
    let clock = Clock::new(0);
    let mut response = Response::new(&mut out, &clock, frame);
    make(&mut response);
    response.outcome();
    let len = out.pieces.front().map_or(Some(0), |piece| piece.len());
    (String::from_utf8(out.bytes.to_vec()).expect("text"), len)
}

fn generator() -> Piece {
    Piece::Generate { source: Box::new(std::io::empty()), left: None, chunked: false, waits: false }
}

#[test]
fn an_unknown_length_is_chunked_or_ends_with_the_connection() {
    let alone = |response: &mut Response<'_>| response.start(Status::OK).pieces([generator()]);
    let (head, _) = made(FRAME, alone);
    assert!(head.contains("Transfer-Encoding: chunked\r\n"), "{head}");
    let (head, _) = made(Frame { version: Version::Http10, ..FRAME }, alone);
    assert!(head.contains("Connection: close\r\n"), "{head}");
    assert!(!head.contains("Transfer-Encoding"), "{head}");
}

#[test]
fn an_unknown_length_beside_other_pieces_is_refused() {
    let (head, left) = made(FRAME, |response| {
        let bytes = Piece::Bytes(Bytes::from_static(b"text"));
        response.start(Status::OK).pieces([bytes, generator()]);
    });
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    assert_eq!(left, Some(0));
}

#[test]
fn an_injected_line_or_no_answer_at_all_is_a_500() {
    for value in ["a\r\nSet-Cookie: b", "a\0", "a\nb"] {
        let (head, _) = made(FRAME, |response| {
            response.start(Status::OK).field("X-A", value).bytes(b"text");
        });
        assert!(head.starts_with("HTTP/1.1 500 ") && !head.contains("Cookie"), "{head}");
    }
    assert!(made(FRAME, |_| {}).0.starts_with("HTTP/1.1 500 "));
}
