//! Changing the stack under a running thread: what every architecture must provide.
//!
//! | item | what |
//! |---|---|
//! | `SUPPORTED` | false where there is no switch: then no pool of stacks can be made |
//! | `switch` | saves this side, continues the other one, passes a value |
//! | `finish` | continues the other side for the last time: saves nothing |
//! | `prepare` | lays out a fresh stack, so that the first `switch` to it calls a function |
//!
//! A *context* is the stack pointer of a side that does not run. There its stack holds the address
//! at which it continues, and above that what it needs then:
//!
//! ```text
//!   the side that runs                        the side that waits
//!
//!   │ frames                  │               │ frames                  │
//!   │ of the function         │ ◄─ stack      │ of the function         │
//!   │ that will switch        │    pointer    │ that has switched       │
//!   └─────────────────────────┘               ├─────────────────────────┤
//!                                             │ two registers           │
//!                                             │ address to continue at  │ ◄─ its context
//!                                             └─────────────────────────┘
//! ```
//!
//! To the compiler a switch is an instruction that changes every register and all memory that it
//! does not know to be its own. It keeps what is alive in the function's frame; as a rule that is
//! little, and so a switch takes a dozen instructions, and not the hundreds of a signal's.
//!
//! # Why a jump, and why inline
//!
//! What a switch costs is not its instructions, but returns that the processor mispredicts. It
//! predicts the target of a `ret` by a stack of its own, on which each `call` has pushed; a switch
//! of stacks is unknown to it. Nanoseconds for a round trip (x86-64, as in `benches/fibers.rs`):
//!
//! | way to the other side | one fiber | 1,000 in turn | one, 10 deep | 1,000, 10 deep |
//! |---|---:|---:|---:|---:|
//! | a function that saves all registers; `ret` | 22.3 | 78.8 | 44.2 | 112.7 |
//! | the same; an indirect jump instead of `ret` | 7.3 | 14.1 | 46.8 | 123.1 |
//! | inline; `call` to the fiber, `ret` from it (corosensei) | 3.2 | 15.3 | 56.4 | 101.2 |
//! | inline; jumps both ways (this) | 2.9 | 11.6 | 26.4 | 64.7 |
//!
//! With neither calls nor returns, the processor's stack has after a switch what the last fiber
//! left there. For the same fiber that is right; for another one that waits in the same functions,
//! as the fibers of a server do, it is right too.
//!
//! # What is not switched
//!
//! The modes of the floating-point unit (rounding, masked exceptions: MXCSR and the x87 control
//! word, FPCR), although a callee must preserve them. Rust code may not change them, so they are
//! the same on both sides. A foreign function that changes them restores them before it returns.
//! Nor the signal mask, which is a system call away, and the thread's.
//!
//! Hardware shadow stacks (CET) are not supported; programs must ask for those.

use std::ptr::NonNull;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod unsupported;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(super) use aarch64::{SUPPORTED, finish, prepare, switch};
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) use unsupported::{SUPPORTED, finish, prepare, switch};
#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{SUPPORTED, finish, prepare, switch};

/// The stack pointer of a side that waits.
pub(super) type Context = NonNull<u8>;

/// What arrives with a switch.
pub(super) struct Arrival {
    /// What the other side passed.
    pub(super) value: usize,
    /// How to continue it; none if it has finished.
    pub(super) from: Option<Context>,
}

/// Where a fresh stack begins: the value of the first switch, the side it came from, and what
/// [`prepare`] was given. It ends with [`finish`].
pub(super) type Entry = unsafe extern "C" fn(value: usize, from: Context, data: NonNull<u8>) -> !;
