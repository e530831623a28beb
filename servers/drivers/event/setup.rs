//! What is set aside at the start: the limits, the buffers by who holds them, the tables.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use reactor::buffer::Class;
use reactor::{BufferPool, EventLoop, Token};
use slab::Slab;

use super::deadline::TimeoutsMs;
use super::offload::{Desk, Placement};
use super::output::FileSending;
use super::{BUFFERS_A_READ, Engine, HEAD_ROOM, SMALL_BYTES, class, missing};
use crate::access_log::AccessLog;
use crate::app::clock::Clock;
use crate::app::response::Pieces;
use crate::app::{App, Disk};
use crate::metrics::{Counters, Metrics};
use crate::options::{Limits, Offload, Options};

/// The parser's limits. A target is part of its head: whoever lowers only that limit means both.
fn http_limits(limits: &Limits) -> io::Result<http::Limits> {
    let target = limits.target.min(limits.head - 1);
    http::Limits::new(limits.head, limits.fields, target, limits.body)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// The pool's capacity, by who holds what.
pub(super) fn pool_classes(options: &Options, jobs_max: usize) -> [Class; 2] {
    let for_clients = options.buffers.count + 2 + BUFFERS_A_READ;
    [
        // Every connection may be in the middle of a head.
        Class { size: SMALL_BYTES, count: options.limits.connections as usize },
        // Unfinished inputs beyond a small buffer and unsent outputs, as many as the operator
        // grants; the loop's own two; what one read takes, so that what it leaves behind always
        // finds a place. And each job's two, which are never anybody else's.
        Class { size: options.buffers.size, count: for_clients + 2 * jobs_max },
    ]
}

impl<A: App> Engine<A> {
    pub(super) fn new(
        ev: &EventLoop,
        app: Arc<A>,
        options: &Options,
        census: &Metrics,
        slot: usize,
        pool: BufferPool,
    ) -> io::Result<Self> {
        let limits = http_limits(&options.limits)?;
        let tally = Counters::new(census, slot).ok_or_else(|| missing("slot of counters"))?;
        Ok(Engine {
            local: app.local(slot),
            app,
            head: http::Head::new(&limits),
            limits,
            clock: Clock::new(ev.now_ms()),
            before: tally.loop_stats(),
            tally,
            log: AccessLog::open(&options.log)?,
            peers: Vec::new(),
            out: pool.take(class::LARGE).ok_or_else(|| missing("buffer"))?,
            pieces: Pieces::new(),
            exchanges: Slab::with_capacity(options.limits.connections as usize),
            desk: None,
            offloads_all: false,
            handover: None,
            pool,
            stocked: false,
            starved: VecDeque::new(),
            starved_few: VecDeque::new(),
            times: TimeoutsMs::new(&options.timeouts),
            response_room: options.limits.target + HEAD_ROOM,
            requests_max: options.limits.requests,
            body_memory_max: options.limits.body_memory,
            body_bytes_held: 0,
            files: FileSending { sendfile: options.sendfile, disk: Disk::Wait },
            draining: false,
            last_arrival_ms: 0,
        })
    }

    /// Takes a workplace into use, and sets its jobs' buffers aside.
    pub(super) fn furnish(&mut self, placement: Placement, watch: Token) -> io::Result<()> {
        let pair = |_| Some((self.pool.take(class::LARGE)?, self.pool.take(class::LARGE)?));
        let buffers: Option<Vec<_>> = (0..placement.jobs_max).map(pair).collect();
        let buffers = buffers.ok_or_else(|| missing("buffer"))?;
        self.files.disk = Disk::Avoid;
        self.offloads_all = placement.offload == Offload::All;
        self.desk = Some(Box::new(Desk::new(placement, buffers, watch)));
        Ok(())
    }
}
