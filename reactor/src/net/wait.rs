//! Waiting for one source or a few, without a poller: `poll(2)`.
//!
//! For a thread that serves one connection at a time. It has nothing to register, and one call does
//! it; a poller pays off from some dozens of sources that are waited for again and again. A source
//! may be a [`Poller`](crate::Poller) itself: an iterative server waits for its client and for the
//! loop that has its signals, and whichever is first wakes it.
//!
//! The lists here are short and on the stack. On macOS `poll(2)` does not take devices (terminals);
//! sockets, pipes and kqueues it does.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use libc::{c_int, c_short, pollfd};

use crate::sys::check;
use crate::{Interest, Readiness};

/// That the peer has finished is an event of its own on Linux; elsewhere it is readable.
#[cfg(target_os = "linux")]
const PEER_FINISHED: c_short = libc::POLLRDHUP;
#[cfg(not(target_os = "linux"))]
const PEER_FINISHED: c_short = 0;

/// To wait for nothing but that a source fails, or is gone in both directions: how a thread passes
/// time without keeping a client that has reset its connection. For [`wait`] and [`wait_any`] only.
pub const FAILURE: Interest = Interest::NONE;

/// Waits until `source` is ready or `timeout` has passed (`None`: no limit), and returns what it is
/// ready for: nothing, if the time is over.
///
/// Never returns early because of rounding. A signal handler that ran also ends the wait with
/// nothing (`EINTR`): the caller has a deadline, not a duration, and computes the rest itself.
///
/// ```
/// use stampede_reactor::{Interest, net};
/// use std::{io::Write, os::unix::net::UnixStream, time::Duration};
///
/// let (here, mut there) = UnixStream::pair()?;
/// assert!(net::wait(&here, Interest::READABLE, Some(Duration::ZERO))?.is_none());
/// there.write_all(b"hello")?;
/// assert!(net::wait(&here, Interest::READABLE, None)?.is_readable());
/// # std::io::Result::Ok(())
/// ```
pub fn wait(
    source: impl AsFd,
    interest: Interest,
    timeout: Option<Duration>,
) -> io::Result<Readiness> {
    Ok(wait_any([(source.as_fd(), interest)], timeout)?[0])
}

/// The same for a few sources: waits until one of them is ready, and returns the readiness of each.
///
/// # Errors
///
/// Out of memory. A source that failed is ready, with [`Readiness::ERROR`].
pub fn wait_any<const N: usize>(
    sources: [(BorrowedFd<'_>, Interest); N],
    timeout: Option<Duration>,
) -> io::Result<[Readiness; N]> {
    let mut list = sources.map(|(fd, interest)| pollfd {
        fd: fd.as_raw_fd(),
        events: events(interest),
        revents: 0,
    });
    // SAFETY: the list has N entries and lives until the call returns.
    match check(unsafe { libc::poll(list.as_mut_ptr(), N as libc::nfds_t, timeout_ms(timeout)) }) {
        Ok(_) => Ok(list.map(|entry| readiness(entry.revents))),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok([Readiness::NONE; N]),
        Err(error) => Err(error),
    }
}

fn events(interest: Interest) -> c_short {
    let mut events = 0;
    if interest.is_readable() {
        events |= libc::POLLIN | PEER_FINISHED;
    }
    if interest.is_writable() {
        events |= libc::POLLOUT;
    }
    events
}

fn readiness(events: c_short) -> Readiness {
    let bits = [
        (libc::POLLIN, Readiness::READABLE),
        (libc::POLLOUT, Readiness::WRITABLE),
        (PEER_FINISHED, Readiness::READ_CLOSED),
        (libc::POLLERR | libc::POLLNVAL, Readiness::ERROR),
        (libc::POLLHUP, Readiness::HANGUP),
    ];
    let found = bits.into_iter().filter(|(bit, _)| events & bit != 0);
    found.fold(Readiness::NONE, |all, (_, one)| all | one)
}

/// Milliseconds, rounded up so that a wait never ends early.
fn timeout_ms(timeout: Option<Duration>) -> c_int {
    let Some(timeout) = timeout else { return -1 };
    let ms = timeout.as_nanos().div_ceil(1_000_000);
    c_int::try_from(ms).unwrap_or(c_int::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Instant;

    fn pair() -> (UnixStream, UnixStream) {
        UnixStream::pair().unwrap()
    }

    #[test]
    fn reports_what_a_source_is_ready_for() {
        let (here, mut there) = pair();
        let now = Some(Duration::ZERO);
        assert!(wait(&here, Interest::READABLE, now).unwrap().is_none());
        assert_eq!(wait(&here, Interest::BOTH, now).unwrap(), Readiness::WRITABLE);
        there.write_all(b"x").unwrap();
        assert_eq!(wait(&here, Interest::READABLE, None).unwrap(), Readiness::READABLE);
        drop(there);
        let gone = wait(&here, Interest::READABLE, None).unwrap();
        assert!(gone.is_readable());
        #[cfg(target_os = "linux")]
        assert!(gone.is_read_closed());
    }

    #[test]
    fn ends_when_time_is_over_and_not_before() {
        let (here, _there) = pair();
        let (start, timeout) = (Instant::now(), Duration::from_micros(20_100));
        assert!(wait(&here, Interest::READABLE, Some(timeout)).unwrap().is_none());
        assert!(start.elapsed() >= timeout);
    }

    #[test]
    fn of_two_sources_either_ends_the_wait() {
        let ((first, mut to_first), (second, mut to_second)) = (pair(), pair());
        let both = || {
            let sources = [&first, &second].map(|source| (source.as_fd(), Interest::READABLE));
            wait_any(sources, None).unwrap().map(Readiness::is_readable)
        };
        to_first.write_all(b"x").unwrap();
        assert_eq!(both(), [true, false]);
        to_second.write_all(b"x").unwrap();
        assert_eq!(both(), [true, true]);
    }

    /// The iterative model: a silent client, and a signal or a waker that must not be missed.
    #[test]
    fn a_poller_is_a_source_like_any_other() {
        let (client, mut to_client) = pair();
        let (watched, mut to_watched) = pair();
        let poller = crate::Poller::new().unwrap();
        let token = crate::Token::new(0, 0);
        poller.add(&watched, token, Interest::READABLE, crate::Trigger::Level).unwrap();
        let both = |timeout| {
            let sources = [client.as_fd(), poller.as_fd()];
            let sources = sources.map(|source| (source, Interest::READABLE));
            wait_any(sources, timeout).unwrap().map(Readiness::is_readable)
        };
        assert_eq!(both(Some(Duration::ZERO)), [false, false]);
        let sender = thread::spawn(move || to_watched.write_all(b"x").map(|()| to_watched));
        assert_eq!(both(None), [false, true]);
        to_client.write_all(b"x").unwrap();
        assert_eq!(both(None), [true, true]);
        sender.join().unwrap().unwrap();
    }

    #[test]
    fn timeouts_are_rounded_up_and_bounded() {
        assert_eq!(timeout_ms(None), -1);
        assert_eq!(timeout_ms(Some(Duration::ZERO)), 0);
        assert_eq!(timeout_ms(Some(Duration::from_nanos(1))), 1);
        assert_eq!(timeout_ms(Some(Duration::from_millis(7))), 7);
        assert_eq!(timeout_ms(Some(Duration::MAX)), c_int::MAX);
    }
}
