//! A fixed number of threads that accept by themselves and serve one connection at a time each.
//!
//! ```text
//!  listeners ──┬─► thread 0: wait ─► accept ─► recv ─► parse ─► work ─► send … until it closes ─┐
//!  (shared by  │        ▲                                                                       │
//!   processes) │        └───────────────────────────────────────────────────────────────────────┘
//!              └─► thread 1: the same
//!  main thread ──► at the end of the server: what is left in the queues, for threads that are free
//! ```
//!
//! Each thread has a poller of its own with the listeners and a waker in it. `accept(2)` could wait
//! by itself, but a thread in it could not be told to stop: the listeners are shared with other
//! processes, and so are their mode and their end. The registration is exclusive: of the threads
//! that wait, in all processes, the kernel wakes one for a connection. It stays while the thread
//! serves; such a thread does not wait, so another one is woken.
//!
//! Accepting on the main thread and handing over to the others, as Apache's worker does, was tried:
//! two more switches of threads, and the listeners taken out of the poller while all threads are
//! busy and put in again, made a connection with one request cost twice as much.
//!
//! What is *not* guaranteed: an order. The kernel wakes the threads that registered first, so they
//! get most connections while there are few.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use reactor::net::{Accept, Listener, Peer, Stream};
use reactor::{Events, Interest, Poller, Token, Trigger, Waker};

use super::accept::{ABORTED_MAX, Admission, Admissions, cannot_accept};
use super::blocking::{Beginning, Shared};
use super::main_loop::{Accepted, Carrier};
use super::transport::Blocking;
use crate::app::App;
use crate::failure::{Named as _, Retrying, none_lasts};
use crate::operation::listen::Listening;

/// How long a thread pauses when the system is out of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);
/// The waker's token: no listener has this index.
const WAKER: Token = Token::new(u32::MAX, 0);

/// The threads, as the main thread has them.
pub struct ServingThreads {
    pool: Arc<Pool>,
    wakers: Vec<Waker>,
}

/// What the threads share.
struct Pool {
    /// Closed while no thread is between accepting and noting what it has accepted.
    listeners: RwLock<Vec<Listener>>,
    /// The threads accept from them.
    open: AtomicBool,
    admissions: Admissions,
    /// Accepted by the main thread, when the others do not any more.
    rest: Mutex<VecDeque<Accepted>>,
    filled: Condvar,
    /// Accepting fails; `fails` where that is looked at without the lock.
    failing: Mutex<Retrying>,
    fails: AtomicBool,
}

/// One of the threads.
struct ServingThread<A: App> {
    pool: Arc<Pool>,
    shared: Arc<Shared<A>>,
    poller: Poller,
    events: Events,
    /// Connections in a row that ended before they were accepted.
    aborted: Cell<u32>,
    number: usize,
}

impl ServingThreads {
    /// Starts `count` threads, which accept at once. They end with the process.
    ///
    /// # Errors
    /// The system refuses a thread or a descriptor.
    pub fn start<A: App>(
        (count, stack_bytes): (usize, usize),
        listeners: &[Listening],
        admissions: Admissions,
        shared: &Arc<Shared<A>>,
    ) -> io::Result<Self> {
        let own = listeners.iter().map(|listening| listening.listener.try_clone());
        let pool = Arc::new(Pool {
            listeners: RwLock::new(own.collect::<io::Result<_>>()?),
            open: AtomicBool::new(true),
            admissions,
            rest: Mutex::default(),
            filled: Condvar::new(),
            failing: Mutex::default(),
            fails: AtomicBool::new(false),
        });
        let mut wakers = Vec::with_capacity(count);
        for number in 0..count {
            let poller = pool.poller().named("cannot make a thread's poller")?;
            wakers.push(Waker::new(&poller, WAKER).named("cannot make a thread's waker")?);
            let events = Events::with_capacity(1 + listeners.len());
            let (pool, shared) = (Arc::clone(&pool), Arc::clone(shared));
            let aborted = Cell::new(0);
            let thread = ServingThread { pool, shared, poller, events, aborted, number };
            let named = thread::Builder::new().name(format!("serving {number}"));
            let started = named.stack_size(stack_bytes).spawn(move || thread.run());
            started.named(format_args!("cannot start serving thread {number} of {count}"))?;
        }
        Ok(ServingThreads { pool, wakers })
    }
}

impl<A: App> Carrier<A> for ServingThreads {
    /// The main thread accepts nothing but what is left at the end.
    fn has_place(&self, draining: bool) -> bool {
        draining
    }

