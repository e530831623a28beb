use super::*;
use crate::ring::spsc;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

mod panics;

const NOW: Option<Duration> = Some(Duration::ZERO);

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Call {
    Ready(Token, Readiness),
    Timeout(Token),
    Woken,
    Signal(Signal),
    TurnEnded,
}

/// Writes down every call, then does what the test wants done.
struct Script<F> {
    calls: Vec<Call>,
    react: F,
}

impl<F: FnMut(&mut EventLoop, Call)> Script<F> {
    fn new(react: F) -> Self {
        Script { calls: Vec::new(), react }
    }

    fn called(&mut self, ev: &mut EventLoop, call: Call) {
        self.calls.push(call);
        (self.react)(ev, call);
    }

    /// The calls since the last take, without the ends of turns.
    fn take(&mut self) -> Vec<Call> {
        let calls = std::mem::take(&mut self.calls);
        calls.into_iter().filter(|call| *call != Call::TurnEnded).collect()
    }
}

impl<F: FnMut(&mut EventLoop, Call)> Handler for Script<F> {
    fn ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        self.called(ev, Call::Ready(token, readiness));
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        self.called(ev, Call::Timeout(token));
    }

    fn woken(&mut self, ev: &mut EventLoop) {
        self.called(ev, Call::Woken);
    }

    fn signal(&mut self, ev: &mut EventLoop, signal: Signal) {
        self.called(ev, Call::Signal(signal));
    }

    fn turn_ended(&mut self, ev: &mut EventLoop) {
        self.called(ev, Call::TurnEnded);
    }
}

fn new_loop(sources_max: u32) -> EventLoop {
    EventLoop::new(Config::with_sources(sources_max)).expect("a poller")
}

fn observer() -> Script<impl FnMut(&mut EventLoop, Call)> {
    Script::new(|_, _| {})
}

/// A watched end of a pair, and the other end.
fn watched_pair(ev: &mut EventLoop, trigger: Trigger) -> (Token, UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    ours.set_nonblocking(true).expect("non-blocking");
    let token = ev.reserve().expect("room for a source");
    ev.watch(token, &ours, Interest::READABLE, trigger).expect("watched");
    (token, ours, theirs)
}

/// Closes `old` and gives its number to `new`, as the next accept(2) would. In one step, because
/// the other tests of this process open descriptors at the same time.
fn reopen_as(old: UnixStream, new: UnixStream) -> UnixStream {
    let number = old.into_raw_fd();
    // SAFETY: `number` is open and ours; dup2 closes it and opens it again.
    let result = unsafe { libc::dup2(new.as_raw_fd(), number) };
    assert_eq!(result, number);
    // SAFETY: open (see above), and owned by nothing else: `old` was turned into the number.
    unsafe { OwnedFd::from_raw_fd(number) }.into()
}

#[test]
fn a_stale_event_does_not_reach_the_slots_next_source() {
    for round in 0..2 {
        let mut ev = new_loop(2);
        let mut open: Vec<_> = (0..2).map(|_| watched_pair(&mut ev, Trigger::Edge)).collect();
        open.iter_mut().for_each(|(.., theirs)| theirs.write_all(b"x").expect("written"));
        let mut tenant = None;
        let mut handler = Script::new(|ev: &mut EventLoop, call| {
            let Call::Ready(first, _) = call else { return };
            let Some(victim) = open.iter().position(|(token, ..)| *token != first) else {
                return;
            };
            let (dead, ours, _theirs) = open.remove(victim);
            open.clear();
            // Both events are in the batch. The other source is released, and a new one takes its
            // slot and its descriptor's number; in the second round its peer has sent something
            // too.
            ev.release(dead);
            let (new, mut peer) = UnixStream::pair().expect("a pair");
            let number = ours.as_raw_fd();
            let new = reopen_as(ours, new);
            let token = ev.reserve().expect("the slot just released");
            assert_eq!((token.slot(), new.as_raw_fd()), (dead.slot(), number));
            assert_ne!(token, dead);
            ev.watch(token, &new, Interest::READABLE, Trigger::Edge).expect("watched");
            if round == 1 {
                peer.write_all(b"new").expect("written");
            }
            tenant = Some((token, new, peer));
        });
        assert_eq!(ev.turn(&mut handler, None).expect("turn"), 2, "both in one batch");
        let calls = handler.take();
        assert_eq!(calls.len(), 1, "{calls:?}");
        assert_eq!((ev.stats().stale_events, ev.stats().events), (1, 1));

        ev.turn(&mut handler, NOW).expect("turn");
        let calls = handler.take();
        let (token, ..) = tenant.expect("the handler ran");
        match round {
            0 => assert_eq!(calls, []),
            _ => assert_eq!(calls, [Call::Ready(token, Readiness::READABLE)]),
        }
    }
}

