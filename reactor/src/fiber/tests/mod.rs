mod overflow;
mod panics;
mod registers;
mod stacks;
mod threads;

use super::{Fiber, Resumed, StackPool, Suspender};

/// Stacks as a server has them.
fn pool(count: usize) -> StackPool {
    StackPool::new(64 * 1024, count).expect("room for a few stacks")
}

fn fiber(pool: &StackPool, entry: impl FnOnce(&Suspender) + Send + 'static) -> Fiber {
    Fiber::new(pool.take().expect("a free stack"), entry)
}

fn assert_finished(resumed: Resumed) {
    match resumed {
        Resumed::Finished => {}
        Resumed::Suspended(request) => panic!("suspended, with {request}"),
        Resumed::Panicked(payload) => std::panic::resume_unwind(payload),
    }
}

#[test]
fn values_pass_in_both_directions() {
    let mut fiber = fiber(&pool(1), |suspender| {
        let mut sum = 0;
        for _ in 0..3 {
            sum += suspender.suspend(sum);
        }
        assert_eq!(sum, 60);
    });
    for (value, expected) in [(1000, 0), (10, 10), (20, 30)] {
        assert!(matches!(fiber.resume(value), Resumed::Suspended(sum) if sum == expected));
    }
    assert!(!fiber.has_ended());
    assert_finished(fiber.resume(30));
    assert!(fiber.has_ended());
}

#[test]
fn a_fiber_runs_fibers() {
    let stacks = pool(2);
    let mut outer = fiber(&stacks.clone(), move |outer_suspender| {
        let mut inner = fiber(&stacks, |suspender| {
            assert_eq!(suspender.suspend(1), 2);
        });
        assert!(matches!(inner.resume(0), Resumed::Suspended(1)));
        // The inner one waits while its owner does.
        assert_eq!(outer_suspender.suspend(3), 4);
        assert_finished(inner.resume(2));
    });
    assert!(matches!(outer.resume(0), Resumed::Suspended(3)));
    assert_finished(outer.resume(4));
}

#[test]
fn ten_thousand_fibers_wait_at_once() {
    const COUNT: usize = 10_000;
    let pool = StackPool::new(16 * 1024, COUNT).expect("room for stacks");
    let mut fibers: Vec<_> = (0..COUNT)
        .map(|number| {
            fiber(&pool, move |suspender| {
                for next in number..number + 3 {
                    assert_eq!(suspender.suspend(next), next + 1);
                }
            })
        })
        .collect();
    assert!(pool.take().is_none());
    for round in 0..3 {
        for (number, fiber) in fibers.iter_mut().enumerate() {
            let value = number + round;
            assert!(matches!(fiber.resume(value), Resumed::Suspended(next) if next == value));
        }
    }
    for (number, fiber) in fibers.iter_mut().enumerate() {
        assert_finished(fiber.resume(number + 3));
    }
}

#[test]
fn an_entry_is_moved_to_the_stack_whole() {
    let large = std::array::from_fn::<u64, 500, _>(|index| index as u64);
    let mut fiber = fiber(&pool(1), move |suspender| {
        suspender.suspend(0);
        assert!(large.iter().enumerate().all(|(index, &value)| value == index as u64));
    });
    fiber.resume(0);
    assert_finished(fiber.resume(0));
}

#[test]
#[should_panic(expected = "belongs into a box")]
fn an_entry_too_large_for_the_stack_is_refused() {
    let large = [1_u8; 20_000];
    fiber(&pool(1), move |_| assert_eq!(std::hint::black_box(large)[0], 1));
}

#[test]
#[should_panic(expected = "a fiber that has ended is not resumed")]
fn an_ended_fiber_is_not_resumed() {
    let mut fiber = fiber(&pool(1), |_| {});
    assert_finished(fiber.resume(0));
    fiber.resume(0);
}
