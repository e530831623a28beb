//! Sleeping without losing a wake-up, and waking without a system call while no thread sleeps.
//!
//! A thread that finds its rings empty goes to sleep: a worker in a futex, the event loop in its
//! poller. The thread that pushes wakes it. A system call for every push would waste some 1,000
//! cycles while the other side is awake, so a flag tells whether the sleeper sleeps:
//!
//! ```text
//!       the sleeper                                 a waker
//!   S1  asleep = true                           W1  push (Release)
//!   S2  fence(SeqCst)                           W2  fence(SeqCst)
//!   S3  rings still empty? else don't wait      W3  asleep? true → false, and who changed it
//!   S4  wait ◄───────────────────────────────── W4  calls: unpark, or writes the eventfd
//!   S5  asleep = false; look at the rings
//! ```
//!
//! # No wake-up is lost
//!
//! The danger is that both look before the other's write has arrived: the sleeper finds the ring
//! empty and waits, the waker finds the flag unset and does not call. Processors do that (the write
//! is still in the store buffer; Dekker's algorithm fails for the same reason), and Acquire and
//! Release do not forbid it. The two fences do. All SeqCst fences of a program have one order:
//!
//! * S2 before W2: what the waker reads at W3 is the flag as S1 set it, or something later. If it
//!   is `true`, the waker calls at W4. If it is `false`, then either another waker has changed it,
//!   and calls; or the sleeper is awake (S5) and will look. If it does not see the push yet, it
//!   reaches S1 and S2 once more, and the same argument applies to that S2.
//! * W2 before S2: what the sleeper reads at S3 is the ring as W1 left it, or something later. It
//!   finds the item, and does not wait.
//!
//! And the call is not lost between S3 and S4, because both kinds of waiting remember it: a parked
//! thread has a token, an eventfd a counter.
//!
//! Proved for the code itself, not for this text, by the models `loom_a_worker_is_woken` and
//! `loom_the_loop_is_woken`: without either fence both fail. That only one of two wakers calls is
//! due to W3, in which no fence has a part: `loom_two_wakers_call_once`.
//!
//! A sleeper checks `has_work` and nothing else: it has to cover everything that a sleeper may be
//! woken for, a request to stop included.
//!
//! Not guaranteed: that a woken sleeper finds anything (a call may come late).

mod doorbell;
mod parker;

#[cfg(all(loom, test))]
mod models;
#[cfg(all(not(loom), test))]
mod tests;

pub use doorbell::Doorbell;
pub use parker::{Parker, Unparker, parker};

use crate::sync::atomic::{AtomicBool, Ordering, fence};

/// The flag of one sleeping thread, and the two halves of the protocol.
#[derive(Debug)]
struct Sleeper {
    /// True from before the sleeper's last look until it has been woken, by a waker or by itself.
    asleep: AtomicBool,
}

/// The end of a sleep.
struct Awake<'s>(&'s Sleeper);

impl Drop for Awake<'_> {
    #[inline]
    fn drop(&mut self) {
        // Read and written in one, so that it comes after a waker's change, if there was one, and
        // the next sleep's `true` after both. Relaxed: nothing else depends on it.
        self.0.asleep.swap(false, Ordering::Relaxed);
    }
}

impl Sleeper {
    fn new() -> Self {
        Sleeper { asleep: AtomicBool::new(false) }
    }

    /// The sleeper's half. `wait` gets `true` to wait, or `false` if there is work to do.
    #[inline]
    fn sleep<R>(&self, has_work: impl FnOnce() -> bool, wait: impl FnOnce(bool) -> R) -> R {
        // Release: a waker that reads it sees what the sleeper did before (its thread's handle).
        self.asleep.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        let _awake_again = Awake(self); // when `has_work` panics, too
        if has_work() { wait(false) } else { wait(true) }
    }

    /// The sleeper was not woken since it went to sleep.
    fn is_asleep(&self) -> bool {
        // Acquire: what the waker did before is seen.
        self.asleep.load(Ordering::Acquire)
    }

    /// The waker's half, after the push: whether the caller has to wake the sleeper.
    #[inline]
    fn must_call(&self) -> bool {
        fence(Ordering::SeqCst);
        // A load first: while the sleeper is awake, its flag stays in every core's cache.
        self.asleep.load(Ordering::Relaxed) && self.take_call()
    }

    /// Of all threads that found the sleeper asleep, one calls.
    #[cold]
    fn take_call(&self) -> bool {
        // AcqRel: what the sleeper did before it slept is seen here, and what was done here is seen
        // by the sleeper.
        let (ok, err) = (Ordering::AcqRel, Ordering::Relaxed);
        self.asleep.compare_exchange(true, false, ok, err).is_ok()
    }

    /// The call failed: the next waker should try.
    fn call_failed(&self) {
        self.asleep.store(true, Ordering::Relaxed);
    }
}
