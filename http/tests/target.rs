//! Paths and queries: what they decode to, and that no path leaves the root.

use proptest::prelude::*;
use stampede_http::target::{DecodeError, decode_parameter, decode_path, parameter, query_pairs};

fn decoded(raw: &str) -> Result<String, DecodeError> {
    let mut out = b"left over".to_vec();
    decode_path(raw.as_bytes(), &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn paths_are_decoded_and_their_dots_resolved() {
    for (raw, expected) in [
        ("/", "/"),
        ("/a/b.html", "/a/b.html"),
        ("/a%20b", "/a b"),
        ("/%C3%A9", "/\u{e9}"),
        ("/a+b", "/a+b"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/.", "/a/"),
        ("/..", "/"),
        ("/../../../etc/passwd", "/etc/passwd"),
        ("/%2e%2e/%2E%2e/etc/passwd", "/etc/passwd"),
        ("/a%2f..%2f..%2fetc", "/etc"),
        ("/...", "/..."),
        ("/.hidden", "/.hidden"),
        ("/a..b/..c", "/a..b/..c"),
        ("//a//b", "//a//b"),
        ("/a//..", "/a/"),
        ("/%252e%252e/", "/%2e%2e/"),
    ] {
        assert_eq!(decoded(raw).as_deref(), Ok(expected), "{raw}");
    }
}

#[test]
fn invalid_encodings_are_refused() {
    for raw in ["/%", "/%2", "/%zz", "/%+1", "/a%"] {
        assert_eq!(decoded(raw), Err(DecodeError::BadEscape), "{raw}");
    }
    assert_eq!(decoded("/a%00b"), Err(DecodeError::Zero));
    assert_eq!(decoded(""), Err(DecodeError::NotAbsolute));
    assert_eq!(decoded("*"), Err(DecodeError::NotAbsolute));
}

#[test]
fn parameters_are_found_and_decoded() {
    let query = b"a=1&&b&c==&a=2&d=%26+x";
    let pairs: Vec<_> = query_pairs(query).collect();
    assert_eq!(
        pairs,
        [(&b"a"[..], &b"1"[..]), (b"b", b""), (b"c", b"="), (b"a", b"2"), (b"d", b"%26+x"),]
    );
    assert_eq!(parameter(query, "a"), Some(&b"1"[..]));
    assert_eq!(parameter(query, "e"), None);
    assert_eq!(decode_parameter(b"%26+x").as_deref(), Ok(&b"& x"[..]));
    assert_eq!(decode_parameter(b"%2"), Err(DecodeError::BadEscape));
}

/// Dot segments resolved with a stack, the slow and obvious way.
fn resolved_naively(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let mut stack = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        match *segment {
            "." => {}
            ".." => drop(stack.pop()),
            other => stack.push(other),
        }
        if is_last && (*segment == "." || *segment == "..") {
            stack.push("");
        }
    }
    format!("/{}", stack.join("/"))
}

proptest! {
    #[test]
    fn no_path_leaves_the_root(path in "(/|\\.|\\.\\.|%2e|%2F|a|%41){0,12}") {
        let raw = format!("/{path}");
        let out = decoded(&raw).unwrap();
        prop_assert!(out.starts_with('/'));
        prop_assert!(out.split('/').all(|segment| segment != "." && segment != ".."), "{}", out);
        let plain = raw.replace("%2e", ".").replace("%2F", "/").replace("%41", "A");
        prop_assert_eq!(out, resolved_naively(&plain));
    }

    #[test]
    fn any_bytes_decode_or_are_refused(raw in proptest::collection::vec(any::<u8>(), 0..40)) {
        let mut out = Vec::new();
        if decode_path(&raw, &mut out).is_ok() {
            prop_assert!(out.starts_with(b"/") && !out.contains(&0));
            let mut segments = out.split(|&byte| byte == b'/');
            prop_assert!(segments.all(|segment| segment != b"." && segment != b".."));
        }
    }
}
