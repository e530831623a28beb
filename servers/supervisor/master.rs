//! The master: makes the decisions, and never handles client data.
//!
//! ```text
//!            ┌── turn: signals, worker exits, control messages, expired back-offs
//!   run() ◄──┤
//!            └── stopped when a worker slot is vacant: run() forks outside the loop, so that the
//!                child can drop all of the master's state
//! ```

use std::io;
use std::mem;
use std::process::ExitStatus;

use reactor::process::{Channel, Fork, Received, fork};
use reactor::{EventLoop, Handler, Readiness, Signal, Token};

use super::Master;
use super::control::ControlMessage;
use super::fd_passing::Passing;
use super::queues::{self, QueueTakeover};
use super::rolling_restart::{RollingRestart, Stage};
use super::worker::WorkerSetup;
use super::workers::{Phase, Worker, WorkerSlot, Workers};
use crate::failure::{Retrying, explained};
use crate::metrics::Metrics;
use crate::operation::listen::Listening;
use crate::operation::log_file::LogFile;
use crate::operation::orphans;
use crate::operation::service::Service;
use crate::operation::upgrade::Upgrade;
use crate::options::{Accept, Options};
use crate::report::report;

impl Master {
    /// A master whose worker slots are all vacant.
    ///
    /// # Errors
    /// The loop has no source left.
    pub(super) fn new(
        ev: &mut EventLoop,
        options: &Options,
        accept: Accept,
        (mut listeners, metrics, mut service): (Vec<Listening>, Metrics, Service),
    ) -> io::Result<Self> {
        service.join(ev)?;
        match accept {
            Accept::Shared => listeners.iter_mut().for_each(|listening| listening.shared = true),
            _ => queues::mark_shared(&mut listeners, metrics.loops()),
        }
        let passing = match accept {
            Accept::Pass => Some(Passing::new(ev, listeners.len(), options)?),
            Accept::ReusePort | Accept::Shared => None,
        };
        Ok(Master {
            vacancies: (0..metrics.loops()).rev().collect(),
            workers: Workers::new(ev, metrics)?,
            stage: Stage::Serving,
            rolling_restart: RollingRestart::default(),
            upgrade: Upgrade::new(ev, &service)?,
            kill_timer: ev.reserve()?,
            drain_ms: options.drain_timeout.as_millis() as u64,
            takeover: QueueTakeover::new(listeners.len()),
            listeners,
            passing,
            service,
            log_file: LogFile::of(options),
            failed: None,
            forking: Retrying::default(),
        })
    }

    /// The outcome, once it is done.
    ///
    /// # Errors
    /// The server never served.
    pub(super) fn result(&self) -> io::Result<()> {
        match &self.failed {
            Some(why) => Err(io::Error::other(format!("{why}; giving up"))),
            None => Ok(()),
        }
    }

    /// Whether it was told to stop, and all workers have exited.
    pub(super) fn is_done(&self) -> bool {
        self.stage != Stage::Serving && self.workers.processes.is_empty()
    }

    /// The next worker slot to fill: one without a serving worker before one that is merely being
    /// renewed, and none while all counter slots are taken.
    pub(super) fn next_vacancy(&mut self) -> Option<usize> {
        self.workers.free_slot()?;
        let empty = self.vacancies.iter().rposition(|post| self.workers.serving(*post).is_none());
        let index = empty.or_else(|| self.vacancies.len().checked_sub(1))?;
        Some(self.vacancies.remove(index))
    }

    /// Forks a worker. Returns its setup in the worker, nothing in the master.
    pub(super) fn fill(&mut self, ev: &mut EventLoop, post: usize) -> Option<WorkerSetup> {
        ev.refresh_clock();
        match self.fork_worker(ev, post) {
            Ok(setup) => {
                self.forking.succeeded();
                setup
            }
            Err(error) => {
                self.cannot_fork(ev, post, &error);
                None
            }
        }
    }

