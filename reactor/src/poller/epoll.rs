//! The poller on Linux: `epoll(7)`, `eventfd(2)`, `signalfd(2)`.
//!
//! To be read beside `kqueue.rs`: the same functions in the same order.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use libc::{c_int, epoll_event};

use super::readiness::{ERR, HUP, IN, OUT, RDHUP};
use super::{Event, Interest, Readiness, Trigger};
use crate::sys::check;
use crate::token::Token;

// Readiness is epoll's own bits under a mask: see readiness.rs.
const _: () = assert!(
    IN as c_int == libc::EPOLLIN
        && OUT as c_int == libc::EPOLLOUT
        && ERR as c_int == libc::EPOLLERR
        && HUP as c_int == libc::EPOLLHUP
        && RDHUP as c_int == libc::EPOLLRDHUP
);

/// An interest list in the kernel.
pub struct Queue {
    epoll: OwnedFd,
}

impl Queue {
    pub fn new() -> io::Result<Queue> {
        // SAFETY: takes no pointer.
        let fd = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Queue { epoll: own(fd) })
    }

    pub fn add(&self, fd: RawFd, token: Token, want: Interest, when: Trigger) -> io::Result<()> {
        self.control(
            libc::EPOLL_CTL_ADD,
            fd,
            &mut epoll_event { events: mask(want, when), u64: token.to_u64() },
        )
    }

    /// `EPOLL_CTL_MOD` replaces everything, and reports again what is ready at this moment. It
    /// neither makes a watch exclusive nor changes one that is (`EINVAL`): that takes two calls,
    /// between which nothing is lost, since adding looks at what is ready.
    pub fn modify(&self, fd: RawFd, token: Token, want: Interest, when: Trigger) -> io::Result<()> {
        let mut event = epoll_event { events: mask(want, when), u64: token.to_u64() };
        if when != Trigger::LevelExclusive {
            match self.control(libc::EPOLL_CTL_MOD, fd, &mut event) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
                result => return result,
            }
        }
        self.delete(fd)?;
        self.control(libc::EPOLL_CTL_ADD, fd, &mut event)
    }

    pub fn delete(&self, fd: RawFd) -> io::Result<()> {
        // Kernels before 2.6.9 wanted a valid pointer here; it costs nothing to give one.
        self.control(libc::EPOLL_CTL_DEL, fd, &mut epoll_event { events: 0, u64: 0 })
    }

    #[inline]
    pub fn wait(&self, batch: &mut Batch, timeout: Option<Duration>) -> io::Result<usize> {
        batch.filled = 0;
        let room = batch.list.len() as c_int;
        // SAFETY: `list` has room for `room` events, which the kernel writes; the borrow is unique.
        let found = check(unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                batch.list.as_mut_ptr(),
                room,
                timeout_ms(timeout),
            )
        })?;
        batch.filled = found as usize;
        Ok(batch.filled)
    }

    fn control(&self, operation: c_int, fd: RawFd, event: &mut epoll_event) -> io::Result<()> {
        // SAFETY: `event` lives until the call returns; the kernel copies it.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, event) })?;
        Ok(())
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// `EPOLLRDHUP` goes with reading: without it a half-closed connection looks merely readable. With
/// writing alone it would be a level that no write ends.
fn mask(want: Interest, when: Trigger) -> u32 {
    let mut mask = 0;
    if want.is_readable() {
        mask |= libc::EPOLLIN | libc::EPOLLRDHUP;
    }
    if want.is_writable() {
        mask |= libc::EPOLLOUT;
    }
    match when {
        Trigger::Level => {}
        Trigger::Edge => mask |= libc::EPOLLET,
        // The kernel refuses EPOLLRDHUP beside it; a listener has no peer that could finish. Any
        // interest but reading was refused above.
        Trigger::LevelExclusive => mask = libc::EPOLLIN | libc::EPOLLEXCLUSIVE,
    }
    mask as u32
}

/// Milliseconds, rounded up so that a wait never ends early (which would spin until the deadline).
///
/// `epoll_pwait2(2)` takes nanoseconds, but the timers above tick in milliseconds: nothing to gain.
#[inline]
fn timeout_ms(timeout: Option<Duration>) -> c_int {
    let Some(timeout) = timeout else { return -1 };
    let whole_ms = timeout.as_secs().saturating_mul(1_000);
    let rest_ms = timeout.subsec_nanos().div_ceil(1_000_000);
    whole_ms.saturating_add(rest_ms.into()).min(c_int::MAX as u64) as c_int
}

/// Events as the kernel wrote them, translated when they are read.
pub struct Batch {
    list: Box<[epoll_event]>,
    filled: usize, // <= list.len(): the events of the last wait
}

impl Batch {
    /// Of at most `EVENTS_MAX`, which is below epoll_wait's own limit.
    pub fn with_capacity(capacity: usize) -> Batch {
        let list = vec![epoll_event { events: 0, u64: 0 }; capacity].into_boxed_slice();
        Batch { list, filled: 0 }
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.filled
    }

    #[inline]
    pub fn get(&self, index: usize) -> Option<Event> {
        self.list[..self.filled].get(index).map(translate)
    }

    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.list[..self.filled].iter().map(translate)
    }

    pub fn clear(&mut self) {
        self.filled = 0;
    }
}

