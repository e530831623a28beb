use super::{mpmc, spsc};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// The operations on a ring, by both sides in turn.
#[derive(Clone, Debug)]
enum Step {
    Push,
    Pop,
    PushAll(usize),
    PopBatch(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Push),
        3 => Just(Step::Pop),
        1 => (0..12usize).prop_map(Step::PushAll),
        1 => (0..12usize).prop_map(Step::PopBatch),
    ];
    prop::collection::vec(step, 1..200)
}

/// Where positions begin: anywhere, and most often right before they wrap around.
fn starts() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0), any::<usize>(), (0..20usize).prop_map(|back| usize::MAX - back)]
}

/// Both rings, as one thread sees them.
trait Queue {
    fn push(&mut self, item: u32) -> Result<(), u32>;
    fn pop(&mut self) -> Option<u32>;
    fn push_all(&mut self, items: Vec<u32>) -> usize;
    fn pop_batch(&mut self, max: usize) -> Vec<u32>;
    fn lens(&self) -> Vec<usize>;
    fn is_empty(&self) -> bool;
    fn capacity(&self) -> usize;
}

impl Queue for (spsc::Producer<u32>, spsc::Consumer<u32>) {
    fn push(&mut self, item: u32) -> Result<(), u32> {
        self.0.push(item)
    }

    fn pop(&mut self) -> Option<u32> {
        self.1.pop()
    }

    fn push_all(&mut self, items: Vec<u32>) -> usize {
        let mut left = items.iter();
        let count = self.0.push_all(&mut left.by_ref().copied());
        assert_eq!(left.as_slice(), &items[count..], "no item was taken that did not fit");
        count
    }

    fn pop_batch(&mut self, max: usize) -> Vec<u32> {
        let mut popped = Vec::new();
        assert_eq!(self.1.pop_batch(max, |item| popped.push(item)), popped.len());
        popped
    }

    fn lens(&self) -> Vec<usize> {
        let (producer, consumer) = self;
        vec![producer.len(), consumer.len(), producer.capacity() - producer.room()]
    }

    fn is_empty(&self) -> bool {
        assert_eq!(self.0.is_empty(), self.1.is_empty());
        self.1.is_empty()
    }

    fn capacity(&self) -> usize {
        assert_eq!(self.0.capacity(), self.1.capacity());
        self.0.capacity()
    }
}

impl Queue for mpmc::Ring<u32> {
    fn push(&mut self, item: u32) -> Result<(), u32> {
        mpmc::Ring::push(self, item)
    }

    fn pop(&mut self) -> Option<u32> {
        mpmc::Ring::pop(self)
    }

    fn push_all(&mut self, items: Vec<u32>) -> usize {
        let mut left = VecDeque::from(items.clone());
        let count = mpmc::Ring::push_all(self, &mut left);
        assert_eq!(left, &items[count..], "no item was taken that did not fit");
        count
    }

    fn pop_batch(&mut self, max: usize) -> Vec<u32> {
        let mut popped = Vec::new();
        assert_eq!(mpmc::Ring::pop_batch(self, max, |item| popped.push(item)), popped.len());
        popped
    }

    fn lens(&self) -> Vec<usize> {
        vec![self.len()]
    }

    fn is_empty(&self) -> bool {
        mpmc::Ring::is_empty(self)
    }

    fn capacity(&self) -> usize {
        mpmc::Ring::capacity(self)
    }
}

