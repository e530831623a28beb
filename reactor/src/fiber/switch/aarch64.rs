//! The switch for AArch64 under AAPCS64 (Linux, the BSDs, macOS).
//!
//! | register | in a call | in a switch |
//! |---|---|---|
//! | sp | the stack pointer, always aligned to 16 bytes | the context |
//! | x0, x1 | first and second argument | the value; the context to continue |
//! | x0, x1 | | on arrival: the value; the context of the side that was left |
//! | x19, x29 | preserved by the callee | stored: LLVM reserves them for itself |
//! | x20 to x28, d8 to d15 | preserved by the callee | named as lost; the compiler saves them |
//! | x18 | the platform's, or lost in a call | not touched |
//! | all others, also x30 with the return address | lost in a call | the same |
//!
//! A context points at the address to continue at; what lies above it is that code's business.

use super::{Arrival, Context, Entry};
use std::arch::{asm, naked_asm};
use std::ptr::{NonNull, null_mut};

pub(in super::super) const SUPPORTED: bool = true;

/// Leaves this side, to be continued by the context that arrives at the other one.
///
/// # Safety
///
/// `to` came from `prepare` or arrived with a switch, has not been continued since, and its stack
/// is still there.
#[inline(always)]
pub(in super::super) unsafe fn switch(value: usize, to: Context) -> Arrival {
    let mut passed = value;
    let mut other = to.as_ptr();
    // SAFETY: this side is continued at the label, by a switch to what was sp here, so with the
    // stack as it was; all registers but sp are restored or named as changed. The other side is
    // entitled to run: see above.
    unsafe {
        asm!(
            // This side's context: where to go on, and what the compiler cannot save.
            "adr x9, 2f",
            "stp x9, xzr, [sp, #-32]!",
            "stp x19, x29, [sp, #16]",
            "mov x9, sp",
            // Onto the other stack, and to where its side goes on.
            "mov sp, x1",
            "mov x1, x9",
            "ldr x10, [sp]",
            "br x10",
            // Here again, with x0 and x1 as the side that has switched to this one left them.
            "2:",
            "ldp x19, x29, [sp, #16]",
            "add sp, sp, #32",
            inout("x0") passed,
            inout("x1") other,
            lateout("x20") _, lateout("x21") _, lateout("x22") _, lateout("x23") _,
            lateout("x24") _, lateout("x25") _, lateout("x26") _, lateout("x27") _,
            lateout("x28") _,
            // All of v0 to v31 too: of d8 to d15, upper halves are lost in a call.
            clobber_abi("C"),
        );
    }
    Arrival { value: passed, from: Context::new(other) }
}

/// Continues `to`, and tells it that this side is no more.
///
/// # Safety
///
/// As for `switch`; and all on this side's stack that must be dropped has been.
#[inline(always)]
pub(in super::super) unsafe fn finish(value: usize, to: Context) -> ! {
    // SAFETY: as in `switch`, but for this side, which is never continued.
    unsafe {
        asm!(
            "mov sp, x9",
            "ldr x10, [sp]",
            "br x10",
            in("x0") value,
            in("x1") null_mut::<u8>(),
            in("x9") to.as_ptr(),
            options(noreturn),
        )
    }
}

/// The context of a fresh stack, on which `entry` will be called with `data`.
///
/// # Safety
///
/// `top` is aligned to 16 bytes, and the 32 bytes below it may be written.
pub(in super::super) unsafe fn prepare(
    top: NonNull<u8>,
    entry: Entry,
    data: NonNull<u8>,
) -> Context {
    let trampoline = trampoline as *const ();
    // In the order of their addresses, for the trampoline.
    let words = [trampoline, data.as_ptr().cast(), entry as *const (), null_mut()];
    // SAFETY: below `top`, as the caller says, where the trampoline sets the stack pointer to.
    unsafe {
        let context = top.cast::<[*const (); 4]>().sub(1);
        context.write(words);
        context.cast()
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
        // The value and the side it came from are in their places; then the data.
        "ldp x2, x9, [sp, #8]",
        "add sp, sp, #32",
        // A frame pointer of zero ends a walk along them.
        "mov x29, xzr",
        "blr x9",
        // The entry does not return.
        "brk #1",
        ".cfi_endproc",
    )
}
