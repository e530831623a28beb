//! Requests with bodies: discarded, collected, streamed; announced, chunked, asked for by 100.

use super::pair::{At, Works};
use super::*;
use crate::session::Phase;

const CHUNKED: &str = "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const EXPECTS: &str = "HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n";

fn text(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}

#[test]
fn a_collected_body_that_is_all_there_is_answered_from_where_it_lies() {
    let mut pair = pair();
    pair.send(&post("/echo", "body"));
    assert_eq!((pair.answers(), pair.cx.memory.held()), (vec![text(200, "body")], 0));
}

#[test]
fn a_collected_body_in_pieces_is_in_the_account_until_it_is_answered() {
    let mut pair = pair();
    let head = post_head("/echo", 10);
    pair.send(&head);
    assert_eq!((pair.session.phase(), pair.cx.memory.held()), (Phase::Body, head.len()));
    pair.send(b"01234");
    assert_eq!(pair.cx.memory.held(), head.len() + 5);
    pair.send(&[b"56789", GET].concat());
    assert_eq!(pair.answers(), [text(200, "0123456789"), text(200, "hello")]);
    assert_eq!((pair.at, pair.cx.memory.held()), (At::Reads, 0));
}

#[test]
fn a_chunked_body_is_collected_decoded() {
    let mut pair = pair();
    pair.send(format!("POST /echo {CHUNKED}3\r\nabc\r\n").as_bytes());
    pair.send(b"2\r\nde\r\n0\r\n");
    pair.send(&[b"\r\n", GET].concat());
    assert_eq!(pair.answers(), [text(200, "abcde"), text(200, "hello")]);
}

#[test]
fn an_empty_body_is_a_body() {
    let mut pair = pair();
    pair.send(&post("/echo", ""));
    pair.send(format!("POST /echo {CHUNKED}0\r\n\r\n").as_bytes());
    pair.send(format!("POST /stream {CHUNKED}0\r\n\r\n").as_bytes());
    assert_eq!(pair.answers(), [text(200, ""), text(200, ""), text(200, "0")]);
}

#[test]
fn a_streamed_body_is_handed_on_piece_by_piece() {
    let mut pair = pair();
    pair.send(&post_head("/stream", 6));
    for _ in 0..6 {
        pair.send(b"x");
    }
    assert_eq!(pair.answers(), [text(200, "6")]);
    assert_eq!(
        (pair.at, pair.cx.memory.held(), pair.cx.counters.requests.get()),
        (At::Reads, 0, 1)
    );
}

#[test]
fn a_sink_may_refuse() {
    let mut pair = pair();
    pair.send(&post_head("/stream", 6));
    pair.send(b"x!");
    assert_eq!((pair.statuses(), pair.at), (vec![400], At::Lingers));
    assert_eq!(pair.cx.memory.held(), 0);
}

#[test]
fn a_discarded_body_is_answered_before_it_has_come() {
    let mut pair = pair();
    pair.send(&post_head("/", 6));
    assert_eq!((pair.statuses(), pair.session.phase()), (vec![200], Phase::Body));
    pair.send(b"xxx");
    pair.send(&[b"xxx", GET].concat());
    assert_eq!((pair.statuses(), pair.session.phase()), (vec![200, 200], Phase::Idle));
}

#[test]
fn a_discarded_body_is_read_after_the_work_and_the_wait_of_its_request() {
    for target in ["/work", "/wait/10", "/wait/10/work"] {
        let mut pair = pair_with(Works::Elsewhere, |_| {});
        pair.send(&post_head(target, 3));
        assert_eq!(pair.received, b"", "{target}");
        pair.pass(10);
        pair.job_done(true);
        assert_eq!((pair.statuses(), pair.session.phase()), (vec![200], Phase::Body), "{target}");
        pair.send(&[b"xxx", GET].concat());
        assert_eq!(pair.statuses(), [200, 200], "{target}");
        pair.end();
    }
}

#[test]
fn a_discarded_body_that_is_there_is_kept_until_the_work_is_done() {
    let mut pair = pair_with(Works::Elsewhere, |_| {});
    pair.send(&[GET, &post("/work", "xxx"), GET].concat());
    assert_eq!((pair.statuses(), pair.at), (vec![200], At::Works));
    pair.job_done(true);
    assert_eq!(pair.statuses(), [200, 200, 200]);
}

#[test]
fn a_body_that_is_collected_for_work_is_the_works() {
    for works in [Works::Inline, Works::Elsewhere] {
        let mut pair = pair_with(works, |_| {});
        pair.send(&[post("/work/echo", "whole"), GET.to_vec()].concat());
        pair.job_done(true);
        pair.send(&post_head("/work/echo", 4));
        pair.send(&[b"part", GET].concat());
        pair.job_done(true);
        let hello = text(200, "hello");
        let expected = [text(200, "whole"), hello.clone(), text(200, "part"), hello];
        assert_eq!(pair.answers(), expected);
        pair.end();
    }
}

#[test]
fn a_client_that_waits_for_100_gets_it_when_its_body_is_wanted() {
    for target in ["/echo", "/stream"] {
        let mut pair = pair();
        pair.send(format!("POST {target} {EXPECTS}").as_bytes());
        assert_eq!(pair.received, b"HTTP/1.1 100 Continue\r\n\r\n");
        assert_eq!((pair.at, pair.session.phase()), (At::Reads, Phase::Body));
        pair.send(b"body");
        assert_eq!(pair.statuses(), [100, 200], "{target}");
        assert_eq!(pair.at, At::Reads);
    }
}

#[test]
fn a_100_that_the_socket_does_not_take_is_sent_before_the_body_is_read() {
    let mut pair = pair();
    pair.room = 3;
    pair.send(format!("POST /echo {EXPECTS}").as_bytes());
    assert_eq!((pair.at, pair.session.phase()), (At::Sends, Phase::Send));
    pair.take(1000);
    assert_eq!((pair.at, pair.session.phase()), (At::Reads, Phase::Body));
    pair.send(b"body");
    assert_eq!(pair.answers()[1], text(200, "body"));
}

#[test]
fn a_client_whose_body_is_not_wanted_gets_the_answer_instead_of_100_and_the_end() {
    let mut pair = pair();
    pair.send(format!("POST / {EXPECTS}").as_bytes());
    assert_eq!((pair.statuses(), pair.at), (vec![200], At::Lingers));
    assert!(pair.says("\r\nConnection: close\r\n"));
}

#[test]
fn a_client_that_did_not_wait_for_100_gets_none() {
    let mut pair = pair();
    pair.send(format!("POST /echo {EXPECTS}body").as_bytes());
    assert_eq!(pair.answers(), [text(200, "body")]);
}

#[test]
fn a_body_too_large_for_its_resource_is_refused_before_100() {
    let mut pair = pair();
    pair.send(format!("POST /echo/3 {EXPECTS}").as_bytes());
    assert_eq!((pair.statuses(), pair.at), (vec![413], At::Lingers));
}

#[test]
fn work_elsewhere_of_a_request_that_expects_100_ends_the_connection_unread() {
    let mut pair = pair_with(Works::Elsewhere, |_| {});
    pair.send(format!("POST /work {EXPECTS}").as_bytes());
    assert_eq!(pair.at, At::Works);
    pair.job_done(true);
    assert_eq!((pair.statuses(), pair.at), (vec![200], At::Lingers));
}
