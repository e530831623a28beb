use super::{Fiber, Resumed, STACK_BYTES_MIN, StackPool};
use std::sync::Arc;

fn pool(count: usize) -> StackPool {
    StackPool::new(64 * 1024, count).expect("room for a few stacks")
}

fn fiber(pool: &StackPool, entry: impl FnOnce(&super::Suspender) + Send + 'static) -> Fiber {
    Fiber::new(pool.take().expect("a free stack"), entry)
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
    let requests = [0, 10, 20, 30].map(|value| match fiber.resume(value) {
        Resumed::Suspended(request) => Some(request),
        _ => None,
    });
    assert_eq!(requests, [Some(0), Some(10), Some(30), None]);
    assert!(fiber.has_ended());
}

#[test]
fn a_panic_arrives_at_the_caller() {
    let mut fiber = fiber(&pool(1), |suspender| {
        suspender.suspend(0);
        panic!("of a fiber");
    });
    fiber.resume(0);
    let Resumed::Panicked(payload) = fiber.resume(0) else { panic!("it has panicked") };
    assert_eq!(payload.downcast_ref(), Some(&"of a fiber"));
}

#[test]
fn dropped_while_suspended_it_unwinds() {
    let pool = pool(1);
    let value = Arc::new(());
    for starts in [false, true] {
        let (captured, made) = (Arc::clone(&value), Arc::clone(&value));
        let mut fiber = fiber(&pool, move |suspender| {
            let _made = made;
            suspender.suspend(0);
            drop(captured);
        });
        if starts {
            fiber.resume(0);
        }
        assert_eq!(Arc::strong_count(&value), 3);
        drop(fiber);
        assert_eq!(Arc::strong_count(&value), 1);
        assert!(pool.take().is_some());
    }
}

#[test]
fn a_stack_too_small_is_refused() {
    assert!(StackPool::new(STACK_BYTES_MIN - 1, 1).is_err());
    assert!(StackPool::new(STACK_BYTES_MIN, 0).is_err());
    assert!(StackPool::new(usize::MAX, 1).is_err());
    assert!(StackPool::new(1 << 40, 1 << 31).is_err());
}
