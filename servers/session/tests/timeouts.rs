//! Every deadline, to the millisecond.

use std::time::Duration;

use super::pair::{At, Works};
use super::*;
use crate::session::{LINGER_MS, NEVER, Phase};

/// Lets all but the last millisecond pass, then that.
fn expires_in(pair: &mut Pair, ms: u64) {
    assert_eq!(pair.time_left(), ms);
    let (at, received) = (pair.at, pair.received.len());
    pair.pass(ms - 1);
    assert_eq!((pair.at, pair.received.len()), (at, received), "a millisecond too early");
    pair.pass(1);
}

fn with_request_time(works: Works, ms: u64) -> Pair {
    pair_with(works, |options| options.timeouts.request = Some(Duration::from_millis(ms)))
}

#[test]
fn an_idle_connection_is_closed_after_the_idle_time() {
    let mut pair = pair();
    pair.send(GET);
    pair.pass(6_999);
    pair.send(GET);
    expires_in(&mut pair, 7_000);
    assert_eq!((pair.at, pair.cx.counters.timeouts_idle.get()), (CLOSED, 1));
    assert_eq!(pair.statuses(), [200, 200]);
}

#[test]
fn a_new_connection_that_sends_nothing_is_closed_without_a_word() {
    let mut pair = pair();
    expires_in(&mut pair, 3_000);
    assert_eq!((pair.at, pair.received.len()), (CLOSED, 0));
    assert_eq!(pair.cx.counters.timeouts_head.get(), 1);
}

#[test]
fn a_new_connection_has_the_idle_time_when_that_is_shorter() {
    let mut pair = pair_with(Works::Inline, |options| {
        options.timeouts.idle = Duration::from_secs(2);
    });
    expires_in(&mut pair, 2_000);
    assert_eq!(pair.at, CLOSED);
}

#[test]
fn the_first_head_has_its_time_from_its_first_byte_too() {
    let mut pair = pair();
    pair.pass(1_000);
    pair.send(b"\r\n");
    assert_eq!(pair.time_left(), 2_000, "an empty line is no byte of it");
    pair.send(b"GET");
    expires_in(&mut pair, 3_000);
    assert_eq!((pair.statuses(), pair.at), (vec![408], At::Lingers));
    assert_eq!(pair.cx.counters.timeouts_head.get(), 1);
}

#[test]
fn a_later_head_has_its_time_from_its_first_byte_and_more_bytes_do_not_move_it() {
    let mut pair = pair();
    pair.send(&[GET, b"GET "].concat());
    pair.pass(1_000);
    pair.send(b"/");
    expires_in(&mut pair, 2_000);
    assert_eq!((pair.statuses(), pair.at), (vec![200, 408], At::Lingers));
}

#[test]
fn a_body_that_stalls_is_answered_408() {
    for target in ["/echo", "/stream"] {
        let mut pair = pair();
        pair.send(&post_head(target, 10_000));
        pair.pass(4_000);
        pair.send(&[b'x'; 1_000]);
        expires_in(&mut pair, 1_000); // the window: it brought enough
        assert_eq!(pair.at, At::Reads);
        expires_in(&mut pair, 4_000);
        assert_eq!((pair.statuses(), pair.at), (vec![408], At::Lingers), "{target}");
        assert_eq!((pair.cx.counters.timeouts_body.get(), pair.cx.memory.held()), (1, 0));
    }
}

#[test]
fn a_body_that_brings_too_little_in_a_window_is_answered_408() {
    let mut pair = pair();
    pair.send(&post_head("/echo", 10_000));
    for _ in 0..4 {
        pair.pass(1_000);
        pair.send(&[b'x'; 124]);
    }
    // 496 bytes of the 500 that five seconds must bring.
    expires_in(&mut pair, 1_000);
    assert_eq!((pair.statuses(), pair.cx.counters.timeouts_body.get()), (vec![408], 1));
}

#[test]
fn a_body_that_is_fast_enough_in_each_window_may_take_its_time() {
    let mut pair = pair();
    pair.send(&post_head("/echo", 2_500));
    for _ in 0..5 {
        for _ in 0..2 {
            pair.pass(2_000);
            pair.send(&[b'x'; 250]);
        }
        pair.pass(1_000);
        assert_eq!(pair.cx.counters.timeouts_body.get(), 0);
    }
    assert_eq!(pair.statuses(), [200]);
}

