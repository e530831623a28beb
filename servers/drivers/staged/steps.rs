//! What each stage does with an event, and where it goes from there.
//!
//! | stage | does | then |
//! |---|---|---|
//! | `handle` | [`App::handle`] | `write`; `work` if it asks for it; its reader, to wait |
//! | `work` | [`App::work`] | `write` |
//! | `write` | sends what there is room for | its reader; `files` for what is not in memory |
//! | `files` | reads that part | `write` |

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::connection::{Event, To};
use super::{Name, System};
use crate::app::App;
use crate::app::clock::Clock;
use crate::drivers::send::{Progress, send_all, unreadable};
use crate::report::report;
use crate::session::{Context, Next, Phase};
use crate::work::job::Kind;
use crate::work::page_cache::{self, Window};

impl<A: App> System<A> {
    /// A stage's step.
    pub(super) fn step(&self, name: Name, event: &mut Event, clock: &mut Clock) -> To {
        match name {
            Name::Handle => self.handle(event),
            Name::Work => self.work(event, clock),
            Name::Files => self.fill(event, clock),
            Name::Write => self.write(event),
        }
    }

    /// Answers the request, or finds that it takes work.
    fn handle(&self, event: &mut Event) -> To {
        let handled = catch_unwind(AssertUnwindSafe(|| {
            let mut cx = self.borrow(&event.connection);
            let cx = &mut *cx;
            if event.job.begin(&*cx.app, &mut cx.local, &cx.clock) {
                return To::Work;
            }
            let next = event.answered(cx);
            event.follow(next)
        }));
        handled.unwrap_or_else(|_| self.failed(event))
    }

    /// Runs what may take its time, without a context.
    fn work(&self, event: &mut Event, clock: &mut Clock) -> To {
        if let Some(to) = self.too_late(event) {
            return to;
        }
        let begun = Instant::now();
        clock.update(self.shared.contexts.now_ms());
        let app = self.shared.contexts.app();
        let worked = catch_unwind(AssertUnwindSafe(|| event.job.work(app, clock)));
        if worked.is_err() {
            return self.failed(event);
        }
        let mut cx = self.borrow(&event.connection);
        cx.counters.works.add(1);
        cx.counters.work_us.add(begun.elapsed().as_micros() as u64);
        let next = event.answered(&mut cx);
        event.follow(next)
    }

    /// A request that has waited for longer than it may take is not begun: 408.
    fn too_late(&self, event: &mut Event) -> Option<To> {
        let mut cx = self.borrow(&event.connection);
        let session = &mut event.connection.session;
        if cx.clock.now_ms() < session.request_deadline_ms(&cx) {
            return None;
        }
        let line = event.job.request_bytes().to_vec();
        let (input, out) = event.job.buffers();
        input.clear();
        let next = session.expired(&mut cx, &line, out);
        Some(event.follow(next))
    }

    /// The application has panicked: 500, and the thread goes on.
    #[cold]
    fn failed(&self, event: &mut Event) -> To {
        self.report_panic(&event.connection, event.job.request_bytes(), "replied 500");
        let mut cx = self.borrow(&event.connection);
        cx.counters.worker_panics.add(1);
        event.job.fail(&cx.clock);
        let next = event.answered(&mut cx);
        event.follow(next)
    }

    /// A panic where there is no answer to replace by a 500: in what makes a response's bytes.
    #[cold]
    pub(super) fn crashed(&self, event: &mut Event) -> To {
        let number = event.connection.number();
        report!("connection {number}: a panic while sending a response; closed its connection");
        event.job.out.clear();
        event.lost()
    }

    /// There is no room for the request in a stage: 503 with Retry-After; the connection stays
    /// open.
    #[cold]
    pub(super) fn shed(&self, event: &mut Event) -> To {
        let mut cx = self.borrow(&event.connection);
        cx.counters.jobs_rejected.add(1);
        event.job.shed(&cx.clock);
        let next = event.answered(&mut cx);
        event.follow(next)
    }

    /// Sends what there is room for.
    fn write(&self, event: &mut Event) -> To {
        let (_, out) = event.job.buffers();
        let stream = event.connection.stream();
        let result = send_all(stream, &mut out.bytes, &mut out.pieces, self.files);
        let mut cx = self.borrow(&event.connection);
        let Ok((progress, sent)) = result else {
            cx.counters.connections_reset.add(1);
            return event.lost();
        };
        if progress == Progress::Done {
            let next = event.connection.session.sent(&mut cx, sent);
            return event.follow(next);
        }
        event.connection.note_sent(&mut cx, sent);
        match progress {
            Progress::Full => {
                event.connection.note_unacknowledged(&mut cx);
                event.next = Next::Write;
                To::Reader
            }
            Progress::Cold => To::Files,
            Progress::Broken | Progress::Unreadable => broken(&mut cx, event, progress),
            // Behind the others.
            Progress::Budget | Progress::Done => To::Write,
        }
    }

    /// Brings the next part of the response into memory, and waits for the disk.
    fn fill(&self, event: &mut Event, clock: &Clock) -> To {
        let job = &mut event.job;
        job.kind = Kind::Fill;
        job.window = job.out.pieces.front().and_then(|piece| Window::next(piece));
        let by_window = job.window.is_some();
        let app = self.shared.contexts.app();
        let filled = catch_unwind(AssertUnwindSafe(|| job.work(app, clock)));
        job.window = None;
        let result = job.filled.take();
        let mut cx = self.borrow(&event.connection);
        cx.counters.file_fills.add(1);
        if by_window {
            // It was read through the output's buffer, which is empty while a piece is in front.
            event.job.out.bytes.clear();
        }
        match (filled, result) {
            (Ok(()), Some(Ok(reach))) => {
                let piece = event.job.out.pieces.front();
                let bytes = piece.map_or(0, |piece| page_cache::filled(piece, reach));
                cx.counters.file_fill_bytes.add(bytes);
                event.connection.session.resume_sending(&mut cx);
                To::Write
            }
            (Ok(()), Some(Err(error))) => {
                let piece = event.job.out.pieces.front();
                let progress = piece.map_or(Progress::Broken, |piece| unreadable(piece, &error));
                broken(&mut cx, event, progress)
            }
            _ => broken(&mut cx, event, Progress::Broken),
        }
    }
}

impl super::Connection {
    /// So much more is with the kernel, and not all.
    fn note_sent<A: App>(&mut self, cx: &mut Context<A>, sent: u64) {
        match self.session.phase() {
            Phase::Send => self.session.moved(cx, sent),
            // The output stays with the event, not with the session.
            _ => self.session.stall(cx, sent),
        }
    }

    pub(super) fn note_unacknowledged<A: App>(&mut self, cx: &mut Context<A>) {
        if let Some(bytes) = self.stream().unacknowledged() {
            self.session.unacknowledged(cx, bytes);
        }
    }
}

/// The response cannot be completed. The client is to see that something is missing: no lingering
/// close.
fn broken<A: App>(cx: &mut Context<A>, event: &mut Event, progress: Progress) -> To {
    cx.counters.file_read_errors.add(u64::from(progress == Progress::Unreadable));
    let (_, out) = event.job.buffers();
    let pieces = std::mem::take(&mut out.pieces);
    out.clear();
    if let Some(unsent) = event.connection.session.unsent() {
        unsent.pieces = pieces;
    }
    let next = event.connection.session.aborted(cx);
    event.lost();
    event.next = next;
    To::Reader
}
