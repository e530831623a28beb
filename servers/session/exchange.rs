//! The state of a request, from being read until its response is sent, when that takes more than
//! one step.
//!
//! A request that is read, answered and sent in one step needs no [`Exchange`].

use reactor::Buffer;

use crate::access_log::HeldRecord;
use crate::app::Sink;
use crate::app::response::Pieces;
use crate::work::request::{Call, SavedRequest};

/// What to do with the body that is being read.
pub(super) enum Body {
    /// There is none.
    None,
    /// It is read and discarded; the response is already on its way.
    Discard,
    /// It is appended to the saved request, up to a limit in bytes.
    Collect(u64),
    /// It goes to the application piece by piece.
    Sink(Box<dyn Sink>),
}

/// A call of the application that has to wait until everything before it is sent.
#[derive(Copy, Clone, Debug)]
pub(super) struct SavedCall {
    pub call: Call,
    /// `handle` has asked to close the connection.
    pub close: bool,
}

/// Output that a full socket did not take.
#[derive(Default)]
pub struct Unsent {
    /// Heads and small bodies, if any are left.
    pub bytes: Option<Buffer>,
    /// The pieces after them.
    pub pieces: Pieces,
}

/// See the module's head.
pub(super) struct Exchange {
    pub unsent: Unsent,
    pub body: Body,
    pub saved: SavedRequest,
    pub log: Option<Box<HeldRecord>>,
    /// The call that `saved` needs, once everything before it is sent.
    pub call: Option<SavedCall>,
    /// When the application's wait is over; 0: no wait.
    pub wait_until_ms: u64,
    /// Bytes of the response's body sent so far, for the log; starts at minus the number of bytes
    /// in the output before it.
    pub sent: i64,
    /// When a byte last moved, low bits of `now_ms`.
    pub moved_ms: u32,
    /// Bytes that the client had not acknowledged at the last check.
    pub unacknowledged: u32,
    /// The current window over which the body's rate is measured: its start and its bytes.
    pub window_ms: u32,
    pub window_bytes: u32,
}

impl Exchange {
    pub fn new(now_ms: u64) -> Self {
        Exchange {
            unsent: Unsent::default(),
            body: Body::None,
            saved: SavedRequest::default(),
            log: None,
            call: None,
            wait_until_ms: 0,
            sent: 0,
            moved_ms: now_ms as u32,
            unacknowledged: 0,
            window_ms: now_ms as u32,
            window_bytes: 0,
        }
    }

    /// Starts the timeout between two pieces of the body, and the window over which its rate is
    /// measured.
    pub fn begin_window(&mut self, now_ms: u64) {
        self.moved_ms = now_ms as u32;
        self.window_ms = now_ms as u32;
        self.window_bytes = 0;
    }

    /// Whether it is no longer needed.
    pub fn is_idle(&self) -> bool {
        self.unsent.is_empty()
            && self.wait_until_ms == 0
            && self.call.is_none()
            && self.log.is_none()
            && matches!(self.body, Body::None)
    }
}

impl Unsent {
    /// Whether everything is sent.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_none() && self.pieces.is_empty()
    }
}

#[cfg(test)]
mod size {
    use super::*;

    #[test]
    fn an_exchange_takes_at_most_208_bytes() {
        assert!(size_of::<Exchange>() <= 208, "{}", size_of::<Exchange>());
    }
}
