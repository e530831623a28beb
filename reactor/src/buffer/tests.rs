use super::*;
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::mpsc;
use std::thread;

const SMALL: usize = 0;
const LARGE: usize = 1;

fn pool(small: usize, large: usize) -> BufferPool {
    let classes = [Class { size: 512, count: small }, Class { size: 16384, count: large }];
    BufferPool::new(&classes).expect("address space")
}

#[test]
fn an_exhausted_pool_returns_none_and_recovers() {
    let pool = pool(2, 1);
    let first = pool.take(SMALL).expect("the first of two");
    let second = pool.take(SMALL).expect("the second of two");
    assert!(pool.take(SMALL).is_none());
    assert!(pool.take_at_least(100).is_none(), "a large one is not for small needs");
    assert_eq!((pool.in_use(SMALL), pool.available(SMALL)), (2, 0));
    drop(first);
    assert!(pool.take(SMALL).is_some());
    drop(second);
    assert_eq!((pool.in_use(SMALL), pool.available(SMALL)), (0, 2));
}

#[test]
fn the_smallest_class_that_suffices() {
    let pool = pool(1, 1);
    assert_eq!(pool.class_for(0), Some(SMALL));
    assert_eq!(pool.class_for(512), Some(SMALL));
    assert_eq!(pool.class_for(513), Some(LARGE));
    assert_eq!(pool.class_for(16385), None);
}

#[test]
fn invalid_classes_are_refused() {
    let class = |size, count| Class { size, count };
    assert!(BufferPool::new(&[]).is_err());
    assert!(BufferPool::new(&[class(0, 1)]).is_err());
    assert!(BufferPool::new(&[class(512, 1), class(500, 1)]).is_err());
    assert!(BufferPool::new(&[class(1 << 33, 1)]).is_err());
    assert!(BufferPool::new(&[class(4096, usize::MAX / 2)]).is_err());
    let none = BufferPool::new(&[class(64, 0)]).expect("a class of no buffers");
    assert!(none.take(0).is_none());
}

#[test]
fn fills_at_the_back_and_empties_at_the_front() {
    let pool = pool(1, 1);
    let mut buffer = pool.take(SMALL).expect("one");
    assert_eq!((buffer.capacity(), buffer.spare_len()), (512, 512));
    buffer.spare_mut()[..5].copy_from_slice(b"hello");
    buffer.filled(5);
    buffer.put_slice(b", world");
    assert_eq!(&buffer[..], b"hello, world");
    buffer.advance(7);
    assert_eq!(&buffer[..], b"world");
    assert_eq!(buffer.spare_len(), 500);
    buffer.compact();
    assert_eq!((&buffer[..], buffer.spare_len()), (&b"world"[..], 507));
    buffer.truncate(3);
    buffer[0] = b'W';
    assert_eq!(&buffer[..], b"Wor");
    buffer.advance(3);
    assert_eq!(buffer.spare_len(), 512, "an empty buffer has all its room again");
}

#[test]
#[should_panic(expected = "filled more than there is room")]
fn more_than_the_room_cannot_be_filled() {
    let pool = pool(1, 0);
    pool.take(SMALL).expect("one").filled(513);
}

#[test]
fn becomes_bytes_in_place_and_returns_with_the_last_clone() {
    let pool = pool(1, 1);
    let mut buffer = pool.take(LARGE).expect("one");
    buffer.put_slice(b"shared");
    let address = buffer.as_ptr();
    let bytes = Bytes::from(buffer);
    assert_eq!(bytes.as_ptr(), address);
    let tail = bytes.slice(3..);
    drop(bytes);
    assert_eq!((&tail[..], pool.in_use(LARGE)), (&b"red"[..], 1));
    thread::spawn(move || drop(tail)).join().expect("no panic");
    assert_eq!(pool.in_use(LARGE), 0);
}

#[test]
fn used_buffers_are_preferred_to_fresh_ones() {
    let pool = pool(100, 0);
    let address = pool.take(SMALL).expect("one").as_ptr();
    for _ in 0..1000 {
        let buffer = pool.take(SMALL).expect("one");
        assert_eq!(buffer.as_ptr(), address);
        thread::scope(|scope| scope.spawn(move || drop(buffer)).join().expect("no panic"));
    }
}

