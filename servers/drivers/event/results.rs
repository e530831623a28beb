//! Taking results back from a workplace, and giving up those that do not come.
//!
//! ```text
//!  take_done ──► the connection under its key, still in Work or Fill? ──► its response is sent
//!                                   └─ no: the client is gone, or was answered 503; dropped
//! ```
//!
//! A result is taken only when there is a buffer for what its client's socket might not take; until
//! then it stays in the workplace, which bounds what is in hand. One comes back: what passes
//! [`Engine::has_buffers`] to read leaves one at least, so the last one is with a response, whose
//! client takes it or is given up.

use std::{io, mem};

use http::Status;
use reactor::{EventLoop, Token};

use super::cold;
use super::connection::{Connection, Phase};
use super::output::Progress;
use super::workplace::{Job, Outcome, Stuck, Task};
use super::{BUFFERS_A_READ, Driver, Engine, Step, class};
use crate::app::App;
use crate::app::response::Reach;

/// Results taken in one turn: after so many, others have theirs first.
const RESULTS_PER_TURN_MAX: u32 = 256;

impl<A: App> Engine<A> {
    /// A job has come back: its result becomes the connection's.
    fn take_result(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        job: &mut Job,
    ) -> Step {
        let outcome = mem::take(&mut job.outcome);
        if job.task != Task::Fill {
            connection.phase = Phase::Head;
            mem::swap(&mut self.head, &mut job.head);
        } else if job.window.is_none() {
            mem::swap(&mut self.out, &mut job.out);
            self.exchange(connection, ev.now_ms()).pieces = mem::take(&mut job.pieces);
        }
        match outcome {
            Outcome::Answered(finished) => {
                mem::swap(&mut self.out, &mut job.out);
                self.pieces = mem::take(&mut job.pieces);
                self.finished(ev, connection, finished, Some(job.head_bytes()));
            }
            Outcome::Waits(time) => {
                let ms = time.as_millis() as u64;
                self.begin_wait(ev, connection, ms, job.head_bytes(), job.body_bytes());
            }
            Outcome::Filled(Ok(reach)) => return self.take_filled(ev, connection, reach),
            Outcome::Filled(Err(error)) => {
                self.out.clear();
                if error.kind() != io::ErrorKind::UnexpectedEof {
                    eprintln!(
                        "stampede: a file could not be read, its response was cut short: {error}"
                    );
                }
                return self.unfinished(ev, connection, Progress::Broken);
            }
            Outcome::Nothing => {
                self.refuse(ev, connection, Status::INTERNAL_SERVER_ERROR, None);
            }
        }
        self.flush(ev, connection)
    }

    /// What comes next of the response is in memory.
    fn take_filled(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        reach: Reach,
    ) -> Step {
        let exchange = self.exchange(connection, ev.now_ms());
        let bytes = exchange.pieces.front().map_or(0, |piece| cold::filled(piece, reach));
        // Until now it was the client who waited.
        exchange.moved_ms = ev.now_ms() as u32;
        self.tally.file_fill_bytes.add(bytes);
        connection.phase = Phase::Send;
        self.send_rest(ev, connection)
    }

    /// The next job that is done, if what it brings finds a buffer should the socket be full. Else
    /// it stays where it is until there is one.
    fn take_done(&mut self) -> Option<Box<Job>> {
        if !self.has_results() {
            return None;
        }
        self.desk.as_mut()?.place.take_done()
    }

    fn next_stuck(&mut self) -> Option<Stuck> {
        self.desk.as_mut()?.place.next_stuck()
    }

    /// Counts a job, and keeps its memory for the next.
    fn put_back(&mut self, job: Box<Job>) {
        if job.worked && job.task != Task::Fill {
            self.tally.works.add(1);
            let time = job.times.ended.saturating_duration_since(job.times.begun);
            self.tally.work_us.add(time.as_micros() as u64);
        }
        if let Some(desk) = &mut self.desk {
            desk.put_back(job);
        }
    }

    /// The next connection that waits for room, if there is some.
    fn next_waiting(&mut self) -> Option<Token> {
        let desk = self.desk.as_mut()?;
        if desk.has_room() { desk.waiting.pop_front() } else { None }
    }

