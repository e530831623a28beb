//! The round trip of a job: loop → worker → loop.

use crate::OtherCore;
use crate::contenders::{Crossbeam, Ours, Ring, Rtrb};
use crate::report::{Contender, Table, time};
use stampede_reactor::event_loop::{Config, EventLoop, Handler};
use stampede_reactor::sleep::{Parker, Unparker, parker};
use stampede_reactor::{Doorbell, Readiness, Token, Waker};
use std::hint::spin_loop;
use std::sync::mpsc;
use std::thread::{self, Thread};
use std::time::Duration;

const CAPACITY: usize = 64;
/// The job after which the worker ends.
const LAST: u64 = u64::MAX;

/// Both sides poll their rings all the time.
pub fn awake(table: &mut Table, other: OtherCore) {
    const ROUNDS: usize = 401;
    const JOBS: u64 = 2_000;
    let contenders = vec![
        Contender::new(Ours::NAME, || both_awake::<Ours>(other, JOBS)),
        Contender::new(Ours::NAME, || both_awake::<Ours>(other, JOBS)),
        Contender::new(Rtrb::NAME, || both_awake::<Rtrb>(other, JOBS)),
        Contender::new(Crossbeam::NAME, || both_awake::<Crossbeam>(other, JOBS)),
    ];
    table.measure("round trip, both awake", ROUNDS, JOBS, contenders);
}

/// Each side sleeps while the other one works: the loop in its poller, the worker in a futex. The
/// rivals are woken in the straightforward way: unpark after every push, the eventfd after every
/// result.
pub fn from_sleep(table: &mut Table, other: OtherCore) {
    const ROUNDS: usize = 201;
    const JOBS: u64 = 100;
    let contenders = vec![
        Contender::new(Ours::NAME, || both_asleep::<Ours, Protocol>(other, JOBS)),
        Contender::new(Ours::NAME, || both_asleep::<Ours, Protocol>(other, JOBS)),
        Contender::new(Rtrb::NAME, || both_asleep::<Rtrb, Plain>(other, JOBS)),
        Contender::new(Crossbeam::NAME, || both_asleep::<Crossbeam, Plain>(other, JOBS)),
    ];
    table.measure("round trip, both from sleep", ROUNDS, JOBS, contenders);
}

fn both_awake<R: Ring>(other: OtherCore, jobs: u64) -> Duration {
    let (mut to_worker, mut job_ring) = R::ring(CAPACITY);
    let (mut result_ring, mut from_worker) = R::ring(CAPACITY);
    let mut round_trip = move |job| {
        assert!(R::push(&mut to_worker, job));
        assert_eq!(spin_for::<R>(&mut from_worker), job);
    };
    other.beside(
        move || {
            while {
                let job = spin_for::<R>(&mut job_ring);
                assert!(R::push(&mut result_ring, job));
                job != LAST
            } {}
        },
        || {
            round_trip(0); // the worker is running
            let time = time(|| (0..jobs).for_each(&mut round_trip));
            round_trip(LAST);
            time
        },
    )
}

fn spin_for<R: Ring>(consumer: &mut R::Consumer) -> u64 {
    loop {
        match R::pop(consumer) {
            Some(item) => return item,
            None => spin_loop(),
        }
    }
}

/// How the two sides wake each other.
trait Wake {
    /// The worker's side.
    type Worker: Send;
    /// What wakes the worker, in the loop; made by the worker's thread.
    type WakeWorker: Send + 'static;
    type WakeLoop: Send;

    fn worker() -> (Self::Worker, Self::WakeWorker);
    fn wake_worker(wake: &Self::WakeWorker);
    fn sleep(worker: &mut Self::Worker, has_work: impl FnMut() -> bool);
    fn wake_loop(ev: &mut EventLoop) -> Self::WakeLoop;
    fn ring(wake: &Self::WakeLoop);
}

/// `stampede_reactor::sleep`.
struct Protocol;

impl Wake for Protocol {
    type Worker = Parker;
    type WakeWorker = Unparker;
    type WakeLoop = Doorbell;

    fn worker() -> (Parker, Unparker) {
        let (parker, unparker) = parker();
        (parker.with_spins(0), unparker)
    }

    fn wake_worker(unparker: &Unparker) {
        unparker.wake();
    }

    fn sleep(parker: &mut Parker, has_work: impl FnMut() -> bool) {
        parker.sleep_unless(has_work);
    }

    fn wake_loop(ev: &mut EventLoop) -> Doorbell {
        ev.doorbell().expect("a doorbell")
    }

    fn ring(doorbell: &Doorbell) {
        doorbell.ring().expect("rung");
    }
}

/// The standard library's park and unpark, which remember an unpark; and an eventfd.
struct Plain;

impl Wake for Plain {
    type Worker = ();
    type WakeWorker = Thread;
    type WakeLoop = Waker;

    fn worker() -> ((), Thread) {
        ((), thread::current())
    }

    fn wake_worker(worker: &Thread) {
        worker.unpark();
    }

    fn sleep((): &mut (), _has_work: impl FnMut() -> bool) {
        thread::park();
    }

    fn wake_loop(ev: &mut EventLoop) -> Waker {
        ev.waker().expect("a waker")
    }

    fn ring(waker: &Waker) {
        waker.wake().expect("woken");
    }
}

/// The loop's handler: sends the next job when a result comes.
struct Sender<R: Ring, W: Wake> {
    jobs: R::Producer,
    results: R::Consumer,
    worker: W::WakeWorker,
}

impl<R: Ring, W: Wake> Sender<R, W> {
    fn send(&mut self, job: u64) {
        assert!(R::push(&mut self.jobs, job));
        W::wake_worker(&self.worker);
    }
}

impl<R: Ring, W: Wake> Handler for Sender<R, W> {
    fn ready(&mut self, _: &mut EventLoop, _: Token, _: Readiness) {}

    fn timeout(&mut self, _: &mut EventLoop, _: Token) {}

    fn has_work(&self) -> bool {
        !R::is_empty(&self.results)
    }

    fn woken(&mut self, ev: &mut EventLoop) {
        while let Some(job) = R::pop(&mut self.results) {
            if job == 0 {
                return ev.stop();
            }
            self.send(job - 1);
        }
    }
}

fn both_asleep<R: Ring, W: Wake>(other: OtherCore, jobs: u64) -> Duration {
    let (to_worker, mut job_ring) = R::ring(CAPACITY);
    let (mut result_ring, results) = R::ring(CAPACITY);
    let mut ev = EventLoop::new(Config::with_sources(1)).expect("a loop");
    let wake_loop = W::wake_loop(&mut ev);
    let (introduce, introduced) = mpsc::channel();
    other.beside(
        move || {
            let (mut worker, wake_worker) = W::worker();
            introduce.send(wake_worker).expect("the loop waits for it");
            loop {
                match R::pop(&mut job_ring) {
                    Some(LAST) => return,
                    Some(job) => {
                        assert!(R::push(&mut result_ring, job));
                        W::ring(&wake_loop);
                    }
                    None => W::sleep(&mut worker, || !R::is_empty(&job_ring)),
                }
            }
        },
        || {
            let worker = introduced.recv().expect("the worker is there");
            let mut sender = Sender::<R, W> { jobs: to_worker, results, worker };
            let time = time(|| {
                sender.send(jobs);
                ev.run(&mut sender).expect("run");
            });
            sender.send(LAST);
            time
        },
    )
}
