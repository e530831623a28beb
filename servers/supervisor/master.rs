//! The master: decides, and touches no client's byte.
//!
//! ```text
//!            ┌── turn: signals, ends of workers, what they say, back-offs that are over
//!   run() ◄──┤
//!            └── stopped when a post is vacant: run() forks, outside of the loop, so that the
//!                child returns from there and nothing of the master's is in its way
//! ```

use std::io;
use std::mem;
use std::process::ExitStatus;

use reactor::process::{Channel, Fork, Received, fork};
use reactor::{EventLoop, Handler, Readiness, Signal, Token};

use super::control::ControlMessage;
use super::fd_passing::Passing;
use super::queues::{self, QueueTakeover};
use super::rolling_restart::{RollingRestart, Stage};
use super::worker::WorkerSetup;
use super::workers::{Phase, Worker, Workers};
use crate::model::Server;
use crate::operation::listen::Listening;
use crate::operation::service::Service;
use crate::operation::upgrade::Upgrade;
use crate::options::{Accept, Options};

/// The master's loop handler.
pub struct Master {
    pub(super) name: &'static str,
    /// All listeners, for as long as the server serves; the queues are theirs, whoever accepts.
    pub(super) listeners: Vec<Listening>,
    pub(super) workers: Workers,
    /// Posts to be filled now.
    pub(super) vacancies: Vec<usize>,
    pub(super) stage: Stage,
    pub(super) rolling_restart: RollingRestart,
    pub(super) upgrade: Upgrade,
    /// The source whose deadline ends everything.
    pub(super) chores: Token,
    pub(super) drain_ms: u64,
    /// Who takes care of queues whose workers are in back-off.
    pub(super) takeover: QueueTakeover,
    /// With `--accept pass`.
    pub(super) passing: Option<Passing>,
    /// Announced when all posts are filled for the first time.
    pub(super) service: Service,
    /// A worker could not even start before any other had.
    failed: bool,
}

impl Master {
    /// A master whose posts are all vacant.
    ///
    /// # Errors
    /// The loop has no room.
    pub fn new(ev: &mut EventLoop, options: &Options, server: Server) -> io::Result<Self> {
        let missing = || io::Error::other("no source left in the master's loop");
        let Server { mut listeners, metrics, mut service } = server;
        service.join(ev)?;
        let name = service.name;
        queues::mark_shared(&mut listeners, metrics.loops());
        let passing = match options.workers.accept {
            Accept::Pass => Some(Passing::new(ev, listeners.len(), options).ok_or_else(missing)?),
            Accept::ReusePort | Accept::Shared => None,
        };
        Ok(Master {
            name,
            vacancies: (0..metrics.loops()).rev().collect(),
            workers: Workers::new(ev, metrics).ok_or_else(missing)?,
            stage: Stage::Serving,
            rolling_restart: RollingRestart::default(),
            upgrade: Upgrade::new(ev, name).ok_or_else(missing)?,
            chores: ev.reserve().ok_or_else(missing)?,
            drain_ms: options.drain_timeout.as_millis() as u64,
            takeover: QueueTakeover::new(listeners.len()),
            listeners,
            passing,
            service,
            failed: false,
        })
    }

    /// How it went, once it is done.
    ///
    /// # Errors
    /// It never came to serve.
    pub fn result(&self) -> io::Result<()> {
        match self.failed {
            true => Err(io::Error::other("a worker ended before it served; nothing is served")),
            false => Ok(()),
        }
    }

    /// It was told to stop, and everybody has gone.
    pub fn is_done(&self) -> bool {
        self.stage != Stage::Serving && self.workers.processes.is_empty()
    }

    /// A post to be filled now: one where nobody serves before one that is merely to be renewed, and
    /// none while all slots of counters are taken.
    pub fn next_vacancy(&mut self) -> Option<usize> {
        self.workers.free_slot()?;
        let empty = self.vacancies.iter().rposition(|post| self.workers.serving(*post).is_none());
        let index = empty.or_else(|| self.vacancies.len().checked_sub(1))?;
        Some(self.vacancies.remove(index))
    }

