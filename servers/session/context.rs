//! Everything that a step of a session needs besides the session.
//!
//! An event loop owns one context. Threads borrow one of a few for a step and give it back before
//! they wait: no session leaves state in it, and no session keeps a part of it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use reactor::net::Peer;

use super::deadlines::TimeoutsMs;
use super::exchange::Exchange;
use crate::access_log::Log;
use crate::app::App;
use crate::app::clock::Clock;
use crate::metrics::{Counters, Metrics};
use crate::options::{Limits, Options};

/// Free space in the output, beyond the longest target, before a response begins: status line,
/// fields, and the target once more as a `Location`.
pub const HEAD_ROOM: usize = 4 * 1024;
/// Exchanges kept for reuse; more than this go back to the heap.
const SPARE_EXCHANGES_MAX: usize = 1024;

/// See the module's head.
pub struct Context<A: App> {
    /// The application.
    pub app: Arc<A>,
    /// Its local part.
    pub local: A::Local,
    /// Where heads are parsed into.
    pub head: http::Head,
    /// The parser's limits.
    pub limits: http::Limits,
    /// The current time: updated by the driver before each step.
    pub clock: Clock,
    /// The counters.
    pub counters: Counters,
    /// Where a line is written for each response.
    pub log: Log,
    /// The client of the session whose step this is; set only when the log is on.
    pub peer: Option<Peer>,
    /// The timeouts.
    pub timeouts: TimeoutsMs,
    /// The budget for request bytes outside of the buffers.
    pub memory: BodyMemory,
    /// The server is draining: each response is its connection's last.
    pub draining: bool,
    /// Every request is handed to the driver, not only what the application marks as work.
    pub offload_all: bool,
    pub(super) requests_max: u32,
    pub(super) response_room: usize,
    pub(super) spare: Spare,
}

impl<A: App> Context<A> {
    /// A context that counts in slot `index`, which also selects the application's local part.
    ///
    /// # Errors
    /// Limits that contradict each other, an access log that cannot be opened, no slot of counters.
    pub fn new(
        app: Arc<A>,
        options: &Options,
        metrics: &Metrics,
        index: usize,
        memory: BodyMemory,
        now_ms: u64,
    ) -> io::Result<Self> {
        let log = Log::open(&options.log)?;
        Context::with_log(app, options, metrics, index, memory, now_ms, log)
    }

    /// The same with a log that is shared with other contexts.
    ///
    /// # Errors
    /// Limits that contradict each other, no slot of counters.
    pub fn with_log(
        app: Arc<A>,
        options: &Options,
        metrics: &Metrics,
        index: usize,
        memory: BodyMemory,
        now_ms: u64,
        log: Log,
    ) -> io::Result<Self> {
        let limits = http_limits(&options.limits)?;
        let counters = Counters::new(metrics, index);
        Ok(Context {
            local: app.local(index),
            app,
            head: http::Head::new(&limits),
            limits,
            clock: Clock::new(now_ms),
            counters: counters.ok_or_else(|| io::Error::other("no slot of counters left"))?,
            log,
            peer: None,
            timeouts: TimeoutsMs::new(&options.timeouts),
            memory,
            draining: false,
            offload_all: false,
            requests_max: options.limits.requests,
            response_room: options.limits.target + HEAD_ROOM,
            spare: Spare::default(),
        })
    }

    /// The current time in milliseconds, on the deadlines' clock.
    #[inline(always)]
    pub(super) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }
}

/// The parser's limits. A target is part of its head: lowering only the head's limit lowers both.
fn http_limits(limits: &Limits) -> io::Result<http::Limits> {
    let target = limits.target.min(limits.head - 1);
    http::Limits::new(limits.head, limits.fields, target, limits.body)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// A budget for bytes that requests hold outside of the buffers: bodies being collected, heads that
/// wait for their body or for a timer. Its clones share one budget.
#[derive(Clone)]
pub struct BodyMemory {
    max: usize,
    held: Arc<AtomicUsize>,
}

impl BodyMemory {
    /// A budget of `max` bytes.
    pub fn new(max: usize) -> Self {
        BodyMemory { max, held: Arc::default() }
    }

    /// Bytes held now.
    pub fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    /// Takes `bytes`; `false`, and takes none, when that would exceed the budget.
    pub(super) fn take(&self, bytes: usize) -> bool {
        let more = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.max);
        self.held.fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    /// Gives back what was taken.
    pub(super) fn give_back(&self, bytes: usize) {
        let before = self.held.fetch_sub(bytes, Relaxed);
        debug_assert!(before >= bytes, "gave back more memory than was taken");
    }
}

/// Idle exchanges, the one used last on top: its memory is warm.
#[derive(Default)]
pub(super) struct Spare {
    #[expect(clippy::vec_box, reason = "an exchange is one pointer of its session")]
    list: Vec<Box<Exchange>>,
}

impl Spare {
    pub fn take(&mut self, now_ms: u64) -> Box<Exchange> {
        match self.list.pop() {
            Some(mut exchange) => {
                exchange.begin_window(now_ms);
                exchange
            }
            None => Box::new(Exchange::new(now_ms)),
        }
    }

    /// Keeps one for later; releases what it held (files, buffers) now.
    pub fn keep(&mut self, mut exchange: Box<Exchange>) {
        *exchange = Exchange::new(0);
        if self.list.len() < SPARE_EXCHANGES_MAX {
            self.list.push(exchange);
        }
    }
}
