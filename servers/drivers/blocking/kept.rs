//! The buffers of a connection, which it gives back where it can wait without them.
//!
//! ```text
//!   request ─► response is sent ─► handed over, or back in the pool ── waits ── taken ─► receive
//! ```
//!
//! Of 10,000 idle connections each would hold two pages for nothing; as it is, a server has as many
//! buffers in use as there are requests being served.
//!
//! A carrier serves one connection after another, so the buffers of one are what the next one needs:
//! each core has a place for a pair of them. That costs 100 ns less for a request than the pool, and
//! the pages are in the core's cache, as an event loop's one buffer is.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use reactor::Buffer;

use super::{Driver, End, Output};
use crate::app::App;
use crate::drivers::transport::Transport;

/// A value that is there, except while its connection waits without it.
pub(super) struct Kept<T>(Option<T>);

impl<T> Kept<T> {
    pub fn new(value: T) -> Self {
        Kept(Some(value))
    }
}

impl<T> Deref for Kept<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        self.0.as_ref().expect("taken again before the wait returns")
    }
}

impl<T> DerefMut for Kept<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("taken again before the wait returns")
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
        let place = self.io.context(self.connection.number());
        if let (Some(input), Some(out)) = (self.input.0.take(), self.out.0.take()) {
            self.shared.handover.put(place, (input, out.bytes));
        }
        let readable = self.io.wait_readable(self.deadline_ms);
        let place = self.io.context(self.connection.number());
        let (input, out) = match self.shared.handover.take(place) {
            Some(pair) => pair,
            None => self.take_from_pool()?,
        };
        (self.input.0, self.out.0) = (Some(input), Some(Output::new(out)));
        Ok(readable?)
    }

    #[cold]
    fn take_from_pool(&self) -> Result<(Buffer, Buffer), End> {
        let pair = (self.shared.buffers.take(0), self.shared.buffers.take(0));
        let (Some(input), Some(out)) = pair else {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory).into());
        };
        Ok((input, out))
    }
}

/// A pair of buffers at each core, from a connection that has just been served to the next one.
pub(super) struct Handover {
    places: Box<[Place]>,
}

/// On cache lines of its own: each core has its place.
#[derive(Default)]
#[repr(align(128))]
struct Place(Mutex<Option<(Buffer, Buffer)>>);

impl Handover {
    pub fn new(cores: usize) -> Self {
        Handover { places: (0..cores).map(|_| Place::default()).collect() }
    }

    /// Leaves a pair there; if there is one already, it goes back to the pool.
    #[inline]
    fn put(&self, core: usize, (mut input, mut out): (Buffer, Buffer)) {
        input.clear();
        out.clear();
        *self.place(core) = Some((input, out));
    }

    #[inline]
    fn take(&self, core: usize) -> Option<(Buffer, Buffer)> {
        self.place(core).take()
    }

    fn place(&self, core: usize) -> MutexGuard<'_, Option<(Buffer, Buffer)>> {
        let Place(place) = &self.places[core % self.places.len()];
        // Nothing panics while it is held.
        place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
