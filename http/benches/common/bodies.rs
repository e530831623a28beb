//! Decoders of chunked bodies, compared. Each decodes a whole body.
//!
//! | decoder | what it does with a body |
//! |---|---|
//! | `Stampede` | gives where data lies, an event for each piece; validates extensions and trailers |
//! | `Chunks` | the same by httparse's `parse_chunk_size`: a loop as a server would write it |
//! | `pico::InPlace` | moves the data together within the buffer, by `phr_decode_chunked` |

use std::hint::black_box;

use stampede_http::{Connection, Event, Head, Limits};

use super::clock::Work;

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// A body of `chunks` chunks of `len` bytes, the last chunk not counted.
pub fn body(chunks: usize, len: usize) -> Vec<u8> {
    let data = "d".repeat(len);
    let mut body = format!("{len:x}\r\n{data}\r\n").repeat(chunks).into_bytes();
    body.extend_from_slice(b"0\r\n\r\n");
    body
}

/// The decoder of this crate, as a server uses it. The heads are read before the clock starts.
pub struct Stampede<'a> {
    body: &'a [u8],
    /// Each has read a head.
    connections: Vec<Connection>,
    head: Head,
    limits: Limits,
}

impl<'a> Stampede<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        let limits = Limits::default();
        Stampede { body, connections: Vec::new(), head: Head::new(&limits), limits }
    }
}

impl Work for Stampede<'_> {
    fn prepare(&mut self, times: usize) {
        self.connections.clear();
        for _ in 0..times {
            let mut connection = Connection::new();
            let step = connection.next(HEAD, &mut self.head, &self.limits);
            assert_eq!(step.expect("a good head").event, Event::Head);
            self.connections.push(connection);
        }
    }

    fn run(&mut self, times: usize) {
        for connection in self.connections.iter_mut().take(times) {
            decode(connection, black_box(self.body), &mut self.head, &self.limits);
        }
    }
}

#[inline(never)]
fn decode(connection: &mut Connection, mut rest: &[u8], head: &mut Head, limits: &Limits) {
    loop {
        let step = connection.next(rest, head, limits).expect("a good body");
        match step.event {
            Event::Data { start, len } => _ = black_box(&rest[start..start + len]),
            Event::End => return,
            Event::Head | Event::NeedMore => panic!("the body is all there"),
        }
        rest = &rest[step.consumed..];
    }
}

/// A loop around httparse's reader of chunk sizes.
pub struct Chunks<'a>(pub &'a [u8]);

impl Work for Chunks<'_> {
    fn run(&mut self, times: usize) {
        for _ in 0..times {
            let mut rest = black_box(self.0);
            loop {
                let Ok(httparse::Status::Complete((start, len))) = httparse::parse_chunk_size(rest)
                else {
                    panic!("the body is all there");
                };
                let end = start + len as usize;
                assert_eq!(&rest[end..end + 2], b"\r\n", "a chunk ends in CRLF");
                if len == 0 {
                    break;
                }
                black_box(&rest[start..end]);
                rest = &rest[end + 2..];
            }
        }
    }
}
