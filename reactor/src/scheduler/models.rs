//! The hand-overs of the scheduler in every interleaving, by loom.

use super::deadline::Deadline;
use super::lent::Lent;
use super::park::{After, Park};
use crate::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::sync::{Arc, UnsafeCell, thread};

/// A fiber that parks until there is something, as one that waits for its client does.
struct Waiter {
    park: Park<u32>,
    /// What it waits for. Relaxed: nothing but the protocol orders anything.
    arrived: AtomicBool,
}

impl Waiter {
    fn new() -> Arc<Self> {
        Arc::new(Waiter { park: Park::new(0), arrived: AtomicBool::new(false) })
    }

    /// One run; `true`: it is queued again.
    fn run(&self) -> bool {
        self.park.run(|runs, _| {
            *runs += 1;
            match self.arrived.load(Ordering::Relaxed) {
                true => After::Ends,
                false => After::Parks,
            }
        })
    }

    /// Runs while it is queued.
    fn run_queued(&self) {
        while self.run() {}
    }
}

#[test]
fn loom_an_unpark_is_not_lost() {
    loom::model(|| {
        let fiber = Waiter::new();
        let waker = thread::spawn({
            let fiber = fiber.clone();
            move || {
                fiber.arrived.store(true, Ordering::Relaxed);
                if fiber.park.unpark(0) {
                    fiber.run_queued();
                }
            }
        });
        fiber.run_queued();
        waker.join().unwrap();
        assert!(fiber.park.has_ended());
    });
}

/// A minute for all interleavings; those with at most three preemptions take a moment.
#[test]
fn loom_two_unparks_queue_once_and_both_are_seen() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let park = Arc::new(Park::new(()));
        let arrived = Arc::new(AtomicU32::new(0));
        let run = |park: &Park<()>, arrived: &AtomicU32| {
            while park.run(|_, _| match arrived.load(Ordering::Relaxed) {
                2 => After::Ends,
                _ => After::Parks,
            }) {}
        };
        let wakers = [1, 2].map(|_| {
            let (park, arrived) = (park.clone(), arrived.clone());
            thread::spawn(move || {
                arrived.fetch_add(1, Ordering::Relaxed);
                if park.unpark(0) {
                    run(&park, &arrived);
                }
            })
        });
        run(&park, &arrived);
        wakers.into_iter().for_each(|waker| waker.join().unwrap());
        assert!(park.has_ended());
    });
}

#[test]
fn loom_each_reason_comes_to_one_run() {
    loom::model(|| {
        let park = Arc::new(Park::new(0));
        let run = |park: &Park<u32>| {
            while park.run(|seen, reasons| {
                assert_eq!(*seen & reasons, 0, "twice");
                *seen |= reasons;
                if *seen == 3 { After::Ends } else { After::Parks }
            }) {}
        };
        let waker = thread::spawn({
            let park = park.clone();
            move || {
                if park.unpark(1) {
                    run(&park);
                }
            }
        });
        if !park.unpark(2) {
            run(&park);
        }
        waker.join().unwrap();
        assert!(park.has_ended());
    });
}

#[test]
fn loom_one_that_yields_is_queued_by_its_carrier_only() {
    loom::model(|| {
        let park = Arc::new(Park::new(()));
        let waker = thread::spawn({
            let park = park.clone();
            move || assert!(!park.unpark(0))
        });
        assert!(park.run(|_, _| After::Yields));
        waker.join().unwrap();
        assert!(!park.run(|_, _| After::Ends));
    });
}

