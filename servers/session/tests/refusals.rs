//! Answers that end the connection: because of what the client did, or because there is no room.

use super::pair::{At, Works};
use super::*;

/// What a client gets that sends this, and how the connection ends.
fn refused(input: &[u8]) -> (Vec<u16>, At) {
    let mut pair = pair();
    pair.send(input);
    let seen = (pair.statuses(), pair.at);
    assert!(pair.says("\r\nConnection: close\r\n"));
    pair.send(GET);
    pair.end();
    assert_eq!(pair.statuses(), seen.0, "answered after the last response");
    seen
}

fn head_with(fields: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
}

#[test]
fn what_is_no_head_is_answered_400_and_read_to_the_clients_end() {
    assert_eq!(refused(b"no head\r\n\r\n"), (vec![400], At::Lingers));
    assert_eq!(refused(&head_with("Host: b\r\n")), (vec![400], At::Lingers));
    assert_eq!(
        refused(&[GET, b"GET / HTTP/1.1\r\n\r\n", GET].concat()),
        (vec![200, 400], At::Lingers)
    );
    let mut pair = pair();
    pair.send(b"no head\r\n\r\n");
    assert_eq!(pair.cx.counters.requests_malformed.get(), 1);
    assert_eq!(pair.cx.counters.responses_4xx.get(), 1);
}

#[test]
fn head_is_refused_without_content() {
    let mut pair = pair();
    pair.send(b"HEAD / HTTP/1.1\r\n\r\n");
    let end = pair.received.len();
    assert!(
        pair.received.starts_with(b"HTTP/1.1 400 ") && pair.received[..end].ends_with(b"\r\n\r\n")
    );
    assert_eq!(pair.at, At::Lingers);
}

#[test]
fn a_head_longer_than_the_limit_is_answered_431() {
    let long = format!("A: {}\r\n", "x".repeat(1024));
    assert_eq!(refused(&head_with(&long)), (vec![431], At::Lingers));
    assert_eq!(refused(&head_with(&"A: b\r\n".repeat(10))), (vec![431], At::Lingers));
    let mut pair = pair();
    pair.send(&head_with(&"A: b\r\n".repeat(9)));
    assert_eq!((pair.statuses(), pair.at), (vec![200], At::Reads));
}

#[test]
fn a_target_longer_than_the_limit_is_answered_414() {
    assert_eq!(refused(&get(&format!("/{}", "x".repeat(200)))), (vec![414], At::Lingers));
    let mut pair = pair();
    pair.send(&get(&format!("/{}", "x".repeat(199))));
    assert_eq!((pair.statuses(), pair.at), (vec![200], At::Reads));
}

#[test]
fn a_body_longer_than_the_limit_is_answered_413() {
    assert_eq!(refused(&post_head("/stream", 100_001)), (vec![413], At::Lingers));
    assert_eq!(refused(&post("/echo/3", "four")), (vec![413], At::Lingers));
    let chunks =
        "POST /echo/3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n";
    let mut pair = pair();
    pair.send(chunks.as_bytes());
    assert_eq!((pair.received.len(), pair.at), (0, At::Reads));
    pair.send(b"2\r\ncd\r\n");
    assert_eq!((pair.statuses(), pair.at), (vec![413], At::Lingers));
    assert_eq!(pair.cx.memory.held(), 0);
}

#[test]
fn what_is_before_a_refusal_is_answered() {
    let input = [GET, &post("/echo", "x"), b"?\r\n", GET].concat();
    assert_eq!(refused(&input), (vec![200, 200, 400], At::Lingers));
}

#[test]
fn a_broken_body_is_refused_unless_its_request_has_been_answered() {
    let broken = "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    for target in ["/echo", "/stream"] {
        let input = format!("POST {target} {broken}");
        assert_eq!(refused(input.as_bytes()), (vec![400], At::Lingers));
    }
    let mut pair = pair();
    let input = format!("POST / {broken}");
    let (head, body) = input.split_at(input.len() - "zz\r\n".len());
    pair.send(head.as_bytes());
    assert_eq!((pair.statuses(), pair.at), (vec![200], At::Reads));
    pair.send(body.as_bytes());
    assert_eq!((pair.statuses(), pair.at), (vec![200], At::Lingers));
    assert_eq!(pair.cx.counters.requests_malformed.get(), 1);
}

