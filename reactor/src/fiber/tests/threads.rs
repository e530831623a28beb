//! Fibers that move between threads while they wait.

use super::super::{Fiber, Resumed, Stack, StackPool};
use super::{assert_finished, fiber, pool};
use std::sync::mpsc;
use std::thread;

#[test]
fn what_may_move_says_so() {
    fn send<T: Send>() {}
    fn shared<T: Send + Sync + Clone>() {}
    send::<Fiber>();
    send::<Stack>();
    send::<Resumed>();
    shared::<StackPool>();
}

#[test]
fn a_fiber_goes_from_thread_to_thread() {
    let mut fiber = fiber(&pool(1), |suspender| {
        let mut threads = vec![thread::current().id()];
        for _ in 0..10 {
            suspender.suspend(0);
            // Out of line: the address of a thread's own variable is looked up again.
            threads.push(current_thread());
        }
        let moves = threads.windows(2).filter(|pair| pair[0] != pair[1]).count();
        suspender.suspend(moves);
    });
    fiber.resume(0);
    for _ in 0..9 {
        fiber = thread::spawn(move || {
            fiber.resume(0);
            fiber
        })
        .join()
        .expect("no panic");
    }
    assert!(matches!(fiber.resume(0), Resumed::Suspended(10)));
    assert_finished(fiber.resume(0));
}

#[inline(never)]
fn current_thread() -> thread::ThreadId {
    thread::current().id()
}

/// Two threads pass fibers to each other; each counts in memory that is not atomic.
#[test]
fn many_fibers_are_passed_between_two_threads() {
    const FIBERS: usize = 64;
    const ROUNDS: usize = 200;
    let pool = pool(FIBERS);
    let (to_first, first) = mpsc::channel::<Fiber>();
    let (to_second, second) = mpsc::channel::<Fiber>();
    for number in 0..FIBERS {
        let fiber = fiber(&pool, move |suspender| {
            let mut seen = vec![number];
            for round in 0..ROUNDS {
                seen.push(suspender.suspend(round));
            }
            assert_eq!(seen.len(), ROUNDS + 1);
            assert!(seen[1..].iter().all(|&value| value == 7 || value == 8));
        });
        to_first.send(fiber).expect("a receiver");
    }
    // Each one ends where it is resumed for the last time; then its sender is gone.
    let carry = |from: mpsc::Receiver<Fiber>, to: mpsc::Sender<Fiber>, value| {
        let mut finished = 0;
        for mut fiber in from {
            match fiber.resume(value) {
                Resumed::Suspended(_) => drop(to.send(fiber)),
                ended => {
                    assert_finished(ended);
                    finished += 1;
                }
            }
            // All fibers take the same number of turns, so all end on the same thread.
            if finished == FIBERS {
                break;
            }
        }
        finished
    };
    let other = thread::spawn(move || carry(second, to_first, 8));
    let finished = carry(first, to_second, 7);
    assert_eq!(finished + other.join().expect("no panic"), FIBERS);
    assert!(pool.take().is_some());
}

/// Stacks are taken and returned by threads at once, and none is given out twice.
#[test]
fn a_pool_serves_many_threads() {
    let pool = pool(4);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    let mut fiber = fiber(&pool, |suspender| {
                        let own = [suspender.suspend(1); 100];
                        assert_eq!(suspender.suspend(2), own[99]);
                    });
                    fiber.resume(0);
                    fiber.resume(3);
                    assert_finished(fiber.resume(3));
                }
            });
        }
    });
    let taken: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
    assert_eq!(taken.len(), 4);
}
