//! The switch for x86-64 under the System V ABI (Linux, the BSDs, macOS).
//!
//! | register | in a call | here |
//! |---|---|---|
//! | rdi, rsi | first and second argument | the value; the context to continue |
//! | rax, rdx | a result of two words | the value; the context of the side that was left |
//! | rbx, rbp, r12 to r15 | preserved by the callee | pushed on the stack that is left |
//! | rsp | the stack pointer | the context |
//! | all others, also of the vector unit | lost in a call | the compiler has saved what it needs |
//!
//! A context points at seven words: r15, r14, r13, r12, rbx, rbp, the address to continue at.

use super::{Arrival, Context, Entry};
use std::arch::naked_asm;
use std::ptr::NonNull;

pub(in super::super) const SUPPORTED: bool = true;

/// Words of a context, the address last.
const SAVED_WORDS: usize = 7;

/// Leaves this side, to be continued by the context that arrives at the other one.
///
/// # Safety
///
/// `to` came from `prepare` or arrived with a switch, has not been continued since, and its
/// stack is still there.
#[unsafe(naked)]
pub(in super::super) unsafe extern "C" fn switch(value: usize, to: Context) -> Arrival {
    naked_asm!(
        // The call has pushed the address to continue at; the rest of this side's context:
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        // The result, for the other side.
        "mov rax, rdi",
        "mov rdx, rsp",
        // Now on the other stack, where the same has been pushed.
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        // Not `ret`: the processor would predict a return to this side's caller, always wrongly.
        // An indirect jump is predicted by where it went before.
        "pop rcx",
        "jmp rcx",
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
        "mov rax, rdi",
        "xor edx, edx",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "pop rcx",
        "jmp rcx",
    )
}

/// The context of a fresh stack, on which `entry` will be called with `data`.
///
/// # Safety
///
/// `top` is aligned to 16 bytes, and the 64 bytes below it may be written.
pub(in super::super) unsafe fn prepare(top: *mut u8, entry: Entry, data: NonNull<u8>) -> Context {
    let trampoline = trampoline as *const () as usize;
    // In the order in which they are popped. A frame pointer of zero ends a walk along them.
    let saved: [usize; SAVED_WORDS] =
        [0, 0, 0, data.as_ptr().expose_provenance(), entry as *const () as usize, 0, trampoline];
    // SAFETY: below `top`, as the caller says. The address is popped last, which leaves the stack
    // pointer at `top`: aligned, as it must be before a call.
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
        ".cfi_undefined rip",
        "mov rdi, rax",
        "mov rsi, rdx",
        "mov rdx, r12",
        "call rbx",
        // The entry does not return.
        "ud2",
        ".cfi_endproc",
    )
}
