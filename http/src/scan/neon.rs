//! Blocks by NEON, which every AArch64 processor has: four times sixteen bytes.
//!
//! TBL looks up sixteen bytes at once in a table of 64: two of them hold the classes of every ASCII
//! byte, as bits. Outside its table it gives 0, so bytes from 0x80 on are of no class.

#![allow(unsafe_code, reason = "vector instructions")]

use std::arch::aarch64::{
    uint8x16_t, uint8x16x4_t, vaddv_u8, vandq_u8, vdupq_n_u8, veorq_u8, vget_high_u8, vget_low_u8,
    vld1q_u8, vld1q_u8_x4, vmaxvq_u8, vorrq_u8, vqtbl4q_u8, vsubq_u8, vtstq_u8,
};

use super::block::{BLOCK_BYTES_MAX, Half, Scanner, copied};
use super::dispatch::{self, Program, Task};
use super::{CLASSES, VALUE};

/// NEON. Created only where the whole target has it.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Neon(());

impl Neon {
    pub(crate) const fn new() -> Self {
        Neon(())
    }
}

impl Scanner for Neon {
    type Block = [u8; BLOCK_BYTES_MAX];

    const BLOCK_BYTES: usize = BLOCK_BYTES_MAX;

    #[inline(always)]
    fn load(self, bytes: &[u8], at: usize) -> Self::Block {
        copied(bytes, at)
    }

    #[inline(always)]
    fn outside<const CLASS: u8>(self, block: Self::Block) -> u64 {
        // SAFETY: the AArch64 architecture, as Rust knows it, includes NEON.
        unsafe { outside::<CLASS>(&block) }
    }

    #[inline(always)]
    fn is_same(self, half: &Half, text: &Half, mask: &Half) -> bool {
        // SAFETY: as above.
        unsafe { is_same(half, text, mask) }
    }

    #[inline(always)]
    fn enter<T: Task>(self, task: T) -> T::Output {
        dispatch::enter(self, task)
    }
}

/// `P` in these instructions.
pub(super) fn run<P: Program>(
    bytes: &[u8],
    product: &mut P::Product,
    rules: &P::Rules,
) -> P::Output {
    P::run(Neon(()), bytes, product, rules)
}

#[inline]
#[target_feature(enable = "neon")]
fn load(quarter: &[u8; 16]) -> uint8x16_t {
    // SAFETY: 16 readable bytes.
    unsafe { vld1q_u8(quarter.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn outside<const CLASS: u8>(block: &[u8; BLOCK_BYTES_MAX]) -> u64 {
    let mut mask = 0;
    for (index, quarter) in block.as_chunks().0.iter().enumerate() {
        let bytes = load(quarter);
        let mut inside = vtstq_u8(classes(bytes), vdupq_n_u8(CLASS));
        if CLASS == VALUE {
            // Bytes from 0x80 on (obs-text) are allowed in values.
            inside = vorrq_u8(inside, vtstq_u8(bytes, vdupq_n_u8(0x80)));
        }
        mask |= u64::from(!bits(inside)) << (16 * index);
    }
    mask
}

#[inline]
#[target_feature(enable = "neon")]
fn is_same(half: &Half, text: &Half, mask: &Half) -> bool {
    let [half, text, mask] = [half, text, mask].map(|half| half.as_chunks::<16>().0);
    let differing = |n: usize| vandq_u8(veorq_u8(load(&half[n]), load(&text[n])), load(&mask[n]));
    vmaxvq_u8(vorrq_u8(differing(0), differing(1))) == 0
}

/// The classes of ASCII bytes from `from` on.
#[inline]
#[target_feature(enable = "neon")]
fn table(from: usize) -> uint8x16x4_t {
    let entries = &CLASSES[from..][..64];
    // SAFETY: 64 readable bytes.
    unsafe { vld1q_u8_x4(entries.as_ptr()) }
}

/// The classes of each byte, as bits.
#[inline]
#[target_feature(enable = "neon")]
fn classes(bytes: uint8x16_t) -> uint8x16_t {
    let low = vqtbl4q_u8(table(0), bytes);
    let high = vqtbl4q_u8(table(64), vsubq_u8(bytes, vdupq_n_u8(64)));
    vorrq_u8(low, high)
}

/// One bit for each byte that is 0xff and not 0.
#[inline]
#[target_feature(enable = "neon")]
fn bits(set: uint8x16_t) -> u16 {
    const WEIGHTS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
    let weighed = vandq_u8(set, load(&WEIGHTS));
    let (low, high) = (vaddv_u8(vget_low_u8(weighed)), vaddv_u8(vget_high_u8(weighed)));
    u16::from_le_bytes([low, high])
}
