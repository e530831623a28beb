//! Signals as events of the loop, instead of handlers that interrupt it anywhere.
//!
//! ```text
//!  kill(2) --> blocked, waits in the kernel --> signalfd / EVFILT_SIGNAL is readable --> next()
//! ```
//!
//! A signal that is to be read must be **blocked**, or it is delivered. [`Signals::new`] blocks for
//! the calling thread alone, which means:
//!
//! - Threads started later inherit the mask; threads that ran before do not, and a signal sent to
//!   the process is delivered to any thread that does not block it. So create `Signals` before any
//!   thread.
//! - Signals that were pending before are read like those that come later.
//! - Children inherit the mask too, through `fork(2)` and `execve(2)`. A forked worker creates its
//!   own `Signals` (an inherited one still reports the parent's signals to its poller); before
//!   executing another program the mask is restored in the child.
//! - Signals of one number that arrive before the first is read merge into one, as always. Where a
//!   count matters (`CHLD`), look for all there is to do.
//!
//! Dropping `Signals` unblocks what it has blocked, unless other `Signals` of the thread have those
//! signals, too: the last one does it. A pending signal that was never read is delivered then. (Of
//! several with the same signal, one reads it: whichever is asked first.)

mod mask;

mod number;

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr;

use libc::{c_int, sigset_t};

use crate::poller::{Interest, Poller, Trigger, backend};
use crate::sys::check;
use crate::token::Token;

/// A signal by its number: a constant, [any number](Signal::from_number), or a [real-time
/// signal](Signal::realtime).
#[derive(Copy, Clone, PartialEq, Eq, Hash)]
pub struct Signal(c_int);

impl Signal {
    /// Terminate: what `kill` and service managers send.
    pub const TERM: Signal = Signal(libc::SIGTERM);
    /// Ctrl-C.
    pub const INT: Signal = Signal(libc::SIGINT);
    /// The terminal is gone; by convention: reload files.
    pub const HUP: Signal = Signal(libc::SIGHUP);
    /// User-defined.
    pub const USR1: Signal = Signal(libc::SIGUSR1);
    /// User-defined.
    pub const USR2: Signal = Signal(libc::SIGUSR2);
    /// Ctrl-\; by convention: quit at once.
    pub const QUIT: Signal = Signal(libc::SIGQUIT);
    /// Kill at once: it cannot be read, only sent.
    pub const KILL: Signal = Signal(libc::SIGKILL);
    /// The time is up.
    pub const ALRM: Signal = Signal(libc::SIGALRM);
    /// The time on the processor is up.
    pub const VTALRM: Signal = Signal(libc::SIGVTALRM);
    /// A child has ended or stopped.
    pub const CHLD: Signal = Signal(libc::SIGCHLD);
    /// A write to a pipe or socket without a reader.
    pub const PIPE: Signal = Signal(libc::SIGPIPE);

    /// The system's number.
    pub const fn number(self) -> i32 {
        self.0
    }

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Signal::TERM => "SIGTERM",
            Signal::INT => "SIGINT",
            Signal::HUP => "SIGHUP",
            Signal::USR1 => "SIGUSR1",
            Signal::USR2 => "SIGUSR2",
            Signal::QUIT => "SIGQUIT",
            Signal::KILL => "SIGKILL",
            Signal::ALRM => "SIGALRM",
            Signal::VTALRM => "SIGVTALRM",
            Signal::CHLD => "SIGCHLD",
            Signal::PIPE => "SIGPIPE",
            _ => return None,
        })
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Signals that are read instead of delivered. See the module for threads and children.
///
/// Stays on the thread that created it, whose mask it restores.
pub struct Signals {
    /// Dropped first: what it has reported must not be delivered.
    queue: backend::SignalQueue,
    _blocked: mask::Blocked,
    _this_thread: PhantomData<*const ()>,
}

impl Signals {
    /// Blocks `signals` in this thread; from now on they stay pending until read.
    pub fn new(signals: &[Signal]) -> io::Result<Signals> {
        let set = set_of(signals)?;
        let _blocked = mask::Blocked::new(signals, &set)?;
        let numbers: Vec<c_int> = signals.iter().map(|signal| signal.0).collect();
        let queue = backend::SignalQueue::new(&numbers, &set)?;
        Ok(Signals { queue, _blocked, _this_thread: PhantomData })
    }

    /// Watches for signals, by level: every wait reports `token` while a signal is unread.
    pub fn register(&self, poller: &Poller, token: Token) -> io::Result<()> {
        poller.add(self, token, Interest::READABLE, Trigger::Level)
    }

    /// The next signal; `None` when all are read, which does not mean that no more will come.
    #[expect(clippy::should_implement_trait, reason = "it can fail, and goes on after None")]
    pub fn next(&mut self) -> io::Result<Option<Signal>> {
        Ok(self.queue.next()?.map(Signal))
    }
}

/// Readable while a signal is pending.
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

/// Makes a write without a reader an error (`EPIPE`) instead of the end of the process.
///
/// For the whole process, and inherited by the programs it starts. Rust's own start-up does this
/// for a `main` in Rust; of [`net`](crate::net), only `sendfile` needs it.
pub fn ignore_sigpipe() -> io::Result<()> {
    // SAFETY: SIG_IGN runs no code of ours.
    if unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The set of these signals.
pub(crate) fn set_of(signals: &[Signal]) -> io::Result<sigset_t> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set it is given.
    let mut set = unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    };
    for signal in signals {
        signal.check_readable()?;
        // SAFETY: `set` is initialised; a number that is no signal is refused.
        check(unsafe { libc::sigaddset(&mut set, signal.0) })?;
    }
    Ok(set)
}

