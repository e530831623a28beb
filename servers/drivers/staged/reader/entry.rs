//! A connection's place in its reader's loop, which it keeps while it is away.

use std::ops::BitOr;

use reactor::net::Stream;
use reactor::{EventLoop, Interest, Readiness, Token, Trigger};

use super::Connection;

/// What is known of a socket: one bit each.
#[derive(Copy, Clone, PartialEq, Eq, Default)]
pub(super) struct Flags(u8);

impl Flags {
    /// An edge reported input, and it has not all been read.
    pub const READABLE: Flags = Flags(1);
    /// The peer has sent FIN: read on until the end, a short read means nothing.
    pub const PEER_FIN: Flags = Flags(1 << 1);
    /// The poller watches the descriptor: at first for input only.
    pub const WATCHED: Flags = Flags(1 << 2);
    /// It also watches for room to write.
    pub const WATCHED_BOTH: Flags = Flags(1 << 3);
    /// An edge reported room since the last send.
    pub const ROOM: Flags = Flags(1 << 4);
    /// The connection has failed.
    pub const FAILED: Flags = Flags(1 << 5);
    /// On the list of those that wait for a job.
    pub const WAITS: Flags = Flags(1 << 6);

    #[inline]
    pub fn is(self, any: Flags) -> bool {
        self.0 & any.0 != 0
    }

    #[inline]
    pub fn set(&mut self, flags: Flags) {
        self.0 |= flags.0;
    }

    #[inline]
    pub fn unset(&mut self, flags: Flags) {
        self.0 &= !flags.0;
    }

    /// Records an event's readiness.
    #[inline]
    pub fn note(&mut self, readiness: Readiness) {
        if readiness.is_error() {
            self.set(Flags::FAILED);
        }
        if readiness.is_read_closed() || readiness.is_error() {
            self.set(Flags::READABLE | Flags::PEER_FIN);
        } else if readiness.is_readable() {
            self.set(Flags::READABLE);
        }
        if readiness.is_writable() {
            self.set(Flags::ROOM);
        }
    }

    /// Registers what the connection waits for with the poller: when it first stays here, reading;
    /// from its first full socket on, also room. `false`: it cannot be watched.
    pub fn watch(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        stream: &Stream,
        sends: bool,
    ) -> bool {
        let both = Interest::READABLE | Interest::WRITABLE;
        if !self.is(Flags::WATCHED) {
            let interest = if sends { both } else { Interest::READABLE };
            self.set(if sends { Flags::WATCHED | Flags::WATCHED_BOTH } else { Flags::WATCHED });
            return ev.watch(token, stream, interest, Trigger::Edge).is_ok();
        }
        if sends && !self.is(Flags::WATCHED_BOTH) {
            self.set(Flags::WATCHED_BOTH);
            // If this fails, the write timeout ends the connection.
            let _ = ev.rewatch(token, stream, both, Trigger::Edge);
        }
        true
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// A place.
#[derive(Default)]
pub(super) struct Entry {
    /// `None`: it is away, or there is none.
    pub connection: Option<Box<Connection>>,
    pub flags: Flags,
}

impl Entry {
    /// A new connection has it.
    pub fn begin(&mut self) {
        *self = Entry { connection: None, flags: Flags::READABLE };
    }
}
