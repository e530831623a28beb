//! Replacing all workers one after another (HUP), and ending (TERM, QUIT, a successor).
//!
//! ```text
//!            HUP: post 0: fork, wait until it is ready, "hand over" to the old one; post 1: …
//!  Serving ──┬─ QUIT, or a successor serves ─► Finishing ── TERM ──┐
//!            └─ TERM, INT ───────────────────────────────────────► Limited ── TERM ─► Over
//!                                                                     └─ time is over ──┘
//! ```

use reactor::{EventLoop, Signal};

use super::control::ControlMessage;
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
pub struct RollingRestart {
    /// In reverse order.
    posts: Vec<usize>,
    /// The post whose new worker is on its way.
    current: Option<usize>,
    /// Another HUP came meanwhile: when this round is over, the next one begins.
    again: bool,
}

impl RollingRestart {
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
        self.workers.tell_all(ControlMessage::Reopen);
        if self.rolling_restart.is_under_way() {
            self.rolling_restart.again = true;
            return;
        }
        self.rolling_restart.begin(self.workers.posts.len());
        self.continue_restart(ev);
    }

    /// Goes on with the round when the last renewal is complete.
    pub(super) fn continue_restart(&mut self, ev: &mut EventLoop) {
        if self.rolling_restart.current.is_some() {
            return;
        }
        if self.rolling_restart.posts.is_empty() && self.rolling_restart.again {
            self.rolling_restart.begin(self.workers.posts.len());
        }
        while let Some(post) = self.rolling_restart.posts.pop() {
            // Where nobody serves, a new worker is due anyway.
            if self.workers.serving(post).is_some() {
                self.rolling_restart.current = Some(post);
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
        self.end(ev, next, ControlMessage::Stop);
        ev.set_deadline(self.chores, ev.now_ms() + grace_ms);
    }

    /// QUIT: finish.
    pub(super) fn quit(&mut self, ev: &mut EventLoop) {
        if self.stage == Stage::Serving {
            self.service.stopping();
            self.end(ev, Stage::Finishing, ControlMessage::Quit);
        }
    }

    /// The successor serves: finish, and leave the queues to it.
    pub(super) fn hand_over(&mut self, ev: &mut EventLoop) {
        self.listeners.iter_mut().for_each(|listening| listening.leave_file());
        if let Some(passing) = &mut self.passing {
            passing.end(ev, &self.listeners);
        }
        if self.stage == Stage::Serving {
            self.end(ev, Stage::Finishing, ControlMessage::HandOver);
        }
    }

    fn end(&mut self, ev: &mut EventLoop, stage: Stage, message: ControlMessage) {
        self.stage = stage;
        self.vacancies.clear();
        self.pass_rest(ev);
        // Before the workers': who closes a queue last must have taken in who waits in it.
        self.listeners.clear();
        for post in 0..self.workers.posts.len() {
            self.workers.metrics.processes().set_state(post, State::Gone);
        }
        self.workers.tell_all(message);
        if self.is_done() {
            ev.stop();
        }
    }

    /// Time is over.
    pub(super) fn kill_rest(&mut self) {
        let count = self.workers.processes.len();
        eprintln!("{}: killed {count} worker(s) that had not finished in time", self.name);
        for worker in &self.workers.processes {
            // One that has ended by itself meanwhile is as good.
            let _ = worker.child.signal(Signal::KILL);
        }
    }
}