/// What a body is to be used for makes no difference to how it is decoded.
#[test]
fn a_malformed_body_that_is_there_is_refused_before_any_answer() {
    let chunked = "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, status) in [
        ("ZZZ\r\n", 400),
        ("3\r\nabcX", 400),
        ("3\nabc\r\n", 400),
        ("1\r\na\r\n0\r\nbad trailer\r\n\r\n", 400),
        ("FFFFFFFF\r\n", 413),
        ("1\r\na\r\n186A0\r\n", 413),
    ] {
        for target in ["/", "/echo", "/stream", "/work", "/wait/10", "/close", "/nothing"] {
            for works in [Works::Inline, Works::Elsewhere, Works::Later] {
                for offload_all in [false, true] {
                    let mut pair = pair_with(works, |_| {});
                    pair.cx.offload_all = offload_all;
                    pair.send(format!("GET {target} {chunked}{body}").as_bytes());
                    assert_eq!(pair.statuses(), [status], "{target} {body:?}");
                    assert!(pair.says("\r\nConnection: close\r\n"));
                    assert_eq!(pair.at, At::Lingers, "{target}");
                    assert_eq!(pair.cx.counters.requests.get(), 0, "nothing was called");
                    assert_eq!(pair.cx.counters.requests_malformed.get(), 1);
                    pair.end();
                }
            }
        }
    }
    // In a pipeline, what is before it is answered.
    let input = [GET, format!("HEAD / {chunked}ZZZ\r\n").as_bytes()].concat();
    assert_eq!(refused(&input), (vec![200, 400], At::Lingers));
}

/// A part of a body that is well formed so far decides nothing.
#[test]
fn a_discarded_body_may_end_anywhere_in_what_is_there() {
    let head = "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = "3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n";
    for cut in 0..=body.len() {
        let mut pair = pair();
        pair.send(format!("{head}{}", &body[..cut]).as_bytes());
        assert_eq!((pair.statuses(), pair.at), (vec![200], At::Reads), "cut at {cut}");
        pair.send(&[&body.as_bytes()[cut..], GET].concat());
        assert_eq!((pair.statuses(), pair.at), (vec![200, 200], At::Reads), "cut at {cut}");
    }
}

#[test]
fn there_is_503_when_the_account_is_full() {
    let memory = |bytes| pair_with(Works::Inline, |options| options.limits.body_memory = bytes);
    let head = post_head("/echo", 100);
    let mut pair = memory(head.len() - 1);
    pair.send(&head);
    assert_eq!((pair.statuses(), pair.at), (vec![503], At::Lingers));
    assert!(pair.says("Retry-After: 1\r\n"));

    let mut pair = memory(head.len() + 99);
    pair.send(&head);
    pair.send(&[b'x'; 99]);
    assert_eq!((pair.at, pair.cx.memory.held()), (At::Reads, head.len() + 99));
    pair.send(b"x");
    assert_eq!((pair.statuses(), pair.at, pair.cx.memory.held()), (vec![503], At::Lingers, 0));

    let wait = get("/wait/10");
    let mut pair = memory(wait.len() - 1);
    pair.send(&wait);
    assert_eq!((pair.statuses(), pair.at, pair.cx.memory.held()), (vec![503], At::Lingers, 0));
    pair.end();
}

#[test]
fn a_full_account_is_503_for_requests_whose_bodies_are_discarded_too() {
    let request = post_head("/wait/10", 5);
    let mut pair = pair_with(Works::Inline, |options| options.limits.body_memory = 10);
    pair.send(&request);
    assert_eq!((pair.statuses(), pair.at), (vec![503], At::Lingers));

    for request in [post_head("/work", 5), [GET, &post_head("/work", 5)].concat()] {
        let mut pair = pair_with(Works::Later, |options| options.limits.body_memory = 10);
        pair.send(&request);
        assert_eq!((pair.statuses().pop(), pair.at), (Some(503), At::Lingers));
    }
}

#[test]
fn a_job_that_came_to_nothing_is_500() {
    for request in [get("/work"), post_head("/work", 5), post("/work/echo", "x")] {
        let mut pair = pair_with(Works::Elsewhere, |_| {});
        pair.send(&request);
        pair.job_done(false);
        assert_eq!((pair.statuses(), pair.at), (vec![500], At::Lingers));
        pair.end();
    }
}

#[test]
fn a_job_that_takes_too_long_is_503() {
    for request in [get("/work"), post_head("/work", 5), post("/work/echo", "x")] {
        let mut pair = pair_with(Works::Elsewhere, |_| {});
        pair.send(&request);
        pair.give_up();
        assert_eq!((pair.statuses(), pair.at), (vec![503], At::Lingers));
        pair.end();
    }
}

#[test]
fn a_connection_has_its_number_of_requests() {
    let mut pair = pair_with(Works::Inline, |options| options.limits.requests = 3);
    pair.send(GET);
    assert!(!pair.says("Connection"));
    pair.send(&GET.repeat(5));
    assert_eq!((pair.statuses(), pair.at), (vec![200; 3], At::Lingers));
    assert!(pair.says("\r\nConnection: close\r\n"));

    let mut pair = pair_with(Works::Inline, |options| options.limits.requests = 1);
    pair.send(&post_head("/echo", 3));
    pair.send(b"abc");
    assert_eq!((pair.statuses(), pair.at), (vec![200], CLOSED));
}
