//! Blocking signals in a thread, where several owners overlap.
//!
//! Each [`Blocked`] could restore the mask that it has found; dropped in another order than they
//! were made, they would unblock each other's signals, and leave their own blocked. So owners are
//! counted, for every signal of the thread: the first one blocks, and notes whether it was blocked
//! already; the last one leaves it as that was.

use std::cell::Cell;
use std::io;
use std::marker::PhantomData;

use libc::{c_int, sigset_t};

use super::{Signal, change_mask, set_of};

/// No system has more (FreeBSD: 128).
const NUMBERS: usize = 129;

/// The owners of one signal in one thread.
#[derive(Copy, Clone)]
struct Owners {
    count: u32,
    /// Before the first of them.
    was_blocked: bool,
}

thread_local! {
    /// By number. Without a destructor: owners may be dropped at the very end of a thread.
    static OWNERS: [Cell<Owners>; NUMBERS] = const {
        [const { Cell::new(Owners { count: 0, was_blocked: false }) }; NUMBERS]
    };
}

/// Signals that this thread blocks while this is alive.
pub(super) struct Blocked {
    signals: Box<[Signal]>,
    _this_thread: PhantomData<*const ()>,
}

impl Blocked {
    pub(super) fn new(signals: &[Signal], set: &sigset_t) -> io::Result<Blocked> {
        let before = change_mask(libc::SIG_BLOCK, set)?;
        for signal in signals {
            change(*signal, |mut owners| {
                if owners.count == 0 {
                    owners.was_blocked = is_in(*signal, &before);
                }
                Owners { count: owners.count + 1, ..owners }
            });
        }
        Ok(Blocked { signals: signals.into(), _this_thread: PhantomData })
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let mut unblocked = Vec::new();
        for signal in &self.signals {
            let left = change(*signal, |owners| Owners {
                count: owners.count.saturating_sub(1),
                ..owners
            });
            if left.count == 0 && !left.was_blocked {
                unblocked.push(*signal);
            }
        }
        // Neither fails for signals that were blocked before.
        let _ = set_of(&unblocked).and_then(|set| change_mask(libc::SIG_UNBLOCK, &set));
    }
}

fn change(signal: Signal, change: impl FnOnce(Owners) -> Owners) -> Owners {
    OWNERS.with(|owners| {
        let cell = &owners[signal.number() as usize];
        cell.set(change(cell.get()));
        cell.get()
    })
}

fn is_in(signal: Signal, set: &sigset_t) -> bool {
    let number: c_int = signal.number();
    // SAFETY: the set is initialised.
    unsafe { libc::sigismember(set, number) == 1 }
}
