//! What a called function must preserve is preserved by a switch, on both sides.

use super::super::{Fiber, Suspender};
use super::{assert_finished, fiber, pool};
use std::arch::naked_asm;
use std::ffi::c_void;
use std::hint::black_box;

const FIBERS: usize = 8;
const ROUNDS: u64 = 1000;

type Call = extern "C" fn(*mut c_void);

/// The registers of the table in `switch/x86_64.rs`.
#[cfg(target_arch = "x86_64")]
type Registers = [u64; 6];

/// The registers of the table in `switch/aarch64.rs`: x19 to x28, then d8 to d15.
#[cfg(target_arch = "aarch64")]
type Registers = [u64; 18];

/// Loads the registers, calls, and stores what they hold afterwards. The frame pointer too.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
unsafe extern "C" fn call_with(registers: &mut Registers, call: Call, data: *mut c_void) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdi",
        "mov rbx, [rdi]",
        "mov rbp, [rdi + 8]",
        "mov r12, [rdi + 16]",
        "mov r13, [rdi + 24]",
        "mov r14, [rdi + 32]",
        "mov r15, [rdi + 40]",
        "mov rdi, rdx",
        "call rsi",
        "pop rdi",
        "mov [rdi], rbx",
        "mov [rdi + 8], rbp",
        "mov [rdi + 16], r12",
        "mov [rdi + 24], r13",
        "mov [rdi + 32], r14",
        "mov [rdi + 40], r15",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

/// Loads the registers, calls, and stores what they hold afterwards.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
unsafe extern "C" fn call_with(registers: &mut Registers, call: Call, data: *mut c_void) {
    naked_asm!(
        "sub sp, sp, #176",
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
        "str x0, [sp, #160]",
        "ldp x19, x20, [x0, #0]",
        "ldp x21, x22, [x0, #16]",
        "ldp x23, x24, [x0, #32]",
        "ldp x25, x26, [x0, #48]",
        "ldp x27, x28, [x0, #64]",
        "ldp d8, d9, [x0, #80]",
        "ldp d10, d11, [x0, #96]",
        "ldp d12, d13, [x0, #112]",
        "ldp d14, d15, [x0, #128]",
        "mov x0, x2",
        "blr x1",
        "ldr x0, [sp, #160]",
        "stp x19, x20, [x0, #0]",
        "stp x21, x22, [x0, #16]",
        "stp x23, x24, [x0, #32]",
        "stp x25, x26, [x0, #48]",
        "stp x27, x28, [x0, #64]",
        "stp d8, d9, [x0, #80]",
        "stp d10, d11, [x0, #96]",
        "stp d12, d13, [x0, #112]",
        "stp d14, d15, [x0, #128]",
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
        "add sp, sp, #176",
        "ret",
    )
}

/// Different in each register, each round and on each side.
fn pattern(side: u64, round: u64) -> Registers {
    std::array::from_fn(|index| {
        let number = (side << 48) + (round << 8) + index as u64 + 1;
        number.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    })
}

fn check(side: u64, round: u64, call: Call, data: *mut c_void) {
    let mut registers = pattern(side, round);
    // SAFETY: the data is what `call` expects, and all registers are restored.
    unsafe { call_with(&mut registers, call, data) };
    assert_eq!(registers, pattern(side, round), "side {side}, round {round}");
}

extern "C" fn suspend(suspender: *mut c_void) {
    // SAFETY: the fiber's own, passed to `check` by it.
    unsafe { &*suspender.cast::<Suspender>() }.suspend(0);
}

extern "C" fn resume(fiber: *mut c_void) {
    // SAFETY: passed to `check` by its owner, exclusively.
    unsafe { &mut *fiber.cast::<Fiber>() }.resume(0);
}

#[test]
fn preserved_registers_are_preserved() {
    let pool = pool(FIBERS);
    let mut fibers: Vec<_> = (1..=FIBERS as u64)
        .map(|side| {
            fiber(&pool, move |suspender| {
                let data = (&raw const *suspender).cast_mut().cast();
                (0..ROUNDS).for_each(|round| check(side, round, suspend, data));
            })
        })
        .collect();
    for round in 0..ROUNDS {
        for fiber in &mut fibers {
            check(0, round, resume, (&raw mut *fiber).cast());
        }
    }
    fibers.into_iter().for_each(|mut fiber| assert_finished(fiber.resume(0)));
}

/// One step of a computation whose state fills vector registers.
fn step(state: &mut [f64; 16], round: u64) {
    for (index, value) in state.iter_mut().enumerate() {
        *value = (*value * 1.25 + round as f64 / (index + 1) as f64).rem_euclid(1000.0);
    }
}

#[test]
fn floating_point_computations_do_not_mix() {
    let begin = |side: usize| std::array::from_fn::<f64, 16, _>(|index| (side * 16 + index) as f64);
    let pool = pool(FIBERS);
    let mut fibers: Vec<_> = (0..FIBERS)
        .map(|side| {
            fiber(&pool, move |suspender| {
                let (mut state, mut alone) = (begin(side), begin(side));
                for round in 0..ROUNDS {
                    step(black_box(&mut state), round);
                    suspender.suspend(0);
                }
                (0..ROUNDS).for_each(|round| step(&mut alone, round));
                assert_eq!(state, alone);
            })
        })
        .collect();
    for _ in 0..ROUNDS {
        fibers.iter_mut().for_each(|fiber| drop(fiber.resume(0)));
    }
    fibers.into_iter().for_each(|mut fiber| assert_finished(fiber.resume(0)));
}