    fn stop_accepting(&mut self) {
        self.pool.close();
        // It fails only where a thread is gone.
        self.wakers.iter().for_each(|waker| drop(waker.wake()));
    }

    fn start(&mut self, _shared: &Arc<Shared<A>>, accepted: Accepted) -> Result<(), Accepted> {
        self.pool.rest.lock().unwrap_or_else(PoisonError::into_inner).push_back(accepted);
        self.pool.filled.notify_one();
        Ok(())
    }
}

impl Pool {
    /// A poller with all listeners.
    fn poller(&self) -> io::Result<Poller> {
        let poller = Poller::new()?;
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
        for (index, listener) in listeners.iter().enumerate() {
            let token = Token::new(index as u32, 0);
            poller.add(listener, token, Interest::READABLE, Trigger::LevelExclusive)?;
        }
        Ok(poller)
    }

    #[cold]
    fn failed(&self, error: &io::Error) {
        self.fails.store(true, Ordering::Relaxed);
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.failed(cannot_accept("any listener"), error);
    }

    #[cold]
    fn succeeded(&self) {
        self.fails.store(false, Ordering::Relaxed);
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).succeeded();
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    fn close(&self) {
        self.open.store(false, Ordering::Release);
        self.listeners.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The next connection of those that the main thread has accepted.
    fn next_of_rest(&self) -> Accepted {
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(accepted) = rest.pop_front() {
                return accepted;
            }
            rest = self.filled.wait(rest).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<A: App> ServingThread<A> {
    /// One connection after another.
    fn run(mut self) {
        loop {
            let accepted = self.next();
            // The driver has reported it, and the context is made good by its next borrower.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let epoch = self.shared.contexts.epoch();
                accepted.serve(&self.shared, Blocking::new(accepted.stream(), epoch));
            }));
            accepted.end(&self.shared);
        }
    }

    /// Waits for a connection.
    fn next(&mut self) -> Accepted {
        while self.pool.is_open() {
            if let Err(error) = self.poller.wait(&mut self.events, None) {
                self.pause(&error);
            }
            for event in self.events.iter().filter(|event| event.token != WAKER) {
                match self.take(event.token.slot() as usize) {
                    Ok(Some(accepted)) => return accepted,
                    Ok(None) => {}
                    Err(error) => self.pause(&error),
                }
            }
        }
        self.pool.next_of_rest()
    }

    /// A connection from this listener, unless another thread was faster.
    fn take(&self, index: usize) -> io::Result<Option<Accepted>> {
        let listeners = self.pool.listeners.read().unwrap_or_else(PoisonError::into_inner);
        let Some(listener) = listeners.get(index) else { return Ok(None) };
        match listener.accept_blocking()? {
            // Noted under the lock: from then on the server's end waits for it.
            Accept::Stream(stream, peer) => {
                self.aborted.set(0);
                if self.pool.fails.load(Ordering::Relaxed) {
                    self.pool.succeeded();
                }
                Ok(self.admit(stream, peer))
            }
            Accept::Empty => Ok(None),
            Accept::Aborted => self.one_aborted().map(|()| None),
            Accept::Exhausted(error) => Err(error),
        }
    }

    /// The next connection may be fine, unless none was for a while.
    #[cold]
    fn one_aborted(&self) -> io::Result<()> {
        let aborted = self.aborted.get() + 1;
        self.aborted.set(aborted % ABORTED_MAX);
        if aborted < ABORTED_MAX { Ok(()) } else { Err(none_lasts()) }
    }

    fn admit(&self, stream: Stream, peer: Peer) -> Option<Accepted> {
        let beginning = match self.pool.admissions.admission(&stream, peer) {
            Admission::Serve => Beginning::Request,
            Admission::ProxyHeader => Beginning::ProxyHeader,
            Admission::Refuse => {
                self.shared.contexts.borrow(self.number).counters.connections_refused.add(1);
                return None;
            }
        };
        let cx = self.shared.contexts.borrow(self.number);
        let accepted = Accepted::new(&self.shared, stream, (peer, beginning), cx.clock.now_ms())?;
        cx.counters.connections_accepted.add(1);
        cx.counters.connections_open.add(1);
        Some(accepted)
    }

    #[cold]
    fn pause(&self, error: &io::Error) {
        self.pool.failed(error);
        self.shared.contexts.borrow(self.number).counters.accept_pauses.add(1);
        thread::sleep(PAUSE);
    }
}
