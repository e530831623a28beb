//! Whose queue is whose, with several listeners on a port.
//!
//! ```text
//!  as many listeners as posts, or more:  post p accepts from all q with q mod posts = p
//!  fewer (one, as a rule):               everybody accepts from all of them
//! ```
//!
//! The kernel goes on putting connections into the queue of a worker that has died. A successor that
//! comes at once finds them there. If it has to wait, another worker accepts from that listener
//! meanwhile: it is passed to it, and taken back when the successor serves.

use std::os::fd::AsFd as _;

use super::control::ControlMessage;
use super::master::Master;
use super::workers::Phase;
use crate::operation::listen::Listening;

/// For each listener, the process that takes care of it in its worker's place.
pub struct QueueTakeover {
    by: Vec<Option<u32>>,
}

impl QueueTakeover {
    pub fn new(listeners: usize) -> QueueTakeover {
        QueueTakeover { by: vec![None; listeners] }
    }
}

/// Notes which listeners are everybody's: those of addresses that have fewer than there are posts.
pub fn mark_shared(listeners: &mut [Listening], posts: usize) {
    let count =
        |listening: &Listening| listeners.iter().filter(|l| l.addr == listening.addr).count();
    let shared: Vec<bool> = listeners.iter().map(|listening| count(listening) < posts).collect();
    for (listening, shared) in listeners.iter_mut().zip(shared) {
        listening.shared = shared;
    }
}

/// The post whose listener this is, unless it is everybody's.
fn owner(listening: &Listening, posts: usize) -> Option<usize> {
    (!listening.shared).then(|| listening.queue % posts)
}

/// What a post accepts from.
pub fn of_post(listeners: Vec<Listening>, post: usize, posts: usize) -> Vec<Listening> {
    let is_for_it = |listening: &Listening| owner(listening, posts).is_none_or(|p| p == post);
    listeners.into_iter().filter(is_for_it).collect()
}

impl Master {
    /// Sees to it that somebody accepts from every queue whose post is in back-off, and nobody but
    /// its own worker from the others.
    pub(super) fn take_over_queues(&mut self) {
        if self.passing.is_some() {
            return; // the master accepts
        }
        self.end_takeovers();
        for (listening, cover) in self.listeners.iter().zip(&mut self.takeover.by) {
            let Some(post) = owner(listening, self.workers.posts.len()) else { continue };
            if !self.workers.posts[post].waits || cover.is_some() {
                continue;
            }
            // The one with the least to do; all queues may go to it, which is better than waiting.
            let metrics = &self.workers.metrics;
            let load = |slot| metrics.slot(slot).map_or(0, |slot| slot.connections_open.get());
            let serving = self.workers.processes.iter().filter(|w| w.phase == Phase::Serving);
            let Some(worker) = serving.min_by_key(|worker| load(worker.slot)) else { return };
            let fd = Some(listening.listener.as_fd());
            if ControlMessage::Adopt.send(&worker.channel, fd).is_ok() {
                *cover = Some(worker.child.id());
            }
        }
    }

    /// Forgets covers that serve no more, and takes back what its own worker serves again.
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
                // All that it has adopted: what is still to be covered is given to somebody anew.
                worker.tell(ControlMessage::Disown);
            }
            for cover in self.takeover.by.iter_mut().filter(|cover| **cover == Some(pid)) {
                *cover = None;
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
    fn each_post_has_its_own_queue() {
        for post in 0..3 {
            assert_eq!(queues_of(3, post, 3), [post]);
        }
    }

    /// After an upgrade to fewer workers.
    #[test]
    fn a_queue_that_nobody_would_have_is_somebodys() {
        assert_eq!(queues_of(5, 0, 2), [0, 2, 4]);
        assert_eq!(queues_of(5, 1, 2), [1, 3]);
    }

    #[test]
    fn fewer_queues_than_posts_are_everybodys() {
        for post in 0..3 {
            assert_eq!(queues_of(2, post, 3), [0, 1]);
        }
    }
}
