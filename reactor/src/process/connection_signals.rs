//! Signals in a child that serves one connection, which it waits for in the kernel: they end the
//! connection, and with it the wait.
//!
//! ```text
//!  parent ── kill(2) ──► handler ─┬ the connection rests: shutdown(SHUT_RD), recv(2) returns 0
//!                                 └ it is busy: noted, for the code that serves it
//! ```
//!
//! The parent has two signals of its own for this, [`END`] and [`CUT_OFF`]. Those that ask a server
//! to stop are not for a child while it has a parent: a terminal (Ctrl-C) and a service manager
//! send them to the whole process group, and it is the parent that knows when a connection may end
//! without a request being lost. A child whose parent has ended obeys them.
//!
//! A process with an event loop reads its signals as events. This one sleeps in `recv(2)`, and a
//! flag that is set just before that would be seen when the client sends its next request, if ever.
//! What the handler does to the socket, however, lasts: there is no moment at which it is lost.
//!
//! The handlers are the parent's, installed once ([`install`]) for all children to inherit; the
//! parent blocks these signals (see [`Signals`](crate::signal::Signals)), its own among them
//! ([`SENT`]), so it never runs them, and one that is sent to a new child waits until that is
//! ready.
//! Programs that it executes do not inherit them.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, Ordering::SeqCst};

use libc::c_int;

use crate::signal::Signal;
use crate::sys::check;

/// Ends the connection at once, whatever it does. Sent by the parent alone.
pub const CUT_OFF: Signal = Signal::ALRM;
/// Ends the connection when it rests. Sent by the parent, and by the system when that has ended.
pub const END: Signal = Signal::VTALRM;
/// Both, which the parent blocks in addition to those that it reads.
pub const SENT: [Signal; 2] = [END, CUT_OFF];
/// They mean the same where there is no parent any more.
const STOP: [Signal; 3] = [Signal::TERM, Signal::INT, Signal::QUIT];
/// What they mean is the parent's business.
const IGNORED: [Signal; 3] = [Signal::HUP, Signal::USR1, Signal::USR2];

/// What the handler acts on: in one place, so that a child copies one page for it.
struct Target {
    /// The thread that serves it, known by the place of its errno; none: null. The rest is set and
    /// taken back by that thread alone, and so the handler acts on that thread alone.
    thread: AtomicPtr<c_int>,
    /// The connection's descriptor; none: -1.
    socket: AtomicI32,
    /// The parent's PID.
    parent: AtomicU32,
    /// Where it is noted that a signal has asked for its end.
    asked: AtomicPtr<AtomicBool>,
    /// Where its state is, and what it is at rest.
    state: AtomicPtr<AtomicU64>,
    mask: AtomicU64,
    rests: AtomicU64,
}

static TARGET: Target = Target {
    thread: AtomicPtr::new(ptr::null_mut()),
    socket: AtomicI32::new(-1),
    parent: AtomicU32::new(0),
    asked: AtomicPtr::new(ptr::null_mut()),
    state: AtomicPtr::new(ptr::null_mut()),
    mask: AtomicU64::new(0),
    rests: AtomicU64::new(0),
};

/// When a connection rests: the bits `mask` of `state` have the value `rests`.
#[derive(Copy, Clone, Debug)]
pub struct Rest<'s> {
    /// Written by the code that serves the connection.
    pub state: &'s AtomicU64,
    /// The bits that count.
    pub mask: u64,
    /// Their value while the connection rests.
    pub rests: u64,
    /// Set when a signal asks for the connection's end: the code that serves a busy one looks at it
    /// before it waits again.
    pub asked: &'s AtomicBool,
}

/// Installs the handlers in the parent, which must block the signals before.
///
/// # Errors
/// Those of `sigaction(2)`.
pub fn install() -> io::Result<()> {
    for signal in STOP.into_iter().chain(IGNORED).chain(SENT) {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: a zeroed action is valid; its mask is initialised, its handler set to a function
        // that does nothing but what signal-safety(7) allows; both are read during the call.
        check(unsafe {
            let action = action.assume_init_mut();
            libc::sigemptyset(&raw mut action.sa_mask);
            action.sa_flags = libc::SA_RESTART;
            action.sa_sigaction = handle as extern "C" fn(c_int) as usize;
            libc::sigaction(signal.number(), action, ptr::null_mut())
        })?;
    }
    Ok(())
}