#[test]
fn a_window_is_measured_when_there_is_no_time_between_pieces() {
    let mut pair = pair_with(Works::Inline, |options| options.timeouts.body = Duration::ZERO);
    pair.send(&post_head("/echo", 10_000));
    expires_in(&mut pair, 10_000);
    assert_eq!(pair.statuses(), [408]);

    let mut pair = pair_with(Works::Inline, |options| {
        options.timeouts.body = Duration::ZERO;
        options.timeouts.body_rate = 0;
    });
    pair.send(&post_head("/echo", 10_000));
    assert_eq!(pair.deadline_ms(), NEVER);
}

#[test]
fn a_discarded_body_that_stalls_ends_the_connection_without_another_answer() {
    let mut pair = pair();
    pair.send(&post_head("/", 10));
    expires_in(&mut pair, 5_000);
    assert_eq!((pair.statuses(), pair.at), (vec![200], At::Lingers));
}

#[test]
fn the_time_for_a_discarded_body_begins_when_the_answer_is_sent() {
    let mut pair = pair();
    pair.room = 0;
    pair.send(&post_head("/", 10));
    pair.pass(10_000);
    pair.take(1_000);
    assert_eq!((pair.session.phase(), pair.time_left()), (Phase::Body, 5_000));
}

#[test]
fn a_client_that_takes_nothing_is_reset_after_the_write_time() {
    let mut pair = pair();
    pair.room = 10;
    pair.send(GET);
    pair.pass(10_999);
    pair.take(1);
    expires_in(&mut pair, 11_000);
    assert_eq!((pair.at, pair.received.len()), (RESET, 11));
    assert_eq!(pair.cx.counters.timeouts_write.get(), 1);
}

#[test]
fn a_client_that_takes_from_the_kernel_alone_reads_all_the_same() {
    let mut pair = pair();
    pair.room = 10;
    pair.send(GET);
    pair.session.unacknowledged(&mut pair.cx, 9);
    pair.pass(10_000);
    pair.session.unacknowledged(&mut pair.cx, 8);
    assert_eq!(pair.time_left(), 11_000);
    pair.pass(10_000);
    pair.session.unacknowledged(&mut pair.cx, 8);
    assert_eq!(pair.time_left(), 1_000);
    pair.session.resume_sending(&mut pair.cx);
    expires_in(&mut pair, 11_000);
    assert_eq!(pair.at, RESET);
}

#[test]
fn a_client_that_does_not_close_is_not_waited_for_longer_than_the_lingering_time() {
    let mut pair = pair();
    pair.send(b"no head\r\n");
    assert_eq!(pair.at, At::Lingers);
    expires_in(&mut pair, LINGER_MS);
    assert_eq!(pair.at, CLOSED);
}

#[test]
fn work_has_no_deadline_of_the_clients() {
    let mut pair = pair_with(Works::Elsewhere, |_| {});
    pair.send(&get("/work"));
    assert_eq!(pair.deadline_ms(), NEVER);
}

#[test]
fn timeouts_that_are_off_are_never() {
    let mut pair = pair_with(Works::Inline, |options| {
        let times = &mut options.timeouts;
        (times.head, times.idle, times.write) = Default::default();
    });
    assert_eq!(pair.deadline_ms(), NEVER);
    pair.send(b"GET");
    assert_eq!(pair.deadline_ms(), NEVER);
    pair.room = 0;
    pair.send(&GET[3..]);
    assert_eq!((pair.at, pair.deadline_ms()), (At::Sends, NEVER));
    pair.take(1_000);
    assert_eq!((pair.at, pair.deadline_ms()), (At::Reads, NEVER));
}

#[test]
fn a_request_as_a_whole_has_its_time_while_its_head_comes() {
    let mut pair = with_request_time(Works::Inline, 2_000);
    pair.send(&[GET, b"GET"].concat());
    expires_in(&mut pair, 2_000);
    assert_eq!((pair.statuses(), pair.at), (vec![200, 408], At::Lingers));
    assert_eq!(pair.cx.counters.timeouts_request.get(), 1);
}

