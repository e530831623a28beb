//! Any signal by its number: which ones can be read, and which cannot.
//!
//! A signal is read by blocking it and asking for it (see [`signal`](super)). Three kinds cannot be
//! read, or to no purpose:
//!
//! | signals | why |
//! |---|---|
//! | `KILL`, `STOP` | they cannot be blocked: `sigprocmask(2)` ignores the request silently |
//! | `SEGV`, `BUS`, `ILL`, `FPE`, `TRAP`, `SYS` | faults of an instruction: they end the process while blocked (`signal(7)`), before a loop could read them |
//! | below `SIGRTMIN` on Linux | the C library's own, for its threads |

use std::io;
use std::mem::MaybeUninit;

use libc::c_int;

use super::Signal;

/// What an instruction of the thread itself raises.
const FAULTS: [c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP, libc::SIGSYS];

impl Signal {
    /// The signal of this number, to be read by [`Signals`](super::Signals) or an
    /// [`EventLoop`](crate::EventLoop).
    ///
    /// ```
    /// use stampede_reactor::Signal;
    ///
    /// let winch = Signal::from_number(28)?; // SIGWINCH
    /// assert_eq!(winch.number(), 28);
    /// assert!(Signal::from_number(9).is_err(), "SIGKILL cannot be read");
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is no such signal, or if it cannot be read: `KILL` and `STOP`; faults
    /// of an instruction (`SEGV` and the like); the C library's own.
    pub fn from_number(number: i32) -> io::Result<Signal> {
        match refusal(number) {
            None => Ok(Signal(number)),
            Some(why) => {
                let text = format!("signal {number} cannot be read: {why}");
                Err(io::Error::new(io::ErrorKind::InvalidInput, text))
            }
        }
    }

    /// `SIGRTMIN + offset`, a real-time signal: several sent before the first is read do not merge
    /// on Linux, and the lowest number is read first.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there are not that many; `Unsupported` where there are none (macOS).
    pub fn realtime(offset: u32) -> io::Result<Signal> {
        let Some((first, last)) = realtime_range() else {
            let text = format!("no real-time signals on {}", std::env::consts::OS);
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        };
        match i32::try_from(offset).ok().and_then(|offset| first.checked_add(offset)) {
            Some(number) if number <= last => Ok(Signal(number)),
            _ => {
                let text = format!("no SIGRTMIN+{offset}: the last is SIGRTMIN+{}", last - first);
                Err(io::Error::new(io::ErrorKind::InvalidInput, text))
            }
        }
    }

    /// Whether it can be read: also asked of the constants, [`Signal::KILL`] among them.
    pub(super) fn check_readable(self) -> io::Result<()> {
        Signal::from_number(self.0).map(drop)
    }
}

fn refusal(number: c_int) -> Option<&'static str> {
    if [libc::SIGKILL, libc::SIGSTOP].contains(&number) {
        return Some("the kernel does not let it be blocked");
    }
    if FAULTS.contains(&number) {
        return Some("a fault ends the process while it is blocked");
    }
    (!exists(number)).then_some("there is no such signal, or it is the C library's own")
}

/// As the C library sees it, which refuses its own.
fn exists(number: c_int) -> bool {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set; a number that is no signal is refused.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), number) == 0
    }
}

/// The first and the last. The C library takes some of the kernel's for itself, so the first is
/// known at run time only.
#[cfg(target_os = "linux")]
fn realtime_range() -> Option<(c_int, c_int)> {
    Some((libc::SIGRTMIN(), libc::SIGRTMAX()))
}

/// The constants of FreeBSD's `signal.h`.
#[cfg(target_os = "freebsd")]
fn realtime_range() -> Option<(c_int, c_int)> {
    Some((65, 126))
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn realtime_range() -> Option<(c_int, c_int)> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Signals;

    fn raise(signal: Signal) {
        // SAFETY: takes no pointer; the tests below block the signal in this thread.
        assert_eq!(unsafe { libc::raise(signal.number()) }, 0);
    }

    #[test]
    fn a_signal_without_a_constant_is_read() {
        for number in [libc::SIGWINCH, libc::SIGCONT, libc::SIGTSTP, libc::SIGABRT, libc::SIGURG] {
            let signal = Signal::from_number(number).unwrap();
            let mut signals = Signals::new(&[signal]).unwrap();
            raise(signal);
            assert_eq!(signals.next().unwrap(), Some(signal));
        }
        assert_eq!(Signal::from_number(libc::SIGTERM).unwrap(), Signal::TERM);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_reason() {
        for number in [libc::SIGKILL, libc::SIGSTOP] {
            let error = Signal::from_number(number).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("blocked"), "{error}");
        }
        for number in FAULTS.into_iter().chain([0, -1, i32::MIN, 1_000, i32::MAX]) {
            assert!(Signal::from_number(number).is_err(), "{number}");
        }
    }

    /// sigprocmask and signalfd ignore it silently: it would never be read.
    #[test]
    fn the_constant_for_kill_is_refused_too() {
        let error = Signals::new(&[Signal::TERM, Signal::KILL]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn real_time_signals_do_not_merge_and_the_lowest_comes_first() {
        let (low, high) = (Signal::realtime(3).unwrap(), Signal::realtime(4).unwrap());
        let mut signals = Signals::new(&[high, low]).unwrap();
        [high, low, high].into_iter().for_each(raise);
        let read = || signals.next().unwrap();
        assert_eq!(std::iter::from_fn(read).collect::<Vec<_>>(), [low, high, high]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_c_librarys_own_and_those_beyond_the_last_are_refused() {
        let (first, last) = realtime_range().unwrap();
        assert!(Signal::from_number(first - 1).is_err());
        assert_eq!(Signal::from_number(last).unwrap(), Signal::realtime(30).unwrap());
        for offset in [31, i32::MAX as u32, u32::MAX] {
            assert!(Signal::realtime(offset).is_err());
        }
    }
}
