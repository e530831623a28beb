//! The blocking driver: one conversation, gone through step by step by whoever waits for its client.
//!
//! ```text
//!        ┌────────────────────────────────────────────────────────────┐
//!        ▼                                                            │
//!   recv, waiting ──► Session::feed ──► Next ─┬ Write   send, waiting │
//!                      App::handle            ├ Work    App::work     │
//!                                             ├ Sleep   wait          ├──► and so on, until
//!                                             └ Read                  │    Close
//! ```
//!
//! It is the server that everybody writes first: read, answer, write, again. How it waits is the
//! [`Transport`]'s business: a thread blocks there. The context that a step needs is borrowed for
//! the step ([`Contexts`]); work runs without one, so that it delays no other thread.
//!
//! A connection has two buffers, one for what it receives and one for what it sends. A thread keeps
//! them from its first byte to its end, since it waits in the receive itself. Their pages are
//! touched as they are used: an idle connection holds one page of each, if its requests and responses are
//! small. A fiber waits without, and an idle connection holds none.
//!
//! Files: `handover` (the buffers), `send` (and what a slow client costs), `work` (Task 3 here),
//! `registry` (which connections there are, for the one who ends a server).

mod handover;
mod registry;
mod send;
mod work;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use reactor::Buffer;
use reactor::buffer::{Class, SharedPool};
use reactor::net::Peer;

use super::contexts::Contexts;
use super::send::FileSending;
use super::transport::Transport;
use crate::app::response::Output;
use crate::app::{App, Disk};
use crate::failure::Named as _;
use crate::operation::proxy_protocol;
use crate::options::Options;
use crate::session::{Context, Next, Phase, Session};

use handover::Handover;
pub use registry::{Connection, NEW, RESTS, Registry};
use work::Job;

/// What all connections of a server are served with.
pub struct Shared<A: App> {
    /// For steps.
    pub contexts: Contexts<A>,
    /// The connections there are.
    pub registry: Registry,
    buffers: SharedPool,
    handover: Handover,
    files: FileSending,
}

/// How a connection begins.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Beginning {
    /// With a request.
    Request,
    /// With a balancer's header.
    ProxyHeader,
}

/// Why a conversation is over.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum End {
    /// It has come to its end: the connection is closed.
    Closed,
    /// The same with RST.
    Reset,
    /// The client was gone before.
    Lost,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        End::Lost
    }
}

/// One connection, as the driver has it.
struct Driver<'s, A: App, T> {
    shared: &'s Shared<A>,
    connection: &'s Connection,
    io: T,
    session: Session,
    /// Received and not used yet.
    input: Buffer,
    /// To be sent.
    out: Output,
    peer: Option<Peer>,
    /// The time of the last step, and the deadline after it.
    now_ms: u64,
    deadline_ms: u64,
    /// There may be more to receive than was.
    more: bool,
    /// The client has finished sending.
    at_end: bool,
    /// Bytes of the output that were counted as sent before they were.
    counted: u64,
    /// The buffers are not counted as used at present.
    uncounted: bool,
    /// What work needs; made when it is first needed.
    job: Option<Box<Job>>,
}

impl<A: App> Shared<A> {
    /// For at most `connections_max` connections, of which `served_max` at a time are served.
    ///
    /// # Errors
    /// The mappings of buffers and states.
    pub fn new(
        contexts: Contexts<A>,
        options: &Options,
        (connections_max, served_max): (usize, usize),
    ) -> io::Result<Self> {
        let handover = Handover::new(contexts.len());
        // Two for each connection, and those that are between two of them.
        let count = 2 * (served_max + contexts.len());
        let class = Class::new(options.buffers.size, count);
        Ok(Shared {
            contexts,
            registry: Registry::new(connections_max, options.limits.connections as usize)?,
            buffers: SharedPool::new(&[class]).named("no memory for the buffers")?,
            handover,
            files: FileSending { sendfile: options.sendfile, disk: Disk::Wait },
        })
    }