#[test]
fn a_reserved_source_is_unknown_to_the_kernel_until_it_is_watched() {
    let mut ev = new_loop(1);
    let (ours, _theirs) = UnixStream::pair().expect("a pair");
    let token = ev.reserve().expect("room");
    assert!(ev.poller().delete(&ours).is_err());
    ev.watch(token, &ours, Interest::READABLE, Trigger::Level).expect("watched");
    ev.unwatch(token, &ours).expect("unwatched");
    assert!(ev.poller().delete(&ours).is_err());
}

/// What is watched belongs to the descriptor: it may change its source, and leave it.
#[test]
fn a_descriptor_reports_to_the_source_that_it_was_last_given_to() {
    let mut ev = new_loop(2);
    let (old, ours, mut theirs) = watched_pair(&mut ev, Trigger::Level);
    let new = ev.reserve().expect("two");
    theirs.write_all(b"x").expect("written");
    ev.rewatch(new, &ours, Interest::READABLE, Trigger::LevelExclusive).expect("watched");
    ev.release(old);
    let mut handler = observer();
    ev.turn(&mut handler, None).expect("turn");
    assert_eq!(handler.take(), [Call::Ready(new, Readiness::READABLE)]);
    ev.unwatch(new, &ours).expect("unwatched");
    ev.turn(&mut handler, NOW).expect("turn");
    assert_eq!((handler.take(), ev.stats().stale_events), (vec![], 0));
}

