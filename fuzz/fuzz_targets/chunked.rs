//! Any bytes as a chunked body. The first byte chooses where it is cut.
//!
//! Chunks that have arrived whole are decoded in one go. Byte by byte none is, so that is the
//! oracle.
#![no_main]

#[path = "../../http/tests/common/mod.rs"]
mod common;

use common::feed;
use libfuzzer_sys::fuzz_target;
use stampede_http::Limits;

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

fuzz_target!(|input: &[u8]| {
    let Some((cut, body)) = input.split_first() else {
        return;
    };
    let limits = Limits::default().with_body(4096).with_trailer(64).with_chunk_extensions(32);
    let message = [HEAD, body].concat();
    let whole = feed(&message, &[], &limits);
    assert_eq!(feed(&message, &[HEAD.len() + *cut as usize], &limits), whole);
    let bytes: Vec<usize> = (HEAD.len()..message.len()).collect();
    assert_eq!(feed(&message, &bytes, &limits), whole);
    if whole.error.is_none() {
        // Decoding only removes framing: the data is a part of the input.
        assert!(whole.requests[0].body.len() <= body.len());
    }
});
