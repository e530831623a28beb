//! The switch for x86-64 under the System V ABI (Linux, the BSDs, macOS).
//!
//! | register | in a call | in a switch |
//! |---|---|---|
//! | rsp | the stack pointer | the context |
//! | rdi, rsi | first and second argument | the value; the context to continue |
//! | rdi, rdx | | on arrival: the value; the context of the side that was left |
//! | rbx, rbp | preserved by the callee | pushed: LLVM reserves them for itself |
//! | r12 to r15 | preserved by the callee | named as lost: the compiler saves what is alive |
//! | all others, also of the vector unit | lost in a call | the same |
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
    let mut from: *mut u8;
    // SAFETY: this side is continued at the label, by a switch to what was rsp here, so with the
    // stack as it was; all registers but rsp are restored or named as changed. The other side is
    // entitled to run: see above.
    unsafe {
        asm!(
            // This side's context: what the compiler cannot save, then where to go on.
            "push rbp",
            "push rbx",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov rdx, rsp",
            // Onto the other stack, and to where its side goes on.
            "mov rsp, rsi",
            "pop rcx",
            "jmp rcx",
            // Here again, with rdi and rdx as the side that has switched to this one left them.
            "2:",
            "pop rbx",
            "pop rbp",
            inout("rdi") passed,
            in("rsi") to.as_ptr(),
            lateout("rdx") from,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            clobber_abi("sysv64"),
        );
    }
    Arrival { value: passed, from: Context::new(from) }
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
            "mov rsp, rsi",
            "pop rcx",
            "jmp rcx",
            in("rdi") value,
            in("rsi") to.as_ptr(),
            in("rdx") null_mut::<u8>(),
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
    // In the order in which they are popped. A frame pointer of zero ends a walk along them.
    let words = [trampoline, data.as_ptr().cast(), entry as *const (), null_mut()];
    // SAFETY: below `top`, as the caller says. When all is popped, the stack pointer is at `top`:
    // aligned, as it must be before a call.
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
        ".cfi_undefined rip",
        // The value is where a first argument belongs; then the side it came from, and the data.
        "mov rsi, rdx",
        "pop rdx",
        "pop rax",
        "pop rbp",
        "call rax",
        // The entry does not return.
        "ud2",
        ".cfi_endproc",
    )
}