#[test]
fn sources_are_limited_and_released_ones_make_room() {
    let mut ev = new_loop(2);
    let tokens = [ev.reserve(), ev.reserve()].map(|token| token.expect("two"));
    assert_eq!(ev.reserve().unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    ev.release(tokens[0]);
    ev.release(tokens[0]);
    assert_eq!(ev.sources(), 1);
    let again = ev.reserve().expect("one was released");
    assert_eq!(again.slot(), tokens[0].slot());
    assert!(ev.reserve().is_err());
}

#[test]
fn a_dead_token_changes_nothing() {
    let mut ev = new_loop(1);
    let (ours, _theirs) = UnixStream::pair().expect("a pair");
    let dead = ev.reserve().expect("room");
    ev.release(dead);
    let alive = ev.reserve().expect("room");
    assert_eq!(alive.slot(), dead.slot());
    ev.set_deadline(dead, 0);
    ev.defer(dead, Readiness::READABLE);
    ev.release(dead);
    let error = ev.watch(dead, &ours, Interest::READABLE, Trigger::Level).expect_err("dead");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let mut handler = observer();
    ev.turn(&mut handler, Some(Duration::from_millis(3))).expect("turn");
    assert_eq!(handler.take(), []);
    assert_eq!(ev.deadline(alive), None);
}

#[test]
fn an_edge_that_was_not_used_up_is_deferred_and_called_again() {
    let mut ev = new_loop(1);
    let (token, mut ours, mut theirs) = watched_pair(&mut ev, Trigger::Edge);
    theirs.write_all(b"four").expect("written");
    let mut got = Vec::new();
    let mut handler = Script::new(|ev: &mut EventLoop, call| {
        let Call::Ready(token, _) = call else { return };
        // A budget of one byte a turn.
        let mut byte = [0];
        if ours.read(&mut byte).is_ok_and(|count| count == 1) {
            got.push(byte[0]);
            ev.defer(token, Readiness::READABLE);
        }
    });
    for _ in 0..6 {
        ev.turn(&mut handler, NOW).expect("turn");
    }
    assert_eq!(handler.take(), [Call::Ready(token, Readiness::READABLE); 5]);
    assert_eq!(got, b"four");
    assert_eq!((ev.stats().events, ev.stats().deferred), (1, 4));
}

#[test]
fn the_loop_does_not_wait_while_sources_are_deferred_and_calls_each_once() {
    let mut ev = new_loop(2);
    let [one, two] = [ev.reserve(), ev.reserve()].map(|token| token.expect("two"));
    ev.defer(one, Readiness::READABLE);
    ev.defer(two, Readiness::READABLE);
    ev.defer(one, Readiness::WRITABLE);
    assert_eq!(ev.stats().ready_len, 2);
    let mut handler = observer();
    // No timeout: this would hang if the loop waited.
    ev.turn(&mut handler, None).expect("turn");
    let both = Readiness::READABLE | Readiness::WRITABLE;
    assert_eq!(handler.take(), [Call::Ready(one, both), Call::Ready(two, Readiness::READABLE)]);
    ev.turn(&mut handler, NOW).expect("turn");
    assert_eq!(handler.take(), []);
}

#[test]
fn what_is_deferred_in_a_turn_waits_for_the_next() {
    let mut ev = new_loop(2);
    let [greedy, modest] = [ev.reserve(), ev.reserve()].map(|token| token.expect("two"));
    ev.defer(greedy, Readiness::READABLE);
    ev.defer(modest, Readiness::READABLE);
    let mut handler = Script::new(|ev: &mut EventLoop, call| match call {
        // Once for itself, and once for one that is yet to come in this turn anyway.
        Call::Ready(token, _) if token == greedy => {
            ev.defer(greedy, Readiness::READABLE);
            ev.defer(modest, Readiness::WRITABLE);
        }
        _ => {}
    });
    ev.turn(&mut handler, None).expect("turn");
    let both = Readiness::READABLE | Readiness::WRITABLE;
    assert_eq!(
        handler.take(),
        [Call::Ready(greedy, Readiness::READABLE), Call::Ready(modest, both)]
    );
    ev.turn(&mut handler, None).expect("turn");
    assert_eq!(handler.take()[0], Call::Ready(greedy, Readiness::READABLE));
}

#[test]
fn an_event_and_a_deferred_call_are_one_call() {
    let mut ev = new_loop(1);
    let (token, _ours, mut theirs) = watched_pair(&mut ev, Trigger::Edge);
    ev.defer(token, Readiness::WRITABLE);
    theirs.write_all(b"x").expect("written");
    let mut handler = Script::new(|ev: &mut EventLoop, call| {
        if let Call::Ready(token, readiness) = call
            && readiness.is_readable()
        {
            ev.defer(token, Readiness::WRITABLE);
        }
    });
    ev.turn(&mut handler, None).expect("turn");
    let both = Readiness::READABLE | Readiness::WRITABLE;
    assert_eq!(handler.take(), [Call::Ready(token, both)], "and not again in the same turn");
    ev.turn(&mut handler, None).expect("turn");
    assert_eq!(handler.take(), [Call::Ready(token, Readiness::WRITABLE)]);
}

#[test]
fn a_released_source_is_dropped_from_the_ready_list() {
    let mut ev = new_loop(1);
    let dead = ev.reserve().expect("room");
    ev.defer(dead, Readiness::READABLE);
    ev.release(dead);
    let alive = ev.reserve().expect("room");
    let mut handler = observer();
    ev.turn(&mut handler, None).expect("turn");
    assert_eq!(handler.take(), [], "{alive:?} is not called for {dead:?}");
}

/// Takes turns until something is called; the loop's time then.
fn wait_for_call(ev: &mut EventLoop, handler: &mut Script<impl FnMut(&mut EventLoop, Call)>) {
    let begin = Instant::now();
    while handler.calls.iter().all(|call| *call == Call::TurnEnded) {
        ev.turn(handler, None).expect("turn");
        assert!(begin.elapsed() < Duration::from_secs(20), "nothing happens");
    }
}

#[test]
fn a_deadline_comes_once_and_never_early() {
    let mut ev = new_loop(3);
    let tokens = [30, 10, 20].map(|delay| {
        let token = ev.reserve().expect("three");
        ev.set_deadline(token, ev.now_ms() + delay);
        token
    });
    let mut order = Vec::new();
    let mut handler = Script::new(|ev: &mut EventLoop, call| {
        if let Call::Timeout(token) = call {
            order.push((token, ev.now_ms()));
            assert_eq!(ev.deadline(token), None);
        }
    });
    let begin = Instant::now();
    while ev.stats().timeouts < 3 {
        ev.turn(&mut handler, None).expect("turn");
        assert!(begin.elapsed() < Duration::from_secs(20), "a deadline is missing");
    }
    ev.turn(&mut handler, Some(Duration::from_millis(40))).expect("turn");
    let (order, times): (Vec<_>, Vec<_>) = order.into_iter().unzip();
    assert_eq!(order, [tokens[1], tokens[2], tokens[0]]);
    assert!(times[0] >= 10 && times[1] >= 20 && times[2] >= 30, "{times:?}");
}

/// What the caller does between two turns counts, too.
#[test]
fn a_deadline_is_reckoned_from_when_the_wait_begins() {
    const WORK: Duration = Duration::from_millis(90);
    let mut ev = new_loop(1);
    let token = ev.reserve().expect("room");
    ev.set_deadline(token, 100);
    let begin = Instant::now();
    while begin.elapsed() < WORK {
        thread::yield_now();
    }
    assert!(ev.time_to_wait(None) <= Some(Duration::from_millis(10)));
    assert_eq!(ev.time_to_wait(NOW), NOW);
    let mut handler = observer();
    wait_for_call(&mut ev, &mut handler);
    assert_eq!(handler.take(), [Call::Timeout(token)]);
    assert!(ev.now_ms() >= 100);
}

/// And so do waits of any length: it is the nearest that ends them.
#[test]
fn a_deadline_at_the_end_of_time_does_not_come() {
    let mut ev = new_loop(4);
    let [none, last, far, near] = [(); 4].map(|()| ev.reserve().expect("four"));
    let after = |ev: &EventLoop, time: Duration| {
        ev.now_ms().saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    };
    ev.set_deadline(none, after(&ev, Duration::MAX));
    assert_eq!(ev.deadline(none), None);
    ev.set_deadline(last, u64::MAX - 1);
    ev.set_deadline(far, after(&ev, Duration::from_secs(u64::MAX / 2_000)));
    assert!(ev.time_to_wait(Some(Duration::MAX)) > Some(Duration::from_secs(1 << 20)));
    ev.set_deadline(near, after(&ev, Duration::from_millis(5)));
    let mut handler = observer();
    let begin = Instant::now();
    while ev.stats().timeouts == 0 {
        ev.turn(&mut handler, Some(Duration::MAX)).expect("turn");
        assert!(begin.elapsed() < Duration::from_secs(20));
    }
    ev.turn(&mut handler, NOW).expect("turn");
    assert_eq!(handler.take(), [Call::Timeout(near)]);
    // From there it still moves earlier.
    for token in [none, last, far] {
        ev.set_deadline(token, after(&ev, Duration::from_millis(1)));
        wait_for_call(&mut ev, &mut handler);
        assert_eq!(handler.take(), [Call::Timeout(token)]);
    }
}

#[test]
fn a_deadline_that_moved_later_fires_at_the_later_time_only() {
    let mut ev = new_loop(1);
    let token = ev.reserve().expect("room");
    ev.set_deadline(token, 5);
    ev.set_deadline(token, 40);
    let mut handler = observer();
    wait_for_call(&mut ev, &mut handler);
    assert_eq!(handler.take(), [Call::Timeout(token)]);
    assert!(ev.now_ms() >= 40);
    assert!(ev.stats().turns >= 2, "the timer was left where it was and found nothing to do");
}

#[test]
fn a_deadline_that_moved_earlier_fires_at_the_earlier_time() {
    let mut ev = new_loop(1);
    let token = ev.reserve().expect("room");
    ev.set_deadline(token, 60_000);
    ev.set_deadline(token, 100_000);
    ev.set_deadline(token, 80_000);
    ev.set_deadline(token, 5);
    let mut handler = observer();
    wait_for_call(&mut ev, &mut handler);
    assert_eq!(handler.take(), [Call::Timeout(token)]);
    assert!((5..60_000).contains(&ev.now_ms()));
}

#[test]
fn a_cleared_deadline_and_one_of_a_released_source_do_not_come() {
    let mut ev = new_loop(2);
    let [cleared, released] = [ev.reserve(), ev.reserve()].map(|token| token.expect("two"));
    ev.set_deadline(cleared, 2);
    ev.set_deadline(released, 2);
    ev.clear_deadline(cleared);
    ev.release(released);
    // The slot's next source has a deadline of its own.
    let tenant = ev.reserve().expect("the slot just released");
    ev.set_deadline(tenant, 15);
    let mut handler = observer();
    wait_for_call(&mut ev, &mut handler);
    assert_eq!(handler.take(), [Call::Timeout(tenant)]);
    assert_eq!(ev.stats().timeouts, 1);
    // And one that was cleared can be set again, later or earlier than its old timer.
    ev.set_deadline(cleared, ev.now_ms() + 5);
    wait_for_call(&mut ev, &mut handler);
    assert_eq!(handler.take(), [Call::Timeout(cleared)]);
}

#[test]
fn a_handler_that_arms_a_deadline_in_the_past_does_not_trap_the_turn() {
    let mut ev = new_loop(1);
    let token = ev.reserve().expect("room");
    ev.set_deadline(token, 1);
    let mut handler = Script::new(|ev: &mut EventLoop, call| {
        if let Call::Timeout(token) = call {
            ev.refresh_clock();
            ev.set_deadline(token, 0);
        }
    });
    wait_for_call(&mut ev, &mut handler);
    assert_eq!(handler.take(), [Call::Timeout(token)]);
    wait_for_call(&mut ev, &mut handler);
    assert_eq!(handler.take(), [Call::Timeout(token)], "again, but in a turn of its own");
}

#[test]
fn a_wake_from_another_thread_ends_the_wait() {
    let mut ev = new_loop(1);
    let waker = ev.waker().expect("a waker");
    let same = ev.waker().expect("the same waker");
    let mut handler = observer();
    for waker in [waker, same] {
        let thread = thread::spawn(move || waker.wake());
        wait_for_call(&mut ev, &mut handler);
        thread.join().expect("no panic").expect("woken");
        assert_eq!(handler.take(), [Call::Woken]);
    }
    assert_eq!((ev.stats().wakeups, ev.stats().events, ev.stats().stale_events), (2, 0, 0));
}

/// What the child has is a copy (epoll) or no loop at all (kqueue), and dropping it is safe.
#[test]
fn a_loop_that_a_forked_child_drops_goes_on_in_the_parent() {
    for abandons in [false, true] {
        let mut ev = new_loop(2);
        let (token, _ours, mut theirs) = watched_pair(&mut ev, Trigger::Level);
        ev.handle_signals(&[Signal::USR1]).expect("blocked");
        let doorbell = ev.doorbell().expect("a doorbell");
        // SAFETY: the child takes no lock but the allocator's, which the C library takes care of,
        // and exits without running anything of the parent's.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            drop(doorbell);
            if abandons {
                ev.abandon()
            } else {
                drop(ev)
            }
            // SAFETY: as above.
            unsafe { libc::_exit(0) };
        }
        let mut status = -1;
        // SAFETY: our own child; `status` is written during the call.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        assert_eq!(status, 0);
        theirs.write_all(b"x").expect("written");
        ev.waker().expect("a waker").wake().expect("woken");
        // SAFETY: takes no pointer. For this thread alone, which has blocked it.
        unsafe { libc::pthread_kill(libc::pthread_self(), Signal::USR1.number()) };
        let mut handler = observer();
        ev.turn(&mut handler, NOW).expect("turn");
        let ready = Call::Ready(token, Readiness::READABLE);
        assert_eq!(handler.take(), [ready, Call::Woken, Call::Signal(Signal::USR1)]);
    }
}