    /// Forks a worker into a post. Returns what it has to do in the worker, nothing in the master.
    pub fn fill(&mut self, ev: &mut EventLoop, post: usize) -> Option<WorkerSetup> {
        ev.refresh_clock();
        match self.fork_worker(ev, post) {
            Ok(setup) => setup,
            Err(error) => {
                eprintln!("{}: worker {post} cannot be started: {error}", self.name);
                self.replace_dead(ev, post, 0);
                None
            }
        }
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

    /// In the worker: what it takes from its master.
    fn setup(&mut self, post: usize, slot: usize, channel: Channel) -> WorkerSetup {
        let (name, metrics) = (self.name, self.workers.metrics.clone());
        let listeners = match self.passing {
            Some(_) => Vec::new(),
            None => queues::of_post(mem::take(&mut self.listeners), post, metrics.loops()),
        };
        WorkerSetup { name, post, slot, metrics, listeners, channel }
    }

    /// A worker is wanted in a post, now.
    pub(super) fn want(&mut self, ev: &mut EventLoop, post: usize) {
        let on_the_way = self.vacancies.contains(&post) || self.workers.is_starting(post);
        if self.stage == Stage::Serving && !on_the_way {
            self.vacancies.push(post);
            ev.stop();
        }
    }

    /// A worker of a post has died unasked after so long: the next one, now or in a while.
    fn replace_dead(&mut self, ev: &mut EventLoop, post: usize, lived_ms: u64) -> u64 {
        let delay_ms = self.workers.count_death(post, lived_ms);
        if self.workers.serving(post).is_some() && !self.rolling_restart.is_renewing(post) {
            return delay_ms; // it was a successor that nobody waits for any more
        }
        match delay_ms {
            0 => self.want(ev, post),
            _ => ev.set_deadline(self.workers.posts[post].timer, ev.now_ms() + delay_ms),
        }
        delay_ms
    }

    /// A worker's end has been reported.
    fn ended(&mut self, ev: &mut EventLoop, index: usize) {
        let Ok(Some(status)) = self.workers.processes[index].child.try_wait() else { return };
        let mut worker = self.workers.remove(ev, index);
        // What a worker lacks from the first is lacking in the next one, too: whoever has started
        // this server should know, be it a person or the server that it is to replace.
        let was_first = !self.service.is_announced() && worker.phase == Phase::Starting;
        if was_first && status.code().is_some() {
            self.failed = true;
            self.stop(ev);
        }
        if self.stage == Stage::Serving {
            self.serve_on(ev, &mut worker, status);
            // A slot of counters is free again.
            if !self.vacancies.is_empty() {
                ev.stop();
            }
        } else if self.workers.processes.is_empty() {
            ev.stop();
        }
    }

    fn serve_on(&mut self, ev: &mut EventLoop, worker: &mut Worker, status: ExitStatus) {
        let (name, post, pid) = (self.name, worker.post, worker.child.id());
        if worker.phase == Phase::Leaving {
            if !status.success() {
                eprintln!("{name}: worker {post} (process {pid}) did not finish: {status}");
            }
            return;
        }
        let delay_ms = self.replace_dead(ev, post, self.lived_ms(ev, worker));
        let when = match delay_ms {
            0 => "it is replaced at once".to_owned(),
            _ => format!("it died young, and is replaced in {delay_ms} ms"),
        };
        eprintln!("{name}: worker {post} (process {pid}) has ended ({status}); {when}");
        self.deliver_again(ev, worker);
        self.take_over_queues();
    }

    /// How long a worker has lived since it was ready.
    fn lived_ms(&self, ev: &EventLoop, worker: &Worker) -> u64 {
        match worker.phase {
            Phase::Starting => 0,
            Phase::Serving | Phase::Leaving => ev.now_ms().saturating_sub(worker.since_ms),
        }
    }

    /// A worker has something to say.
    fn receive(&mut self, ev: &mut EventLoop, index: usize) {
        let control = self.workers.processes[index].control;
        while let Some(index) = self.workers.processes.iter().position(|w| w.control == control) {
            // What is wrong with a channel shows in its worker's end.
            let Ok(Received::Message(message)) = self.workers.processes[index].channel.recv()
            else {
                return;
            };
            let (post, phase) =
                (self.workers.processes[index].post, self.workers.processes[index].phase);
            match ControlMessage::of(message.tag) {
                Some(ControlMessage::Ready) if phase == Phase::Starting => self.is_ready(ev, index),
                Some(ControlMessage::Leave) if phase == Phase::Serving => self.want(ev, post),
                _ => {}
            }
        }
    }

    /// A worker serves.
    fn is_ready(&mut self, ev: &mut EventLoop, index: usize) {
        let post = self.workers.processes[index].post;
        if self.stage != Stage::Serving {
            return; // what it has been told meanwhile it will do
        }
        self.workers.promote(index, ev.now_ms());
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
        } else if token == self.chores {
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
            Signal::HUP => self.renew_all(ev),
            Signal::USR1 => self.workers.tell_all(ControlMessage::Reopen),
            Signal::USR2 => {
                self.upgrade.begin(ev, self.listeners.iter(), self.service.pid_file());
            }
            _ => {}
        }
    }
}
