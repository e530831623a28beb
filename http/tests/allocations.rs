//! Neither end allocates once its head and its buffers are created: counted by the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bytes::BufMut;
use stampede_http::client::{self, ResponseHead, request};
use stampede_http::{Connection, Event, Head, Limits, Method, Status, response};

thread_local! {
    /// Allocations of this thread. A constant without a destructor: reading it allocates nothing.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn note() {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
}

// SAFETY: every call is forwarded unchanged to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps `alloc`'s contract, which is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from the system's allocator, with this layout.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: `block` came from the system's allocator, with this layout.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn write_request(out: &mut impl BufMut) {
    request::line(out, b"POST", b"/a?b").expect("a request line");
    request::host(out, b"localhost:8080").expect("a host");
    request::field(out, b"X-Own", b"value").expect("a field");
    request::chunked(out);
    request::end(out);
    request::chunk_head(out, 5).unwrap();
    out.put_slice(b"hello");
    request::chunk_end(out);
    request::last_chunk(out);
}

fn write_response(out: &mut impl BufMut) {
    response::status_line(out, Status::OK);
    response::field(out, b"Content-Type", b"text/plain").expect("a field");
    response::content_length(out, 5);
    response::end(out);
    out.put_slice(b"hello");
}

/// Both sides of a connection, with what outlives a request.
struct Ends {
    limits: Limits,
    server: (Connection, Head),
    client: (client::Connection, ResponseHead),
    buffer: Vec<u8>,
}

impl Ends {
    fn new() -> Self {
        let limits = Limits::default();
        Ends {
            limits,
            server: (Connection::new(), Head::new(&limits)),
            client: (client::Connection::new(), ResponseHead::new(&limits)),
            buffer: Vec::with_capacity(1024),
        }
    }

    /// A request and its response, fed in pieces of at most this many bytes.
    fn exchange(&mut self, piece: usize) {
        self.buffer.clear();
        write_request(&mut self.buffer);
        let (connection, head) = &mut self.server;
        let mut ended = false;
        feed(&self.buffer, piece, |input| {
            let step = connection.next(input, head, &self.limits).expect("a request");
            ended |= step.event == Event::End;
            (step.consumed, step.event == Event::NeedMore)
        });
        assert!(ended);

        self.buffer.clear();
        write_response(&mut self.buffer);
        let (connection, head) = &mut self.client;
        connection.sent(Method::Post).expect("one request");
        let mut answered = false;
        feed(&self.buffer, piece, |input| {
            let step = connection.next(input, head, &self.limits).expect("a response");
            answered |= step.event == client::Event::Head && head.code() == 200;
            (step.consumed, step.event == client::Event::NeedMore)
        });
        assert!(answered && connection.is_between_responses());
    }
}

/// Calls `next` with the bytes received and not yet consumed; it returns how many it has consumed,
/// and whether it needs more.
fn feed(bytes: &[u8], piece: usize, mut next: impl FnMut(&[u8]) -> (usize, bool)) {
    let (mut at, mut there) = (0, 0);
    while there < bytes.len() {
        there = bytes.len().min(there.saturating_add(piece));
        loop {
            let (consumed, needs_more) = next(&bytes[at..there]);
            at += consumed;
            if needs_more {
                break;
            }
        }
    }
    assert_eq!(at, bytes.len());
}

#[test]
fn an_exchange_allocates_nothing_at_either_end() {
    let mut ends = Ends::new();
    let before = ALLOCATIONS.get();
    for piece in [usize::MAX, 1, 7, 64] {
        for _ in 0..100 {
            ends.exchange(piece);
        }
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    // The allocator does count.
    drop(Ends::new());
    assert!(ALLOCATIONS.get() > before);
}
