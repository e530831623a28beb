//! Which of many sources are ready: one interface over `epoll(7)` and `kqueue(2)`.
//!
//! ```text
//!   add(fd, token, interest, trigger)            wait(&mut events, timeout)
//!                 |                                        ^
//!                 v                                        |
//!          interest list  --- a source becomes ready --> ready list      (in the kernel)
//! ```
//!
//! [`Poller`] is the kernel's list, [`Events`] an array that every wait refills, [`Event`] a
//! [`Token`] with a [`Readiness`]. One system call per method, nothing allocated after start.
//!
//! # What is not guaranteed
//!
//! - An event is a **hint**: the read or write that follows may still return `WouldBlock` (another
//!   process took the connection, a checksum was wrong). Sources are non-blocking.
//! - An event may be **stale**: when the source of an earlier event of the same batch made us close
//!   this one, its event is still in the array. Tokens carry a generation for that.
//! - With [`Trigger::Edge`] there is one report per edge: bytes that were left unread are not
//!   reported again. But several edges may be one report, and one edge may be reported twice.
//! - Both directions of a source come as one event (epoll) or as two (kqueue).
//! - A closed descriptor leaves the list by itself only if it is not open elsewhere (a duplicate, a
//!   forked child): [`delete`](Poller::delete) it first where that may be.
//! - A forked child shares its parent's list (epoll) or has none (kqueue): it makes its own, and
//!   does nothing with the other but drop it. That closes its copy of the descriptor, if it has
//!   one, and changes nothing of what the parent watches.
//!
//! # What is reported, on every system
//!
//! | what happens | `READABLE` | `WRITABLE` |
//! |---|---|---|
//! | bytes arrive, a connection waits | `READABLE` | nothing |
//! | the peer finishes sending | `READABLE`, `READ_CLOSED` | nothing: it may still receive |
//! | there is room to write | nothing | `WRITABLE` |
//! | we have finished sending | nothing | `WRITABLE`: a write returns the error |
//! | the connection is reset | `is_readable`, most often with `ERROR` | `is_writable`, the same |
//!
//! `BOTH` is the sum of the two. A source that waits for room alone does not learn of the peer's
//! end: with [`Trigger::Level`] it would be reported by every wait, for as long as a client that
//! has half closed its connection is slow to take the answer.
//!
//! # What every backend must provide
//!
//! `epoll.rs` and `kqueue.rs` have these, in this order; the choice between them is made below and
//! nowhere else.
//!
//! | item | what |
//! |---|---|
//! | `Queue` | `new`, `add`, `modify`, `delete`, `wait`; `AsFd`, so that it can be watched itself |
//! | `Batch` | room for a fixed number of events: `with_capacity`, `len`, `get`, `iter`, `clear` |
//! | `Wake` | `new(&Queue, Token)`, `wake` from any thread: at least one event follows the last wake |
//! | `SignalQueue` | `new` (of blocked signals), `next`; `AsFd`, readable while a signal waits |
//! | `ExitWatch` | `new` (of a child); `AsFd`, readable once the child has ended |

mod readiness;

#[cfg(target_os = "linux")]
pub(crate) mod epoll;
#[cfg(any(test, not(target_os = "linux")))]
pub(crate) mod kqueue; // its tests run on Linux too

#[cfg(target_os = "linux")]
pub(crate) use epoll as backend;
#[cfg(not(target_os = "linux"))]
pub(crate) use kqueue::system as backend;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

pub use self::readiness::{Interest, Readiness, Trigger};
use crate::token::Token;

/// The sources that are watched.
///
/// ```
/// use std::io::Write;
/// use std::os::unix::net::UnixStream;
/// use stampede_reactor::{Events, Interest, Poller, Token, Trigger};
///
/// # fn main() -> std::io::Result<()> {
/// let (here, mut there) = UnixStream::pair()?;
/// let poller = Poller::new()?;
/// let token = Token::new(7, 0);
/// poller.add(&here, token, Interest::READABLE, Trigger::Level)?;
///
/// there.write_all(b"hello")?;
/// let mut events = Events::with_capacity(64);
/// poller.wait(&mut events, None)?;
/// let event = events.get(0).unwrap();
/// assert!(event.token == token && event.readiness.is_readable());
/// # Ok(())
/// # }
/// ```
pub struct Poller {
    queue: backend::Queue,
}

