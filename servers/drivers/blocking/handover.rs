//! The buffers of a connection, which it gives away where it can wait without them.
//!
//! ```text
//!   request ─► response is sent ─► left at the core, or in the pool ── waits ── taken ─► receive
//! ```
//!
//! Of 10,000 idle connections each would hold two pages for nothing; as it is, a server has as many
//! buffers in use as there are requests being served.
//!
//! A carrier serves one connection after another, so the buffers of one are what the next needs:
//! each core has a place for a pair of them. That costs less than the pool (which is a lock and a
//! list for each buffer, 100 ns for a request), and the pages are in the core's cache, as an event
//! loop's one buffer is.

use std::io;
use std::mem;

use reactor::Buffer;
use reactor::ring::mpmc::Ring;

use super::{Driver, End};
use crate::app::App;
use crate::drivers::transport::Transport;

type Pair = (Buffer, Buffer);

/// A pair of buffers at each core, from a connection that has just been served to the next one.
pub(super) struct Handover {
    places: Box<[Ring<Pair>]>,
}

impl Handover {
    pub fn new(cores: usize) -> Self {
        Handover { places: (0..cores).map(|_| Ring::new(1)).collect() }
    }

    /// Leaves a pair there; if there is one already, this one goes back to the pool.
    #[inline]
    fn put(&self, core: usize, pair: Pair) {
        drop(self.place(core).push(pair));
    }

    #[inline]
    fn take(&self, core: usize) -> Option<Pair> {
        self.place(core).pop()
    }

    fn place(&self, core: usize) -> &Ring<Pair> {
        // There is one for each core: no division, as a rule.
        self.places.get(core).unwrap_or_else(|| &self.places[core % self.places.len()])
    }
}

impl<A: App, T: Transport> Driver<'_, A, T> {
    /// Waits for the next request, without buffers; `false`: in vain. The pool has two for each
    /// connection, so they are there again.
    pub(super) fn wait_without_buffers(&mut self) -> Result<bool, End> {
        if !self.uncounted {
            let home = self.io.context(self.connection.number());
            self.shared.contexts.borrow(home).counters.buffers_large_used.sub(2);
            self.uncounted = true;
        }
        self.input.clear();
        self.out.bytes.clear();
        let input = mem::replace(&mut self.input, Buffer::none());
        let out = mem::replace(&mut self.out.bytes, Buffer::none());
        self.shared.handover.put(self.io.context(self.connection.number()), (input, out));
        let readable = self.io.wait_readable(self.deadline_ms)?;
        let core = self.io.context(self.connection.number());
        let (input, out) = match self.shared.handover.take(core) {
            Some(pair) => pair,
            None => self.take_from_pool()?,
        };
        (self.input, self.out.bytes) = (input, out);
        Ok(readable)
    }

    #[cold]
    fn take_from_pool(&self) -> Result<Pair, End> {
        let pair = (self.shared.buffers.take(0), self.shared.buffers.take(0));
        let (Some(input), Some(out)) = pair else {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory).into());
        };
        Ok((input, out))
    }
}
