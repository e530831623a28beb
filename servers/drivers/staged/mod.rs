//! The staged driver: a connection moves from stage to stage, and its event is the connection
//! itself.
//!
//! ```text
//!  main thread      readers (a loop each)                 pools of threads
//!  accept ──ring──► read, parse ──ring──► handle ─┬─ring──► write ──► socket
//!                     ▲   ▲                       └► work ─┘│  ▲
//!                     │   └── room, time, more bytes        ▼  │
//!                     └──────────────ring───────────────── files
//! ```
//!
//! An `Event` (the connection, with a job that holds its buffers) has one owner at any time: a
//! queue or a thread. A response travels as what it is: buffers and open files change hands, no
//! byte is copied. When it is sent, the event returns to the reader that it came from, which waits
//! for the client: for more bytes, for room, for a time to pass.
//!
//! Why this is not the event driver with an executor behind it: there the loop keeps the connection
//! and lends out its requests, so only the loop may send. Here writing is a stage of its own, and
//! what sends must own the descriptor.
//!
//! # What cannot overflow, and what sheds
//!
//! An event has a job, and there is a fixed number of jobs (`--buffers`, per reader). The queues of
//! `write` and `files`, and the readers' inboxes, hold all of them: they are never full. `handle`
//! and `work` hold fewer: a request that finds one of these full is answered 503 with Retry-After,
//! through `write` as any other. When a reader's jobs are all in use it reads nothing: its clients'
//! bytes wait in their sockets.
//!
//! Files: `stage` (a queue and its threads), `controller` (how many threads), `control` (what looks
//! after the stages), `connection` (what moves), `steps` (what each stage does), `reader` (the
//! connections that wait), `threads` (the threads of stages), `carrier` (from the main thread's
//! accept to the readers).

mod carrier;
mod connection;
mod control;
mod controller;
mod reader;
mod stage;
mod steps;
mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed, Ordering::SeqCst, fence};
use std::thread;

use reactor::Doorbell;
use reactor::ring::mpmc::Ring;
use reactor::sleep::Unparker;

use super::blocking::Shared;
use super::contexts::Borrowed;
use super::main_loop::Accepted;
use super::send::FileSending;
use crate::app::{App, Disk};
use crate::options::Options;
use crate::report::report;
use crate::work::request::request_line;

use connection::{Connection, Event, To};
use controller::Bounds;
use stage::{Load, Stage};

pub use carrier::Readers;

/// The names of all stages, in the order of a request.
pub const STAGES: [&str; 6] = ["accept", "read", "handle", "work", "files", "write"];
/// The two that have no pool of threads: the main thread, and the readers.
const ACCEPT: usize = 0;
const READ: usize = 1;

/// Accepted connections that wait for a reader.
const ACCEPTED_MAX: usize = 256;

/// The stages with a pool of threads, in the order of a request.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Name {
    Handle,
    Work,
    Files,
    Write,
}

impl Name {
    const ALL: [Name; 4] = [Name::Handle, Name::Work, Name::Files, Name::Write];

    /// As people and programs read it.
    fn text(self) -> &'static str {
        STAGES[READ + 1 + self as usize]
    }
}

/// What all threads of a staged server share.
struct System<A: App> {
    shared: Arc<Shared<A>>,
    /// In the order of [`Name::ALL`].
    stages: [Stage<Event>; Name::ALL.len()],
    inboxes: Box<[Inbox]>,
    files: FileSending,
    /// What looks after the stages; it sleeps while they have nothing to do.
    watch: Watch,
}

/// What other threads leave for a reader.
struct Inbox {
    accepted: Ring<Accepted>,
    returned: Ring<Event>,
    doorbell: Doorbell,
    /// What the reader has done.
    load: Load,
    /// The main thread has found `accepted` full, and waits for room.
    awaited: AtomicBool,
}

/// What a thread has pushed to and not woken yet: it does so when its batch is done.
#[derive(Default)]
struct Wakeups {
    stages: [bool; Name::ALL.len()],
    inboxes: u64,
}

/// How the thread that looks after the stages is woken.
struct Watch {
    /// It sleeps, or is about to.
    sleeps: AtomicBool,
    unparker: Unparker,
}

impl Watch {
    /// There is something to look after. A load, while it is awake.
    fn wake(&self) {
        if self.sleeps.load(Relaxed) && self.sleeps.swap(false, SeqCst) {
            self.unparker.wake();
        }
    }
}

impl<A: App> System<A> {
    fn new(shared: Arc<Shared<A>>, options: &Options, inboxes: Box<[Inbox]>, watch: Watch) -> Self {
        let events = inboxes.len() * options.buffers.count;
        let (stages, waits) = (&options.stages, options.stages.waiting_threads_max());
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let bounds = |threads_max, batch_max| {
            let threads_min = 1;
            Bounds { threads_min, threads_max, batch_max, cores }
        };
        // So that the request behind a slow one need not wait until the controller has seen it.
        let works = Bounds { threads_min: waits.min(2), ..bounds(waits, 1) };
        System {
            shared,
            stages: [
                Stage::new(stages.handle_queue, bounds(stages.threads_max(), 32)),
                // One at a time: what waits behind a slow request waits for another thread, too.
                Stage::new(stages.work_queue, works),
                Stage::new(events, bounds(waits, 1)),
                Stage::new(events, bounds(stages.threads_max(), 32)),
            ],
            inboxes,
            files: FileSending { sendfile: options.sendfile, disk: Disk::Avoid },
            watch,
        }
    }