#[inline]
fn translate(event: &epoll_event) -> Event {
    // The struct is packed on x86-64: its fields are copied, never borrowed.
    Event { token: Token::from_u64(event.u64), readiness: Readiness::from_bits(event.events) }
}

/// A counter that is readable while it is not zero (`eventfd(2)`).
///
/// Registered by edges and never read: every write is an edge, so that a wake-up costs the loop no
/// system call. At one a nanosecond the counter would take five centuries to fill.
pub struct Wake {
    counter: OwnedFd,
}

impl Wake {
    pub fn new(queue: &Queue, token: Token) -> io::Result<Wake> {
        // SAFETY: takes no pointer.
        let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        let wake = Wake { counter: own(fd) };
        queue.add(fd, token, Interest::READABLE, Trigger::Edge)?;
        Ok(wake)
    }

    pub fn wake(&self) -> io::Result<()> {
        // SAFETY: eventfd_write takes the value itself.
        check(unsafe { libc::eventfd_write(self.counter.as_raw_fd(), 1) })?;
        Ok(())
    }
}

/// Blocked signals as a readable descriptor (`signalfd(2)`).
pub struct SignalQueue {
    fd: OwnedFd,
}

impl SignalQueue {
    /// `signals` are blocked already; `set` is the same as a set.
    pub fn new(_signals: &[c_int], set: &libc::sigset_t) -> io::Result<SignalQueue> {
        // SAFETY: `set` is a valid set, read during the call.
        let fd = check(unsafe { libc::signalfd(-1, set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) })?;
        Ok(SignalQueue { fd: own(fd) })
    }

    /// The number of the next signal; `None` when none is pending.
    pub fn next(&mut self) -> io::Result<Option<c_int>> {
        // SAFETY: all zeros is a valid signalfd_siginfo (plain numbers).
        let mut info: libc::signalfd_siginfo = unsafe { mem::zeroed() };
        let size = mem::size_of_val(&info);
        // SAFETY: `info` has room for the `size` bytes that are read.
        let read = crate::sys::retry(|| unsafe {
            libc::read(self.fd.as_raw_fd(), (&raw mut info).cast(), size)
        });
        match read {
            Ok(_) => Ok(Some(info.ssi_signo as c_int)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for SignalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A child's exit as a readable descriptor (`pidfd_open(2)`, Linux 5.3).
#[derive(Debug)]
pub struct ExitWatch {
    fd: OwnedFd,
}

impl ExitWatch {
    /// Whether there are any here: older kernels and some sandboxes have no `pidfd_open(2)`.
    ///
    /// An error is one of the moment: no descriptor or no memory is left.
    pub fn is_available() -> io::Result<bool> {
        // This process's, which there is.
        // SAFETY: takes no pointer, and cannot fail.
        match ExitWatch::new(unsafe { libc::getpid() }) {
            Ok(_) => Ok(true),
            Err(error) => match error.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM) => Err(error),
                _ => Ok(false),
            },
        }
    }

    /// `pid` is a child that was not waited for: so the number is still its own.
    pub fn new(pid: libc::pid_t) -> io::Result<ExitWatch> {
        // SAFETY: takes no pointer. The descriptor is closed on exec by itself.
        let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as c_int)?;
        Ok(ExitWatch { fd: own(fd) })
    }
}

impl AsFd for ExitWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: called on a descriptor that the kernel has just made for us: open, and ours alone.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_rounded_up_and_bounded() {
        let ms = |timeout| timeout_ms(Some(timeout));
        assert_eq!(timeout_ms(None), -1);
        assert_eq!(ms(Duration::ZERO), 0);
        assert_eq!(ms(Duration::from_nanos(1)), 1);
        assert_eq!(ms(Duration::from_millis(1)), 1);
        assert_eq!(ms(Duration::from_micros(1_001)), 2);
        assert_eq!(ms(Duration::from_nanos(999_999_999)), 1_000);
        assert_eq!(ms(Duration::MAX), c_int::MAX);
    }
}
