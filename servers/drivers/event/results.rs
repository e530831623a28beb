//! Taking results back from an executor, and giving up jobs that take too long.
//!
//! ```text
//!  take_completed ──► the connection under its key, still waiting for it? ──► its response is sent
//!                                   └─ no: the client is gone, or was answered 503; dropped
//! ```
//!
//! A result is taken only when there is a buffer for what its client's socket might not take; until
//! then it stays in the executor, which bounds what is in flight. A buffer always comes back:
//! reading leaves at least one free ([`Buffers::suffice`](super::buffers::Buffers::suffice)), so
//! the last one is used by a response, whose client either takes it or times out.

use std::mem;

use reactor::{EventLoop, Token};

use super::buffers::BUFFERS_A_READ;
use super::connection::{Connection, Stage};
use super::{Driver, Engine, Step};
use crate::app::App;
use crate::drivers::send::{Progress, unreadable};
use crate::session::Phase;
use crate::work::executor::Stuck;
use crate::work::job::{Job, Kind};
use crate::work::page_cache;
use crate::work::request::Outcome;

/// Results taken in one turn before other events get theirs.
const RESULTS_PER_TURN_MAX: u32 = 256;

impl<A: App> Engine<A> {
    /// A job has come back: hands its result to the connection.
    fn take_result(&mut self, connection: &mut Connection, job: &mut Job) -> Step {
        if job.kind == Kind::Fill {
            return self.take_filled(connection, job);
        }
        mem::swap(&mut self.cx.head, &mut job.head);
        let outcome = mem::take(&mut job.outcome);
        if let Outcome::Answered(_) = outcome {
            mem::swap(&mut self.out, &mut job.out);
        }
        let (head, body) = (job.head_bytes(), job.body_bytes());
        let (cx, out) = (&mut self.cx, &mut self.out);
        let next = connection.session.answered(cx, outcome, head, body, out);
        self.follow(connection, next)
    }

    /// The next piece of the response is in memory, or could not be read.
    fn take_filled(&mut self, connection: &mut Connection, job: &mut Job) -> Step {
        connection.stage = Stage::Serving;
        let Some(unsent) = connection.session.unsent() else { return Step::Close };
        if job.window.is_none() {
            unsent.pieces = mem::take(&mut job.out.pieces);
        }
        match job.filled.take() {
            Some(Ok(reach)) => {
                if job.window.is_none() {
                    mem::swap(&mut self.out.bytes, &mut job.out.bytes);
                }
                let piece = unsent.pieces.front();
                let bytes = piece.map_or(0, |piece| page_cache::filled(piece, reach));
                self.cx.counters.file_fill_bytes.add(bytes);
                connection.session.resume_sending(&mut self.cx);
                self.send_rest(connection)
            }
            Some(Err(error)) => {
                let piece = unsent.pieces.front();
                let progress = piece.map_or(Progress::Broken, |piece| unreadable(piece, &error));
                self.unfinished(connection, progress)
            }
            None => self.unfinished(connection, Progress::Broken),
        }
    }

    /// The next completed job, if there is a buffer for its result in case the socket is full.
    /// Otherwise it stays where it is until there is one.
    fn take_completed(&mut self) -> Option<Box<Job>> {
        if !self.has_results() {
            return None;
        }
        self.offload.as_mut()?.executor.take_completed()
    }

    fn next_stuck(&mut self) -> Option<Stuck> {
        self.offload.as_mut()?.executor.next_stuck()
    }

    /// Counts a job, and keeps its memory for the next.
    fn put_back(&mut self, job: Box<Job>) {
        if job.worked && job.kind != Kind::Fill {
            self.cx.counters.works.add(1);
            let time = job.times.ended.saturating_duration_since(job.times.begun);
            self.cx.counters.work_us.add(time.as_micros() as u64);
        }
        if let Some(offload) = &mut self.offload {
            offload.put_back(job);
        }
    }

    /// The next connection that waits for room, if there is room.
    fn next_waiting(&mut self) -> Option<Token> {
        let offload = self.offload.as_mut()?;
        if offload.has_room() { offload.waiting.pop_front() } else { None }
    }

