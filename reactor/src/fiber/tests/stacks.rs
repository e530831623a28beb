//! What a pool gives out: sizes, order, memory, guards, alignment.

use super::super::{STACK_BYTES_MIN, StackPool};
use super::{assert_finished, fiber, pool};
use std::hint::black_box;

#[test]
fn a_size_that_cannot_be_is_refused() {
    assert!(StackPool::new(STACK_BYTES_MIN - 1, 1).is_err());
    assert!(StackPool::new(STACK_BYTES_MIN, 0).is_err());
    assert!(StackPool::new(usize::MAX, 1).is_err());
    assert!(StackPool::new(usize::MAX / 2, 3).is_err());
}

#[test]
fn a_size_is_rounded_up_to_pages() {
    let pool = StackPool::new(STACK_BYTES_MIN + 1, 3).expect("a pool");
    assert!(pool.stack_bytes() > STACK_BYTES_MIN);
    assert_eq!(pool.stack_bytes() % 4096, 0);
    assert_eq!(pool.count(), 3);
}

#[test]
fn the_stack_returned_last_is_taken_first() {
    let pool = pool(3);
    let [first, second, third] = [0, 1, 2].map(|_| pool.take().expect("one of three"));
    assert!(pool.take().is_none());
    assert_eq!([&first, &second, &third].map(|stack| stack.number()), [0, 1, 2]);
    drop(second);
    drop(third);
    assert_eq!(pool.take().map(|stack| stack.number()), Some(2));
    drop(first);
    assert_eq!(pool.take().map(|stack| stack.number()), Some(0));
}

#[test]
fn a_fiber_that_is_dropped_returns_its_stack() {
    let pool = pool(1);
    for _ in 0..100 {
        let mut fiber = fiber(&pool, |_| {});
        assert!(pool.take().is_none());
        assert_finished(fiber.resume(0));
    }
    assert!(pool.take().is_some());
}

#[test]
fn stacks_outlive_their_pool() {
    let pool = pool(1);
    let mut fiber = fiber(&pool, |suspender| {
        let text = black_box(String::from("on the stack"));
        suspender.suspend(0);
        assert_eq!(text, "on the stack");
    });
    fiber.resume(0);
    drop(pool);
    assert_finished(fiber.resume(0));
}

#[test]
fn only_touched_pages_occupy_memory() {
    let pool = StackPool::new(256 * 1024, 100).expect("a pool");
    let mut fibers: Vec<_> = (0..100)
        .map(|number| {
            fiber(&pool, move |suspender| {
                if number == 99 {
                    use_stack(100 * 1024);
                }
                suspender.suspend(0);
            })
        })
        .collect();
    let resident = |number| pool.resident_pages(number);
    for fiber in &mut fibers {
        fiber.resume(0);
    }
    // The first frames, which a debug build spreads over a second page at most.
    assert!((0..99).all(|number| (1..=2).contains(&resident(number))));
    assert!((25..=28).contains(&resident(99)), "{} pages", resident(99));
    // One more fiber takes the warm one.
    drop(fibers.pop());
    assert_eq!(pool.take().map(|stack| stack.number()), Some(99));
}

#[test]
fn all_of_a_stack_can_be_used() {
    let mut fiber = fiber(&pool(1), |_| use_stack(56 * 1024));
    assert_finished(fiber.resume(0));
}

#[test]
fn recursion_goes_deep() {
    fn sum(number: u64) -> u64 {
        if number == 0 { 0 } else { black_box(number) + sum(black_box(number - 1)) }
    }
    let pool = StackPool::new(1024 * 1024, 1).expect("a pool");
    let mut fiber = fiber(&pool, |suspender| {
        suspender.suspend(sum(1000) as usize);
        assert_eq!(sum(1000), 500_500);
    });
    fiber.resume(0);
    assert_finished(fiber.resume(0));
}

#[test]
fn frames_are_aligned() {
    #[repr(align(16))]
    struct Aligned([u8; 16]);
    #[repr(align(64))]
    struct Line([u8; 64]);
    let mut fiber = fiber(&pool(1), |_| {
        let (aligned, line) = (black_box(Aligned([1; 16])), black_box(Line([2; 64])));
        assert_eq!((&raw const aligned).addr() % 16, 0);
        assert_eq!((&raw const line).addr() % 64, 0);
        assert_eq!(aligned.0[15] + line.0[63], 3);
        // Its code has instructions that fault on a misaligned stack.
        assert_eq!(format!("{:.3}", black_box(0.1_f64) * 3.0), "0.300");
    });
    assert_finished(fiber.resume(0));
}

/// Touches this much below the caller, a page at a time.
fn use_stack(bytes: usize) {
    let frame = [1_u8; 2048];
    black_box(&frame);
    if bytes > frame.len() {
        // A frame is a little more than its array.
        use_stack(bytes - frame.len() - 64);
    }
    black_box(&frame);
}
