//! The log's line of a request that is refused: its first line as it came, whatever the reason, and
//! wherever its bytes are then.

use super::pair::{At, Works};
use super::*;
use crate::access_log::LINE_BYTES_MAX;

/// The one line of a conversation, without the number of bytes at its end.
fn line_of(
    works: Works,
    change: impl FnOnce(&mut Options),
    talk: impl FnOnce(&mut Pair),
) -> String {
    let (mut pair, file) = logged(works, change);
    talk(&mut pair);
    let lines = lines(&mut pair, &file);
    pair.end();
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines[0].rsplit_once(' ').expect("a number of bytes").0.to_owned()
}

fn line_after(input: &[u8]) -> String {
    line_of(
        Works::Inline,
        |_| {},
        |pair| {
            // As a client that is slow: the last byte brings the refusal.
            for byte in input {
                pair.send(&[*byte]);
            }
        },
    )
}

#[test]
fn a_malformed_head_is_shown_as_it_came() {
    for (input, expected) in [
        (&b"nonsense\r\n\r\n"[..], r#"nonsense" 400"#),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", r#"GET / HTTP/1.1" 400"#),
        (b"GET /\"\\<\x1b HTTP/1.1\r\n\r\n", r#"GET /\x22" 400"#),
        (b"\r\n\r\nG@T / HTTP/1.1\r\n\r\n", r#"G@" 400"#),
        (b"\x16\x03\x01\x02\x00\x01", r#"\x16" 400"#),
        (b"GET / HTTP/3.0\r\n\r\n", r#"GET / HTTP/3.0" 505"#),
    ] {
        assert_eq!(line_after(input), expected, "{}", input.escape_ascii());
    }
    // What came together is shown as far as the line goes.
    let tls = b"\x16\x03\x01\x02\x00\x01\xfc\"\\\0abc\nrest";
    let line = line_of(Works::Inline, |_| {}, |pair| pair.send(tls));
    assert_eq!(line, r#"\x16\x03\x01\x02\x00\x01\xfc\x22\x5c\x00abc" 400"#);
}

#[test]
fn a_long_line_is_cut_and_marked() {
    let target = "x".repeat(1000);
    let shown = format!("GET /{}...\" 414", &target[..LINE_BYTES_MAX - "GET /".len()]);
    let bytewise = line_after(&format!("GET /{target}").as_bytes()[..205]);
    assert_eq!(bytewise, format!("GET /{}\" 414", &target[..200]));
    let whole = line_of(Works::Inline, |_| {}, |pair| pair.send(&get(&format!("/{target}"))));
    assert_eq!(whole, shown);
    let fields = line_after(format!("GET /a HTTP/1.1\r\nA: {}", "x".repeat(1005)).as_bytes());
    assert_eq!(fields, r#"GET /a HTTP/1.1" 431"#);
}

#[test]
fn a_head_that_does_not_come_in_time_or_at_all_is_shown_as_far_as_it_came() {
    for part in ["G", "GET /slow HT", "GET /slow HTTP/1.1\r\nHost"] {
        let begun = |pair: &mut Pair| pair.send(part.as_bytes());
        let first = part.lines().next().unwrap_or_default();
        let late = line_of(
            Works::Inline,
            |_| {},
            |pair| {
                begun(pair);
                pair.pass(3_000);
            },
        );
        assert_eq!(late, format!("{first}\" 408"));
        let cut = line_of(
            Works::Inline,
            |_| {},
            |pair| {
                begun(pair);
                pair.eof();
            },
        );
        assert_eq!(cut, format!("{first}\" 400"));
    }
}

#[test]
fn a_request_with_a_bad_late_or_large_body_is_shown_whole() {
    let chunked = "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for target in ["/", "/echo/3", "/stream"] {
        for (body, status) in [("zz\r\n", 400), ("FFFFFFFF\r\n", 413)] {
            let input = format!("POST {target} {chunked}{body}");
            let line = line_of(Works::Inline, |_| {}, |pair| pair.send(input.as_bytes()));
            assert_eq!(line, format!("POST {target} HTTP/1.1\" {status}"));
        }
    }
    for target in ["/echo/3", "/stream"] {
        let head = format!("POST {target} {chunked}");
        let refused = |end: &dyn Fn(&mut Pair)| {
            line_of(
                Works::Inline,
                |_| {},
                |pair| {
                    pair.send(head.as_bytes());
                    end(pair);
                },
            )
        };
        let expected = |status| format!("POST {target} HTTP/1.1\" {status}");
        assert_eq!(refused(&|pair| pair.send(b"?")), expected(400));
        assert_eq!(refused(&|pair| pair.send(b"4\r\nabc!\r\n")), {
            expected(if target == "/stream" { 400 } else { 413 })
        });
        assert_eq!(refused(&|pair| pair.pass(5_000)), expected(408));
        assert_eq!(refused(&|pair| pair.eof()), expected(400));
    }
}

#[test]
fn a_request_without_memory_for_it_is_shown() {
    let little = |options: &mut Options| options.limits.body_memory = 10;
    for target in ["/echo", "/wait/10"] {
        let line = line_of(Works::Inline, little, |pair| pair.send(&post_head(target, 5)));
        assert_eq!(line, format!("POST {target} HTTP/1.1\" 503"));
    }
    let line = line_of(Works::Later, little, |pair| pair.send(&get("/work")));
    assert_eq!(line, r#"GET /work HTTP/1.1" 503"#);
}

#[test]
fn a_request_whose_worker_does_not_answer_is_shown() {
    let request = get("/work");
    let given_up = line_of(
        Works::Elsewhere,
        |_| {},
        |pair| {
            pair.send(&[&request, GET].concat());
            pair.give_up();
        },
    );
    assert_eq!(given_up, r#"GET /work HTTP/1.1" 503"#);
    let lost = line_of(
        Works::Elsewhere,
        |_| {},
        |pair| {
            pair.send(&request);
            pair.job_done(false);
        },
    );
    assert_eq!(lost, r#"GET /work HTTP/1.1" 500"#);
    let limit = |options: &mut Options| {
        options.timeouts.request = Some(Duration::from_millis(500));
    };
    for (works, target) in [(Works::Elsewhere, "/work"), (Works::Inline, "/wait/9000")] {
        let late = line_of(works, limit, |pair| {
            pair.send(&[&get(target)[..], b"GET /other"].concat());
            pair.pass(500);
        });
        assert_eq!(late, format!("GET {target} HTTP/1.1\" 408"));
    }
}

/// The line that is remembered is memory of the request, and given back.
#[test]
fn what_is_remembered_of_work_is_given_back() {
    let (mut pair, file) = logged(Works::Elsewhere, |_| {});
    for target in ["/work", "/work/close"] {
        pair.send(&get(target));
        assert_eq!(pair.cx.memory.held(), get(target).len());
        pair.job_done(true);
        assert_eq!(pair.cx.memory.held(), 0);
    }
    assert_eq!(
        lines(&mut pair, &file),
        [r#"GET /work HTTP/1.1" 200 6"#, r#"GET /work/close HTTP/1.1" 200 6"#]
    );
}

#[test]
fn there_is_a_dash_only_if_nothing_came() {
    let (mut pair, file) = logged(Works::Inline, |_| {});
    pair.pass(10_000);
    assert_eq!((pair.at, lines(&mut pair, &file)), (CLOSED, Vec::new()));

    let (mut pair, file) = logged(Works::Inline, |_| {});
    let next = pair.session.unavailable(&mut pair.cx, b"", &mut pair.out);
    pair.follow(next);
    assert_eq!(pair.at, At::Lingers);
    let lines = lines(&mut pair, &file);
    assert!(lines.len() == 1 && lines[0].starts_with("-\" 503 "), "{lines:?}");
}

#[test]
fn raw_characters_of_a_target_are_escaped() {
    let line = line_of(Works::Inline, |_| {}, |pair| pair.send(&get("/a|b^c?d|e^f\\g`h{i}")));
    assert_eq!(line, r#"GET /a\x7cb\x5ec?d\x7ce\x5ef\x5cg\x60h\x7bi\x7d HTTP/1.1" 200"#);
}
