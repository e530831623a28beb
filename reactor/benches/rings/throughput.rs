//! Items a second: through a ring between two cores, and through an uncontended one.

use crate::OtherCore;
use crate::contenders::{Crossbeam, Ours, OursMpmc, Ring, Rtrb};
use crate::report::{Contender, Table, time};
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ROUNDS: usize = 201;
const ITEMS: u64 = 50_000;
/// More than the two threads are apart most of the time, and in the second-level cache.
const CAPACITY: usize = 1024;
const BATCH: usize = 64;

/// One item at a time.
pub fn single(table: &mut Table, other: OtherCore) {
    let what = "SPSC, two cores, one by one";
    let contenders = vec![
        Contender::new(Ours::NAME, || one_by_one::<Ours>(other)),
        Contender::new(Ours::NAME, || one_by_one::<Ours>(other)),
        Contender::new(Rtrb::NAME, || one_by_one::<Rtrb>(other)),
    ];
    table.measure(what, ROUNDS, ITEMS, contenders);
}

/// Batches on both sides.
pub fn batch(table: &mut Table, other: OtherCore) {
    let what = "SPSC, two cores, batches of 64";
    let contenders = vec![
        Contender::new(Ours::NAME, || in_batches::<Ours>(other)),
        Contender::new(Ours::NAME, || in_batches::<Ours>(other)),
        Contender::new(Rtrb::NAME, || in_batches::<Rtrb>(other)),
    ];
    table.measure(what, ROUNDS, ITEMS, contenders);
}

/// A push and a pop by the same thread.
pub fn uncontended(table: &mut Table) {
    let what = "MPMC, one thread, push and pop";
    let contenders = vec![
        Contender::new(OursMpmc::NAME, alone::<OursMpmc>),
        Contender::new(OursMpmc::NAME, alone::<OursMpmc>),
        Contender::new(Crossbeam::NAME, alone::<Crossbeam>),
    ];
    table.measure(what, ROUNDS, ITEMS, contenders);
}

fn one_by_one<R: Ring>(other: OtherCore) -> Duration {
    let push = |producer: &mut R::Producer| {
        for number in 0..ITEMS {
            while !R::push(producer, number) {
                spin_loop();
            }
        }
    };
    let pop = |consumer: &mut R::Consumer| {
        for number in 0..ITEMS {
            let popped = loop {
                match R::pop(consumer) {
                    Some(popped) => break popped,
                    None => spin_loop(),
                }
            };
            assert_eq!(popped, number);
        }
    };
    through::<R>(other, push, pop)
}

fn in_batches<R: Ring>(other: OtherCore) -> Duration {
    let push = |producer: &mut R::Producer| {
        let mut numbers = 0..ITEMS;
        while !numbers.is_empty() {
            let before = numbers.start;
            R::push_batch(producer, BATCH, &mut numbers);
            if numbers.start == before {
                spin_loop();
            }
        }
    };
    let pop = |consumer: &mut R::Consumer| {
        let mut next = 0;
        while next < ITEMS {
            let count = R::pop_batch(consumer, BATCH, |popped| {
                assert_eq!(popped, next);
                next += 1;
            });
            if count == 0 {
                spin_loop();
            }
        }
    };
    through::<R>(other, push, pop)
}

/// From the moment both threads are ready until the last item was popped.
fn through<R: Ring>(
    other: OtherCore,
    push: impl FnOnce(&mut R::Producer) + Send,
    pop: impl FnOnce(&mut R::Consumer),
) -> Duration {
    let (mut producer, mut consumer) = R::ring(CAPACITY);
    let (ready, go) = (AtomicBool::new(false), AtomicBool::new(false));
    let wait_for = |flag: &AtomicBool| {
        while !flag.load(Ordering::Acquire) {
            spin_loop();
        }
    };
    other.beside(
        || {
            ready.store(true, Ordering::Release);
            wait_for(&go);
            push(&mut producer);
        },
        || {
            wait_for(&ready);
            time(|| {
                go.store(true, Ordering::Release);
                pop(&mut consumer);
            })
        },
    )
}

fn alone<R: Ring>() -> Duration {
    let (mut producer, mut consumer) = R::ring(CAPACITY);
    time(|| {
        for number in 0..ITEMS {
            assert!(R::push(black_box(&mut producer), number));
            assert_eq!(R::pop(black_box(&mut consumer)), Some(number));
        }
    })
}
