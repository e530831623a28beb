//! Parses one small request again and again, for counting instructions:
//!
//! ```text
//! for n in 1000 11000; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null count $n 2>&1 | grep Collected
//! done
//! ```
//!
//! The difference divided by 10,000 is what a request costs, exactly repeatable.

use std::hint::black_box;

use http::{Connection, Event, Head, Limits};

const REQUEST: &[u8] =
    b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nuser-agent: h2load nghttp2/1.52.0\r\n\r\n";

fn main() {
    let times: u32 = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(1000);
    let limits = Limits::default();
    let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
    for _ in 0..times {
        let step = connection.next(black_box(REQUEST), &mut head, black_box(&limits));
        match step {
            Ok(step) if step.event == Event::Head => assert_eq!(step.consumed, REQUEST.len()),
            other => panic!("a plain request was not understood: {other:?}"),
        }
        black_box(&head);
    }
}
