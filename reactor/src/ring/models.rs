//! Every interleaving of two threads over the smallest rings, by loom. A model stays small: two
//! threads, two or three items, or it takes minutes.

use super::{mpmc, spsc};
use crate::sync::{Arc, thread};
use loom::alloc::Track;
use std::collections::VecDeque;

/// The first of these positions is the last of `usize`: the model wraps around.
const BEFORE_WRAP_AROUND: usize = usize::MAX;

fn push<T>(producer: &mut spsc::Producer<T>, mut item: T) {
    while let Err(full) = producer.push(item) {
        item = full;
        thread::yield_now();
    }
}

fn pop<T>(consumer: &mut spsc::Consumer<T>) -> T {
    loop {
        match consumer.pop() {
            Some(item) => return item,
            None => thread::yield_now(),
        }
    }
}

#[test]
fn loom_spsc_a_full_ring_goes_around() {
    loom::model(|| {
        let (mut producer, mut consumer) = spsc::ring_at(1, BEFORE_WRAP_AROUND);
        let pushing = thread::spawn(move || (0..3).for_each(|item| push(&mut producer, item)));
        assert_eq!([0, 1, 2].map(|_| pop(&mut consumer)), [0, 1, 2]);
        assert_eq!(consumer.pop(), None);
        pushing.join().unwrap();
    });
}

#[test]
fn loom_spsc_items_come_in_order() {
    loom::model(|| {
        let (mut producer, mut consumer) = spsc::ring_at(2, BEFORE_WRAP_AROUND);
        let pushing = thread::spawn(move || (0..2).for_each(|item| push(&mut producer, item)));
        assert_eq!([0, 1].map(|_| pop(&mut consumer)), [0, 1]);
        pushing.join().unwrap();
    });
}

#[test]
fn loom_spsc_batches_go_around() {
    loom::model(|| {
        let (mut producer, mut consumer) = spsc::ring_at(2, BEFORE_WRAP_AROUND);
        let pushing = thread::spawn(move || {
            let mut items = 0..3;
            while !items.is_empty() {
                if producer.push_all(&mut items) == 0 {
                    thread::yield_now();
                }
            }
        });
        let mut popped = Vec::new();
        while popped.len() < 3 {
            if consumer.pop_batch(2, |item| popped.push(item)) == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(popped, [0, 1, 2]);
        pushing.join().unwrap();
    });
}

#[test]
fn loom_spsc_the_producer_may_go_first() {
    loom::model(|| {
        let (mut producer, mut consumer) = spsc::ring(2);
        let pushing = thread::spawn(move || {
            producer.push(Track::new(1)).ok().expect("room");
            producer.push(Track::new(2)).ok().expect("room");
        });
        let mut count = 0;
        // The order that means the end: closed, and after that empty.
        while !(consumer.is_closed() && consumer.is_empty()) {
            match consumer.pop() {
                Some(_) => count += 1,
                None => thread::yield_now(),
            }
        }
        assert_eq!(count, 2);
        pushing.join().unwrap();
    });
}

#[test]
fn loom_spsc_items_left_in_the_ring_are_dropped() {
    // loom looks for tracked values that were forgotten at the end of every run.
    loom::model(|| {
        let (mut producer, mut consumer) = spsc::ring_at(2, BEFORE_WRAP_AROUND);
        let popping = thread::spawn(move || drop(consumer.pop()));
        for _ in 0..2 {
            let _ = producer.push(Track::new(()));
        }
        drop(producer);
        popping.join().unwrap();
    });
}

#[test]
fn loom_spsc_a_producer_learns_that_the_consumer_is_gone() {
    loom::model(|| {
        let (mut producer, consumer) = spsc::ring(1);
        let popping = thread::spawn(move || drop(consumer));
        while !producer.is_closed() {
            let _ = producer.push(Track::new(()));
            thread::yield_now();
        }
        popping.join().unwrap();
    });
}

#[test]
fn loom_mpmc_a_full_ring_goes_around() {
    loom::model(|| {
        let ring = Arc::new(mpmc::Ring::new_at(1, BEFORE_WRAP_AROUND));
        let pushing = thread::spawn({
            let ring = ring.clone();
            move || {
                for item in 0..2 {
                    while ring.push(item).is_err() {
                        thread::yield_now();
                    }
                }
            }
        });
        let mut popped = Vec::new();
        while popped.len() < 2 {
            match ring.pop() {
                Some(item) => popped.push(item),
                None => thread::yield_now(),
            }
        }
        assert_eq!(popped, [0, 1]);
        pushing.join().unwrap();
    });
}

#[test]
fn loom_mpmc_two_producers_get_distinct_slots() {
    loom::model(|| {
        let ring = Arc::new(mpmc::Ring::new_at(2, BEFORE_WRAP_AROUND));
        let other = thread::spawn({
            let ring = ring.clone();
            move || ring.push(Track::new(1)).is_ok()
        });
        assert!(ring.push(Track::new(2)).is_ok());
        assert!(other.join().unwrap());
        assert!(ring.push(Track::new(3)).is_err(), "full");
        let first = ring.pop().map(|item| *item.get_ref());
        // The other one is dropped with the ring.
        assert!(matches!(first, Some(1 | 2)));
    });
}

#[test]
fn loom_mpmc_an_item_is_popped_once() {
    loom::model(|| {
        let ring = Arc::new(mpmc::Ring::new_at(2, BEFORE_WRAP_AROUND));
        ring.push(Track::new(1)).ok().expect("room");
        ring.push(Track::new(2)).ok().expect("room");
        let other = thread::spawn({
            let ring = ring.clone();
            move || ring.pop().is_some() as u32
        });
        let count = ring.pop().is_some() as u32 + ring.pop().is_some() as u32;
        assert_eq!(count + other.join().unwrap(), 2);
        assert!(ring.is_empty());
    });
}

#[test]
fn loom_mpmc_a_batch_is_not_mixed_with_anothers_items() {
    loom::model(|| {
        let ring = Arc::new(mpmc::Ring::new_at(4, BEFORE_WRAP_AROUND));
        let other = thread::spawn({
            let ring = ring.clone();
            move || ring.push(9).unwrap()
        });
        assert_eq!(ring.push_all(&mut VecDeque::from([1, 2])), 2);
        other.join().unwrap();
        let mut popped = Vec::new();
        assert_eq!(ring.pop_batch(4, |item| popped.push(item)), 3);
        assert!(popped == [1, 2, 9] || popped == [9, 1, 2], "{popped:?}");
    });
}

#[test]
fn loom_mpmc_two_batches_share_what_is_there() {
    loom::model(|| {
        let ring = Arc::new(mpmc::Ring::new_at(2, BEFORE_WRAP_AROUND));
        ring.push_all(&mut VecDeque::from([1, 2]));
        let other = thread::spawn({
            let ring = ring.clone();
            move || ring.pop_batch(2, drop)
        });
        let mut count = ring.pop_batch(1, drop) + ring.pop_batch(1, drop);
        count += other.join().unwrap();
        assert_eq!(count, 2);
        assert_eq!(ring.push_all(&mut VecDeque::from([3, 4])), 2, "all slots are vacant again");
    });
}
