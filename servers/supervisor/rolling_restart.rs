//! Replacing all workers one after another (HUP), and stopping (TERM, QUIT, a successor).
//!
//! ```text
//!            HUP: worker 0: fork, wait until ready, send HandOver to the old one; worker 1: …
//!  Serving ──┬─ QUIT, or a successor serves ─► Finishing ── TERM ──┐
//!            └─ TERM, INT ───────────────────────────────────────► Limited ── TERM ─► Over
//!                                                                     └── time is up ────┘
//! ```

use reactor::{EventLoop, Signal};

use super::Master;
use super::control::ControlMessage;
use crate::metrics::State;
use crate::operation::log_file::LogFile;
use crate::report::report;

/// Time beyond the drain timeout before workers are killed. They normally exit by themselves, but a
/// busy handler does not see the message.
const GRACE_MS: u64 = 2_000;
/// Time after the second signal, to write the logs.
const GRACE_LAST_MS: u64 = 250;

/// How far the server's shutdown has progressed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Dead workers are replaced.
    Serving,
    /// Workers finish, without a time limit.
    Finishing,
    /// Workers finish, within a time limit.
    Limited,
    /// Workers were told to exit at once.
    Over,
}

/// Progress of a rolling restart: the worker slots still to be renewed.
#[derive(Default)]
pub struct RollingRestart {
    /// In reverse order.
    posts: Vec<usize>,
    /// The worker slot whose new worker is starting.
    current: Option<usize>,
    /// Another HUP arrived: a further round follows this one.
    again: bool,
}

impl RollingRestart {
    /// A new worker serves in a worker slot.
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
        self.reopen_logs();
        if self.rolling_restart.is_under_way() {
            self.rolling_restart.again = true;
            return;
        }
        self.rolling_restart.begin(self.workers.posts.len());
        self.continue_restart(ev);
    }

    /// HUP and USR1: the workers reopen the log, which may have to be made for them.
    pub(super) fn reopen_logs(&self) {
        self.log_file.iter().for_each(LogFile::make);
        self.workers.tell_all(ControlMessage::Reopen);
    }

    /// Continues the round once the last renewal is complete.
    pub(super) fn continue_restart(&mut self, ev: &mut EventLoop) {
        if self.rolling_restart.current.is_some() {
            return;
        }
        if self.rolling_restart.posts.is_empty() && self.rolling_restart.again {
            self.rolling_restart.begin(self.workers.posts.len());
        }
        while let Some(post) = self.rolling_restart.posts.pop() {
            // Without a serving worker, a new one is due anyway.
            if self.workers.serving(post).is_some() {
                self.rolling_restart.current = Some(post);
                return self.want(ev, post);
            }
        }
        self.service.reloaded();
    }

    /// TERM and INT: finish within the drain timeout; a second time, at once.
    pub(super) fn stop(&mut self, ev: &mut EventLoop) {
        let (next, grace_ms) = match self.stage {
            Stage::Serving | Stage::Finishing => (Stage::Limited, self.drain_ms + GRACE_MS),
            Stage::Limited | Stage::Over => (Stage::Over, GRACE_LAST_MS),
        };
        self.service.stopping();
        self.end(ev, next, ControlMessage::Stop);
        ev.set_deadline(self.kill_timer, ev.now_ms() + grace_ms);
    }

    /// QUIT: finish.
    pub(super) fn quit(&mut self, ev: &mut EventLoop) {
        if self.stage == Stage::Serving {
            self.service.stopping();
            self.end(ev, Stage::Finishing, ControlMessage::Quit);
        }
    }

    /// The successor serves: finish, and leave it the queues.
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
        // Before the workers close theirs: the last to close a queue must have accepted all in it.
        self.listeners.clear();
        for post in 0..self.workers.posts.len() {
            self.workers.metrics.processes().set_state(post, State::Gone);
        }
        self.workers.tell_all(message);
        if self.is_done() {
            ev.stop();
        }
    }

    /// The time is up: kills the remaining workers.
    pub(super) fn kill_rest(&mut self) {
        let count = self.workers.processes.len();
        report!("killed {count} worker(s) that did not finish in time");
        for worker in &self.workers.processes {
            // It may have exited by itself meanwhile.
            let _ = worker.child.signal(Signal::KILL);
        }
    }
}
