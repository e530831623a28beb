//! Changing the stack under a running thread: what every architecture must provide.
//!
//! | item | what |
//! |---|---|
//! | `SUPPORTED` | false where there is no switch: then no pool of stacks can be made |
//! | `switch` | saves this side, continues the other one, passes a value |
//! | `finish` | continues the other side for the last time: saves nothing |
//! | `prepare` | lays out a fresh stack, so that the first `switch` to it calls a function |
//!
//! A *context* is the stack pointer of a side that does not run. All else that a calling
//! convention makes a callee preserve lies on that side's stack, at the context:
//!
//! ```text
//!   the side that runs                         the side that waits
//!
//!   │ caller of switch    │                    │ caller of switch    │
//!   ├─────────────────────┤                    ├─────────────────────┤
//!   │ return address      │ ◄─ stack pointer   │ return address      │
//!   └─────────────────────┘                    │ callee-saved        │
//!                                              │ registers           │ ◄─ its context
//!                                              └─────────────────────┘
//! ```
//!
//! To the compiler `switch` is a call of a foreign function like any other: the registers that a
//! caller must save are saved by the caller, if it needs them at all, and memory may have changed.
//! That is why a switch takes a dozen instructions, and not the hundreds of a signal's.
//!
//! Not switched: the modes of the floating-point unit (rounding, masked exceptions: MXCSR and the
//! x87 control word, FPCR), although a callee must preserve them. Rust code may not change them,
//! so they are the same on both sides, and to load them would double the price of a switch. A
//! library that changes them (`fesetround(3)`) restores them before it returns to the caller.

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

/// What arrives with a switch. Two words, which all our calling conventions return in registers.
#[repr(C)]
pub(super) struct Arrival {
    /// What the other side passed.
    pub(super) value: usize,
    /// How to continue it; none if it has finished.
    pub(super) from: Option<Context>,
}

/// Where a fresh stack begins: the value of the first switch, the side it came from, and what
/// [`prepare`] was given. It ends with [`finish`].
pub(super) type Entry = unsafe extern "C" fn(value: usize, from: Context, data: NonNull<u8>) -> !;
