//! The switch for AArch64 under AAPCS64 (Linux, the BSDs, macOS).
//!
//! | register | in a call | here |
//! |---|---|---|
//! | x0, x1 | first and second argument | the value; the context to continue |
//! | x0, x1 | a result of two words | the value; the context of the side that was left |
//! | x19 to x28, x29 (frame pointer) | preserved by the callee | stored on the stack that is left |
//! | x30 | the address to return to | the address to continue at |
//! | d8 to d15, the low halves of v8 to v15 | preserved by the callee | stored too |
//! | sp | the stack pointer, of 16 bytes always | the context |
//! | x18 | the platform's own | not touched |
//! | all others | lost in a call | the compiler has saved what it needs |
//!
//! A context points at twenty words: x19 to x30, d8 to d15.

use super::{Arrival, Context, Entry};
use std::arch::naked_asm;
use std::ptr::NonNull;

pub(in super::super) const SUPPORTED: bool = true;

/// Words of a context.
const SAVED_WORDS: usize = 20;

/// Leaves this side, to be continued by the context that arrives at the other one.
///
/// # Safety
///
/// `to` came from `prepare` or arrived with a switch, has not been continued since, and its
/// stack is still there.
#[unsafe(naked)]
pub(in super::super) unsafe extern "C" fn switch(value: usize, to: Context) -> Arrival {
    naked_asm!(
        "sub sp, sp, #160",
        "stp x19, x20, [sp, #0]",
        "stp x21, x22, [sp, #16]",
        "stp x23, x24, [sp, #32]",
        "stp x25, x26, [sp, #48]",
        "stp x27, x28, [sp, #64]",
        "stp x29, x30, [sp, #80]",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        // The result, for the other side; the value is in its place.
        "mov x9, sp",
        // Now on the other stack, where the same has been stored.
        "mov sp, x1",
        "mov x1, x9",
        "ldp x19, x20, [sp, #0]",
        "ldp x21, x22, [sp, #16]",
        "ldp x23, x24, [sp, #32]",
        "ldp x25, x26, [sp, #48]",
        "ldp x27, x28, [sp, #64]",
        "ldp x29, x30, [sp, #80]",
        "ldp d8, d9, [sp, #96]",
        "ldp d10, d11, [sp, #112]",
        "ldp d12, d13, [sp, #128]",
        "ldp d14, d15, [sp, #144]",
        "add sp, sp, #160",
        // Not `ret`: the processor would predict a return to this side's caller, always wrongly.
        // An indirect jump is predicted by where it went before.
        "br x30",
    )
}

/// Continues `to`, and tells it that this side is no more.
///
/// # Safety
///
/// As for `switch`; and all on this side's stack that must be dropped has been.
#[unsafe(naked)]
pub(in super::super) unsafe extern "C" fn finish(value: usize, to: Context) -> ! {
    naked_asm!(
        "mov sp, x1",
        "mov x1, #0",
        "ldp x19, x20, [sp, #0]",
        "ldp x21, x22, [sp, #16]",
        "ldp x23, x24, [sp, #32]",
        "ldp x25, x26, [sp, #48]",
        "ldp x27, x28, [sp, #64]",
        "ldp x29, x30, [sp, #80]",
        "ldp d8, d9, [sp, #96]",
        "ldp d10, d11, [sp, #112]",
        "ldp d12, d13, [sp, #128]",
        "ldp d14, d15, [sp, #144]",
        "add sp, sp, #160",
        "br x30",
    )
}

/// The context of a fresh stack, on which `entry` will be called with `data`.
///
/// # Safety
///
/// `top` is aligned to 16 bytes, and the 160 bytes below it may be written.
pub(in super::super) unsafe fn prepare(top: *mut u8, entry: Entry, data: NonNull<u8>) -> Context {
    let mut saved = [0_usize; SAVED_WORDS];
    // x19, x20 and x30. The frame pointer, x29, is zero: that ends a walk along them.
    saved[0] = data.as_ptr().expose_provenance();
    saved[1] = entry as *const () as usize;
    saved[11] = trampoline as *const () as usize;
    // SAFETY: below `top`, as the caller says. The switch leaves the stack pointer at `top`.
    unsafe {
        let context = top.cast::<usize>().sub(SAVED_WORDS);
        context.cast::<[usize; SAVED_WORDS]>().write(saved);
        Context::new_unchecked(context.cast())
    }
}

/// The first instructions on a fresh stack: from the registers of a switch to those of a call.
/// Declares that no frame is above it, so that a backtrace ends here.
///
/// # Safety
///
/// Only continued by a switch, never called.
#[unsafe(naked)]
unsafe extern "C" fn trampoline() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined x30",
        // The value and the side it came from are in their places.
        "mov x2, x19",
        "blr x20",
        // The entry does not return.
        "brk #1",
        ".cfi_endproc",
    )
}