/// Runs `serve` in a child of the process `parent`; meanwhile the signals end its connection. If
/// the system delivers one to another thread, it is lost: a child should have no other.
///
/// # Panics
/// If a connection is being served already: a process has one at a time.
pub fn while_serving<R>(
    parent: u32,
    connection: &impl AsFd,
    rest: Rest<'_>,
    serve: impl FnOnce() -> R,
) -> R {
    let _claim = Claim::new().expect("a child serves one connection at a time");
    TARGET.parent.store(parent, SeqCst);
    set(connection.as_fd(), rest);
    serve()
}

fn set(connection: BorrowedFd<'_>, rest: Rest<'_>) {
    TARGET.mask.store(rest.mask, SeqCst);
    TARGET.rests.store(rest.rests, SeqCst);
    TARGET.state.store(ptr::from_ref(rest.state).cast_mut(), SeqCst);
    TARGET.asked.store(ptr::from_ref(rest.asked).cast_mut(), SeqCst);
    TARGET.socket.store(connection.as_raw_fd(), SeqCst);
}

/// The right to [`set`] the target. Its end takes back what was set: the descriptor's number may
/// soon be another's.
struct Claim;

impl Claim {
    /// `None`: a connection is being served.
    fn new() -> Option<Claim> {
        match TARGET.thread.compare_exchange(ptr::null_mut(), errno(), SeqCst, SeqCst) {
            Ok(_) => Some(Claim),
            Err(_) => None,
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        TARGET.socket.store(-1, SeqCst);
        TARGET.state.store(ptr::null_mut(), SeqCst);
        TARGET.asked.store(ptr::null_mut(), SeqCst);
        TARGET.thread.store(ptr::null_mut(), SeqCst);
    }
}

/// The handler: atomics, getppid(2) and shutdown(2), which signal-safety(7) lists, and errno is
/// left as it was.
extern "C" fn handle(signal: c_int) {
    if TARGET.thread.load(SeqCst) != errno() {
        return;
    }
    let socket = TARGET.socket.load(SeqCst);
    if signal == CUT_OFF.number() {
        shut_down(socket, libc::SHUT_RDWR);
    } else if signal == END.number() || (is_stop(signal) && !has_parent()) {
        note_asked();
        if rests() {
            shut_down(socket, libc::SHUT_RD);
        }
    }
}

fn is_stop(signal: c_int) -> bool {
    STOP.iter().any(|stop| stop.number() == signal)
}

fn has_parent() -> bool {
    std::os::unix::process::parent_id() == TARGET.parent.load(SeqCst)
}

fn note_asked() {
    let asked = TARGET.asked.load(SeqCst);
    // SAFETY: set by `while_serving` on this thread, which the handler interrupts, to a reference
    // that lives until this thread has reset it.
    if let Some(asked) = unsafe { asked.as_ref() } {
        asked.store(true, SeqCst);
    }
}

fn rests() -> bool {
    let state = TARGET.state.load(SeqCst);
    // SAFETY: set by `while_serving` on this thread, which the handler interrupts, to a reference
    // that lives until this thread has reset it.
    let state = unsafe { state.as_ref() };
    state.is_some_and(|state| {
        state.load(SeqCst) & TARGET.mask.load(SeqCst) == TARGET.rests.load(SeqCst)
    })
}

fn shut_down(socket: c_int, how: c_int) {
    if socket < 0 {
        return;
    }
    // SAFETY: shutdown takes no pointer, and the descriptor is the connection's. The address is that
    // of this thread's errno, which the interrupted code may be about to read.
    unsafe {
        let errno = errno();
        let before = *errno;
        libc::shutdown(socket, how);
        *errno = before;
    }
}

/// Where this thread's errno is.
fn errno() -> *mut c_int {
    // SAFETY: takes nothing and cannot fail.
    unsafe {
        #[cfg(target_os = "linux")]
        return libc::__errno_location();
        #[cfg(any(target_os = "freebsd", target_vendor = "apple"))]
        return libc::__error();
        #[cfg(target_os = "netbsd")]
        return libc::__errno();
    }
}

// Not under the thread sanitizer: it delivers signals when a call that it knows returns, and these wait
// in one that it does not know.
#[cfg(all(test, not(thread_sanitizer)))]
mod tests {
    use super::*;
    use crate::net::Stream;
    use std::io::{Read as _, Write as _};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    /// A child that serves a connection in this state. It announces that by a byte.
    fn child(
        state: u64,
        serve: impl FnOnce(&Stream, &AtomicBool) -> bool,
    ) -> (libc::pid_t, UnixStream) {
        child_of(std::process::id(), state, serve)
    }