#[test]
fn a_signal_is_a_call() {
    let mut ev = new_loop(0);
    ev.handle_signals(&[Signal::USR2, Signal::HUP]).expect("blocked");
    assert!(ev.handle_signals(&[Signal::USR1]).is_err(), "once only");
    for signal in [Signal::HUP, Signal::USR2] {
        // SAFETY: takes no pointer. For this thread alone, which has blocked it.
        unsafe { libc::pthread_kill(libc::pthread_self(), signal.number()) };
    }
    let mut handler = observer();
    wait_for_call(&mut ev, &mut handler);
    assert_eq!(handler.take(), [Signal::HUP, Signal::USR2].map(Call::Signal));
    ev.turn(&mut handler, NOW).expect("turn");
    assert_eq!(handler.take(), []);
}

#[test]
fn a_turn_goes_in_the_documented_order() {
    let mut ev = new_loop(3);
    let (watched, _ours, mut theirs) = watched_pair(&mut ev, Trigger::Edge);
    let [deferred, late] = [ev.reserve(), ev.reserve()].map(|token| token.expect("three"));
    let begin = ev.now();
    ev.set_deadline(late, 1);
    ev.defer(deferred, Readiness::READABLE);
    ev.waker().expect("a waker").wake().expect("woken");
    theirs.write_all(b"x").expect("written");
    while begin.elapsed() < Duration::from_millis(2) {
        thread::yield_now();
    }
    let mut handler = observer();
    ev.turn(&mut handler, None).expect("turn");
    let readable = Readiness::READABLE;
    let order = [
        Call::Ready(watched, readable),
        Call::Ready(deferred, readable),
        Call::Timeout(late),
        Call::Woken,
        Call::TurnEnded,
    ];
    assert_eq!(handler.calls, order);
}