    /// Sets buffers aside again for jobs that were given up, as they come back.
    fn replenish(&mut self) {
        let Some(desk) = &mut self.desk else { return };
        while desk.lost > 0 && self.pool.available(class::LARGE) > BUFFERS_A_READ + 2 {
            let (Some(input), Some(out)) =
                (self.pool.take(class::LARGE), self.pool.take(class::LARGE))
            else {
                return;
            };
            desk.spare.push((input, out));
            desk.lost -= 1;
        }
        self.stocked = false;
    }

    /// A job that takes too long: its client is told to come again.
    fn give_up_job(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        if connection.phase == Phase::Fill || self.pool.available(class::LARGE) == 0 {
            connection.reset_on_close();
            return Step::Close;
        }
        self.refuse(ev, connection, Status::SERVICE_UNAVAILABLE, None);
        self.flush(ev, connection)
    }

    /// There is a result that could be taken.
    pub(super) fn has_results(&self) -> bool {
        let done = self.desk.as_ref().is_some_and(|desk| desk.place.has_done());
        done && self.pool.available(class::LARGE) > 0
    }
}

impl<A: App> Driver<A> {
    /// Takes back what is done, and hands over what waited for room.
    pub(super) fn exchange_jobs(&mut self, ev: &mut EventLoop) {
        for _ in 0..RESULTS_PER_TURN_MAX {
            let Some(mut job) = self.engine.take_done() else { break };
            let token = job.key;
            let step = self
                .at_work(token)
                .map(|(engine, connection)| engine.take_result(ev, connection, &mut job));
            self.engine.put_back(job);
            if let Some(step) = step {
                self.follow(ev, token, step);
            }
        }
        self.feed_waiting(ev);
    }

    /// The connection whose job this is, unless it has ended or was answered otherwise.
    fn at_work(&mut self, token: Token) -> Option<(&mut Engine<A>, &mut Connection)> {
        let connection = self.connections.get_mut(token.slot() as usize)?.as_mut()?;
        let waits = matches!(connection.phase, Phase::Work | Phase::Fill);
        (connection.token == token && waits).then_some((&mut self.engine, connection))
    }

    /// Hands over what waited for room, as long as there is some.
    fn feed_waiting(&mut self, ev: &mut EventLoop) {
        while let Some(token) = self.engine.next_waiting() {
            let slot = token.slot() as usize;
            let Some(Some(connection)) = self.connections.get_mut(slot) else { continue };
            let waits = matches!(connection.phase, Phase::Queue | Phase::Fill);
            if connection.token == token && waits {
                let step = self.engine.submit_held_now(ev, connection);
                self.follow(ev, token, step);
            }
        }
    }

    /// Goes on with a connection as the last step says.
    fn follow(&mut self, ev: &mut EventLoop, token: Token, step: Step) {
        let slot = token.slot() as usize;
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        let stays = match step {
            Step::Blocked => self.engine.settle(ev, connection),
            Step::Again => self.engine.progress(ev, connection, &mut self.scratch),
            Step::Close => false,
        };
        if !stays {
            self.close(ev, token);
        }
    }

    /// All that this turn has submitted is submitted: whoever is to do it may begin.
    pub(super) fn jobs_submitted(&mut self, ev: &mut EventLoop) {
        let Some(desk) = &mut self.engine.desk else { return };
        desk.place.call_to_work();
        let busy = desk.place.jobs_out() > 0 || desk.place.has_stuck() || desk.lost > 0;
        if let Some(interval) = desk.place.watch_interval()
            && busy
            && ev.deadline(desk.watch).is_none()
        {
            ev.set_deadline(desk.watch, ev.now_ms() + (interval.as_millis() as u64).max(1));
        }
    }

    /// Looks for jobs that take too long.
    pub(super) fn watch_jobs(&mut self, ev: &mut EventLoop) {
        while let Some(Stuck { key, lost }) = self.engine.next_stuck() {
            if let Some((engine, connection)) = self.at_work(key) {
                let step = engine.give_up_job(ev, connection);
                self.follow(ev, key, step);
            }
            if let Some(desk) = &mut self.engine.desk {
                desk.lost += usize::from(lost);
            }
        }
        self.engine.replenish();
        self.feed_waiting(ev);
    }
}