    /// Serves a connection to its end; its socket is closed when its last owner drops it.
    pub fn serve<T: Transport>(
        &self,
        connection: &Connection,
        io: T,
        peer: Peer,
        beginning: Beginning,
    ) {
        let (Some(input), Some(out)) = (self.buffers.take(0), self.buffers.take(0)) else {
            debug_assert!(false, "there are two buffers for each connection");
            return self.contexts.borrow(0).counters.connections_open.sub(1);
        };
        let now_ms = self.contexts.now_ms();
        connection.rests(now_ms);
        let mut driver = Driver {
            shared: self,
            connection,
            io,
            session: Session::new(now_ms),
            input,
            out: Output::new(out),
            peer: Some(peer),
            now_ms,
            deadline_ms: now_ms,
            more: false,
            at_end: false,
            counted: 0,
            uncounted: false,
            job: None,
        };
        driver.serve(beginning);
    }

    /// A connection has been served: closes it.
    pub fn end(&self, key: usize, connection: Arc<Connection>) {
        if self.registry.remove(key, connection) {
            self.contexts.wake();
        }
    }
}

impl<A: App, T: Transport> Driver<'_, A, T> {
    fn serve(&mut self, beginning: Beginning) {
        let run = AssertUnwindSafe(|| match self.begin(beginning) {
            Ok(()) => self.run(),
            Err(end) => end,
        });
        // What has panicked is this connection's; the context is made good by the next borrower.
        let end = catch_unwind(run).unwrap_or_else(|_| {
            self.report_panic(&self.input, "closed its connection");
            End::Closed
        });
        if end == End::Reset {
            // Best effort: a Unix socket has no such option.
            let _ = self.io.stream().set_linger(Some(Duration::ZERO));
        }
        let mut cx = self.shared.contexts.borrow(self.connection.number());
        cx.peer = self.peer;
        if end == End::Lost {
            cx.counters.connections_reset.add(1);
        }
        self.session.end(&mut cx);
        cx.counters.bytes_sent.sub(self.counted);
        cx.counters.buffers_large_used.sub(if self.uncounted { 0 } else { 2 });
        cx.counters.connections_open.sub(1);
    }

    /// From one step to the next.
    fn run(&mut self) -> End {
        let mut next = Next::Read;
        loop {
            let result = match next {
                Next::Read => self.read(),
                Next::Write => self.send(),
                Next::Sleep => self.sleep(),
                Next::Work(request) => self.work(request),
                Next::Linger => self.linger(),
                Next::Close if self.must_linger() => self.linger(),
                Next::Close => return End::Closed,
                Next::Reset => return End::Reset,
            };
            match result {
                Ok(then) => next = then,
                Err(end) => return end,
            }
        }
    }

    /// A step of the conversation: what comes next, and until when.
    #[inline]
    fn step(
        &mut self,
        step: impl FnOnce(&mut Session, &mut Context<A>, &mut Buffer, &mut Output) -> Next,
    ) -> Next {
        let home = self.io.context(self.connection.number());
        let mut cx = self.shared.contexts.borrow(home);
        cx.peer = self.peer;
        if T::WAITS_WITHOUT_BUFFERS && std::mem::take(&mut self.uncounted) {
            cx.counters.buffers_large_used.add(2);
        }
        let next = step(&mut self.session, &mut cx, &mut self.input, &mut self.out);
        if let Next::Work(request) = next {
            let job = self.job.get_or_insert_with(|| Box::new(Job::new(&cx.limits)));
            job.take(&mut cx, &mut self.session, request);
        }
        self.now_ms = cx.clock.now_ms();
        self.deadline_ms = self.session.deadline_ms(&cx);
        next
    }

    /// The conversation's deadline runs from here on; a balancer's header comes before it.
    fn begin(&mut self, beginning: Beginning) -> Result<(), End> {
        self.step(|_, cx, _, _| {
            cx.counters.buffers_large_used.add(2);
            Next::Read
        });
        match beginning {
            Beginning::Request => Ok(()),
            Beginning::ProxyHeader => self.read_proxy_header(),
        }
    }

    /// Receives, unless there is input left that may hold whole requests, and has it answered.
    fn read(&mut self) -> Result<Next, End> {
        let mut received = 0;
        if !self.session.has_pending() {
            match self.receive()? {
                None => return self.expired(),
                Some(0) => {
                    self.at_end = true;
                    return Ok(self.step(|session, cx, input, out| session.eof(cx, input, out)));
                }
                Some(count) => received = count as u64,
            }
        }
        if matches!(self.session.phase(), Phase::Idle | Phase::Head) {
            self.io.serves(&self.input);
        }
        let (mut counted, mut uncounted) = (0, false);
        let next = self.step(|session, cx, input, out| {
            cx.counters.bytes_received.add(received);
            let (used, next) = session.feed(cx, input, out);
            input.advance(used);
            // The usual response needs no step of its own to say that it has been sent.
            if next == Next::Write && session.is_idle() && !session.is_last() {
                counted = if out.pieces.is_empty() { out.bytes.len() as u64 } else { 0 };
                cx.counters.bytes_sent.add(counted);
                // Once it is sent, the connection rests, and has none.
                uncounted = T::WAITS_WITHOUT_BUFFERS && counted > 0 && input.is_empty();
                cx.counters.buffers_large_used.sub(if uncounted { 2 } else { 0 });
            }
            next
        });
        (self.counted, self.uncounted) = (counted, uncounted);
        self.connection.arrived(self.now_ms);
        Ok(next)
    }

    /// Waits for more input. `None`: in vain.
    #[inline]
    fn receive(&mut self) -> Result<Option<usize>, End> {
        self.input.compact();
        if self.input.is_empty() && self.session.is_idle() {
            self.connection.rests(self.now_ms);
            if T::WAITS_WITHOUT_BUFFERS && !self.wait_without_buffers()? {
                return Ok(None);
            }
        }
        let room = self.input.spare_mut();
        let room_len = room.len();
        if room_len == 0 {
            debug_assert!(false, "a buffer holds a head, and a body's pieces are used at once");
            return Err(End::Closed);
        }
        let received = self.io.recv(room, self.now_ms, self.deadline_ms)?;
        if let Some(count) = received {
            self.input.filled(count);
            self.more = count == room_len;
        }
        Ok(received)
    }

    /// The deadline has passed.
    #[cold]
    fn expired(&mut self) -> Result<Next, End> {
        let next = self.step(|session, cx, input, out| session.expired(cx, input, out));
        if self.session.is_last() {
            // 408: what the request was waiting for is of no more interest.
            self.input.clear();
        }
        match next {
            // A client that has sent nothing has nothing unread.
            Next::Close => Err(End::Closed),
            next => Ok(next),
        }
    }

    /// Lets the time pass that the application wants.
    fn sleep(&mut self) -> Result<Next, End> {
        if !self.io.sleep(self.deadline_ms)? {
            return Err(End::Lost);
        }
        self.expired()
    }

    /// What a balancer sends before the client's bytes. One that is wrong, or late, ends the connection
    /// without an answer: a peer that speaks another protocol would not understand one.
    #[cold]
    fn read_proxy_header(&mut self) -> Result<(), End> {
        loop {
            match self.receive()? {
                None => return self.expired().and(Err(End::Closed)),
                Some(0) => return Err(End::Closed),
                Some(_) => {
                    self.now_ms = self.shared.contexts.now_ms();
                    self.connection.arrived(self.now_ms);
                }
            }
            match proxy_protocol::parse(&self.input) {
                Ok(None) => {}
                Ok(Some(header)) => {
                    self.peer = header.client.or(self.peer);
                    self.input.advance(header.len);
                    if !self.input.is_empty() {
                        self.session.set_pending();
                    }
                    return Ok(());
                }
                Err(_) => {
                    self.step(|_, cx, _, _| {
                        cx.counters.requests_malformed.add(1);
                        Next::Close
                    });
                    return Err(End::Closed);
                }
            }
        }
    }

    /// Bytes are unread: the reset of a plain close could overtake the response.
    fn must_linger(&mut self) -> bool {
        if self.at_end || self.more || !self.input.is_empty() {
            return !self.at_end;
        }
        // Some may have arrived since the last receive.
        let found = self.io.stream().recv_now(self.input.spare_mut());
        found.is_ok_and(|count| count > 0)
    }

    /// Sends FIN, and reads what still comes for a bounded time, to no purpose but that it is read
    /// (RFC 9112, section 9.6; nginx calls it `lingering_close`).
    #[cold]
    fn linger(&mut self) -> Result<Next, End> {
        if self.at_end {
            return Err(End::Closed);
        }
        self.step(|session, cx, _, _| {
            session.linger(cx);
            Next::Linger
        });
        self.io.stream().shutdown_write()?;
        loop {
            self.input.clear();
            let room = self.input.spare_mut();
            match self.io.recv(room, self.now_ms, self.deadline_ms) {
                Ok(Some(count)) if count > 0 => self.now_ms = self.shared.contexts.now_ms(),
                _ => return Err(End::Closed),
            }
        }
    }
}
