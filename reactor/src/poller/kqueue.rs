//! The poller on macOS and the BSDs: `kqueue(2)`.
//!
//! To be read beside `epoll.rs`: the same functions in the same order. What is different here:
//!
//! - A *filter* watches one direction of a descriptor (or a signal, or nothing but a flag of its
//!   own, `EVFILT_USER`). Both directions of a connection are two filters, and two events.
//! - Filters are changed by a list of changes that goes into `kevent(2)`, the same call that takes
//!   events out. With `EV_RECEIPT` every change gets its own result, in order, and no event is
//!   taken out on the way.
//! - Edges are `EV_CLEAR`: the filter is no longer ready once it was reported.
//! - Filters belong to the descriptor: closing it drops them, duplicates or not.
//! - A forked child has no kqueue, and the number may be another descriptor's, even its own
//!   kqueue's: so what was made before the fork neither closes nor changes anything when it is
//!   dropped there ([`ProcessFd`]).
//!
//! The two calls are behind [`Kernel`], so that all of this file runs on every system: with
//! `kqueue/system.rs` on those that have kqueue, and in tests with `kqueue/model.rs`.

#[cfg(test)]
mod model;
mod process_fd;
mod signals;
#[cfg(not(target_os = "linux"))]
pub mod system;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use libc::c_int;

use super::readiness::{ERR, IN, OUT, RDHUP};
use super::{Event, Interest, Readiness, Trigger};
use crate::token::Token;

pub use signals::SignalQueue;

/// The two system calls.
pub trait Kernel: Sized {
    /// The system's own `struct kevent`, of which no two systems have the same.
    type Raw: Copy + From<Kevent> + Into<Kevent>;

    fn kqueue() -> io::Result<Self>;

    /// Makes `changes`, then takes events out, waiting for the first of them.
    fn kevent(
        &self,
        changes: &[Self::Raw],
        events: &mut [Self::Raw],
        timeout: Option<Duration>,
    ) -> io::Result<usize>;

    /// It was made by the process that asks, and not by one that has forked this one.
    fn is_ours(&self) -> bool;
}

/// A change or an event.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Kevent {
    /// Descriptor or signal number; for `User` any number.
    pub ident: usize,
    pub filter: Filter,
    pub flags: u16,
    pub fflags: u32,
    pub data: i64,
    /// Comes back with every event: the token.
    pub udata: u64,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    Read,
    Write,
    Signal,
    Process,
    User,
}

/// The flags, the same on every system with kqueue; `system.rs` asserts it.
pub mod flag {
    pub const ADD: u16 = 0x0001;
    pub const DELETE: u16 = 0x0002;
    pub const CLEAR: u16 = 0x0020;
    pub const RECEIPT: u16 = 0x0040;
    pub const ERROR: u16 = 0x4000;
    pub const EOF: u16 = 0x8000;
    /// In `fflags`.
    pub const NOTE_TRIGGER: u32 = 0x0100_0000;
    /// In `fflags`: a process has ended.
    pub const NOTE_EXIT: u32 = 0x8000_0000;
}

/// Makes changes without waiting.
const NOW: Option<Duration> = Some(Duration::ZERO);

/// Two filters taken away and two added: the longest list there is.
const CHANGES_MAX: usize = 4;

/// The filters in the kernel.
pub struct Queue<K> {
    kernel: Arc<K>, // shared with wakers, which trigger a filter of theirs
}

impl<K: Kernel> Queue<K> {
    pub fn new() -> io::Result<Self> {
        Ok(Queue { kernel: Arc::new(K::kqueue()?) })
    }

    /// All or nothing: a pipe may refuse one direction.
    pub fn add(&self, fd: RawFd, token: Token, want: Interest, when: Trigger) -> io::Result<()> {
        let receipts = self.submit(watch(fd, token, want, when))?;
        let Some(error) = receipts.into_iter().find(|error| *error != 0) else {
            return Ok(());
        };
        self.submit(forget(fd))?; // the direction that was added, if one was
        Err(io::Error::from_raw_os_error(error))
    }

