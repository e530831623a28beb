//! The shared pool: what it counts, which buffer it prefers, and concurrent threads.

use super::{Buffer, BufferPool, Class, SharedPool};
use bytes::BufMut;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

const SMALL: usize = 0;
const LARGE: usize = 1;

fn pool(small: usize, large: usize) -> SharedPool {
    SharedPool::new(&[Class::new(512, small), Class::new(16384, large)]).expect("address space")
}

fn take(pool: &SharedPool) -> Buffer {
    pool.take(SMALL).expect("a small buffer")
}

#[test]
fn counts_by_class_and_returns_none_when_exhausted() {
    let pool = pool(2, 1);
    let held = [take(&pool), take(&pool)];
    assert!(pool.take_at_least(512).is_none());
    assert_eq!(pool.take_at_least(513).expect("a large one").capacity(), 16384);
    assert!(pool.take_at_least(16385).is_none());
    assert_eq!((pool.in_use(SMALL), pool.capacity(SMALL), pool.size(SMALL)), (2, 2, 512));
    assert_eq!(format!("{pool:?}"), "{512: (2, 2), 16384: (0, 1)}");
    drop(held);
    assert_eq!((pool.in_use(SMALL), pool.in_use(LARGE)), (0, 0));
}

/// Also for the thread that created it, and for one that owns a pool of the other kind.
#[test]
fn the_buffer_returned_last_is_taken_first() {
    let _other = BufferPool::new(&[Class::new(64, 1)]).expect("address space");
    let pool = pool(100, 0);
    let (first, second, third) = (take(&pool), take(&pool), take(&pool));
    let (second_address, third_address) = (second.as_ptr() as usize, third.as_ptr() as usize);
    drop(first);
    thread::scope(|scope| scope.spawn(|| drop(third)).join().expect("no panic"));
    drop(second);
    assert_eq!(take(&pool).as_ptr() as usize, second_address);
    let held = take(&pool);
    assert_eq!(held.as_ptr() as usize, second_address);
    assert_eq!(take(&pool).as_ptr() as usize, third_address);
}

#[test]
fn never_touched_buffers_come_last() {
    let pool = pool(100, 0);
    let held: Vec<_> = (0..10).map(|_| take(&pool)).collect();
    let touched = held.iter().map(|buffer| buffer.as_ptr() as usize).max().expect("ten");
    drop(held);
    for _ in 0..50 {
        let again: Vec<_> = (0..10).map(|_| take(&pool)).collect();
        assert!(again.iter().all(|buffer| buffer.as_ptr() as usize <= touched));
        thread::spawn(move || drop(again)).join().expect("no panic");
    }
}

#[test]
fn asking_for_a_missing_class_leaves_the_pool_usable() {
    let pool = pool(1, 1);
    thread::scope(|scope| scope.spawn(|| pool.take(2)).join().expect_err("no such class"));
    assert_eq!(pool.in_use(SMALL), 0);
    take(&pool).put_slice(b"as before");
}

#[test]
fn buffers_outlive_the_pool() {
    let pool = pool(4, 0);
    let (mut here, there) = (take(&pool), take(&pool));
    drop(pool);
    here.put_slice(b"still here");
    thread::spawn(move || drop(there)).join().expect("no panic");
    assert_eq!(&here[..], b"still here");
}

/// Every buffer carries a number that its holder wrote at take and checks before the return, which
/// another thread does half of the time: two holders of one block would see each other's.
#[test]
fn threads_that_all_take_and_return_never_share_a_buffer() {
    const THREADS: usize = 4;
    const TURNS: usize = 5_000;
    let pool = pool(6, 2);
    let next = AtomicU64::new(0);
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..THREADS).map(|_| mpsc::channel::<(u64, Buffer)>()).unzip();
    let check = |(number, buffer): (u64, Buffer)| assert_eq!(&buffer[..], number.to_ne_bytes());
    thread::scope(|scope| {
        for (thread, receiver) in receivers.into_iter().enumerate() {
            let neighbour = senders[(thread + 1) % THREADS].clone();
            let (pool, next) = (&pool, &next);
            scope.spawn(move || {
                for turn in 0..TURNS {
                    receiver.try_iter().for_each(check);
                    let Some(mut buffer) = pool.take((turn / 2) % 2) else {
                        thread::yield_now();
                        continue;
                    };
                    let number = next.fetch_add(1, Relaxed);
                    buffer.put_slice(&number.to_ne_bytes());
                    match turn % 2 {
                        0 => check((number, buffer)),
                        // The neighbour may have finished already: then the buffer comes back here.
                        _ => drop(neighbour.send((number, buffer))),
                    }
                }
                drop(neighbour);
                receiver.try_iter().for_each(check);
            });
        }
        drop(senders);
    });
    assert!(next.load(Relaxed) > 0);
    assert_eq!((pool.in_use(SMALL), pool.in_use(LARGE)), (0, 0));
}

/// The last thread that shares the pool drops it, while buffers are being returned from all of
/// them.
#[test]
fn the_last_thread_unmaps_the_region() {
    for _ in 0..200 {
        let pool = Arc::new(pool(16, 0));
        let start = Arc::new(Barrier::new(3));
        let threads = [(); 3].map(|()| {
            let (pool, start) = (Arc::clone(&pool), Arc::clone(&start));
            thread::spawn(move || {
                let held: Vec<_> = (0..4).map(|_| take(&pool)).collect();
                start.wait();
                drop(pool);
                drop(held);
            })
        });
        drop(pool);
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    }
}