/// Has no signal blocked in this thread any more: those that wait are delivered.
pub fn unblock_all() -> io::Result<()> {
    change_mask(libc::SIG_SETMASK, &set_of(&[])?).map(drop)
}

/// Changes this thread's mask and returns what it was before.
pub(crate) fn change_mask(how: c_int, set: &sigset_t) -> io::Result<sigset_t> {
    let mut before = MaybeUninit::uninit();
    // SAFETY: `set` is read and `before` written during the call.
    let error = unsafe { libc::pthread_sigmask(how, ptr::from_ref(set), before.as_mut_ptr()) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error)); // it does not use errno
    }
    // SAFETY: the call succeeded and so filled `before` in.
    Ok(unsafe { before.assume_init() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::poller::Events;

    /// To this thread only: the test runner's other threads do not block the signal.
    fn raise(signal: Signal) {
        // SAFETY: takes no pointer; the signal is blocked in this thread by the tests below.
        unsafe { libc::raise(signal.number()) };
    }

    fn is_blocked(signal: Signal) -> bool {
        let mask = change_mask(libc::SIG_BLOCK, &set_of(&[]).unwrap()).unwrap();
        // SAFETY: `mask` is initialised.
        unsafe { libc::sigismember(&mask, signal.number()) == 1 }
    }

    #[test]
    fn a_signal_is_an_event_and_is_read_once() {
        let mut signals = Signals::new(&[Signal::USR1, Signal::HUP]).unwrap();
        let poller = Poller::new().unwrap();
        let token = Token::new(1, 1);
        signals.register(&poller, token).unwrap();
        let mut events = Events::with_capacity(4);
        assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);

        raise(Signal::HUP);
        assert_eq!(poller.wait(&mut events, None).unwrap(), 1);
        assert_eq!(events.get(0).unwrap().token, token);
        assert!(events.get(0).unwrap().readiness.is_readable());
        assert_eq!(signals.next().unwrap(), Some(Signal::HUP));
        assert_eq!(signals.next().unwrap(), None);
        assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    }

    #[test]
    fn the_same_signal_twice_before_it_is_read_is_one() {
        let mut signals = Signals::new(&[Signal::USR2]).unwrap();
        raise(Signal::USR2);
        raise(Signal::USR2);
        assert_eq!(signals.next().unwrap(), Some(Signal::USR2));
        assert_eq!(signals.next().unwrap(), None);
    }

    #[test]
    fn a_signal_that_was_pending_before_is_read() {
        let set = set_of(&[Signal::USR1]).unwrap();
        change_mask(libc::SIG_BLOCK, &set).unwrap();
        raise(Signal::USR1);
        let mut signals = Signals::new(&[Signal::USR1]).unwrap();
        let poller = Poller::new().unwrap();
        signals.register(&poller, Token::new(1, 1)).unwrap();
        assert_eq!(poller.wait(&mut Events::with_capacity(4), Some(Duration::ZERO)).unwrap(), 1);
        assert_eq!(signals.next().unwrap(), Some(Signal::USR1));
        assert_eq!(signals.next().unwrap(), None);
        drop(signals);
        change_mask(libc::SIG_UNBLOCK, &set).unwrap();
    }

    #[test]
    fn the_mask_is_restored_on_drop() {
        assert!(!is_blocked(Signal::QUIT));
        let signals = Signals::new(&[Signal::QUIT]).unwrap();
        assert!(is_blocked(Signal::QUIT));
        drop(signals);
        assert!(!is_blocked(Signal::QUIT));
    }

    /// In whichever order: a signal is blocked as long as any of them has it, and no longer.
    #[test]
    fn each_of_several_undoes_what_it_did() {
        for first_to_go in 0..2 {
            let mut first = Signals::new(&[Signal::USR1, Signal::QUIT]).unwrap();
            let mut second = Signals::new(&[Signal::HUP, Signal::QUIT]).unwrap();
            let (gone, stays, own, others) = if first_to_go == 0 {
                (first, &mut second, Signal::HUP, Signal::USR1)
            } else {
                (second, &mut first, Signal::USR1, Signal::HUP)
            };
            drop(gone);
            assert!(is_blocked(own) && is_blocked(Signal::QUIT) && !is_blocked(others));
            for signal in [own, Signal::QUIT] {
                raise(signal); // would end the process
                assert_eq!(stays.next().unwrap(), Some(signal));
            }
        }
        let all = [Signal::USR1, Signal::HUP, Signal::QUIT];
        assert!(!all.into_iter().any(is_blocked));
    }

    #[test]
    fn a_signal_that_was_blocked_before_stays_so() {
        let set = set_of(&[Signal::USR1]).unwrap();
        change_mask(libc::SIG_BLOCK, &set).unwrap();
        let first = Signals::new(&[Signal::USR1, Signal::USR1, Signal::USR2]).unwrap();
        let second = Signals::new(&[Signal::USR1]).unwrap();
        drop((first, second));
        assert!(is_blocked(Signal::USR1) && !is_blocked(Signal::USR2));
        change_mask(libc::SIG_UNBLOCK, &set).unwrap();
        drop(Signals::new(&[Signal::USR1]).unwrap());
        assert!(!is_blocked(Signal::USR1), "what was noted is of that time");
    }

    #[test]
    fn an_invalid_signal_number_is_refused() {
        assert!(Signals::new(&[Signal(12_345)]).is_err());
    }

    #[test]
    fn signals_have_names() {
        assert_eq!(Signal::TERM.to_string(), "SIGTERM");
        assert_eq!(format!("{:?}", Signal(64)), "signal 64");
    }
}