#[test]
fn run_goes_on_until_stop_and_can_begin_again() {
    let mut ev = new_loop(1);
    let token = ev.reserve().expect("room");
    for turns in [3, 5] {
        ev.defer(token, Readiness::READABLE);
        let before = ev.stats().turns;
        let mut handler = Script::new(|ev: &mut EventLoop, call| match call {
            Call::Ready(token, _) => ev.defer(token, Readiness::READABLE),
            Call::TurnEnded if ev.stats().turns == before + turns => ev.stop(),
            _ => {}
        });
        ev.run(&mut handler).expect("run");
        assert_eq!(ev.stats().turns, before + turns);
    }
}

#[test]
fn more_events_than_a_turn_takes_come_with_the_next() {
    let config = Config { sources_max: 5, events_per_turn: 2 };
    let mut ev = EventLoop::new(config).expect("a poller");
    let mut pairs: Vec<_> = (0..5).map(|_| watched_pair(&mut ev, Trigger::Edge)).collect();
    pairs.iter_mut().for_each(|(.., theirs)| theirs.write_all(b"x").expect("written"));
    let mut handler = observer();
    let counts = [(); 4].map(|()| ev.turn(&mut handler, NOW).expect("turn"));
    assert_eq!(counts, [2, 2, 1, 0]);
    let mut called = handler.take();
    called.dedup();
    assert_eq!(called.len(), 5);
    let stats = ev.stats();
    assert_eq!((stats.events, stats.events_turn_max, stats.events_last_turn), (5, 2, 0));
}

