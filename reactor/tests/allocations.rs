//! A warm loop allocates nothing: asserted with an allocator that counts.
//!
//! A separate test binary, because its allocator is the whole process's. Each thread counts for
//! itself: the test harness allocates on another one meanwhile.

use stampede_reactor::buffer::{BufferPool, Class};
use stampede_reactor::event_loop::{Config, EventLoop, Handler};
use stampede_reactor::{Interest, Readiness, Token, Trigger};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

thread_local! {
    /// `const` and without a destructor, so that counting does not allocate.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: forwards everything to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are the system allocator's conditions.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above; the block came from there.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SOURCES: usize = 100;

/// Every source gets one byte a turn, keeps it in a buffer for a turn, and moves its deadline.
struct Busy {
    pool: BufferPool,
    streams: Vec<UnixStream>,
    reads: usize,
    timeouts: usize,
}

impl Handler for Busy {
    fn ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        if readiness.is_readable() {
            let mut buffer = self.pool.take(0).expect("one each");
            let mut stream = &self.streams[token.slot() as usize];
            let count = stream.read(buffer.spare_mut()).expect("a byte was sent");
            buffer.filled(count);
            self.reads += buffer.len();
            ev.set_deadline(token, ev.now_ms() + 1 + u64::from(token.slot()) % 3);
            ev.defer(token, Readiness::WRITABLE);
        }
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        self.timeouts += 1;
        ev.set_deadline(token, ev.now_ms() + 60_000);
        ev.clear_deadline(token);
    }
}

#[test]
fn a_warm_loop_does_not_allocate() {
    let mut ev = EventLoop::new(Config::with_sources(SOURCES as u32 + 1)).expect("a loop");
    let waker = ev.waker().expect("a waker");
    let pool = BufferPool::new(&[Class::new(512, SOURCES)]).expect("a pool");
    let (streams, mut peers): (Vec<_>, Vec<_>) =
        (0..SOURCES).map(|_| UnixStream::pair().expect("a pair")).unzip();
    let mut busy = Busy { pool, streams, reads: 0, timeouts: 0 };
    for stream in &busy.streams {
        let token = ev.reserve().expect("room for all");
        ev.watch(token, stream, Interest::READABLE, Trigger::Edge).expect("watched");
    }
    let before = ALLOCATIONS.get();
    for _ in 0..100 {
        for peer in &mut peers {
            peer.write_all(b"x").expect("written");
        }
        waker.wake().expect("woken");
        let short_lived = ev.reserve().expect("room for one more");
        ev.set_deadline(short_lived, ev.now_ms() + 1000);
        ev.defer(short_lived, Readiness::READABLE);
        ev.release(short_lived);
        ev.turn(&mut busy, None).expect("turn");
        ev.turn(&mut busy, Some(Duration::from_millis(2))).expect("turn");
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    assert_eq!(busy.reads, 100 * SOURCES);
    assert!(busy.timeouts > 0);
}
