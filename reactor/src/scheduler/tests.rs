use super::{Awaited, Config, NEVER, Running, Scheduler};
use crate::net::Stream;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

const STACK_BYTES: usize = 64 * 1024;
/// Far more than anything takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn scheduler(cores: usize, fibers_max: usize) -> Scheduler {
    Scheduler::new(Config::new(cores, fibers_max, STACK_BYTES), |error| panic!("{error}"))
        .expect("a few stacks and threads")
}

fn spawn(scheduler: &Scheduler, entry: impl FnOnce(&Running<'_>) + Send + 'static) {
    assert!(scheduler.spawn(entry).is_ok(), "a stack");
}

fn pair() -> (Stream, UnixStream) {
    let (here, there) = UnixStream::pair().expect("two descriptors");
    here.set_nonblocking(true).expect("a socket");
    (OwnedFd::from(here).into(), there)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(std::time::Instant::now() < end, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_unpark_before_the_park_is_latched() {
    let scheduler = scheduler(1, 1);
    let (sender, receiver) = mpsc::channel();
    spawn(&scheduler, move |running| {
        running.unparker().unpark();
        running.park();
        sender.send(()).unwrap();
    });
    receiver.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn two_threads_unpark_each_other_many_times() {
    const ROUNDS: usize = 10_000;
    let scheduler = scheduler(2, 2);
    let (unparkers, turn) = (Arc::new(std::sync::Mutex::new(Vec::new())), Arc::default());
    let (sender, receiver) = mpsc::channel();
    for mine in 0..2 {
        let (unparkers, sender) = (Arc::clone(&unparkers), sender.clone());
        let turn: Arc<AtomicUsize> = Arc::clone(&turn);
        spawn(&scheduler, move |running| {
            unparkers.lock().unwrap().push(running.unparker());
            while unparkers.lock().unwrap().len() < 2 {
                running.yield_now();
            }
            // The order in which they came is not known: both are unparked.
            let both = unparkers.lock().unwrap().clone();
            for round in 0..ROUNDS {
                while turn.load(Relaxed) != 2 * round + mine {
                    running.park();
                }
                turn.store(2 * round + mine + 1, Relaxed);
                both.iter().for_each(super::Unparker::unpark);
            }
            sender.send(()).unwrap();
        });
    }
    receiver.recv_timeout(PATIENCE).unwrap();
    receiver.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn what_arrives_wakes_its_thread_and_no_deadline_does() {
    let scheduler = scheduler(2, 8);
    let (sender, receiver) = mpsc::channel();
    let mut clients = Vec::new();
    for _ in 0..8 {
        let (stream, there) = pair();
        clients.push(there);
        let sender = sender.clone();
        spawn(&scheduler, move |running| {
            let mut byte = [0];
            loop {
                assert!(running.wait(stream.as_fd(), Awaited::Readable, NEVER).unwrap());
                match stream.recv(&mut byte) {
                    Ok(0) => break,
                    Ok(_) => assert_eq!(stream.send(&byte).unwrap(), 1),
                    Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
                }
            }
            sender.send(()).unwrap();
        });
    }
    for round in 0..100 {
        for client in &mut clients {
            client.write_all(&[round]).unwrap();
        }
        for client in &mut clients {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [round]);
        }
    }
    clients.clear();
    (0..8).for_each(|_| receiver.recv_timeout(PATIENCE).unwrap());
    until("the sources are released", || scheduler.stats().threads == 0);
}

#[test]
fn a_wait_ends_at_its_deadline_and_not_before() {
    let scheduler = scheduler(1, 1);
    let (sender, receiver) = mpsc::channel();
    let (stream, _there) = pair();
    spawn(&scheduler, move |running| {
        // Later, then earlier, then later again.
        for wait_ms in [30, 5, 20] {
            let deadline_ms = running.now_ms() + wait_ms;
            let found = running.wait(stream.as_fd(), Awaited::Readable, deadline_ms).unwrap();
            assert!(!found);
            assert!(running.now_ms() >= deadline_ms);
        }
        sender.send(()).unwrap();
    });
    receiver.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_failed_descriptor_ends_a_wait_for_failure_and_bytes_do_not() {
    let scheduler = scheduler(1, 1);
    let (sender, receiver) = mpsc::channel();
    let (stream, mut there) = pair();
    spawn(&scheduler, move |running| {
        let deadline_ms = running.now_ms() + 20;
        assert!(!running.wait(stream.as_fd(), Awaited::Failure, deadline_ms).unwrap());
        sender.send(()).unwrap();
        assert!(running.wait(stream.as_fd(), Awaited::Failure, NEVER).unwrap());
        sender.send(()).unwrap();
    });
    there.write_all(b"pipelined").unwrap();
    receiver.recv_timeout(PATIENCE).unwrap();
    drop(there);
    receiver.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_thread_that_blocks_does_not_hold_up_its_cores_others() {
    let scheduler = scheduler(1, 4);
    let (sender, receiver) = mpsc::channel();
    let blocked = Arc::new(Barrier::new(2));
    let (its, started) = (Arc::clone(&blocked), sender.clone());
    spawn(&scheduler, move |_| {
        started.send("blocks").unwrap();
        its.wait();
    });
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok("blocks"));
    let (stream, mut there) = pair();
    spawn(&scheduler, move |running| {
        running.sleep_until(running.now_ms() + 5);
        assert!(running.wait(stream.as_fd(), Awaited::Readable, NEVER).unwrap());
        sender.send("served").unwrap();
    });
    there.write_all(b"x").unwrap();
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok("served"));
    assert!(scheduler.stats().takeovers > 0);
    blocked.wait();
    until("both are over", || scheduler.stats().threads == 0);
}

#[test]
fn more_threads_may_block_than_there_are_cores() {
    const BLOCKED: usize = 12;
    let scheduler = scheduler(2, 16);
    let blocked = Arc::new(Barrier::new(BLOCKED + 1));
    for _ in 0..BLOCKED {
        let blocked = Arc::clone(&blocked);
        spawn(&scheduler, move |_| {
            blocked.wait();
        });
    }
    blocked.wait();
    until("all are over", || scheduler.stats().threads == 0);
}

#[test]
fn what_waits_behind_a_computation_is_stolen() {
    let scheduler = scheduler(2, 64);
    let (release, ran) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    // It fills its core's queue, and stays in the way.
    let (stay, count) = (Arc::clone(&release), Arc::clone(&ran));
    let (sender, receiver) = mpsc::channel();
    spawn(&scheduler, move |running| {
        let unparkers: Vec<super::Unparker> = receiver.iter().collect();
        let core = running.core();
        unparkers.iter().for_each(super::Unparker::unpark);
        while !stay.load(Relaxed) {
            std::hint::spin_loop();
        }
        count.fetch_add(core * 1000, Relaxed);
    });
    for _ in 0..40 {
        let (sender, ran) = (sender.clone(), Arc::clone(&ran));
        spawn(&scheduler, move |running| {
            sender.send(running.unparker()).unwrap();
            drop(sender);
            running.park();
            ran.fetch_add(1, Relaxed);
        });
    }
    drop(sender);
    until("the others have run", || ran.load(Relaxed) == 40);
    release.store(true, Relaxed);
    until("all are over", || scheduler.stats().threads == 0);
}

#[test]
fn a_panic_ends_its_thread_and_its_stack_is_used_again() {
    let scheduler = scheduler(1, 1);
    for _ in 0..20 {
        until("a stack", || scheduler.spawn(|_| panic!("as it was asked to")).is_ok());
    }
    let (sender, receiver) = mpsc::channel();
    until("a stack", || {
        let sender = sender.clone();
        scheduler.spawn(move |_| sender.send(()).unwrap()).is_ok()
    });
    receiver.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_deadline_at_the_end_of_time_does_not_end_a_wait() {
    let scheduler = scheduler(1, 4);
    let (sender, receiver) = mpsc::channel();
    for deadline_ms in [NEVER, NEVER - 1, NEVER / 2] {
        let sender = sender.clone();
        let (stream, there) = pair();
        spawn(&scheduler, move |running| {
            sender.send(there).unwrap();
            assert!(running.wait(stream.as_fd(), Awaited::Readable, deadline_ms).unwrap());
        });
    }
    drop(sender);
    let others: Vec<_> = receiver.iter().take(3).collect();
    std::thread::sleep(Duration::from_millis(20)); // a deadline in the past would have come
    assert_eq!(scheduler.stats().threads, 3);
    drop(others);
    until("all are over", || scheduler.stats().threads == 0);
}

/// What a panic carries: dropping it is one more.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new("dropped"));
    }
}

#[test]
fn a_panic_whose_payload_panics_does_not_end_the_carrier() {
    let scheduler = scheduler(1, 4);
    for _ in 0..3 {
        spawn(&scheduler, |_| std::panic::resume_unwind(Box::new(Bomb)));
    }
    let (sender, receiver) = mpsc::channel();
    spawn(&scheduler, move |_| sender.send("runs").unwrap());
    assert_eq!(receiver.recv_timeout(PATIENCE), Ok("runs"));
    until("all are over", || scheduler.stats().threads == 0);
}

#[test]
fn an_entry_that_is_too_large_for_a_stack_leaves_no_trace() {
    let scheduler = scheduler(1, 1);
    for _ in 0..2 * super::STACKS_SPARE {
        let large = [0_u8; STACK_BYTES / 2];
        let entry = move |_: &Running<'_>| assert_eq!(std::hint::black_box(large)[0], 0);
        let spawn = || scheduler.spawn(entry).is_ok();
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(spawn)).is_err());
    }
    assert_eq!(scheduler.stats().threads, 0);
    spawn(&scheduler, |_| {});
    until("it is over", || scheduler.stats().threads == 0);
}

#[test]
fn there_are_no_more_threads_than_stacks() {
    let scheduler = scheduler(1, 4);
    let stacks = 4 + super::STACKS_SPARE;
    for _ in 0..stacks {
        spawn(&scheduler, |running| running.park());
    }
    assert!(scheduler.spawn(|_| {}).is_err());
    assert_eq!(scheduler.stats().threads, stacks);
}
