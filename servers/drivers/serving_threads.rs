//! A fixed number of threads that serve connections, one at a time each.
//!
//! ```text
//!                      ┌─► thread 0: recv ─► parse ─► work ─► send … until it closes ─┐
//! main thread: accept ─┤                                                              ├─► waits
//!                      └─► thread 1: the same                                         ┘
//! ```
//!
//! They are started once, so that a connection costs no start of a thread, but a hand-over. There
//! are never more connections than threads (see [`Registry`](super::blocking::Registry)): the queue
//! between the main thread and them holds only what is on its way.
//!
//! A panic ends its connection, and the thread goes on.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use super::blocking::Shared;
use super::main_loop::{Accepted, Carrier};
use super::transport::Blocking;
use crate::app::App;

/// The threads, as the main thread has them.
pub struct ServingThreads {
    queue: Arc<Queue>,
}

/// Connections on their way to a thread.
#[derive(Default)]
struct Queue {
    list: Mutex<VecDeque<Accepted>>,
    filled: Condvar,
}

impl ServingThreads {
    /// Starts `count` threads, which wait. They end with the process.
    ///
    /// # Errors
    /// The system refuses one.
    pub fn start<A: App>(
        name: &str,
        count: usize,
        stack_bytes: usize,
        shared: &Arc<Shared<A>>,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        for number in 0..count {
            let (queue, shared) = (Arc::clone(&queue), Arc::clone(shared));
            let thread =
                thread::Builder::new().name(format!("{name} {number}")).stack_size(stack_bytes);
            thread.spawn(move || run(&queue, &shared))?;
        }
        Ok(ServingThreads { queue })
    }
}

impl<A: App> Carrier<A> for ServingThreads {
    fn has_place(&self, _draining: bool) -> bool {
        true
    }

    fn start(&mut self, _shared: &Arc<Shared<A>>, accepted: Accepted) -> Result<(), Accepted> {
        self.queue.push(accepted);
        Ok(())
    }
}

impl Queue {
    fn push(&self, accepted: Accepted) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push_back(accepted);
        self.filled.notify_one();
    }

    fn next(&self) -> Accepted {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(accepted) = list.pop_front() {
                return accepted;
            }
            list = self.filled.wait(list).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What a thread does: one connection after another.
fn run<A: App>(queue: &Queue, shared: &Shared<A>) {
    loop {
        let accepted = queue.next();
        // The driver has reported it, and the context is made good by the next borrower.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            accepted.serve(shared, Blocking::new(accepted.stream(), shared.contexts.epoch()));
        }));
        accepted.end(shared);
    }
}