/// The states without the latch: an unpark of a fiber that runs does nothing. loom finds the lost
/// wake-up, which shows that the models above can fail.
#[test]
#[should_panic(expected = "lost")]
fn loom_without_a_latch_an_unpark_is_lost() {
    loom::model(|| {
        let state = Arc::new((AtomicU32::new(2), AtomicBool::new(false)));
        let waker = thread::spawn({
            let state = state.clone();
            move || {
                let (state, arrived) = &*state;
                arrived.store(true, Ordering::Relaxed);
                let (ok, err) = (Ordering::AcqRel, Ordering::Acquire);
                state.compare_exchange(0, 1, ok, err).is_ok()
            }
        });
        let (state, arrived) = &*state;
        let found = arrived.load(Ordering::Relaxed);
        state.store(0, Ordering::Release);
        assert!(waker.join().unwrap() || found, "lost");
    });
}

/// The hand-over of the value without its ordering.
#[test]
#[should_panic(expected = "Causality violation")]
fn loom_without_release_two_carriers_race_for_the_value() {
    loom::model(|| {
        let shared = Arc::new((AtomicU32::new(0), UnsafeCell::new(0)));
        // SAFETY: none: the orderings do not make it exclusive, as loom finds.
        unsafe impl Sync for Racy {}
        struct Racy((AtomicU32, UnsafeCell<i32>));
        let shared = Arc::new(Racy(Arc::try_unwrap(shared).ok().expect("one owner")));
        let run = |shared: &Racy| {
            let (state, value) = &shared.0;
            let relaxed = Ordering::Relaxed;
            if state.compare_exchange(0, 2, relaxed, relaxed).is_ok() {
                // SAFETY: as above.
                value.with_mut(|value| unsafe { *value += 1 });
                state.store(0, relaxed);
            }
        };
        let other = thread::spawn({
            let shared = shared.clone();
            move || run(&shared)
        });
        run(&shared);
        other.join().unwrap();
    });
}

#[test]
fn loom_a_lent_core_is_taken_once() {
    loom::model(|| {
        let place = Arc::new(Lent::empty());
        place.put(Box::new(7));
        let monitor = thread::spawn({
            let place = place.clone();
            move || place.take().map(|core| *core)
        });
        let mine = place.take().map(|core| *core);
        let taken = monitor.join().unwrap();
        assert_eq!(mine.xor(taken), Some(7));
    });
}

#[test]
fn loom_a_core_arrives_as_it_was_lent() {
    loom::model(|| {
        let place = Arc::new(Lent::empty());
        let carrier = thread::spawn({
            let place = place.clone();
            move || place.put(Box::new(UnsafeCell::new(7)))
        });
        if let Some(core) = place.take() {
            // SAFETY: the box is this thread's.
            assert_eq!(core.with(|value| unsafe { *value }), 7);
        }
        carrier.join().unwrap();
    });
}

/// The home core has a timer for 5. It fires while the thread, on another core, wants 9 instead of
/// nothing.
#[test]
fn loom_a_timer_that_fires_finds_the_new_deadline_or_is_told() {
    loom::model(|| {
        let deadline = Arc::new(Deadline::never());
        deadline.want(5);
        assert_eq!(deadline.to_arm(), Some(5));
        deadline.want(u64::MAX);
        let carrier = thread::spawn({
            let deadline = deadline.clone();
            move || {
                deadline.want(9);
                deadline.needs_home()
            }
        });
        let wanted_ms = deadline.fired();
        assert!(carrier.join().unwrap() || wanted_ms == 9, "no timer for 9");
    });
}

/// The same without the fences.
#[test]
#[should_panic(expected = "no timer")]
fn loom_without_fences_a_deadline_is_lost() {
    loom::model(|| {
        let deadline = Arc::new((AtomicU32::new(99), AtomicU32::new(5)));
        let carrier = thread::spawn({
            let deadline = deadline.clone();
            move || {
                let (wanted, armed) = &*deadline;
                wanted.store(9, Ordering::Release);
                9 < armed.load(Ordering::Acquire)
            }
        });
        let (wanted, armed) = &*deadline;
        armed.store(99, Ordering::Release);
        let found = wanted.load(Ordering::Acquire);
        assert!(carrier.join().unwrap() || found == 9, "no timer for 9");
    });
}