    fn stage(&self, name: Name) -> &Stage<Event> {
        &self.stages[name as usize]
    }

    /// A context for a step of this connection.
    fn borrow(&self, connection: &Connection) -> Borrowed<'_, A> {
        let mut cx = self.shared.contexts.borrow(connection.number());
        cx.peer = Some(connection.peer);
        cx
    }

    /// Passes an event on. Where the stage is full, the request is answered 503.
    fn pass(&self, event: Event, to: To, wakeups: &mut Wakeups) {
        match to {
            To::Handle => self.offer(event, Name::Handle, wakeups),
            To::Work => self.offer(event, Name::Work, wakeups),
            To::Files => self.put(event, Name::Files, wakeups),
            To::Write => self.put(event, Name::Write, wakeups),
            To::Reader => self.return_to_reader(event, wakeups),
        }
    }

    /// To a stage that may have no room for it.
    fn offer(&self, event: Event, name: Name, wakeups: &mut Wakeups) {
        match self.stage(name).submit(event) {
            Ok(()) => wakeups.stages[name as usize] = true,
            Err(mut event) => {
                self.stage(name).count_shed();
                let to = self.shed(&mut event);
                debug_assert!(!matches!(to, To::Handle | To::Work), "a refusal is not handled");
                self.pass(event, to, wakeups);
            }
        }
    }

    /// To a stage that has room for all events. Its ring may say that it is full all the same:
    /// while a thread that takes an event is off its core, that event's slot is not free, and the
    /// others may have gone once around the ring. It will be back.
    fn put(&self, mut event: Event, name: Name, wakeups: &mut Wakeups) {
        while let Err(back) = self.stage(name).submit(event) {
            event = back;
            thread::yield_now();
        }
        wakeups.stages[name as usize] = true;
    }

    fn return_to_reader(&self, event: Event, wakeups: &mut Wakeups) {
        let reader = event.connection.reader;
        wakeups.inboxes |= 1 << reader;
        if let Err(event) = self.inboxes[reader].returned.push(event) {
            debug_assert!(false, "a reader's inbox is full");
            self.end(event.connection);
        }
    }

    /// Wakes those for whom something was pushed.
    fn wake(&self, wakeups: &mut Wakeups) {
        for (stage, waits) in self.stages.iter().zip(&mut wakeups.stages) {
            if std::mem::take(waits) {
                stage.wake();
            }
        }
        let mut inboxes = std::mem::take(&mut wakeups.inboxes);
        while inboxes != 0 {
            // It fails only where the loop is gone.
            let _ = self.inboxes[inboxes.trailing_zeros() as usize].doorbell.ring();
            inboxes &= inboxes - 1;
        }
        self.watch.wake();
    }

    /// Events that wait anywhere.
    fn any_waits(&self) -> bool {
        self.stages.iter().any(Stage::has_events) || self.inboxes.iter().any(Inbox::has_arrivals)
    }

    /// A connection is over: closes it.
    fn end(&self, mut connection: Box<Connection>) {
        let mut cx = self.borrow(&connection);
        connection.session.end(&mut cx);
        cx.counters.connections_open.sub(1);
        drop(cx);
        connection.into_accepted().end(&self.shared);
    }

    /// A panic has been reported with its place in the source; this tells what it was about.
    #[cold]
    fn report_panic(&self, connection: &Connection, head: &[u8], consequence: &str) {
        let (number, line) = (connection.number(), request_line(head));
        report!("connection {number}: a panic while answering {line}; {consequence}");
    }
}

impl Inbox {
    fn new(events: usize, doorbell: Doorbell) -> Self {
        Inbox {
            accepted: Ring::new(ACCEPTED_MAX),
            returned: Ring::new(events),
            doorbell,
            load: Load::default(),
            awaited: AtomicBool::new(false),
        }
    }

    /// Other threads have left something for the reader.
    fn has_arrivals(&self) -> bool {
        !self.returned.is_empty() || !self.accepted.is_empty()
    }

    /// Room for one more accepted connection; if not, the reader has to say when.
    fn has_place(&self) -> bool {
        let has_place = || self.accepted.len() < self.accepted.capacity();
        if has_place() {
            return true;
        }
        self.awaited.store(true, Relaxed);
        // Either the reader sees that it is awaited, or what it has taken is seen here.
        fence(SeqCst);
        has_place()
    }

    /// The reader has taken accepted connections; `true`: the main thread waits for that.
    fn is_awaited(&self) -> bool {
        fence(SeqCst);
        self.awaited.load(Relaxed) && self.awaited.swap(false, Relaxed)
    }
}
