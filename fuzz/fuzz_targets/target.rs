//! Any bytes as a path and as a query: no path leaves the root.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stampede_http::target::{decode_parameter, decode_path, parameter, query_pairs};

fuzz_target!(|input: &[u8]| {
    let mut path = Vec::new();
    if decode_path(input, &mut path).is_ok() {
        assert_eq!(path[0], b'/');
        assert!(path.len() <= input.len() && !path.contains(&0));
        let mut segments = path.split(|&byte| byte == b'/');
        assert!(segments.all(|segment| segment != b"." && segment != b".."));
    }
    for (name, value) in query_pairs(input) {
        assert!(name.len() + value.len() <= input.len());
        if let Ok(name) = str::from_utf8(name) {
            assert!(parameter(input, name).is_some());
        }
        let _ = decode_parameter(value);
    }
});