    /// Tries again later, unless this is the start: then the operator, or the server being
    /// replaced, is to notice.
    #[cold]
    fn cannot_fork(&mut self, ev: &mut EventLoop, post: usize, error: &io::Error) {
        if !self.service.is_announced() {
            let why = explained(error);
            self.failed = Some(format!("cannot start worker {post}: {why}"));
            return self.stop(ev);
        }
        self.forking.failed(format_args!("cannot start worker {post}"), error);
        self.replace_dead(ev, post, 0);
    }

    fn fork_worker(&mut self, ev: &mut EventLoop, post: usize) -> io::Result<Option<WorkerSetup>> {
        let slot = self.workers.free_slot().ok_or_else(|| io::Error::other("no slot is free"))?;
        let (near, far) = Channel::pair()?;
        match fork()? {
            Fork::Child => Ok(Some(self.setup(post, slot, far))),
            Fork::Parent(child) => {
                let far = self.passing.is_some().then_some(far);
                self.workers.add(ev, (child, near, far), post, slot)?;
                Ok(None)
            }
        }
    }

    /// In the worker: what it inherits from the master.
    fn setup(&mut self, post: usize, slot: usize, channel: Channel) -> WorkerSetup {
        let metrics = self.workers.metrics.clone();
        let listeners = match self.passing {
            Some(_) => Vec::new(),
            None => queues::of_post(mem::take(&mut self.listeners), post, metrics.loops()),
        };
        WorkerSetup { post, slot, metrics, listeners, channel }
    }

    /// Requests a worker for a worker slot, now.
    pub(super) fn want(&mut self, ev: &mut EventLoop, post: usize) {
        let on_the_way = self.vacancies.contains(&post) || self.workers.is_starting(post);
        if self.stage == Stage::Serving && !on_the_way {
            self.vacancies.push(post);
            ev.stop();
        }
    }

    /// Requests a worker for a worker slot, now or at the end of the back-off there.
    fn want_when_due(&mut self, ev: &mut EventLoop, post: usize) {
        let WorkerSlot { timer, due_ms, .. } = self.workers.posts[post];
        match ev.now_ms() >= due_ms {
            true => self.want(ev, post),
            false => ev.set_deadline(timer, due_ms),
        }
    }

    /// Replaces a worker that died unexpectedly after `lived_ms`, now or after a back-off, which is
    /// returned. `None`: its predecessor still serves, and is not replaced before it asks for that.
    fn replace_dead(&mut self, ev: &mut EventLoop, post: usize, lived_ms: u64) -> Option<u64> {
        let delay_ms = self.workers.count_death(post, lived_ms);
        self.workers.posts[post].due_ms = ev.now_ms() + delay_ms;
        if self.workers.serving(post).is_some() && !self.rolling_restart.is_renewing(post) {
            return None;
        }
        self.want_when_due(ev, post);
        Some(delay_ms)
    }

    /// A worker's exit was reported.
    fn ended(&mut self, ev: &mut EventLoop, index: usize) {
        let Ok(Some(status)) = self.workers.processes[index].child.try_wait() else { return };
        let mut worker = self.workers.remove(ev, index);
        // If the first worker cannot start, neither can the next: fail, so that the operator or the
        // server being replaced notices.
        let was_first = !self.service.is_announced() && worker.phase == Phase::Starting;
        if was_first && self.stage == Stage::Serving && status.code().is_some() {
            self.failed = Some("a worker exited before it was ready".to_owned());
            self.stop(ev);
        }
        if self.stage == Stage::Serving {
            self.replace(ev, &mut worker, status);
            // A counter slot is free again.
            if !self.vacancies.is_empty() {
                ev.stop();
            }
        } else if self.workers.processes.is_empty() {
            ev.stop();
        }
    }