/// Which pages of the region are in memory: mincore(2).
#[cfg(target_os = "linux")]
fn resident_pages(pool: &BufferPool) -> Vec<bool> {
    let len = pool.region_size();
    let mut pages = vec![0u8; len / 4096];
    // SAFETY: the region is mapped and `pages` has a byte for each of its pages.
    let code = unsafe {
        libc::mincore(pool.region().base().as_ptr().cast(), len, pages.as_mut_ptr().cast())
    };
    assert_eq!(code, 0, "{}", io::Error::last_os_error());
    pages.into_iter().map(|page| page & 1 == 1).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn no_page_is_touched_before_the_first_write() {
    let resident =
        |pool: &BufferPool| resident_pages(pool).into_iter().filter(|page| *page).count();
    let pool = pool(64, 1000);
    assert_eq!(resident(&pool), 0);
    let mut held: Vec<_> = (0..1000).map(|_| pool.take(LARGE).expect("1000")).collect();
    assert_eq!((resident(&pool), pool.in_use(LARGE)), (0, 1000), "taking touches nothing");
    held[500].spare_mut()[5000] = 1;
    assert_eq!(resident(&pool), 1, "one byte, one page");
}

#[test]
fn the_region_outlives_the_pool_while_a_buffer_lives() {
    let pool = pool(4, 4);
    let mut here = pool.take(SMALL).expect("four");
    let mut there = pool.take(LARGE).expect("four");
    drop(pool);
    here.put_slice(b"still here");
    there.put_slice(b"still there");
    assert_eq!(&here[..], b"still here");
    let there = thread::spawn(move || there.len()).join().expect("no panic");
    assert_eq!(there, 11);
    drop(here);
}

/// Two threads return buffers while the pool is being dropped: the last of the three unmaps. (Worth
/// running under the thread and address sanitizers.)
#[test]
fn a_pool_may_be_dropped_while_its_buffers_are_returned() {
    for round in 0..300 {
        let pool = pool(16, 0);
        let mut held: Vec<_> = (0..16).map(|_| pool.take(SMALL).expect("16")).collect();
        let half = held.split_off(8);
        let threads = [held, half].map(|buffers| thread::spawn(move || drop(buffers)));
        if round % 2 == 0 {
            thread::yield_now();
        }
        drop(pool);
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    }
}

/// Every buffer carries a number that its holder wrote at take and checks before the return: two
/// holders of one block would see each other's.
#[test]
fn no_buffer_is_handed_out_twice_while_others_return_them() {
    const THREADS: usize = 3;
    const TURNS: u64 = 20_000;
    let pool = pool(32, 4);
    let (senders, threads): (Vec<_>, Vec<_>) = (0..THREADS)
        .map(|_| {
            let (sender, receiver) = mpsc::channel::<(u64, Buffer)>();
            let check = move || {
                for (number, buffer) in receiver {
                    assert_eq!(&buffer[..], number.to_ne_bytes());
                }
            };
            (sender, thread::spawn(check))
        })
        .unzip();
    for number in 0..TURNS {
        let Some(mut buffer) = pool.take(SMALL).or_else(|| pool.take(LARGE)) else {
            thread::yield_now();
            continue;
        };
        buffer.put_slice(&number.to_ne_bytes());
        match number as usize % (THREADS + 1) {
            THREADS => assert_eq!(&buffer[..], number.to_ne_bytes()),
            thread => senders[thread].send((number, buffer)).expect("the thread runs"),
        }
    }
    drop(senders);
    threads.into_iter().for_each(|thread| thread.join().expect("no number was overwritten"));
    assert_eq!((pool.in_use(SMALL), pool.in_use(LARGE)), (0, 0));
}

#[derive(Debug, Clone)]
enum Step {
    Take(usize),
    Drop(prop::sample::Index),
    DropElsewhere(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..2usize).prop_map(Step::Take),
        3 => any::<prop::sample::Index>().prop_map(Step::Drop),
        1 => any::<prop::sample::Index>().prop_map(Step::DropElsewhere),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn counts_what_is_out_and_never_overlaps(
        steps in prop::collection::vec(step(), 1..100),
    ) {
        let pool = pool(5, 3);
        let mut held: Vec<(usize, Buffer)> = Vec::new();
        for step in steps {
            match step {
                Step::Take(class) => {
                    let out = held.iter().filter(|(of, _)| *of == class).count();
                    let taken = pool.take(class);
                    prop_assert_eq!(taken.is_some(), out < pool.capacity(class));
                    held.extend(taken.map(|buffer| (class, buffer)));
                }
                Step::Drop(index) if !held.is_empty() => {
                    held.swap_remove(index.index(held.len()));
                }
                Step::DropElsewhere(index) if !held.is_empty() => {
                    let (_, buffer) = held.swap_remove(index.index(held.len()));
                    thread::spawn(move || drop(buffer)).join().expect("no panic");
                }
                _ => {}
            }
            for class in [SMALL, LARGE] {
                let out = held.iter().filter(|(of, _)| *of == class).count();
                prop_assert_eq!(pool.in_use(class), out);
            }
            let lines: HashSet<usize> = held.iter().flat_map(|(_, buffer)| {
                (0..buffer.capacity() / 64).map(|line| buffer.as_ptr() as usize / 64 + line)
            }).collect();
            let bytes: usize = held.iter().map(|(_, buffer)| buffer.capacity()).sum();
            prop_assert_eq!(lines.len() * 64, bytes, "two buffers share bytes");
        }
    }
}
