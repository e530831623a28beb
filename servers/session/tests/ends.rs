//! How a conversation ends: the client's end, the server's, HTTP/1.0.

use super::pair::{At, Works};
use super::*;
use crate::session::Phase;

#[test]
fn the_clients_end_between_requests_is_the_end() {
    let mut new = pair();
    new.eof();
    assert_eq!((new.at, new.received.len()), (CLOSED, 0));
    let mut pair = pair();
    pair.send(GET);
    pair.eof();
    assert_eq!((pair.at, pair.statuses()), (CLOSED, vec![200]));
}

#[test]
fn the_clients_end_within_a_request_is_400() {
    for input in [b"GET".to_vec(), post_head("/echo", 3), post_head("/stream", 3)] {
        let mut pair = pair();
        pair.send(&input);
        pair.eof();
        assert_eq!((pair.statuses(), pair.at), (vec![400], At::Lingers));
        pair.eof();
        assert_eq!((pair.at, pair.cx.memory.held()), (CLOSED, 0));
    }
}

#[test]
fn the_clients_end_within_a_body_that_is_discarded_is_the_end() {
    let mut pair = pair();
    pair.send(&post_head("/", 3));
    pair.eof();
    assert_eq!((pair.statuses(), pair.at), (vec![200], At::Lingers));
}

#[test]
fn an_empty_line_is_no_part_of_a_request() {
    let mut pair = pair();
    pair.send(b"\r\n\r");
    pair.eof();
    assert_eq!((pair.at, pair.received.len()), (CLOSED, 0));
}

#[test]
fn unread_input_behind_the_last_response_is_read_before_the_close() {
    let mut pair = pair();
    pair.send(&get("/close"));
    assert_eq!((pair.statuses(), pair.at), (vec![200], CLOSED));
    let mut pair = super::pair();
    pair.send(&[get("/close"), GET.to_vec()].concat());
    assert_eq!((pair.statuses(), pair.at), (vec![200], At::Lingers));
    assert_eq!(pair.session.phase(), Phase::Linger);
    pair.eof();
    assert_eq!(pair.at, CLOSED);
}

#[test]
fn input_behind_a_last_response_that_takes_more_than_a_step_is_read_too() {
    for target in ["/wait/10", "/work", "/shared/9000"] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let mut pair = pair_with(Works::Elsewhere, |_| {});
        pair.room = 50;
        pair.send(&[request.as_bytes(), GET].concat());
        pair.pass(10);
        pair.job_done(true);
        pair.take(100_000);
        assert_eq!((pair.statuses(), pair.at), (vec![200], At::Lingers), "{target}");
    }
}

#[test]
fn input_for_which_there_is_no_room_ends_the_connection_unread() {
    let mut pair = pair();
    pair.room = 10;
    pair.send(&[get("/shared/9000"), GET.to_vec()].concat());
    pair.abandon_input();
    pair.take(100_000);
    assert_eq!((pair.statuses(), pair.at), (vec![200], At::Lingers));
}

#[test]
fn while_the_server_drains_each_response_is_its_connections_last() {
    let inputs = [
        GET.to_vec(),
        post("/echo", "x"),
        post("/", "x"),
        post("/stream", "x"),
        get("/wait/5"),
        get("/work"),
    ];
    for input in inputs {
        for works in [Works::Inline, Works::Elsewhere, Works::Later] {
            let mut pair = pair_with(works, |_| {});
            pair.send(GET);
            pair.cx.draining = true;
            assert_eq!(pair.at, At::Reads, "what is idle stays");
            pair.send(&input);
            pair.pass(5);
            pair.has_room();
            pair.job_done(true);
            assert_eq!(pair.statuses(), [200, 200]);
            assert!(matches!(pair.at, CLOSED | At::Lingers), "{:?}", pair.at);
            assert!(pair.says("\r\nConnection: close\r\n"));
        }
    }
}

#[test]
fn a_request_that_waits_when_the_drain_begins_is_answered_and_is_the_last() {
    let mut pair = pair();
    pair.send(&get("/wait/100"));
    pair.cx.draining = true;
    pair.pass(100);
    assert_eq!((pair.statuses(), pair.at), (vec![200], CLOSED));
}

#[test]
fn http_1_0_ends_with_its_response_unless_it_is_asked_to_stay() {
    let mut pair = pair();
    pair.send(b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!((pair.statuses(), pair.at), (vec![200], CLOSED));
    assert!(pair.says("\r\nConnection: close\r\n"));
    let mut pair = super::pair();
    pair.send(&b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".repeat(2));
    assert_eq!((pair.statuses(), pair.at), (vec![200, 200], At::Reads));
    assert!(pair.says("\r\nConnection: keep-alive\r\n"));
}

#[test]
fn nothing_is_held_when_a_connection_ends_in_any_phase() {
    let inputs = [
        Vec::new(),
        b"GET".to_vec(),
        GET.to_vec(),
        post_head("/echo", 5),
        [&post_head("/echo", 5)[..], b"xx"].concat(),
        post_head("/stream", 5),
        post_head("/", 5),
        get("/wait/50"),
        post_head("/wait/50", 5),
        get("/work"),
        post_head("/work", 5),
        post("/work/echo", "xx"),
        get("/shared/20000"),
        get("/unsized/20000"),
        b"?\r\n".to_vec(),
    ];
    for (input, room) in inputs.iter().flat_map(|input| [(input, 20), (input, usize::MAX)]) {
        for works in [Works::Inline, Works::Elsewhere, Works::Later] {
            let mut pair = pair_with(works, |_| {});
            pair.room = room;
            pair.send(&[GET, input].concat());
            pair.end();
        }
    }
}
