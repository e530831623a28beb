//! Wake-ups lost or not, by loom, which reports a sleeper that is never called as a deadlock.

use super::{Sleeper, parker};
use crate::ring::spsc;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Arc, thread};
use loom::sync::{Condvar, Mutex};

#[test]
fn loom_a_worker_is_woken() {
    loom::model(|| {
        let (mut producer, mut consumer) = spsc::ring(2);
        let (parker, unparker) = parker();
        let worker = thread::spawn(move || {
            let mut parker = parker.with_spins(0);
            for item in 1..=2 {
                let popped = loop {
                    match consumer.pop() {
                        Some(popped) => break popped,
                        None => parker.sleep_unless(|| !consumer.is_empty()),
                    }
                };
                assert_eq!(popped, item);
            }
        });
        for item in 1..=2 {
            producer.push(item).unwrap();
            unparker.wake();
        }
        worker.join().unwrap();
    });
}

#[test]
fn loom_a_worker_is_woken_to_end() {
    loom::model(|| {
        let (producer, consumer) = spsc::ring::<()>(1);
        let (parker, unparker) = parker();
        let worker = thread::spawn(move || {
            let mut parker = parker.with_spins(0);
            while !consumer.is_closed() {
                parker.sleep_unless(|| consumer.is_closed() || !consumer.is_empty());
            }
        });
        drop(producer);
        unparker.wake();
        worker.join().unwrap();
    });
}

/// A poller with nothing but an eventfd that is reported by edges.
struct Poller {
    written: Mutex<bool>,
    reported: Condvar,
}

impl Poller {
    fn new() -> Self {
        Poller { written: Mutex::new(false), reported: Condvar::new() }
    }

    fn write(&self) {
        *self.written.lock().unwrap() = true;
        self.reported.notify_one();
    }

    /// Clears the edge, whether it waited for it or not.
    fn wait(&self, for_an_event: bool) {
        let mut written = self.written.lock().unwrap();
        while for_an_event && !*written {
            written = self.reported.wait(written).unwrap();
        }
        *written = false;
    }
}

/// An event loop as its handler sees it, with a number in place of the rings: all Relaxed, so that
/// nothing but the protocol orders anything.
struct Loop {
    sleeper: Sleeper,
    poller: Poller,
    items: AtomicUsize,
    /// System calls of the ringing threads. Not a part of the model: loom does not look at it.
    calls: std::sync::atomic::AtomicUsize,
}

impl Loop {
    fn new() -> Arc<Self> {
        Arc::new(Loop {
            sleeper: Sleeper::new(),
            poller: Poller::new(),
            items: AtomicUsize::new(0),
            calls: 0.into(),
        })
    }

    fn push_and_ring(&self) {
        self.items.fetch_add(1, Ordering::Relaxed);
        if self.sleeper.must_call() {
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.poller.write();
        }
    }

    /// Turns of the loop until it has found this many items.
    fn run(&self, count: usize) {
        loop {
            let found = self.items.load(Ordering::Relaxed);
            if found == count {
                return;
            }
            let has_work = || self.items.load(Ordering::Relaxed) > found;
            self.sleeper.sleep(has_work, |wait| self.poller.wait(wait));
        }
    }
}

/// This many items, each with a ring of the bell, while the loop sleeps as often as it can.
fn ring_for_each(items: usize) {
    let ev = Loop::new();
    let worker = thread::spawn({
        let ev = ev.clone();
        move || (0..items).for_each(|_| ev.push_and_ring())
    });
    ev.run(items);
    worker.join().unwrap();
}

#[test]
fn loom_the_loop_is_woken() {
    loom::model(|| ring_for_each(1));
}

/// Half a minute for all interleavings; those with at most three preemptions take a moment.
#[test]
fn loom_the_loop_is_woken_again() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| ring_for_each(2));
}

#[test]
fn loom_two_wakers_call_once() {
    loom::model(|| {
        let ev = Loop::new();
        // It sleeps, and nothing wakes it for the whole of the model.
        let asleep = ev.clone();
        asleep.sleeper.sleep(
            || false,
            |_| {
                let worker = thread::spawn({
                    let ev = ev.clone();
                    move || ev.push_and_ring()
                });
                ev.push_and_ring();
                worker.join().unwrap();
            },
        );
        assert_eq!(ev.calls.load(Ordering::Relaxed), 1);
        ev.poller.wait(true);
    });
}

#[test]
fn loom_an_awake_sleeper_is_not_called() {
    loom::model(|| {
        let ev = Loop::new();
        let worker = thread::spawn({
            let ev = ev.clone();
            move || ev.push_and_ring()
        });
        worker.join().unwrap();
        ev.run(1);
        assert_eq!(ev.calls.load(Ordering::Relaxed), 0);
    });
}

/// The protocol with Release and Acquire but without its fences. loom finds the lost wake-up in
/// this one, which shows that the models above can fail.
#[test]
#[should_panic(expected = "deadlock")]
fn loom_without_fences_a_wake_up_is_lost() {
    loom::model(|| {
        let ev = Arc::new((AtomicBool::new(false), AtomicUsize::new(0), Poller::new()));
        let worker = thread::spawn({
            let ev = ev.clone();
            move || {
                let (asleep, items, poller) = &*ev;
                items.store(1, Ordering::Release);
                if asleep.load(Ordering::Acquire) {
                    poller.write();
                }
            }
        });
        let (asleep, items, poller) = &*ev;
        asleep.store(true, Ordering::Release);
        poller.wait(items.load(Ordering::Acquire) == 0);
        worker.join().unwrap();
    });
}
