//! Blocks for every processor: eight bytes at a time in a word where that is worth it (SWAR: SIMD
//! within a register), else the table.
//!
//! Values are most of a head, so what ends them is found by arithmetic on words:
//!
//! ```text
//! below 0x20      (word | high) - 0x20 in each byte loses its high bit
//! equal to b      the same test for word ^ b being zero
//! ```
//!
//! The high bits of the eight bytes are gathered into eight adjoining bits by one multiplication.

use super::block::{BLOCK_BYTES_MAX, HALF_BYTES, Half, Scanner, copied};
use super::dispatch::{self, Program, Task};
use super::{VALUE, is};

/// Only instructions that every processor has.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Portable;

impl Scanner for Portable {
    type Block = [u8; BLOCK_BYTES_MAX];

    const BLOCK_BYTES: usize = BLOCK_BYTES_MAX;

    #[inline]
    fn load(self, bytes: &[u8], at: usize) -> Self::Block {
        copied(bytes, at)
    }

    #[inline]
    fn outside<const CLASS: u8>(self, block: Self::Block) -> u64 {
        if CLASS == VALUE {
            let words = block.as_chunks().0.iter().enumerate();
            return words.fold(0, |mask, (index, word)| {
                mask | gather(not_value_bytes(u64::from_le_bytes(*word))) << (8 * index)
            });
        }
        let bytes = block.iter().enumerate();
        bytes.fold(0, |mask, (at, &byte)| mask | u64::from(!is(byte, CLASS)) << at)
    }

    #[inline]
    fn is_same(self, half: &Half, text: &Half, mask: &Half) -> bool {
        let word = |bytes: &Half, n| u64::from_le_bytes(bytes.as_chunks().0[n]);
        (0..HALF_BYTES / 8).all(|n| (word(half, n) ^ word(text, n)) & word(mask, n) == 0)
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
    P::run(Portable, bytes, product, rules)
}

/// The same byte eight times.
const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

const HIGH: u64 = each(0x80);

/// The high bit of each byte that is not of class VALUE.
#[inline]
fn not_value_bytes(word: u64) -> u64 {
    // With its high bit set, no byte borrows from the next.
    let below_space = !((word | HIGH) - each(b' ')) & !word;
    (below_space & !zeros(word ^ each(b'\t')) | zeros(word ^ each(0x7f))) & HIGH
}

/// The high bit of each byte that is zero; other bits are meaningless.
#[inline]
fn zeros(word: u64) -> u64 {
    !((word & !HIGH) + !HIGH) & !word
}

/// The high bit of byte n becomes bit n.
#[inline]
fn gather(high_bits: u64) -> u64 {
    // Each of the eight bits is moved to its place in the topmost byte by one bit of the factor.
    (high_bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}
