//! The two calls of `kqueue(2)`, and the struct that differs on every system.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use super::process_fd::ProcessFd;
use super::{Filter, Kernel, Kevent, flag};
use crate::sys::check;

pub type Queue = super::Queue<System>;
pub type Batch = super::Batch<System>;
pub type Wake = super::Wake<System>;
pub type SignalQueue = super::SignalQueue<System>;
pub type ExitWatch = super::ExitWatch<System>;

const _: () = {
    assert!(size_of::<usize>() == 8, "a token travels where a pointer would");
    assert!(flag::ADD as i64 == libc::EV_ADD as i64);
    assert!(flag::DELETE as i64 == libc::EV_DELETE as i64);
    assert!(flag::CLEAR as i64 == libc::EV_CLEAR as i64);
    assert!(flag::RECEIPT as i64 == libc::EV_RECEIPT as i64);
    assert!(flag::ERROR as i64 == libc::EV_ERROR as i64);
    assert!(flag::EOF as i64 == libc::EV_EOF as i64);
    assert!(flag::NOTE_TRIGGER == libc::NOTE_TRIGGER);
    assert!(flag::NOTE_EXIT == libc::NOTE_EXIT);
};

/// macOS refuses more than 100,000,000 s; three weeks are as good as forever.
const TIMEOUT_MAX: Duration = Duration::from_secs(21 * 24 * 3_600);

/// A kqueue.
pub struct System {
    fd: ProcessFd,
}

impl Kernel for System {
    type Raw = Raw;

    fn kqueue() -> io::Result<System> {
        // SAFETY: takes no pointer.
        let fd = check(unsafe { libc::kqueue() })?;
        // SAFETY: the kernel has just made it, for us alone.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: takes no pointer.
        check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
        Ok(System { fd: ProcessFd::new(fd) })
    }

    #[inline]
    fn kevent(
        &self,
        changes: &[Raw],
        events: &mut [Raw],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        let timeout = timeout.map(|timeout| {
            let timeout = timeout.min(TIMEOUT_MAX);
            libc::timespec {
                tv_sec: timeout.as_secs() as libc::time_t,
                tv_nsec: timeout.subsec_nanos().into(),
            }
        });
        // SAFETY: Raw is a struct kevent; `changes` is read, `events` written as far as it goes,
        // `timeout` read, all during the call.
        let found = check(unsafe {
            libc::kevent(
                self.fd.as_fd().as_raw_fd(),
                changes.as_ptr().cast(),
                changes.len() as _,
                events.as_mut_ptr().cast(),
                events.len() as _,
                timeout.as_ref().map_or(ptr::null(), ptr::from_ref),
            )
        })?;
        Ok(found as usize)
    }

    fn is_ours(&self) -> bool {
        self.fd.is_ours()
    }
}

impl AsFd for System {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The system's struct.
#[repr(transparent)]
#[derive(Copy, Clone)]
pub struct Raw(libc::kevent);

// SAFETY: the pointer in it, `udata`, is a token: a number that is never dereferenced.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

impl From<Kevent> for Raw {
    #[inline]
    fn from(kevent: Kevent) -> Raw {
        // SAFETY: all zeros is a valid kevent (numbers, and a pointer that is never dereferenced).
        let mut raw: libc::kevent = unsafe { mem::zeroed() };
        raw.ident = kevent.ident;
        raw.filter = match kevent.filter {
            Filter::Read => libc::EVFILT_READ,
            Filter::Write => libc::EVFILT_WRITE,
            Filter::Signal => libc::EVFILT_SIGNAL,
            Filter::Process => libc::EVFILT_PROC,
            Filter::User => libc::EVFILT_USER,
        };
        raw.flags = kevent.flags as _;
        raw.fflags = kevent.fflags;
        raw.data = kevent.data as _;
        raw.udata = kevent.udata as usize as *mut _;
        Raw(raw)
    }
}

impl From<Raw> for Kevent {
    #[inline]
    fn from(Raw(raw): Raw) -> Kevent {
        Kevent {
            ident: raw.ident,
            filter: match raw.filter {
                libc::EVFILT_READ => Filter::Read,
                libc::EVFILT_WRITE => Filter::Write,
                libc::EVFILT_SIGNAL => Filter::Signal,
                libc::EVFILT_PROC => Filter::Process,
                _ => Filter::User, // no other was ever added
            },
            flags: raw.flags as _,
            fflags: raw.fflags,
            data: raw.data as _,
            udata: raw.udata as usize as u64,
        }
    }
}
