//! Blocks by SSE2, which every x86-64 processor has: four times sixteen bytes.
//!
//! There is no table lookup here; a class is composed of ranges and near-equals.

#![allow(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_loadu_si128,
    _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8, _mm_setzero_si128, _mm_sub_epi8,
    _mm_xor_si128,
};

use super::block::{BLOCK_BYTES_MAX, Half, Scanner, copied};
use super::dispatch::{self, Program, Task};
use super::{PATH, TOKEN, VALUE};

/// SSE2. Created only where the whole target has it.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Sse2(());

impl Sse2 {
    pub(crate) const fn new() -> Self {
        Sse2(())
    }
}

impl Scanner for Sse2 {
    type Block = [u8; BLOCK_BYTES_MAX];

    const BLOCK_BYTES: usize = BLOCK_BYTES_MAX;

    #[inline(always)]
    fn load(self, bytes: &[u8], at: usize) -> Self::Block {
        copied(bytes, at)
    }

    #[inline(always)]
    fn outside<const CLASS: u8>(self, block: Self::Block) -> u64 {
        // SAFETY: the x86-64 architecture includes SSE2.
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
    P::run(Sse2(()), bytes, product, rules)
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(quarter: &[u8; 16]) -> __m128i {
    // SAFETY: 16 readable bytes; this load needs no alignment.
    unsafe { _mm_loadu_si128(quarter.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn outside<const CLASS: u8>(block: &[u8; BLOCK_BYTES_MAX]) -> u64 {
    let mut mask = 0;
    for (index, quarter) in block.as_chunks().0.iter().enumerate() {
        let bytes = load(quarter);
        let outside = match CLASS {
            TOKEN => !_mm_movemask_epi8(token(bytes)),
            VALUE => _mm_movemask_epi8(not_value(bytes)),
            PATH => _mm_movemask_epi8(not_path(bytes)),
            _ => !_mm_movemask_epi8(plain_host(bytes)),
        };
        mask |= u64::from(outside as u16) << (16 * index);
    }
    mask
}

#[inline]
#[target_feature(enable = "sse2")]
fn is_same(half: &Half, text: &Half, mask: &Half) -> bool {
    let [half, text, mask] = [half, text, mask].map(|half| half.as_chunks::<16>().0);
    let differing = |n: usize| {
        let differing = _mm_xor_si128(load(&half[n]), load(&text[n]));
        _mm_and_si128(differing, load(&mask[n]))
    };
    let none = _mm_cmpeq_epi8(_mm_or_si128(differing(0), differing(1)), _mm_setzero_si128());
    _mm_movemask_epi8(none) == 0xffff
}

/// Bytes equal to `byte`.
#[inline]
#[target_feature(enable = "sse2")]
fn is(bytes: __m128i, byte: u8) -> __m128i {
    _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8))
}

/// Bytes that are `byte` when the bits of `dropped` are cleared.
#[inline]
#[target_feature(enable = "sse2")]
fn is_without(bytes: __m128i, dropped: u8, byte: u8) -> __m128i {
    is(_mm_and_si128(bytes, _mm_set1_epi8(!dropped as i8)), byte)
}

/// Bytes from `low` to `high`, unsigned.
#[inline]
#[target_feature(enable = "sse2")]
fn between(bytes: __m128i, low: u8, high: u8) -> __m128i {
    let shifted = _mm_sub_epi8(bytes, _mm_set1_epi8(low as i8));
    _mm_cmpeq_epi8(_mm_min_epu8(shifted, _mm_set1_epi8((high - low) as i8)), shifted)
}

#[inline]
#[target_feature(enable = "sse2")]
fn any<const N: usize>(sets: [__m128i; N]) -> __m128i {
    let mut all = sets[0];
    for set in &sets[1..] {
        all = _mm_or_si128(all, *set);
    }
    all
}

#[inline]
#[target_feature(enable = "sse2")]
fn alphanumeric(bytes: __m128i) -> __m128i {
    let folded = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    _mm_or_si128(between(folded, b'a', b'z'), between(bytes, b'0', b'9'))
}

#[inline]
#[target_feature(enable = "sse2")]
fn token(bytes: __m128i) -> __m128i {
    any([
        alphanumeric(bytes),
        between(bytes, b'#', b'\''),
        is_without(bytes, 1, b'*'), // * +
        between(bytes, b'-', b'.'),
        between(bytes, b'^', b'`'),
        is_without(bytes, 2, b'|'), // | ~
        is(bytes, b'!'),
    ])
}

#[inline]
#[target_feature(enable = "sse2")]
fn plain_host(bytes: __m128i) -> __m128i {
    _mm_or_si128(alphanumeric(bytes), between(bytes, b'-', b'.'))
}

#[inline]
#[target_feature(enable = "sse2")]
fn not_value(bytes: __m128i) -> __m128i {
    let control = _mm_andnot_si128(is(bytes, b'\t'), between(bytes, 0, 0x1f));
    _mm_or_si128(control, is(bytes, 0x7f))
}

#[inline]
#[target_feature(enable = "sse2")]
fn not_path(bytes: __m128i) -> __m128i {
    // As signed numbers, 0x80 and above are negative.
    let invisible = _mm_cmpgt_epi8(_mm_set1_epi8(0x21), bytes);
    let high = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(b'z' as i8));
    any([
        invisible,
        _mm_andnot_si128(is_without(bytes, 2, b'|'), high), // but | ~
        is_without(bytes, 1, b'"'),                         // " #
        is_without(bytes, 2, b'<'),                         // < >
        is(bytes, b'\\'),
        is(bytes, b'`'),
        is(bytes, b'?'),
    ])
}
