//! Replacing all workers one after another (HUP), and ending (TERM, QUIT, a successor).
//!
//! ```text
//!            HUP: post 0: fork, wait until it is ready, "hand over" to the old one; post 1: …
//!  Serving ──┬─ QUIT, or a successor serves ─► Finishing ── TERM ──┐
//!            └─ TERM, INT ───────────────────────────────────────► Limited ── TERM ─► Over
//!                                                                     └─ time is over ──┘
//! ```

use reactor::{EventLoop, Signal};

use super::control::Order;
use super::master::Master;
use crate::metrics::State;

/// What workers get beyond the drain's time, in which they end by themselves, before they are
/// killed: one that computes does not hear.
const GRACE_MS: u64 = 2_000;
/// What they get after the second signal: time to write their logs.
const GRACE_LAST_MS: u64 = 250;

/// How far the server is from its end.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Workers are replaced.
    Serving,
    /// Workers finish, however long it takes.
    Finishing,
    /// They do, within a time.
    Limited,
    /// They were told to end at once.
    Over,
}

/// Which posts are still to be renewed.
#[derive(Default)]
pub struct Rounds {
    /// In reverse order.
    posts: Vec<usize>,
    /// The post whose new worker is on its way.
    current: Option<usize>,
    /// Another HUP came meanwhile: when this round is over, the next one begins.
    again: bool,
}

impl Rounds {
    /// A post has a new worker.
    pub fn renewed(&mut self, post: usize) {
        if self.current == Some(post) {
            self.current = None;
        }
    }

    pub fn is_renewing(&self, post: usize) -> bool {
        self.current == Some(post)
    }

    fn is_under_way(&self) -> bool {
        self.current.is_some() || !self.posts.is_empty()
    }

    fn begin(&mut self, posts: usize) {
        self.posts = (0..posts).rev().collect();
        self.again = false;
    }
}

impl Master {
    /// HUP.
    pub(super) fn renew_all(&mut self, ev: &mut EventLoop) {
        self.service.reloading();
        self.staff.tell_all(Order::Reopen);
        if self.rounds.is_under_way() {
            self.rounds.again = true;
            return;
        }
        self.rounds.begin(self.staff.posts.len());
        self.next_in_round(ev);
    }

    /// Goes on with the round when the last renewal is complete.
    pub(super) fn next_in_round(&mut self, ev: &mut EventLoop) {
        if self.rounds.current.is_some() {
            return;
        }
        if self.rounds.posts.is_empty() && self.rounds.again {
            self.rounds.begin(self.staff.posts.len());
        }
        while let Some(post) = self.rounds.posts.pop() {
            // Where nobody serves, a new worker is due anyway.
            if self.staff.serving(post).is_some() {
                self.rounds.current = Some(post);
                return self.want(ev, post);
            }
        }
        self.service.reloaded();
    }

    /// TERM and INT: finish in time; said a second time, at once.
    pub(super) fn stop(&mut self, ev: &mut EventLoop) {
        let (next, grace_ms) = match self.stage {
            Stage::Serving | Stage::Finishing => (Stage::Limited, self.drain_ms + GRACE_MS),
            Stage::Limited | Stage::Over => (Stage::Over, GRACE_LAST_MS),
        };
        self.service.stopping();
        self.end(ev, next, Order::Stop);
        ev.set_deadline(self.chores, ev.now_ms() + grace_ms);
    }

    /// QUIT: finish.
    pub(super) fn quit(&mut self, ev: &mut EventLoop) {
        if self.stage == Stage::Serving {
            self.service.stopping();
            self.end(ev, Stage::Finishing, Order::Quit);
        }
    }

    /// The successor serves: finish, and leave the queues to it.
    pub(super) fn hand_over(&mut self, ev: &mut EventLoop) {
        self.listeners.iter_mut().for_each(|listening| listening.leave_file());
        if let Some(passing) = &mut self.passing {
            passing.end(ev, &self.listeners);
        }
        if self.stage == Stage::Serving {
            self.end(ev, Stage::Finishing, Order::HandOver);
        }
    }

    fn end(&mut self, ev: &mut EventLoop, stage: Stage, order: Order) {
        self.stage = stage;
        self.vacancies.clear();
        self.pass_rest(ev);
        // Before the workers': who closes a queue last must have taken in who waits in it.
        self.listeners.clear();
        for post in 0..self.staff.posts.len() {
            self.staff.metrics.processes().set_state(post, State::Gone);
        }
        self.staff.tell_all(order);
        if self.is_done() {
            ev.stop();
        }
    }

    /// Time is over.
    pub(super) fn kill_rest(&mut self) {
        let count = self.staff.workers.len();
        eprintln!("{}: killed {count} worker(s) that had not finished in time", self.name);
        for worker in &self.staff.workers {
            // One that has ended by itself meanwhile is as good.
            let _ = worker.child.signal(Signal::KILL);
        }
    }
}