/// `VecDeque` with a limit is the naive ring.
fn behaves_as_a_deque(mut ring: impl Queue, steps: Vec<Step>) {
    let capacity = ring.capacity();
    let mut oracle = VecDeque::new();
    let mut next = 0;
    let mut items = |count: usize| {
        next += count as u32;
        (next - count as u32..next).collect::<Vec<u32>>()
    };
    for step in steps {
        match step {
            Step::Push => {
                let item = items(1)[0];
                let full = oracle.len() == capacity;
                assert_eq!(ring.push(item), if full { Err(item) } else { Ok(()) });
                oracle.extend((!full).then_some(item));
            }
            Step::Pop => assert_eq!(ring.pop(), oracle.pop_front()),
            Step::PushAll(count) => {
                let items = items(count);
                let fit = count.min(capacity - oracle.len());
                assert_eq!(ring.push_all(items.clone()), fit);
                oracle.extend(&items[..fit]);
            }
            Step::PopBatch(max) => {
                let count = max.min(oracle.len());
                assert_eq!(ring.pop_batch(max), oracle.drain(..count).collect::<Vec<_>>());
            }
        }
        assert!(ring.lens().iter().all(|len| *len == oracle.len()));
        assert_eq!(ring.is_empty(), oracle.is_empty());
    }
}

proptest! {
    #[test]
    fn spsc_behaves_as_a_deque(capacity in 0..10usize, start in starts(), steps in steps()) {
        behaves_as_a_deque(spsc::ring_at(capacity, start), steps);
    }

    #[test]
    fn mpmc_behaves_as_a_deque(capacity in 0..10usize, start in starts(), steps in steps()) {
        behaves_as_a_deque(mpmc::Ring::new_at(capacity, start), steps);
    }
}

#[test]
fn the_capacity_is_rounded_up_to_a_power_of_two() {
    for (asked, got) in [(0, 1), (1, 1), (2, 2), (3, 4), (1000, 1024)] {
        assert_eq!(spsc::ring::<u8>(asked).0.capacity(), got);
        assert_eq!(mpmc::Ring::<u8>::new(asked).capacity(), got);
    }
}

#[test]
fn a_dropped_ring_drops_what_it_holds() {
    let item = Rc::new(());
    let (mut producer, mut consumer) = spsc::ring(4);
    let ring = mpmc::Ring::new(4);
    for _ in 0..4 {
        producer.push(item.clone()).expect("room");
        ring.push(item.clone()).expect("room");
    }
    assert!(consumer.pop().is_some() && ring.pop().is_some());
    assert_eq!(Rc::strong_count(&item), 1 + 3 + 3);
    drop((producer, ring));
    assert_eq!(Rc::strong_count(&item), 1 + 3, "the consumer can still pop");
    assert!(consumer.is_closed() && consumer.pop().is_some());
    drop(consumer);
    assert_eq!(Rc::strong_count(&item), 1);
}

#[test]
fn an_iterator_that_panics_has_pushed_what_it_yielded() {
    let (mut producer, mut consumer) = spsc::ring(4);
    let mut items = (0..4).map(|item| if item == 2 { panic!("no more") } else { item });
    let result = catch_unwind(AssertUnwindSafe(|| producer.push_all(&mut items)));
    assert!(result.is_err());
    producer.push(9).expect("room");
    assert_eq!([0; 4].map(|_| consumer.pop()), [Some(0), Some(1), Some(9), None]);
}

#[test]
fn a_panic_in_a_batch_leaves_the_ring_consistent() {
    let item = Rc::new(());
    let (mut producer, mut consumer) = spsc::ring(4);
    let ring = mpmc::Ring::new(4);
    producer.push_all(&mut (0..4).map(|_| item.clone()));
    ring.push_all(&mut vec![item.clone(); 4].into());
    let fail = |_| panic!("not this one");
    assert!(catch_unwind(AssertUnwindSafe(|| consumer.pop_batch(3, fail))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| ring.pop_batch(3, fail))).is_err());
    assert_eq!((consumer.len(), ring.len()), (3, 3), "the first is gone, and no other");
    assert_eq!(Rc::strong_count(&item), 1 + 3 + 3);
    assert_eq!(producer.push_all(&mut (0..4).map(|_| item.clone())), 1);
    assert_eq!(ring.push_all(&mut vec![item.clone(); 4].into()), 1);
}