    /// Adding an existing filter would keep its `EV_CLEAR` as it was: so delete it first.
    ///
    /// Nothing is lost in between: a filter that is added checks what is ready.
    pub fn modify(&self, fd: RawFd, token: Token, want: Interest, when: Trigger) -> io::Result<()> {
        let receipts = self.submit(forget(fd).chain(watch(fd, token, want, when)))?;
        if receipts[..2] == [libc::ENOENT; 2] {
            self.submit(forget(fd))?; // was not watched before, and is not now
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        match receipts[2..].iter().find(|error| **error != 0) {
            Some(error) => Err(io::Error::from_raw_os_error(*error)),
            None => Ok(()),
        }
    }

    pub fn delete(&self, fd: RawFd) -> io::Result<()> {
        let receipts = self.submit(forget(fd))?;
        // Usually one of the two was watched.
        let fatal = |error: &&c_int| ![0, libc::ENOENT].contains(*error);
        let missing = receipts[..2] == [libc::ENOENT; 2];
        match receipts.iter().find(fatal).or(missing.then_some(&libc::ENOENT)) {
            Some(error) => Err(io::Error::from_raw_os_error(*error)),
            None => Ok(()),
        }
    }

    #[inline]
    pub fn wait(&self, batch: &mut Batch<K>, timeout: Option<Duration>) -> io::Result<usize> {
        batch.filled = 0;
        batch.filled = self.kernel.kevent(&[], &mut batch.list, timeout)?;
        Ok(batch.filled)
    }

    /// Makes changes; returns the error number of each, in order; 0 for success.
    fn submit(&self, changes: impl Iterator<Item = Kevent>) -> io::Result<[c_int; CHANGES_MAX]> {
        let mut list = [K::Raw::from(NOTHING); CHANGES_MAX];
        let mut count = 0;
        for (to, change) in list.iter_mut().zip(changes) {
            *to = Kevent { flags: change.flags | flag::RECEIPT, ..change }.into();
            count += 1;
        }
        let mut receipts = list;
        let answered = self.kernel.kevent(&list[..count], &mut receipts[..count], NOW)?;
        let mut errors = [0; CHANGES_MAX];
        for (error, receipt) in errors.iter_mut().zip(&receipts[..answered]) {
            *error = error_of((*receipt).into());
        }
        Ok(errors)
    }
}

impl<K: AsFd> AsFd for Queue<K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.kernel.as_fd()
    }
}

const NOTHING: Kevent =
    Kevent { ident: 0, filter: Filter::User, flags: 0, fflags: 0, data: 0, udata: 0 };

/// The filters for both directions of `fd`, as far as they are wanted.
fn watch(fd: RawFd, token: Token, want: Interest, when: Trigger) -> impl Iterator<Item = Kevent> {
    let clear = if when == Trigger::Edge { flag::CLEAR } else { 0 };
    [(Filter::Read, want.is_readable()), (Filter::Write, want.is_writable())]
        .into_iter()
        .filter(|(_, wanted)| *wanted)
        .map(move |(filter, _)| Kevent {
            ident: fd as usize,
            filter,
            flags: flag::ADD | clear,
            udata: token.to_u64(),
            ..NOTHING
        })
}

/// Deletes both filters; only the kernel knows which of them exist.
fn forget(fd: RawFd) -> impl Iterator<Item = Kevent> {
    [Filter::Read, Filter::Write].into_iter().map(move |filter| Kevent {
        ident: fd as usize,
        filter,
        flags: flag::DELETE,
        ..NOTHING
    })
}

/// A receipt is an event with `EV_ERROR` whose `data` is an error number, or 0.
fn error_of(receipt: Kevent) -> c_int {
    if receipt.flags & flag::ERROR != 0 { receipt.data as c_int } else { 0 }
}

/// Events as the kernel wrote them, translated when they are read.
pub struct Batch<K: Kernel> {
    list: Box<[K::Raw]>,
    filled: usize, // <= list.len(): the events of the last wait
}

impl<K: Kernel> Batch<K> {
    pub fn with_capacity(capacity: usize) -> Self {
        Batch { list: vec![NOTHING.into(); capacity].into_boxed_slice(), filled: 0 }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.filled
    }