/// Pops in `woken` what a worker pushed, and reports whether any is left.
struct Collector {
    results: spsc::Consumer<u32>,
    popped: Vec<u32>,
    expected: u32,
}

impl Handler for Collector {
    fn ready(&mut self, _: &mut EventLoop, _: Token, _: Readiness) {}

    fn timeout(&mut self, _: &mut EventLoop, _: Token) {}

    fn has_work(&self) -> bool {
        !self.results.is_empty()
    }

    fn woken(&mut self, ev: &mut EventLoop) {
        self.results.pop_batch(3, |result| self.popped.push(result));
        if self.popped.len() as u32 == self.expected {
            ev.stop();
        }
    }
}

fn collector(expected: u32) -> (spsc::Producer<u32>, Collector) {
    let (producer, results) = spsc::ring(8);
    (producer, Collector { results, popped: Vec::new(), expected })
}

#[test]
fn a_loop_without_a_doorbell_does_not_ask_for_work() {
    let mut ev = new_loop(1);
    let (mut producer, mut handler) = collector(1);
    producer.push(1).expect("room");
    ev.turn(&mut handler, NOW).expect("turn");
    assert_eq!(handler.popped, []);
    ev.doorbell().expect("a doorbell");
    ev.turn(&mut handler, None).expect("turn");
    assert_eq!(handler.popped, [1]);
}

#[test]
fn a_loop_that_has_work_does_not_wait_and_needs_no_ring() {
    let mut ev = new_loop(1);
    let doorbell = ev.doorbell().expect("a doorbell");
    let (mut producer, mut handler) = collector(5);
    producer.push_all(&mut (0..5));
    doorbell.ring().expect("rung");
    ev.run(&mut handler).expect("run");
    assert_eq!(handler.popped, [0, 1, 2, 3, 4]);
    assert_eq!(ev.stats().turns, 2, "three results a turn");
    assert_eq!(ev.stats().wakeups, 0, "it was awake: no system call");
}

/// A lost wake-up makes this test hang.
#[test]
fn every_result_reaches_a_loop_that_sleeps_as_often_as_it_can() {
    const RESULTS: u32 = 20_000;
    let mut ev = new_loop(1);
    let doorbell = ev.doorbell().expect("a doorbell");
    let (mut producer, mut handler) = collector(RESULTS);
    let worker = thread::spawn(move || {
        for result in 0..RESULTS {
            while producer.push(result).is_err() {
                thread::yield_now();
            }
            doorbell.ring().expect("rung");
        }
    });
    ev.run(&mut handler).expect("run");
    assert!(handler.popped.iter().copied().eq(0..RESULTS));
    worker.join().expect("no panic");
}
