//! Sizes at their ends: refused with an error or bounded, and nothing ends the process.
//!
//! A test binary of its own: what is reserved for a moment is a lot of address space.

use stampede_reactor::buffer::{BufferPool, Class, SharedPool};
use stampede_reactor::event_loop::{Config, EventLoop, Handler};
use stampede_reactor::fiber::{STACK_BYTES_MIN, STACKS_MAX, StackPool};
use stampede_reactor::ring::{mpmc, spsc};
use stampede_reactor::scheduler::{self, Scheduler};
use stampede_reactor::shared::SharedTable;
use stampede_reactor::table::Table;
use stampede_reactor::timer::Wheel;
use stampede_reactor::{Events, Interest, Poller, Readiness, Token, Trigger};
use std::fmt::Debug;
use std::io;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// More than any machine has, as a number of anything.
const HUGE: [usize; 3] = [usize::MAX, usize::MAX / 2, 1 << 48];

fn refused<T>(result: io::Result<T>) -> io::ErrorKind {
    result.err().expect("more than there is").kind()
}

struct Nothing;

impl Handler for Nothing {
    fn ready(&mut self, _: &mut EventLoop, _: Token, _: Readiness) {}

    fn timeout(&mut self, _: &mut EventLoop, _: Token) {}
}

#[test]
fn events_are_bounded_and_every_wait_works() {
    let (here, _there) = UnixStream::pair().unwrap();
    let poller = Poller::new().unwrap();
    poller.add(&here, Token::new(0, 0), Interest::WRITABLE, Trigger::Level).unwrap();
    for capacity in [0, 1, 178_956_970, 178_956_971, u32::MAX as usize, usize::MAX] {
        let mut events = Events::with_capacity(capacity);
        assert_eq!(poller.wait(&mut events, None).unwrap(), 1, "{capacity}");
    }
}

/// Address space for four thousand million sources may be had, where the system promises more than
/// it has; and no memory is touched for them.
#[test]
fn a_loop_of_any_configuration_works_or_is_an_error() {
    for sources_max in [0, 1, 1 << 20, u32::MAX - 1, u32::MAX] {
        for events_per_turn in [0, 1, u32::MAX] {
            let mut ev = match EventLoop::new(Config { sources_max, events_per_turn }) {
                Ok(ev) => ev,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
                    assert!(sources_max > 1 << 20, "{sources_max}");
                    continue;
                }
            };
            assert_eq!(ev.reserve().is_ok(), sources_max > 0);
            assert_eq!(ev.turn(&mut Nothing, Some(Duration::ZERO)).unwrap(), 0);
        }
    }
}

#[test]
fn rings_tables_and_wheels_that_fit_no_memory_are_errors() {
    for capacity in HUGE {
        assert_eq!(refused(spsc::try_ring::<u64>(capacity)), io::ErrorKind::OutOfMemory);
        assert_eq!(refused(mpmc::Ring::<u64>::try_new(capacity)), io::ErrorKind::OutOfMemory);
        assert_eq!(refused(Table::<u64>::try_with_capacity(capacity)), io::ErrorKind::OutOfMemory);
        assert_eq!(refused(Wheel::<u32>::try_new(0, capacity)), io::ErrorKind::OutOfMemory);
        // Without an error: a panic, which says what it is.
        assert_panics(|| spsc::ring::<u64>(capacity));
        assert_panics(|| mpmc::Ring::<u64>::new(capacity));
        assert_panics(|| Table::<u64>::with_capacity(capacity));
        assert_panics(|| Wheel::<u32>::new(0, capacity));
    }
    let (mut producer, mut consumer) = spsc::ring(0);
    assert!(producer.push(1).is_ok() && consumer.pop() == Some(1));
    assert_eq!(mpmc::Ring::<u64>::new(0).capacity(), 1);
    let mut table = Table::with_capacity(0);
    let token = table.insert(7);
    assert_eq!(table.get(token), Some(&7));
    let mut wheel = Wheel::new(u64::MAX, 0);
    wheel.insert(u64::MAX, 7);
    assert_eq!(wheel.pop_expired(u64::MAX).map(|(_, value)| value), Some(7));
}

fn assert_panics<T: Debug>(make: impl FnOnce() -> T) {
    let payload = catch_unwind(AssertUnwindSafe(make)).expect_err("more than there is");
    let text = payload.downcast_ref::<String>().expect("a message");
    assert!(text.contains("no memory"), "{text}");
}

#[test]
fn buffers_that_fit_no_memory_are_errors() {
    let sizes = HUGE.into_iter().chain([1 << 32]);
    let classes = sizes.map(|size| Class::new(size, 1));
    for class in classes.chain(HUGE.map(|count| Class::new(64, count))) {
        refused(BufferPool::new(&[class]));
        refused(SharedPool::new(&[class]));
    }
    assert_eq!(refused(BufferPool::new(&[])), io::ErrorKind::InvalidInput);
    assert_eq!(refused(BufferPool::new(&[Class::new(0, 1)])), io::ErrorKind::InvalidInput);
    let many: Vec<_> = (1..=257).map(|size| Class::new(64 * size, 0)).collect();
    assert_eq!(refused(SharedPool::new(&many)), io::ErrorKind::InvalidInput);
    let none = BufferPool::new(&[Class::new(1, 0)]).unwrap();
    assert!(none.take(0).is_none());
    for len in HUGE {
        refused(SharedTable::<AtomicU64>::new(len));
    }
}

#[test]
fn stacks_that_fit_no_memory_are_errors() {
    for count in HUGE.into_iter().chain([0, STACKS_MAX + 1, u32::MAX as usize]) {
        assert_eq!(refused(StackPool::new(STACK_BYTES_MIN, count)), io::ErrorKind::InvalidInput);
    }
    for bytes in HUGE.into_iter().chain([0, STACK_BYTES_MIN - 1]) {
        refused(StackPool::new(bytes, 1));
    }
}

#[test]
fn a_scheduler_of_any_configuration_is_an_error_or_works() {
    let new = |cores, fibers_max, stack_bytes| {
        let config = scheduler::Config::new(cores, fibers_max, stack_bytes);
        Scheduler::new(config, |error| panic!("{error}"))
    };
    for huge in HUGE {
        assert_eq!(refused(new(huge, 1, 64 * 1024)), io::ErrorKind::InvalidInput);
        assert_eq!(refused(new(1, huge, 64 * 1024)), io::ErrorKind::InvalidInput);
        refused(new(1, 1, huge));
    }
    refused(new(1, 1, 0));
    let least = new(0, 0, STACK_BYTES_MIN).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    assert!(least.spawn(move |_| sender.send(()).unwrap()).is_ok());
    receiver.recv_timeout(Duration::from_secs(30)).unwrap();
}
