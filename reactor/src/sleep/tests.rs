use super::parker;
use crate::ring::spsc;
use std::thread;

const ITEMS: u32 = 20_000;

/// A lost wake-up makes this test hang.
#[test]
fn every_item_is_popped_by_a_worker_that_sleeps_as_often_as_it_can() {
    for spins in [0, 100] {
        let (mut producer, mut consumer) = spsc::ring(4);
        let (parker, unparker) = parker();
        let worker = thread::spawn(move || {
            let mut parker = parker.with_spins(spins);
            let mut next = 0;
            while !(consumer.is_closed() && consumer.is_empty()) {
                let count = consumer.pop_batch(4, |item: u32| {
                    assert_eq!(item, next);
                    next += 1;
                });
                if count == 0 {
                    parker.sleep_unless(|| !consumer.is_empty() || consumer.is_closed());
                }
            }
            next
        });
        for item in 0..ITEMS {
            while producer.push(item).is_err() {
                thread::yield_now();
            }
            unparker.wake();
        }
        drop(producer);
        unparker.wake();
        assert_eq!(worker.join().expect("no panic"), ITEMS);
    }
}

#[test]
fn a_panic_of_the_last_look_is_the_end_of_the_sleep() {
    let (parker, unparker) = parker();
    let mut parker = parker.with_spins(0);
    let look = || -> bool { std::panic::resume_unwind(Box::new("as it was asked to")) };
    let sleep = std::panic::AssertUnwindSafe(|| parker.sleep_unless(look));
    assert!(std::panic::catch_unwind(sleep).is_err());
    assert!(!unparker.is_asleep() && !unparker.wake());
}