#[test]
fn a_request_as_a_whole_has_its_time_while_its_body_comes() {
    let mut pair = with_request_time(Works::Inline, 4_500);
    pair.send(&post_head("/echo", 100_000));
    pair.pass(2_000);
    pair.send(&[b'x'; 10_000]);
    expires_in(&mut pair, 2_500);
    assert_eq!((pair.statuses(), pair.at), (vec![408], At::Lingers));
    assert_eq!((pair.cx.counters.timeouts_request.get(), pair.cx.memory.held()), (1, 0));
}

#[test]
fn a_request_as_a_whole_has_its_time_while_it_waits() {
    for request in [get("/wait/60000"), post_head("/wait/60000", 5)] {
        let mut pair = with_request_time(Works::Inline, 4_500);
        pair.send(&request);
        expires_in(&mut pair, 4_500);
        assert_eq!((pair.statuses(), pair.at), (vec![408], At::Lingers));
        let counters = &pair.cx.counters;
        assert_eq!((counters.timeouts_request.get(), counters.waits.get()), (1, 0));
        assert_eq!(pair.cx.memory.held(), 0);
    }
}

#[test]
fn a_request_as_a_whole_has_its_time_while_it_is_worked_on() {
    for works in [Works::Elsewhere, Works::Later] {
        for request in [get("/work"), post_head("/work", 5)] {
            let mut pair = with_request_time(works, 4_500);
            pair.send(&request);
            expires_in(&mut pair, 4_500);
            assert_eq!((pair.statuses(), pair.at), (vec![408], At::Lingers), "{works:?}");
            assert_eq!(pair.cx.memory.held(), 0);
        }
    }
}

#[test]
fn a_request_as_a_whole_has_its_time_while_its_answer_is_read() {
    let mut pair = with_request_time(Works::Inline, 4_500);
    pair.room = 0;
    pair.send(&get("/shared/100000"));
    for _ in 0..4 {
        pair.pass(1_000);
        pair.take(10_000);
    }
    expires_in(&mut pair, 500);
    assert_eq!((pair.at, pair.cx.counters.timeouts_request.get()), (RESET, 1));
}

#[test]
fn the_time_of_a_request_begins_with_its_first_byte() {
    // Not with the connection, …
    let mut pair = with_request_time(Works::Inline, 2_500);
    pair.pass(2_600);
    pair.send(&post_head("/echo", 5));
    assert_eq!((pair.session.phase(), pair.time_left()), (Phase::Body, 2_500));
    // … and not with the one before it.
    pair.pass(2_000);
    pair.send(&[&b"12345"[..], &get("/wait/9000")].concat());
    assert_eq!((pair.at, pair.time_left()), (At::Sleeps, 2_500));
}

#[test]
fn a_wait_is_over_to_the_millisecond_and_one_without_time_at_once() {
    let mut pair = pair();
    pair.send(&get("/wait/1234"));
    expires_in(&mut pair, 1_234);
    assert_eq!((pair.statuses(), pair.at), (vec![200], At::Reads));
    pair.send(&get("/wait/0"));
    assert_eq!((pair.at, pair.time_left()), (At::Sleeps, 0));
    pair.pass(0);
    assert_eq!(pair.statuses(), [200, 200]);
}

#[test]
fn deadlines_hold_across_the_wrap_of_their_low_bits() {
    let mut pair = Pair::new(&options(), Works::Inline, u64::from(u32::MAX) - 1_000);
    pair.send(b"GET");
    expires_in(&mut pair, 3_000);
    assert_eq!(pair.statuses(), [408]);
}

#[test]
fn a_head_that_begins_behind_a_full_socket_keeps_its_timeout() {
    let mut pair = pair();
    pair.room = 0;
    pair.send(&[GET, b"GET / HTTP/1.1\r\n"].concat());
    pair.pass(1_000);
    pair.take(usize::MAX);
    assert_eq!((pair.session.phase(), pair.statuses()), (Phase::Head, vec![200]));
    expires_in(&mut pair, 2_000);
    assert_eq!(pair.statuses(), [200, 408]);
    assert_eq!(pair.cx.counters.timeouts_head.get(), 1);
}
