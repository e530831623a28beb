//! Requests that wait for room in the executor.

use super::pair::{At, Works};
use super::*;

#[test]
fn a_request_that_waits_for_room_is_in_the_account_until_it_is_handed_over() {
    let mut pair = pair_with(Works::Later, |_| {});
    let request = get("/work");
    pair.send(&[GET, &request, GET].concat());
    assert_eq!((pair.statuses(), pair.at), (vec![200], At::Queued));
    assert_eq!(pair.cx.memory.held(), request.len());
    assert!(pair.session.saved_call().is_some());
    pair.has_room();
    assert_eq!((pair.at, pair.cx.memory.held()), (At::Works, 0));
    assert!(pair.session.saved_call().is_none());
    pair.job_done(true);
    assert_eq!((pair.statuses(), pair.at), (vec![200; 3], At::Reads));
}

#[test]
fn a_request_behind_output_that_is_not_taken_is_saved_until_it_is() {
    for works in [Works::Elsewhere, Works::Later] {
        let mut pair = pair_with(works, |_| {});
        pair.room = 10;
        pair.send(&[GET, &post("/work/echo", "body"), GET].concat());
        assert_eq!((pair.at, pair.received.len()), (At::Sends, 10));
        pair.take(1_000);
        pair.has_room();
        assert_eq!((pair.statuses(), pair.at), (vec![200], At::Works));
        pair.job_done(true);
        let bodies: Vec<String> = pair.answers().into_iter().map(|(_, body)| body).collect();
        assert_eq!(bodies, ["hello", "body", "hello"]);
    }
}

#[test]
fn a_request_for_which_there_is_no_room_is_503_and_the_connection_stays() {
    for request in [get("/work"), post("/work", "xx"), post("/work/echo", "xx")] {
        let mut pair = pair_with(Works::Later, |_| {});
        pair.send(&[request, GET.to_vec()].concat());
        pair.overloaded();
        assert_eq!((pair.statuses(), pair.at), (vec![503, 200], At::Reads));
        assert!(pair.says("Retry-After: 1\r\n") && !pair.says("Connection: close"));
        assert_eq!(pair.cx.memory.held(), 0);
    }
}

#[test]
fn a_body_is_saved_with_its_request() {
    let mut pair = pair_with(Works::Later, |_| {});
    pair.send(&post_head("/work/echo", 4));
    pair.send(&[b"body", GET].concat());
    assert_eq!((pair.at, pair.cx.memory.held()), (At::Queued, post("/work/echo", "body").len()));
    pair.has_room();
    pair.job_done(true);
    assert_eq!(pair.answers()[0].1, "body");
    assert_eq!(pair.answers().len(), 2);
}

#[test]
fn every_request_may_be_left_to_the_driver() {
    for works in [Works::Inline, Works::Elsewhere, Works::Later] {
        let mut pair = pair_with(works, |_| {});
        pair.cx.offload_all = true;
        let all = [GET, &post("/echo", "body"), &get("/work"), &post("/", "x"), GET].concat();
        pair.send(&all);
        while matches!(pair.at, At::Works | At::Queued) {
            pair.has_room();
            pair.job_done(true);
        }
        assert_eq!((pair.statuses(), pair.at), (vec![200; 5], At::Reads), "{works:?}");
        pair.end();
    }
}

#[test]
fn no_more_than_the_account_is_saved() {
    let mut pair = pair_with(Works::Later, |options| options.limits.body_memory = 20);
    pair.send(&[GET, &get("/work"), GET].concat());
    assert_eq!((pair.statuses(), pair.at), (vec![200, 503], At::Lingers));
    pair.end();
}
