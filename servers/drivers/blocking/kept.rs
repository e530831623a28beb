//! The buffers of a connection, which it gives back where it can wait without them.
//!
//! ```text
//!   request ─► response is sent ─► both buffers back in the pool ── waits ── two taken ─► receive
//! ```
//!
//! Of 10,000 idle connections each would hold two pages for nothing; as it is, a server has as many
//! buffers in use as there are requests being served. They come back warm: the pool gives out those
//! first that were returned last.

use std::io;
use std::ops::{Deref, DerefMut};

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
        (self.input.0, self.out.0) = (None, None);
        let readable = self.io.wait_readable(self.deadline_ms);
        let (Some(input), Some(out)) = (self.shared.buffers.take(0), self.shared.buffers.take(0))
        else {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory).into());
        };
        (self.input.0, self.out.0) = (Some(input), Some(Output::new(out)));
        Ok(readable?)
    }
}