#[test]
fn what_a_panic_leaves_of_a_batch_is_at_the_end_of_the_queue() {
    let ring = mpmc::Ring::new(8);
    ring.push_all(&mut (0..6).collect());
    let fail = |item| assert_ne!(item, 1, "as it was asked to");
    assert!(catch_unwind(AssertUnwindSafe(|| ring.pop_batch(4, fail))).is_err());
    let rest: Vec<_> = std::iter::from_fn(|| ring.pop()).collect();
    assert_eq!(rest, [4, 5, 2, 3]);
}

#[test]
fn zero_sized_items_are_counted() {
    let (mut producer, mut consumer) = spsc::ring(2);
    let ring = mpmc::Ring::new(2);
    for _ in 0..2 {
        assert!(producer.push(()).is_ok() && ring.push(()).is_ok());
    }
    assert!(producer.push(()).is_err() && ring.push(()).is_err());
    assert_eq!((consumer.pop_batch(9, drop), ring.pop_batch(9, drop)), (2, 2));
}

/// How many items the threads below pass on. The thread sanitizer watches them, too.
const ITEMS: u64 = 20_000;

#[test]
fn two_threads_pass_boxes_in_order() {
    let (mut producer, mut consumer) = spsc::ring_at(8, usize::MAX - 100);
    let pushing = thread::spawn(move || {
        let mut items = 0..ITEMS;
        while !items.is_empty() {
            // Single pushes and batches in turn.
            if items.start % 3 == 0 {
                producer.push_all(&mut items.by_ref().take(5).map(Box::new));
            } else if producer.room() > 0 {
                let item = items.next().expect("not at its end");
                producer.push(Box::new(item)).expect("there was room");
            } else {
                thread::yield_now();
            }
        }
    });
    let mut next = 0;
    while !(consumer.is_closed() && consumer.is_empty()) {
        let count = consumer.pop_batch(3, |item| {
            assert_eq!(*item, next);
            next += 1;
        });
        if count == 0 {
            thread::yield_now();
        }
    }
    assert_eq!(next, ITEMS);
    pushing.join().expect("no panic");
}

#[test]
fn four_threads_lose_and_duplicate_nothing() {
    let ring = Arc::new(mpmc::Ring::new_at(8, usize::MAX - 100));
    let pushers_left = Arc::new(AtomicU32::new(2));
    let pushing = [0, 1].map(|parity| {
        let (ring, pushers_left) = (ring.clone(), pushers_left.clone());
        thread::spawn(move || {
            let mut items: VecDeque<_> =
                (0..ITEMS).map(|item| Box::new(2 * item + parity)).collect();
            while let Some(item) = items.pop_front() {
                if let Err(full) = ring.push(item) {
                    items.push_front(full);
                    thread::yield_now();
                }
                if items.len() % 3 == 0 {
                    ring.push_all(&mut items);
                }
            }
            pushers_left.fetch_sub(1, Ordering::Release);
        })
    });
    let popping = [1, 3].map(|batch| {
        let (ring, pushers_left) = (ring.clone(), pushers_left.clone());
        thread::spawn(move || {
            let (mut popped, mut ended) = (Vec::new(), false);
            while !ended {
                ended = pushers_left.load(Ordering::Acquire) == 0;
                if ring.pop_batch(batch, |item| popped.push(*item)) > 0 {
                    ended = false;
                } else {
                    thread::yield_now();
                }
            }
            popped
        })
    });
    pushing.into_iter().for_each(|thread| thread.join().expect("no panic"));
    let mut popped = Vec::new();
    for thread in popping {
        let own = thread.join().expect("no panic");
        for parity in [0, 1] {
            let in_order = own.iter().filter(|item| *item % 2 == parity).is_sorted();
            assert!(in_order, "what one thread pushed, another pops in the same order");
        }
        popped.extend(own);
    }
    popped.sort_unstable();
    assert!(popped.iter().copied().eq(0..2 * ITEMS));
}