    #[inline]
    pub fn get(&self, index: usize) -> Option<Event> {
        self.list[..self.filled].get(index).map(|raw| translate((*raw).into()))
    }

    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.list[..self.filled].iter().map(|raw| translate((*raw).into()))
    }

    pub fn clear(&mut self) {
        self.filled = 0;
    }
}

/// `EV_EOF` on the reading side is the peer's end, with `data` bytes still to be read. On the
/// writing side it is also our own shutdown, which a write reports, so it is no more than writable.
/// In both cases `fflags` is the socket's error, if it has one.
#[inline]
fn translate(event: Kevent) -> Event {
    let ended = event.flags & flag::EOF != 0;
    let mut bits = match event.filter {
        Filter::Read if ended => IN | RDHUP,
        Filter::Read | Filter::Signal | Filter::Process | Filter::User => IN,
        Filter::Write => OUT,
    };
    let of_file = matches!(event.filter, Filter::Read | Filter::Write);
    if event.flags & flag::ERROR != 0 || (of_file && ended && event.fflags != 0) {
        bits |= ERR;
    }
    Event { token: Token::from_u64(event.udata), readiness: Readiness::from_bits(bits.into()) }
}

/// A filter that is ready when triggered (`EVFILT_USER`), until it was reported.
///
/// It is identified by a number, here the token's.
pub struct Wake<K: Kernel> {
    kernel: Arc<K>,
    token: Token,
}

impl<K: Kernel> Wake<K> {
    pub fn new(queue: &Queue<K>, token: Token) -> io::Result<Self> {
        let wake = Wake { kernel: queue.kernel.clone(), token };
        wake.change(flag::ADD | flag::CLEAR, 0)?;
        Ok(wake)
    }

    pub fn wake(&self) -> io::Result<()> {
        self.change(0, flag::NOTE_TRIGGER)
    }

    fn change(&self, flags: u16, fflags: u32) -> io::Result<()> {
        let udata = self.token.to_u64();
        let change = Kevent { ident: udata as usize, flags, fflags, udata, ..NOTHING };
        self.kernel.kevent(&[change.into()], &mut [], NOW)?; // no room for a receipt: an error is
        Ok(())
    }
}

impl<K: Kernel> Drop for Wake<K> {
    fn drop(&mut self) {
        // In a forked child the number may be that of a kqueue of its own, which has a filter like
        // this one.
        if self.kernel.is_ours() {
            let _ = self.change(flag::DELETE, 0); // fails if it was never added: nothing to delete
        }
    }
}

/// A child's exit as a readable descriptor (`EVFILT_PROC`), in a kqueue of its own so that it can
/// be watched like any descriptor. The event comes once (`EV_ONESHOT`), but it is never taken out:
/// so it stays.
pub struct ExitWatch<K> {
    queue: Queue<K>,
}

impl<K: Kernel> ExitWatch<K> {
    /// Whether there are any here: always.
    #[cfg_attr(target_os = "linux", allow(dead_code, reason = "only the tests are built there"))]
    pub fn is_available() -> io::Result<bool> {
        Ok(true)
    }

    /// `pid` is a child that was not waited for: so the number is still its own.
    pub fn new(pid: libc::pid_t) -> io::Result<Self> {
        let queue = Queue::<K>::new()?;
        let (ident, flags) = (pid as usize, flag::ADD);
        let exit =
            Kevent { ident, filter: Filter::Process, flags, fflags: flag::NOTE_EXIT, ..NOTHING };
        match queue.kernel.kevent(&[exit.into()], &mut [], NOW) {
            // It has ended already, which some systems do not report: made readable by other means.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {
                let add = Kevent { flags: flag::ADD, ..NOTHING };
                let trigger = Kevent { fflags: flag::NOTE_TRIGGER, ..NOTHING };
                queue.kernel.kevent(&[add.into(), trigger.into()], &mut [], NOW)?;
            }
            result => drop(result?),
        }
        Ok(ExitWatch { queue })
    }
}

impl<K: AsFd> AsFd for ExitWatch<K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

impl<K> fmt::Debug for ExitWatch<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExitWatch").finish_non_exhaustive()
    }
}
