//! Panics in fibers, fibers dropped early, and what a backtrace shows.

use super::super::Resumed;
use super::{assert_finished, fiber, pool};
use std::backtrace::Backtrace;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[test]
fn a_panic_arrives_at_the_caller() {
    let pool = pool(1);
    let dropped = Arc::new(());
    let held = Arc::clone(&dropped);
    let mut panicking = fiber(&pool, move |suspender| {
        let _held = held;
        suspender.suspend(0);
        panic_any(17_u32);
    });
    panicking.resume(0);
    let Resumed::Panicked(payload) = panicking.resume(0) else { panic!("it has panicked") };
    assert_eq!(payload.downcast_ref(), Some(&17_u32));
    assert_eq!(Arc::strong_count(&dropped), 1);
    // The stack is as good as before.
    drop(panicking);
    assert_finished(fiber(&pool, |_| {}).resume(0));
}

#[test]
fn a_fiber_catches_its_panics() {
    let mut fiber = fiber(&pool(1), |suspender| {
        for round in 0..3 {
            let caught = catch_unwind(AssertUnwindSafe(|| {
                suspender.suspend(round);
                panic_any(round);
            }));
            assert_eq!(caught.unwrap_err().downcast_ref(), Some(&round));
        }
    });
    (0..3).for_each(|_| drop(fiber.resume(0)));
    assert_finished(fiber.resume(0));
}

#[test]
fn dropped_while_suspended_it_unwinds() {
    let pool = pool(1);
    let value = Arc::new(());
    for begun in [false, true] {
        let (captured, made) = (Arc::clone(&value), Arc::clone(&value));
        let mut fiber = fiber(&pool, move |suspender| {
            let _made = made;
            suspender.suspend(0);
            drop(captured);
        });
        if begun {
            fiber.resume(0);
        }
        assert_eq!(Arc::strong_count(&value), 3);
        drop(fiber);
        assert_eq!(Arc::strong_count(&value), 1);
        assert!(pool.take().is_some());
    }
}

#[test]
fn a_dropped_fiber_that_goes_on_is_unwound_again() {
    let turns = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&turns);
    let mut fiber = fiber(&pool(1), move |suspender| {
        for _ in 0..3 {
            let _ = catch_unwind(AssertUnwindSafe(|| suspender.suspend(0)));
            count.fetch_add(1, Relaxed);
        }
    });
    fiber.resume(0);
    drop(fiber);
    assert_eq!(turns.load(Relaxed), 3);
}

#[test]
fn dropped_by_a_panic_of_its_owner_it_unwinds() {
    let value = Arc::new(());
    let held = Arc::clone(&value);
    let caught = catch_unwind(move || {
        let mut fiber = fiber(&pool(1), move |suspender| {
            let _held = held;
            suspender.suspend(0);
        });
        fiber.resume(0);
        panic_any("the owner's");
    });
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"the owner's"));
    assert_eq!(Arc::strong_count(&value), 1);
    assert!(!std::thread::panicking());
}

#[test]
fn a_backtrace_ends_at_the_fiber() {
    let mut fiber = fiber(&pool(1), |_| {
        let text = Backtrace::force_capture().to_string();
        assert!(text.contains("a_backtrace_ends_at_the_fiber"), "{text}");
        let mut lines = text.lines().rev();
        let last = lines.find(|line| !line.trim_start().starts_with("at ")).expect("frames");
        assert!(last.contains("trampoline"), "{text}");
    });
    assert_finished(fiber.resume(0));
}
