//! Signals as events, with what signalfd(2) does and `EVFILT_SIGNAL` does not.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;

use libc::c_int;

use super::{Filter, Kernel, Kevent, NOTHING, NOW, Queue, flag};

/// Blocked signals as a readable descriptor (`EVFILT_SIGNAL`), in a kqueue of their own so that it
/// can be watched like any descriptor.
///
/// A filter reports only what is sent while it exists, and it only reports: the signal stays
/// pending. signalfd(2) does neither; here it is made good by `early` and `untaken`.
pub struct SignalQueue<K: Kernel> {
    pub(super) queue: Queue<K>,
    /// Signals that were sent before the filters were there, and are still to be reported. While
    /// there are any, a filter of its own (`EARLY`) keeps the queue readable.
    pub(super) early: Vec<c_int>,
    /// Signals that were reported, and not pending then. Those that are ignored never are; but
    /// macOS may report one a moment before it is.
    untaken: Vec<c_int>,
}

/// Readable until it is taken away: without `EV_CLEAR`.
const EARLY: Kevent = NOTHING;

impl<K: Kernel> SignalQueue<K> {
    /// `signals` are blocked already; `set` is the same as a set.
    pub fn new(signals: &[c_int], _set: &libc::sigset_t) -> io::Result<Self> {
        let queue = Queue::<K>::new()?;
        for &signal in signals {
            let (ident, filter) = (signal as usize, Filter::Signal);
            let change = Kevent { ident, filter, flags: flag::ADD | flag::CLEAR, ..NOTHING };
            queue.kernel.kevent(&[change.into()], &mut [], NOW)?;
        }
        let mut signals = SignalQueue { queue, early: pending(signals), untaken: Vec::new() };
        signals.report_early()?;
        Ok(signals)
    }

    /// What is pending now was sent before its filter was there, or since: what the filters have
    /// reported by now is put to it, so that it is reported once.
    pub(super) fn report_early(&mut self) -> io::Result<()> {
        while let Some(signal) = self.next_event()? {
            if !self.early.contains(&signal) {
                self.early.push(signal);
            }
        }
        if self.early.is_empty() {
            return Ok(());
        }
        let add = Kevent { flags: flag::ADD, ..EARLY };
        let trigger = Kevent { fflags: flag::NOTE_TRIGGER, ..EARLY };
        self.queue.kernel.kevent(&[add.into(), trigger.into()], &mut [], NOW)?;
        Ok(())
    }

    /// The number of the next signal; `None` when none is pending.
    ///
    /// The event's `data` says how often it came since the last time; as with signalfd, it is one.
    pub fn next(&mut self) -> io::Result<Option<c_int>> {
        let early = self.early.pop();
        if early.is_some() && self.early.is_empty() {
            let delete = Kevent { flags: flag::DELETE, ..EARLY };
            self.queue.kernel.kevent(&[delete.into()], &mut [], NOW)?;
        }
        let Some(signal) = early.map_or_else(|| self.next_event(), |early| Ok(Some(early)))? else {
            return Ok(None);
        };
        self.untaken.retain(|untaken| *untaken != signal);
        if !take_pending(signal)? {
            self.untaken.push(signal);
        }
        Ok(Some(signal))
    }

    /// Of the filters of signals: that of `EARLY` is gone when they are asked.
    fn next_event(&self) -> io::Result<Option<c_int>> {
        let mut events = [NOTHING.into()];
        if self.queue.kernel.kevent(&[], &mut events, NOW)? == 0 {
            return Ok(None);
        }
        let [event] = events.map(K::Raw::into);
        Ok(Some(event.ident as c_int))
    }
}

/// The mask is about to be restored, and what was reported must not strike then.
impl<K: Kernel> Drop for SignalQueue<K> {
    fn drop(&mut self) {
        // In a forked child it is the child's signals that are pending.
        if self.queue.kernel.is_ours() {
            for signal in &self.untaken {
                let _ = take_pending(*signal); // fails for none that was taken before
            }
        }
    }
}

impl<K: Kernel + AsFd> AsFd for SignalQueue<K> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

/// Those of the blocked signals that are pending.
pub(super) fn pending(signals: &[c_int]) -> Vec<c_int> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: only writes the set; it fails for no valid pointer.
    unsafe { libc::sigpending(set.as_mut_ptr()) };
    // SAFETY: the call has initialised it.
    let is_pending = |signal: &c_int| unsafe { libc::sigismember(set.as_ptr(), *signal) == 1 };
    let mut pending: Vec<c_int> = signals.iter().copied().filter(is_pending).collect();
    pending.sort_unstable();
    pending.dedup();
    pending
}

/// Consumes a blocked signal if it is pending: the filter only reports it, and it would be
/// delivered when the mask is restored. (One that is ignored by default is never pending.)
pub(super) fn take_pending(signal: c_int) -> io::Result<bool> {
    if pending(&[signal]).is_empty() {
        return Ok(false);
    }
    let mut set = MaybeUninit::uninit();
    let mut taken = 0;
    // SAFETY: the set is initialised by the first call, `taken` is written. It does not wait: the
    // signal is there, blocked, and this thread is the one that reads signals.
    let error = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), signal);
        libc::sigwait(set.as_ptr(), ptr::from_mut(&mut taken))
    };
    if error != 0 { Err(io::Error::from_raw_os_error(error)) } else { Ok(true) }
}