    /// One that takes another process for its parent, as if its own had ended.
    fn orphan(
        state: u64,
        serve: impl FnOnce(&Stream, &AtomicBool) -> bool,
    ) -> (libc::pid_t, UnixStream) {
        child_of(0, state, serve)
    }

    fn child_of(
        parent: u32,
        state: u64,
        serve: impl FnOnce(&Stream, &AtomicBool) -> bool,
    ) -> (libc::pid_t, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        let here = Stream::from(OwnedFd::from(here));
        // SAFETY: the child makes system calls and uses atomics, and exits without running anything
        // of the parent's.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            let (state, asked) = (AtomicU64::new(state), AtomicBool::new(false));
            let rest = Rest { state: &state, mask: 3, rests: 1, asked: &asked };
            let serve = || here.send(b"!").is_ok() && serve(&here, &asked);
            let served = install().is_ok() && while_serving(parent, &here, rest, serve);
            // SAFETY: as above.
            unsafe { libc::_exit(i32::from(!served)) };
        }
        assert!(pid > 0, "fork");
        drop(here);
        let mut there = there;
        there.read_exact(&mut [0]).unwrap();
        (pid, there)
    }

    fn send(pid: libc::pid_t, signal: Signal) {
        // SAFETY: takes no pointer; the child is ours and was not waited for.
        unsafe { libc::kill(pid, signal.number()) };
    }

    fn succeeds(pid: libc::pid_t) -> bool {
        let mut status = 0;
        // SAFETY: `status` is written during the call.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        status == 0
    }

    #[test]
    fn a_connection_at_rest_ends_and_the_wait_for_it() {
        let (pid, _there) = child(8 | 1, |stream, _| stream.recv(&mut [0]).unwrap_or(9) == 0);
        send(pid, END);
        assert!(succeeds(pid));
    }

    #[test]
    fn a_child_without_a_parent_obeys_the_signals_that_stop_a_server() {
        for signal in STOP {
            let (pid, _there) = orphan(8 | 1, |stream, _| stream.recv(&mut [0]).unwrap_or(9) == 0);
            send(pid, signal);
            assert!(succeeds(pid), "{signal}");
        }
    }

    #[test]
    fn of_a_busy_one_it_is_noted() {
        let (pid, mut there) = child(8, |stream, asked| {
            while !asked.load(SeqCst) {}
            stream.recv(&mut [0]).unwrap_or(9) == 1
        });
        send(pid, END);
        there.write_all(b"?").unwrap();
        assert!(succeeds(pid));
    }

    #[test]
    fn a_second_one_at_the_same_time_is_refused_and_the_first_goes_on() {
        let (pid, _there) = child(8 | 1, |stream, _| {
            Claim::new().is_none() && stream.recv(&mut [0]).unwrap_or(9) == 0
        });
        send(pid, END);
        assert!(succeeds(pid));
    }

    #[test]
    fn another_thread_leaves_the_connection_alone() {
        let (pid, mut there) = child(8 | 1, |stream, asked| {
            // SAFETY: takes no pointer; the handler is installed.
            let other = std::thread::spawn(|| unsafe { libc::raise(END.number()) });
            other.join().is_ok() && stream.recv(&mut [0]).unwrap_or(9) == 1 && !asked.load(SeqCst)
        });
        there.write_all(b"?").unwrap();
        assert!(succeeds(pid));
    }

    #[test]
    fn cutting_off_ends_a_busy_one_too() {
        let (pid, mut there) = child(8, |stream, _| stream.recv(&mut [0]).unwrap_or(9) == 0);
        send(pid, CUT_OFF);
        assert!(succeeds(pid));
        assert_eq!(there.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn what_is_the_parents_business_changes_nothing() {
        let (pid, mut there) = child(8 | 1, |stream, asked| {
            stream.recv(&mut [0]).unwrap_or(9) == 1 && !asked.load(SeqCst)
        });
        IGNORED.into_iter().chain(STOP).for_each(|signal| send(pid, signal));
        there.write_all(b"?").unwrap();
        assert!(succeeds(pid));
    }
}
