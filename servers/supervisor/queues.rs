//! Which worker accepts from which queue, with several listeners on a port.
//!
//! ```text
//!  at least as many listeners as workers:  worker w accepts from every q with q mod workers = w
//!  fewer (usually one):                    every worker accepts from all of them
//! ```
//!
//! The kernel keeps adding connections to a dead worker's queue. An immediate replacement finds
//! them there. During a back-off, the listener is passed to another worker, which accepts from it
//! until the replacement serves.

use std::os::fd::AsFd as _;

use super::Master;
use super::control::ControlMessage;
use super::workers::Phase;
use crate::metrics::total;
use crate::operation::listen::Listening;

/// For each listener, the process that accepts from it in place of its own worker.
pub struct QueueTakeover {
    by: Vec<Option<u32>>,
}

impl QueueTakeover {
    pub fn new(listeners: usize) -> QueueTakeover {
        QueueTakeover { by: vec![None; listeners] }
    }
}

/// Marks the listeners that all workers share: those of addresses with fewer listeners than
/// workers.
pub fn mark_shared(listeners: &mut [Listening], posts: usize) {
    let count =
        |listening: &Listening| listeners.iter().filter(|l| l.addr == listening.addr).count();
    let shared: Vec<bool> = listeners.iter().map(|listening| count(listening) < posts).collect();
    for (listening, shared) in listeners.iter_mut().zip(shared) {
        listening.shared = shared;
    }
}

/// The worker slot that owns this listener; `None` if it is shared.
fn owner(listening: &Listening, posts: usize) -> Option<usize> {
    (!listening.shared).then(|| listening.queue % posts)
}

/// The listeners that a worker slot accepts from.
pub fn of_post(listeners: Vec<Listening>, post: usize, posts: usize) -> Vec<Listening> {
    let is_for_it = |listening: &Listening| owner(listening, posts).is_none_or(|p| p == post);
    listeners.into_iter().filter(is_for_it).collect()
}

impl Master {
    /// Ensures that another worker accepts from every queue whose worker is in back-off, and only
    /// its own worker from the others.
    pub(super) fn take_over_queues(&mut self) {
        if self.passing.is_some() {
            return; // the master accepts
        }
        self.end_takeovers();
        for (listening, by) in self.listeners.iter().zip(&mut self.takeover.by) {
            let Some(post) = owner(listening, self.workers.posts.len()) else { continue };
            if !self.workers.posts[post].waits || by.is_some() {
                continue;
            }
            // The least loaded worker; it may get all the queues, which is better than waiting.
            let metrics = &self.workers.metrics;
            let load = |slot| total(metrics.of_process(slot), |slot| &slot.connections_open);
            let serving = self.workers.processes.iter().filter(|w| w.phase == Phase::Serving);
            let Some(worker) = serving.min_by_key(|worker| load(worker.slot)) else { return };
            let fd = Some(listening.listener.as_fd());
            if ControlMessage::Adopt.send(&worker.channel, fd).is_ok() {
                *by = Some(worker.child.id());
            }
        }
    }

    /// Forgets takeovers by workers that no longer serve, and ends those whose own worker is back.
    fn end_takeovers(&mut self) {
        let posts = self.workers.posts.len();
        for index in 0..self.listeners.len() {
            let Some(pid) = self.takeover.by[index] else { continue };
            let worker = self.workers.processes.iter().find(|worker| worker.child.id() == pid);
            let serving = worker.filter(|worker| worker.phase == Phase::Serving);
            let waits = owner(&self.listeners[index], posts)
                .is_some_and(|post| self.workers.posts[post].waits);
            if waits && serving.is_some() {
                continue;
            }
            if let Some(worker) = serving {
                // It drops all that it adopted: what still needs a takeover is reassigned.
                worker.tell(ControlMessage::Disown);
            }
            for by in self.takeover.by.iter_mut().filter(|by| **by == Some(pid)) {
                *by = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::inherited::Inherited;
    use crate::options::Options;

    fn listeners(queues: usize) -> Vec<Listening> {
        let listen = vec![crate::options::ListenAddr::Tcp(([127, 0, 0, 1], 0).into())];
        let options = Options { listen, ..Options::default() };
        crate::operation::listen::open(&options, queues, &mut Inherited::default()).unwrap()
    }

    fn queues_of(queues: usize, post: usize, posts: usize) -> Vec<usize> {
        let mut listeners = listeners(queues);
        mark_shared(&mut listeners, posts);
        of_post(listeners, post, posts).iter().map(|listening| listening.queue).collect()
    }

    #[test]
    fn each_worker_has_its_own_queue() {
        for post in 0..3 {
            assert_eq!(queues_of(3, post, 3), [post]);
        }
    }

    /// After an upgrade to fewer workers.
    #[test]
    fn surplus_queues_are_distributed_over_the_workers() {
        assert_eq!(queues_of(5, 0, 2), [0, 2, 4]);
        assert_eq!(queues_of(5, 1, 2), [1, 3]);
    }

    #[test]
    fn fewer_queues_than_workers_are_shared() {
        for post in 0..3 {
            assert_eq!(queues_of(2, post, 3), [0, 1]);
        }
    }
}
