//! What is left of a turn when the handler has panicked, and the caller has caught it.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

/// Panics in the first call that `is_it` picks; the others are written down.
fn panics_once(is_it: impl Fn(Call) -> bool) -> Script<impl FnMut(&mut EventLoop, Call)> {
    let mut is_first = true;
    Script::new(move |_: &mut EventLoop, call| {
        if is_it(call) && std::mem::take(&mut is_first) {
            resume_unwind(Box::new("as the test wants it")); // without a message
        }
    })
}

/// A turn whose handler panics, and then, without events of its own, what is left of `total` calls.
/// Both would hang if the loop waited for what has come already.
fn turn_and_the_rest(
    ev: &mut EventLoop,
    total: usize,
    handler: &mut Script<impl FnMut(&mut EventLoop, Call)>,
) -> [Vec<Call>; 2] {
    let panicked = catch_unwind(AssertUnwindSafe(|| ev.turn(handler, None))).is_err();
    assert!(panicked, "{:?}", handler.calls);
    let first = handler.take();
    ev.turn(handler, if first.len() < total { None } else { NOW }).expect("turn");
    let rest = handler.take();
    ev.turn(handler, NOW).expect("turn");
    assert_eq!(handler.take(), [], "nothing comes twice");
    [first, rest]
}

/// Three sources with an event each, one that is deferred, one whose deadline has come, a wake-up
/// and a signal; their calls in no order.
fn everything(ev: &mut EventLoop) -> (Vec<Call>, Vec<UnixStream>) {
    ev.handle_signals(&[Signal::USR2]).expect("blocked");
    let readable = Readiness::READABLE;
    let mut streams = Vec::new();
    let mut calls = vec![Call::Woken, Call::Signal(Signal::USR2)];
    for _ in 0..3 {
        let (token, ours, mut theirs) = watched_pair(ev, Trigger::Edge);
        theirs.write_all(b"x").expect("written");
        streams.extend([ours, theirs]);
        calls.push(Call::Ready(token, readable));
    }
    let [deferred, late] = [ev.reserve(), ev.reserve()].map(|token| token.expect("five"));
    ev.defer(deferred, readable);
    calls.push(Call::Ready(deferred, readable));
    ev.set_deadline(late, 1);
    calls.push(Call::Timeout(late));
    ev.waker().expect("a waker").wake().expect("woken");
    // SAFETY: takes no pointer. For this thread alone, which has blocked it.
    unsafe { libc::pthread_kill(libc::pthread_self(), Signal::USR2.number()) };
    let begin = ev.now();
    while begin.elapsed() < Duration::from_millis(2) {
        thread::yield_now();
    }
    (calls, streams)
}

fn sorted(calls: impl IntoIterator<Item = Call>) -> Vec<String> {
    let mut calls: Vec<_> = calls.into_iter().map(|call| format!("{call:?}")).collect();
    calls.sort();
    calls
}

/// Whichever call panics: all others are made, once, without another event.
#[test]
fn a_panic_in_any_call_loses_none_of_the_others() {
    for victim in 0..7 {
        let mut ev = new_loop(5);
        let (mut calls, _streams) = everything(&mut ev);
        assert_eq!(calls.len(), 7);
        let victim = calls[victim];
        let mut handler = panics_once(|call| call == victim);
        let [first, rest] = turn_and_the_rest(&mut ev, 7, &mut handler);
        assert_eq!(first.last(), Some(&victim));
        if victim == Call::Woken {
            calls.push(Call::Woken); // what it had not looked at is looked at
        }
        assert_eq!(sorted(first.into_iter().chain(rest)), sorted(calls), "{victim:?}");
    }
}

#[test]
fn a_panic_at_the_end_of_a_turn_leaves_nothing_undone() {
    let mut ev = new_loop(5);
    let (calls, _streams) = everything(&mut ev);
    let mut handler = panics_once(|call| call == Call::TurnEnded);
    let [first, rest] = turn_and_the_rest(&mut ev, 7, &mut handler);
    assert_eq!((sorted(first), rest), (sorted(calls), vec![]));
}

#[test]
fn what_was_deferred_and_has_an_event_is_called_once_after_a_panic() {
    let mut ev = new_loop(3);
    let first = ev.reserve().expect("room");
    let (both, _ours, mut theirs) = watched_pair(&mut ev, Trigger::Edge);
    let (alone, _ours, mut more) = watched_pair(&mut ev, Trigger::Edge);
    theirs.write_all(b"x").expect("written");
    more.write_all(b"x").expect("written");
    for token in [first, both] {
        ev.defer(token, Readiness::WRITABLE);
    }
    let mut handler = panics_once(|call| matches!(call, Call::Ready(..)));
    let [made, rest] = turn_and_the_rest(&mut ev, 3, &mut handler);
    let readable = Readiness::READABLE;
    let expected = [
        Call::Ready(first, Readiness::WRITABLE),
        Call::Ready(both, readable | Readiness::WRITABLE),
        Call::Ready(alone, readable),
    ];
    assert_eq!(sorted(made.into_iter().chain(rest)), sorted(expected));
}

/// A source that is released after the panic is not called any more, nor is its slot's next one.
#[test]
fn what_was_put_back_can_still_be_released() {
    let mut ev = new_loop(2);
    let (one, _ours, mut theirs) = watched_pair(&mut ev, Trigger::Edge);
    let (two, _ours, mut more) = watched_pair(&mut ev, Trigger::Edge);
    theirs.write_all(b"x").expect("written");
    more.write_all(b"x").expect("written");
    let mut handler = panics_once(|call| matches!(call, Call::Ready(..)));
    let turn = || ev.turn(&mut handler, None);
    assert!(catch_unwind(AssertUnwindSafe(turn)).is_err());
    let Some(&Call::Ready(called, _)) = handler.calls.first() else { panic!("nothing called") };
    let left = if called == one { two } else { one };
    assert_eq!(ev.next_deadline_ms(), Some(ev.now_ms()), "for a caller that waits elsewhere");
    ev.release(left);
    assert_eq!(ev.reserve().expect("its slot").slot(), left.slot());
    handler.take();
    ev.turn(&mut handler, NOW).expect("turn");
    assert_eq!(handler.take(), []);
}

#[test]
fn a_wake_up_that_nothing_follows_is_not_lost_and_the_next_one_neither() {
    let mut ev = new_loop(2);
    let (token, _ours, mut theirs) = watched_pair(&mut ev, Trigger::Edge);
    theirs.write_all(b"x").expect("written");
    let waker = ev.waker().expect("a waker");
    waker.wake().expect("woken");
    let mut handler = panics_once(|call| matches!(call, Call::Ready(..)));
    let turn = || ev.turn(&mut handler, None);
    assert!(catch_unwind(AssertUnwindSafe(turn)).is_err());
    assert_eq!(ev.next_deadline_ms(), Some(ev.now_ms()));
    for _ in 0..2 {
        ev.turn(&mut handler, None).expect("turn");
        waker.wake().expect("woken");
    }
    ev.turn(&mut handler, None).expect("turn");
    let readable = Call::Ready(token, Readiness::READABLE);
    assert_eq!(handler.take(), [readable, Call::Woken, Call::Woken, Call::Woken]);
}