impl Poller {
    /// An empty list.
    pub fn new() -> io::Result<Poller> {
        Ok(Poller { queue: backend::Queue::new()? })
    }

    /// Watches `fd`. If it is ready already, the next wait reports it, with edge triggering too.
    ///
    /// A descriptor is added once. A second time is an error with epoll (`AlreadyExists`) and a
    /// change with kqueue; call [`modify`](Poller::modify) for that.
    ///
    /// # Errors
    ///
    /// - `InvalidInput`: [`Trigger::LevelExclusive`] for anything but reading. A poller that would
    ///   watch itself, or another one exclusively (epoll: `EINVAL`).
    /// - `PermissionDenied`: a regular file or a directory (epoll: `EPERM`). It is always ready, so
    ///   there is nothing to wait for. kqueue takes it, and reports a file with more to read.
    /// - `AlreadyExists`: it was added before (epoll: `EEXIST`).
    /// - `OutOfMemory`, `StorageFull`: no memory in the kernel, or the limit of watches for each
    ///   user (epoll: `ENOMEM`, `ENOSPC`).
    /// - Others: pollers that watch each other in a circle or too deep (epoll: `ELOOP`); a source
    ///   that has no such filter, a pipe whose other end is gone (kqueue: `EINVAL`, `EPIPE`).
    pub fn add(
        &self,
        fd: impl AsFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<()> {
        possible(interest, trigger)?;
        self.queue.add(fd.as_fd().as_raw_fd(), token, interest, trigger)
    }

    /// Replaces token, interest and trigger of a watched `fd`, from any to any; what is ready is
    /// reported again.
    ///
    /// # Errors
    ///
    /// `NotFound` if it was not watched; otherwise as for [`add`](Poller::add), and then it may be
    /// watched no longer.
    pub fn modify(
        &self,
        fd: impl AsFd,
        token: Token,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<()> {
        possible(interest, trigger)?;
        self.queue.modify(fd.as_fd().as_raw_fd(), token, interest, trigger)
    }

    /// Stops watching `fd`; `NotFound` if it was not watched. To be called before `fd` is closed.
    pub fn delete(&self, fd: impl AsFd) -> io::Result<()> {
        self.queue.delete(fd.as_fd().as_raw_fd())
    }

    /// Waits until a source is ready or `timeout` has passed, and replaces the contents of `events`
    /// with the new events; returns how many. `None` waits without a limit.
    ///
    /// Never returns early because of rounding. A signal handler that ran ends the wait with 0
    /// events (`EINTR`): the caller has a deadline, not a duration, and computes the rest itself.
    #[inline]
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        match self.queue.wait(&mut events.batch, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            result => result,
        }
    }

    pub(crate) fn queue(&self) -> &backend::Queue {
        &self.queue
    }
}

/// What one backend cannot do is refused by both.
#[inline]
fn possible(interest: Interest, trigger: Trigger) -> io::Result<()> {
    if trigger == Trigger::LevelExclusive && interest != Interest::READABLE {
        let text = "Trigger::LevelExclusive is for Interest::READABLE alone";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(())
}

/// A poller is readable while one of its sources is ready: it can be watched by another.
impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("fd", &self.as_fd().as_raw_fd()).finish()
    }
}

/// A source that was ready, by the token it was added with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The source.
    pub token: Token,
    /// What it is ready for: a hint.
    pub readiness: Readiness,
}

/// More than that at a time would only delay what is not in the poller: timers, deferred sources.
/// (epoll_wait(2) itself refuses more than 178,956,970, in every wait.)
const EVENTS_MAX: usize = 64 * 1024;

/// Room for the events of one wait.
pub struct Events {
    batch: backend::Batch,
}

impl Events {
    /// Room for `capacity` events, at least one and at most 65,536. Ready sources beyond that come
    /// with the next wait; the kernel takes turns, so that none is starved.
    pub fn with_capacity(capacity: usize) -> Events {
        Events { batch: backend::Batch::with_capacity(capacity.clamp(1, EVENTS_MAX)) }
    }

    /// How many events the last wait found.
    #[inline]
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether the last wait found none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The event at `index`, in the order of the kernel.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Event> {
        self.batch.get(index)
    }

    /// All events of the last wait.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.batch.iter()
    }

    /// Forgets the events.
    pub fn clear(&mut self) {
        self.batch.clear();
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
