//! Any bytes as requests: no panic, and byte by byte gives the same as in one piece.
#![no_main]

#[path = "../../http/tests/common/mod.rs"]
mod common;

use common::feed;
use libfuzzer_sys::fuzz_target;
use stampede_http::Limits;

fuzz_target!(|input: &[u8]| {
    let limits = Limits::default();
    let bytes: Vec<usize> = (0..input.len()).collect();
    assert_eq!(feed(input, &bytes, &limits), feed(input, &[], &limits));
});
