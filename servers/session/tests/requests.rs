//! Requests without bodies: one, many, pipelined, with work and waits among them.

use super::pair::{At, Works};
use super::*;
use crate::session::Phase;

fn worked() -> (u16, String) {
    (200, "worked".to_owned())
}

fn hello() -> (u16, String) {
    (200, "hello".to_owned())
}

#[test]
fn a_request_is_answered_and_the_connection_is_idle_again() {
    let mut pair = pair();
    assert_eq!(pair.session.phase(), Phase::Head);
    pair.send(GET);
    assert_eq!(pair.answers(), [hello()]);
    assert_eq!((pair.at, pair.session.phase()), (At::Reads, Phase::Idle));
    assert!(pair.session.is_idle());
    pair.end();
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let mut pair = pair();
    for _ in 0..2 {
        for (i, byte) in GET.iter().enumerate() {
            pair.send(std::slice::from_ref(byte));
            assert_eq!(pair.session.is_idle(), i + 1 == GET.len());
        }
    }
    assert_eq!(pair.answers(), [hello(), hello()]);
    assert_eq!(pair.cx.counters.requests.get(), 2);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut pair = pair();
    pair.send(&[GET, &post("/echo", "one"), GET].concat());
    assert_eq!(pair.answers(), [hello(), (200, "one".to_owned()), hello()]);
    assert_eq!(pair.cx.counters.responses_2xx.get(), 3);
}

#[test]
fn more_pipelined_answers_than_a_buffer_holds_are_all_given() {
    let mut pair = pair();
    pair.send(&GET.repeat(500));
    assert_eq!(pair.answers(), vec![hello(); 500]);
    assert_eq!(pair.at, At::Reads);
}

#[test]
fn a_client_that_pipelines_and_does_not_read_is_served_no_further_than_a_buffer() {
    let mut pair = pair();
    pair.room = 0;
    pair.send(&GET.repeat(500));
    assert_eq!((pair.at, pair.received.len()), (At::Sends, 0));
    let served = pair.cx.counters.requests.get();
    assert!(served < 100, "{served} answers in one buffer");
    assert!(pair.session.has_pending() && pair.input.len() > 400 * GET.len());
    while pair.at == At::Sends {
        pair.take(1000);
    }
    assert_eq!(pair.answers(), vec![hello(); 500]);
    assert!(!pair.session.has_pending());
    pair.end();
}

#[test]
fn what_is_behind_a_large_response_waits_until_it_is_sent() {
    let mut pair = pair();
    pair.room = 6000;
    pair.send(&[get("/shared/9000"), GET.to_vec()].concat());
    assert_eq!((pair.at, pair.received.len()), (At::Sends, 6000));
    assert!(pair.session.has_pending());
    assert_eq!(pair.cx.counters.requests.get(), 1);
    pair.take(100_000);
    assert_eq!(pair.statuses(), [200, 200]);
    assert_eq!(pair.at, At::Reads);
}

#[test]
fn a_wait_lets_what_is_before_it_go_out_and_what_is_behind_it_wait() {
    let mut pair = pair();
    pair.send(&[GET, &get("/wait/250"), GET].concat());
    assert_eq!((pair.answers().len(), pair.at), (1, At::Sleeps));
    assert_eq!((pair.cx.counters.waits.get(), pair.time_left()), (1, 250));
    pair.pass(249);
    assert_eq!(pair.answers().len(), 1);
    pair.pass(1);
    assert_eq!(pair.answers(), [hello(), (200, "waited".to_owned()), hello()]);
    assert_eq!((pair.at, pair.cx.counters.waits.get(), pair.cx.memory.held()), (At::Reads, 0, 0));
}

#[test]
fn a_wait_begins_when_it_is_asked_for_and_not_when_the_answer_before_it_is_sent() {
    let mut pair = pair();
    pair.room = 10;
    pair.send(&[GET, &get("/wait/250")].concat());
    assert_eq!((pair.at, pair.session.phase()), (At::Sends, Phase::Send));
    pair.pass(300);
    pair.take(10_000);
    assert_eq!(pair.at, At::Sleeps);
    pair.pass(0);
    assert_eq!(pair.answers().len(), 2);
}

#[test]
fn work_inline_answers_in_the_same_step() {
    let mut pair = pair();
    pair.send(&[GET, &get("/work"), GET].concat());
    assert_eq!(pair.answers(), [hello(), worked(), hello()]);
    assert_eq!(pair.at, At::Reads);
}

#[test]
fn work_elsewhere_holds_back_what_is_behind_it() {
    let mut pair = pair_with(Works::Elsewhere, |_| {});
    pair.send(&[GET, &get("/work"), GET].concat());
    assert_eq!((pair.answers(), pair.at), (vec![hello()], At::Works));
    assert_eq!(pair.session.phase(), Phase::Work);
    pair.job_done(true);
    assert_eq!(pair.answers(), [hello(), worked(), hello()]);
    assert_eq!(pair.at, At::Reads);
    pair.end();
}

#[test]
fn work_after_a_wait_is_work() {
    let mut pair = pair_with(Works::Elsewhere, |_| {});
    pair.send(&get("/wait/10/work"));
    pair.pass(10);
    assert_eq!(pair.at, At::Works);
    pair.job_done(true);
    assert_eq!(pair.answers(), [worked()]);
}

#[test]
fn a_job_may_ask_for_a_wait() {
    let mut pair = pair_with(Works::Elsewhere, |_| {});
    pair.cx.offload_all = true;
    pair.send(&[get("/wait/10"), GET.to_vec()].concat());
    pair.job_done(true);
    assert_eq!((pair.at, pair.time_left()), (At::Sleeps, 10));
    pair.pass(10);
    assert_eq!(pair.at, At::Works);
    pair.job_done(true);
    assert_eq!(pair.at, At::Works);
    pair.job_done(true);
    assert_eq!(pair.answers(), [(200, "waited".to_owned()), hello()]);
    assert_eq!(pair.cx.memory.held(), 0);
}

#[test]
fn handle_may_ask_for_work_and_the_end_of_the_connection() {
    for works in [Works::Inline, Works::Elsewhere] {
        let mut pair = pair_with(works, |_| {});
        pair.send(&get("/work/close"));
        pair.job_done(true);
        assert_eq!((pair.answers(), pair.at), (vec![worked()], CLOSED));
        assert!(pair.says("\r\nConnection: close\r\n"));
    }
}

#[test]
fn an_application_that_does_not_answer_has_answered_500() {
    let mut pair = pair();
    pair.send(&[get("/nothing"), GET.to_vec()].concat());
    assert_eq!((pair.statuses(), pair.at), (vec![500], At::Lingers));
}

#[test]
fn empty_lines_before_a_request_are_skipped_and_are_no_request() {
    let mut pair = pair();
    pair.send(b"\r\n\r\n");
    assert!(pair.session.is_idle());
    pair.send(GET);
    pair.send(b"\r");
    pair.send(b"\n");
    assert!(pair.session.is_idle());
    pair.send(GET);
    assert_eq!(pair.answers(), [hello(), hello()]);
}

#[test]
fn head_gets_the_length_and_no_content() {
    let mut pair = pair();
    pair.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(pair.says("Content-Length: 5\r\n") && !pair.says("hello"));
    assert_eq!(pair.at, At::Reads);
}