    fn replace(&mut self, ev: &mut EventLoop, worker: &mut Worker, status: ExitStatus) {
        let (post, pid) = (worker.post, worker.child.id());
        if worker.phase == Phase::Leaving {
            if !status.success() {
                report!("worker {post} (process {pid}) did not exit cleanly: {status}");
            }
            return;
        }
        let delay_ms = self.replace_dead(ev, post, self.lived_ms(ev, worker));
        let stays = "exited right after starting; its predecessor continues to serve";
        let when = match delay_ms {
            None => stays.to_owned(),
            Some(0) => "exited; restarting at once".to_owned(),
            Some(ms) if self.workers.serving(post).is_some() => {
                format!("{stays}; trying again in {ms} ms")
            }
            Some(ms) => format!("exited right after starting; restarting in {ms} ms"),
        };
        report!("worker {post} (process {pid}, {status}) {when}");
        self.deliver_again(ev, worker);
        self.take_over_queues();
    }

    /// How long a worker has been ready.
    fn lived_ms(&self, ev: &EventLoop, worker: &Worker) -> u64 {
        match worker.phase {
            Phase::Starting => 0,
            Phase::Serving | Phase::Leaving => ev.now_ms().saturating_sub(worker.since_ms),
        }
    }

    /// Receives a worker's messages.
    fn receive(&mut self, ev: &mut EventLoop, index: usize) {
        let control = self.workers.processes[index].control;
        while let Some(index) = self.workers.processes.iter().position(|w| w.control == control) {
            // A broken channel shows when its worker exits.
            let Ok(Received::Message(message)) = self.workers.processes[index].channel.recv()
            else {
                return;
            };
            let (post, phase) =
                (self.workers.processes[index].post, self.workers.processes[index].phase);
            match ControlMessage::of(message.tag) {
                Some(ControlMessage::Ready) if phase == Phase::Starting => self.is_ready(ev, index),
                // Sent again and again, also while successors exit early.
                Some(ControlMessage::Leave) if phase == Phase::Serving => {
                    self.want_when_due(ev, post);
                }
                _ => {}
            }
        }
    }

    /// A worker is ready to serve.
    fn is_ready(&mut self, ev: &mut EventLoop, index: usize) {
        let post = self.workers.processes[index].post;
        if self.stage != Stage::Serving {
            return; // it has been told to finish, and will
        }
        self.workers.promote(index, ev.now_ms());
        ev.clear_deadline(self.workers.posts[post].timer);
        self.rolling_restart.renewed(post);
        self.take_over_queues();
        self.pass_on(ev);
        let all_serve =
            (0..self.workers.posts.len()).all(|post| self.workers.serving(post).is_some());
        if all_serve {
            self.service.announce(ev);
        }
        self.continue_restart(ev);
    }
}

impl Handler for Master {
    fn ready(&mut self, ev: &mut EventLoop, token: Token, _: Readiness) {
        let of_worker = |source: fn(&Worker) -> Token| {
            self.workers.processes.iter().position(|worker| source(worker) == token)
        };
        if let Some(index) = of_worker(|worker| worker.control) {
            self.receive(ev, index);
        } else if let Some(index) = of_worker(|worker| worker.exit) {
            self.ended(ev, index);
        } else if self.upgrade.is_for(token) {
            if let Some(successor) = self.upgrade.proceed(ev) {
                self.service.replaced_by(successor);
                self.hand_over(ev);
            }
        } else {
            self.accept(ev, token);
        }
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        if self.upgrade.is_for(token) {
            self.upgrade.timeout();
        } else if self.service.is_for(token) {
            self.service.beat(ev);
        } else if token == self.kill_timer {
            self.kill_rest();
        } else if let Some(post) = self.workers.posts.iter().position(|post| post.timer == token) {
            self.want(ev, post);
        } else {
            self.pass_on(ev);
        }
    }

    fn signal(&mut self, ev: &mut EventLoop, signal: Signal) {
        match signal {
            Signal::TERM | Signal::INT => self.stop(ev),
            Signal::QUIT => self.quit(ev),
            Signal::CHLD => orphans::reap(),
            Signal::HUP => self.renew_all(ev),
            Signal::USR1 => self.reopen_logs(),
            Signal::USR2 => {
                self.upgrade.begin(ev, self.listeners.iter(), self.service.pid_file());
            }
            _ => {}
        }
    }
}
