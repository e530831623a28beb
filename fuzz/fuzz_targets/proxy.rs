//! Any bytes as a PROXY protocol header: one result, however they are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stampede::operation::proxy_protocol::{HEADER_BYTES_MAX, parse};

fuzz_target!(|input: &[u8]| {
    let all = parse(input);
    if let Ok(Some(header)) = all {
        assert!(header.len >= 15 && header.len <= input.len().min(HEADER_BYTES_MAX));
        assert_eq!(parse(&input[..header.len]), all);
    }
    if matches!(all, Ok(None)) {
        assert!(input.len() < HEADER_BYTES_MAX);
    }
    for cut in 0..input.len().min(HEADER_BYTES_MAX) {
        match parse(&input[..cut]) {
            Ok(None) => {}
            known => return assert_eq!(known, all),
        }
    }
});
