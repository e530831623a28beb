//! What is requested of a source and what is reported: [`Interest`], [`Trigger`], [`Readiness`].
//!
//! The bits are those of `epoll_ctl(2)`, so that on Linux translating an event is a mask; the epoll
//! backend asserts it. Other backends translate by name.

use std::fmt;
use std::ops::BitOr;

pub(super) const IN: u16 = 0x001;
pub(super) const OUT: u16 = 0x004;
pub(super) const ERR: u16 = 0x008;
pub(super) const HUP: u16 = 0x010;
pub(super) const RDHUP: u16 = 0x2000;

/// The directions a source is watched for; never none.
///
/// A connection that breaks is reported whatever the interest, the end of what the peer sends only
/// with `READABLE`: see the table in [`poller`](crate::poller).
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct Interest(u16);

impl Interest {
    /// There is something to read: bytes, a connection to accept, the end of the stream.
    pub const READABLE: Interest = Interest(IN);
    /// There is room to write.
    pub const WRITABLE: Interest = Interest(OUT);
    /// Both directions: how an edge-triggered connection is registered, once.
    pub const BOTH: Interest = Interest(IN | OUT);

    /// Neither; for `poll(2)` alone, see [`net::FAILURE`](crate::net::FAILURE).
    pub(crate) const NONE: Interest = Interest(0);

    /// Whether reading is of interest.
    pub const fn is_readable(self) -> bool {
        self.0 & IN != 0
    }

    /// Whether writing is of interest.
    pub const fn is_writable(self) -> bool {
        self.0 & OUT != 0
    }
}

impl BitOr for Interest {
    type Output = Interest;

    fn bitor(self, other: Interest) -> Interest {
        Interest(self.0 | other.0)
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.is_readable(), self.is_writable()) {
            (true, true) => "READABLE | WRITABLE",
            (true, false) => "READABLE",
            _ => "WRITABLE",
        })
    }
}

/// When a source that is ready is reported.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// By every wait, for as long as it is ready.
    Level,
    /// Once, when it becomes ready or more arrives; then not again until something happens to it.
    ///
    /// A caller that stops before the source would block must remember that it is still ready.
    Edge,
    /// As [`Level`](Trigger::Level), for a source that several pollers watch, as forked workers
    /// watch one listener: usually only one of them is woken (`EPOLLEXCLUSIVE`). For reading only:
    /// with any other interest it is refused.
    ///
    /// Where this does not exist (kqueue), all of them are woken.
    LevelExclusive,
}

/// What a source was found ready for.
///
/// ```
/// use stampede_reactor::Readiness;
///
/// let readiness = Readiness::READABLE | Readiness::READ_CLOSED;
/// assert!(readiness.is_readable() && readiness.is_read_closed());
/// assert!(!readiness.is_writable());
/// ```
#[derive(Copy, Clone, PartialEq, Eq, Default)]
pub struct Readiness(u16);

impl Readiness {
    /// Nothing at all (the default).
    pub const NONE: Readiness = Readiness(0);
    /// Something can be read.
    pub const READABLE: Readiness = Readiness(IN);
    /// Something can be written.
    pub const WRITABLE: Readiness = Readiness(OUT);
    /// The peer has finished sending; bytes sent before may still wait to be read.
    pub const READ_CLOSED: Readiness = Readiness(RDHUP);
    /// The source failed.
    pub const ERROR: Readiness = Readiness(ERR);
    /// Both directions are gone.
    pub const HANGUP: Readiness = Readiness(HUP);

    const ALL: u16 = IN | OUT | ERR | HUP | RDHUP;

    /// Keeps those of a backend's bits that have a name here.
    #[inline]
    pub(super) const fn from_bits(bits: u32) -> Readiness {
        Readiness(bits as u16 & Self::ALL)
    }

    /// A read would not block: it would return bytes, the end, or the error.
    #[inline]
    pub const fn is_readable(self) -> bool {
        self.0 & (IN | RDHUP | HUP | ERR) != 0
    }

    /// A write would not block: there is room, or it would return the error.
    #[inline]
    pub const fn is_writable(self) -> bool {
        self.0 & (OUT | HUP | ERR) != 0
    }

    /// No more will arrive than what waits already (`EPOLLRDHUP`, `EPOLLHUP`; `EV_EOF`).
    ///
    /// Then a short read does not mean drained: the end is still to be read.
    #[inline]
    pub const fn is_read_closed(self) -> bool {
        self.0 & (RDHUP | HUP) != 0
    }

    /// The source failed (`EPOLLERR`); the next read or write, or `take_error`, returns the error.
    #[inline]
    pub const fn is_error(self) -> bool {
        self.0 & ERR != 0
    }

    /// Both directions are gone (`EPOLLHUP`). kqueue has no equivalent and never reports it.
    #[inline]
    pub const fn is_hangup(self) -> bool {
        self.0 & HUP != 0
    }

    /// Whether nothing is ready.
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Readiness {
    type Output = Readiness;

    #[inline]
    fn bitor(self, other: Readiness) -> Readiness {
        Readiness(self.0 | other.0)
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (IN, "READABLE"),
            (OUT, "WRITABLE"),
            (RDHUP, "READ_CLOSED"),
            (ERR, "ERROR"),
            (HUP, "HANGUP"),
        ];
        let mut set = f.debug_set();
        for (_, name) in names.iter().filter(|(bit, _)| self.0 & bit != 0) {
            set.entry(&format_args!("{name}"));
        }
        set.finish()
    }
}
