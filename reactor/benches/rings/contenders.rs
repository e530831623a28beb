//! The rings that are compared, behind one interface. Everything is inlined, so it costs none of
//! them anything.

use crossbeam_queue::ArrayQueue;
use rtrb::chunks::ChunkError;
use stampede_reactor::ring::{mpmc, spsc};
use std::sync::Arc;

/// The item passed: moved like a job, not copied as a slice of bytes would be.
pub struct Item(pub u64);

/// A ring between two threads.
pub trait Ring {
    const NAME: &str;
    type Producer: Send;
    type Consumer: Send;

    fn ring(capacity: usize) -> (Self::Producer, Self::Consumer);
    /// Whether there was room.
    fn push(producer: &mut Self::Producer, item: u64) -> bool;
    fn pop(consumer: &mut Self::Consumer) -> Option<u64>;
    /// Pushes items of these numbers while there is room, and at most `max`.
    fn push_batch(
        producer: &mut Self::Producer,
        max: usize,
        numbers: &mut impl Iterator<Item = u64>,
    );
    fn pop_batch(consumer: &mut Self::Consumer, max: usize, f: impl FnMut(u64)) -> usize;
    fn is_empty(consumer: &Self::Consumer) -> bool;
}

pub struct Ours;

impl Ring for Ours {
    const NAME: &str = "ring::spsc";
    type Producer = spsc::Producer<Item>;
    type Consumer = spsc::Consumer<Item>;

    fn ring(capacity: usize) -> (Self::Producer, Self::Consumer) {
        spsc::ring(capacity)
    }

    #[inline(always)]
    fn push(producer: &mut Self::Producer, item: u64) -> bool {
        producer.push(Item(item)).is_ok()
    }

    #[inline(always)]
    fn pop(consumer: &mut Self::Consumer) -> Option<u64> {
        consumer.pop().map(|item| item.0)
    }

    #[inline(always)]
    fn push_batch(
        producer: &mut Self::Producer,
        max: usize,
        numbers: &mut impl Iterator<Item = u64>,
    ) {
        producer.push_all(&mut numbers.take(max).map(Item));
    }

    #[inline(always)]
    fn pop_batch(consumer: &mut Self::Consumer, max: usize, mut f: impl FnMut(u64)) -> usize {
        consumer.pop_batch(max, |item| f(item.0))
    }

    fn is_empty(consumer: &Self::Consumer) -> bool {
        consumer.is_empty()
    }
}

pub struct Rtrb;

impl Ring for Rtrb {
    const NAME: &str = "rtrb";
    type Producer = rtrb::Producer<Item>;
    type Consumer = rtrb::Consumer<Item>;

    fn ring(capacity: usize) -> (Self::Producer, Self::Consumer) {
        rtrb::RingBuffer::new(capacity)
    }

    #[inline(always)]
    fn push(producer: &mut Self::Producer, item: u64) -> bool {
        producer.push(Item(item)).is_ok()
    }

    #[inline(always)]
    fn pop(consumer: &mut Self::Consumer) -> Option<u64> {
        consumer.pop().ok().map(|item| item.0)
    }

    #[inline(always)]
    fn push_batch(
        producer: &mut Self::Producer,
        max: usize,
        numbers: &mut impl Iterator<Item = u64>,
    ) {
        // The whole batch first: in this order it need not check how much room there is.
        let room = match producer.write_chunk_uninit(max) {
            Ok(chunk) => {
                chunk.fill_from_iter(numbers.map(Item));
                return;
            }
            Err(ChunkError::TooFewSlots(room)) => room,
        };
        if let Ok(chunk) = producer.write_chunk_uninit(room) {
            chunk.fill_from_iter(numbers.map(Item));
        }
    }

    #[inline(always)]
    fn pop_batch(consumer: &mut Self::Consumer, max: usize, mut f: impl FnMut(u64)) -> usize {
        let count = match consumer.read_chunk(max) {
            Ok(chunk) => {
                chunk.into_iter().for_each(|item| f(item.0));
                return max;
            }
            Err(ChunkError::TooFewSlots(count)) => count,
        };
        if let Ok(chunk) = consumer.read_chunk(count) {
            chunk.into_iter().for_each(|item| f(item.0));
        }
        count
    }

    fn is_empty(consumer: &Self::Consumer) -> bool {
        consumer.is_empty()
    }
}

/// Two more that are made for any number of threads; the same methods by other paths.
macro_rules! mpmc_ring {
    ($contender:ident, $queue:ty, $name:literal) => {
        pub struct $contender;

        impl Ring for $contender {
            const NAME: &str = $name;
            type Producer = Arc<$queue>;
            type Consumer = Arc<$queue>;

            fn ring(capacity: usize) -> (Self::Producer, Self::Consumer) {
                let queue = Arc::new(<$queue>::new(capacity));
                (queue.clone(), queue)
            }

            #[inline(always)]
            fn push(producer: &mut Self::Producer, item: u64) -> bool {
                producer.push(Item(item)).is_ok()
            }

            #[inline(always)]
            fn pop(consumer: &mut Self::Consumer) -> Option<u64> {
                consumer.pop().map(|item| item.0)
            }

            #[inline(always)]
            fn push_batch(
                producer: &mut Self::Producer,
                max: usize,
                numbers: &mut impl Iterator<Item = u64>,
            ) {
                for number in numbers.take(max) {
                    while producer.push(Item(number)).is_err() {
                        std::hint::spin_loop();
                    }
                }
            }

            #[inline(always)]
            fn pop_batch(
                consumer: &mut Self::Consumer,
                max: usize,
                mut f: impl FnMut(u64),
            ) -> usize {
                let items = std::iter::from_fn(|| consumer.pop()).take(max);
                items.map(|item| f(item.0)).count()
            }

            fn is_empty(consumer: &Self::Consumer) -> bool {
                consumer.is_empty()
            }
        }
    };
}

mpmc_ring!(OursMpmc, mpmc::Ring<Item>, "ring::mpmc");
mpmc_ring!(Crossbeam, ArrayQueue<Item>, "ArrayQueue");
