//! A request between being read and its response being sent, when that takes more than one step.
//!
//! A request that is read, answered and sent at once never needs an [`Exchange`].

use reactor::Buffer;

use crate::access_log::HeldRecord;
use crate::app::Sink;
use crate::app::response::Pieces;
use crate::work::request::{Call, SavedRequest};

/// What becomes of the body that is being read.
pub(super) enum Body {
    /// None is.
    None,
    /// It is read and forgotten; the response is already on its way.
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
    /// `handle` has asked for the connection's end.
    pub close: bool,
}

/// Output that a full socket did not take.
#[derive(Default)]
pub struct Unsent {
    /// Heads and small bodies, if any of them is left.
    pub bytes: Option<Buffer>,
    /// What comes after them.
    pub pieces: Pieces,
}

/// See the module's head.
pub(super) struct Exchange {
    pub unsent: Unsent,
    pub body: Body,
    pub saved: SavedRequest,
    pub log: Option<Box<HeldRecord>>,
    /// What `saved` needs, once everything before it is sent.
    pub call: Option<SavedCall>,
    /// When the application's wait is over; 0: no wait.
    pub wait_until_ms: u64,
    /// Bytes of the response's body sent so far, for the log; begins below zero by what was in the
    /// output before it.
    pub sent: i64,
    /// When a byte last moved, low bits of `now_ms`.
    pub moved_ms: u32,
    /// Bytes that the kernel had and the client had not taken, when last looked at.
    pub unacknowledged: u32,
    /// The present window over which the body's rate is measured: its start and its bytes.
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

    /// From now on the time between two pieces of the body runs, and the window over which its rate
    /// is measured.
    pub fn begin_window(&mut self, now_ms: u64) {
        self.moved_ms = now_ms as u32;
        self.window_ms = now_ms as u32;
        self.window_bytes = 0;
    }

    /// Nothing needs it any more.
    pub fn is_idle(&self) -> bool {
        self.unsent.is_empty()
            && self.wait_until_ms == 0
            && self.call.is_none()
            && self.log.is_none()
            && matches!(self.body, Body::None)
    }
}

impl Unsent {
    /// Everything is sent.
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