    /// Reserves new buffers for abandoned jobs, as buffers become free.
    fn replenish(&mut self) {
        let Some(offload) = &mut self.offload else { return };
        while offload.lost > 0 && self.buffers.available() > BUFFERS_A_READ + 2 {
            let Some(pair) = self.buffers.take_pair() else { return };
            offload.spare.push(pair);
            offload.lost -= 1;
        }
    }

    /// A job takes too long: its client gets 503.
    fn give_up_job(&mut self, connection: &mut Connection) -> Step {
        if connection.stage == Stage::Filling || self.buffers.available() == 0 {
            connection.reset_on_close();
            return Step::Close;
        }
        connection.input = None;
        let next = connection.session.unavailable(&mut self.cx, &[], &mut self.out);
        self.follow(connection, next)
    }

    /// Whether there is a result that can be taken.
    pub(super) fn has_results(&self) -> bool {
        let offload = self.offload.as_ref();
        let done = offload.is_some_and(|offload| offload.executor.has_completed());
        done && self.buffers.available() > 0
    }
}

impl<A: App> Driver<A> {
    /// Takes completed jobs back, and hands over requests that waited for room.
    pub(super) fn exchange_jobs(&mut self, ev: &mut EventLoop) {
        for _ in 0..RESULTS_PER_TURN_MAX {
            let Some(mut job) = self.engine.take_completed() else { break };
            let token = job.key;
            let step = self
                .at_work(ev, token)
                .map(|(engine, connection)| engine.take_result(connection, &mut job));
            self.engine.put_back(job);
            if let Some(step) = step {
                self.run(ev, token, step);
            }
        }
        self.resume_queued(ev);
    }

    /// The connection whose job this is, unless it has ended or has been answered already.
    fn at_work(
        &mut self,
        ev: &EventLoop,
        token: Token,
    ) -> Option<(&mut Engine<A>, &mut Connection)> {
        if !ev.contains(token) {
            return None;
        }
        self.engine.enter(&self.peers, token);
        let connection = self.connections.get_mut(token.slot() as usize)?.as_mut()?;
        let works = connection.session.phase() == Phase::Work && connection.stage == Stage::Serving;
        let waits = works || connection.stage == Stage::Filling;
        waits.then_some((&mut self.engine, connection))
    }

    /// Hands over requests that waited for room, as long as there is room.
    fn resume_queued(&mut self, ev: &mut EventLoop) {
        while let Some(token) = self.engine.next_waiting() {
            if !ev.contains(token) {
                continue;
            }
            self.engine.enter(&self.peers, token);
            let slot = token.slot() as usize;
            let Some(Some(connection)) = self.connections.get_mut(slot) else { continue };
            if matches!(connection.stage, Stage::Queued | Stage::Filling) {
                let step = self.engine.submit_queued(token, connection);
                self.run(ev, token, step);
            }
        }
    }

    /// This turn has submitted its jobs: wakes the workers.
    pub(super) fn jobs_submitted(&mut self, ev: &mut EventLoop) {
        let Some(offload) = &mut self.engine.offload else { return };
        let executor = &mut offload.executor;
        executor.wake_workers();
        let busy = executor.in_flight() > 0 || executor.has_stuck() || offload.lost > 0;
        if let Some(interval) = executor.watch_interval()
            && busy
            && ev.deadline(offload.watch).is_none()
        {
            ev.set_deadline(offload.watch, ev.now_ms() + (interval.as_millis() as u64).max(1));
        }
    }

    /// Gives up jobs that take too long.
    pub(super) fn watch_jobs(&mut self, ev: &mut EventLoop) {
        while let Some(Stuck { key, lost }) = self.engine.next_stuck() {
            if let Some((engine, connection)) = self.at_work(ev, key) {
                let step = engine.give_up_job(connection);
                self.run(ev, key, step);
            }
            if let Some(offload) = &mut self.engine.offload {
                offload.lost += usize::from(lost);
            }
        }
        self.engine.replenish();
        self.resume_queued(ev);
    }
}
