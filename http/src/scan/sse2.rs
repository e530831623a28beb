//! Blocks of sixteen bytes at once, by SSE2, which every x86-64 processor has.
//!
//! The only unsafety is entering code that requires SSE2, and one load. Each function gives a mask:
//! bit n is about byte n.

#![allow(unsafe_code, reason = "vector instructions; see above")]

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_loadu_si128,
    _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8, _mm_sub_epi8,
};

use super::Block;

#[inline]
#[target_feature(enable = "sse2")]
fn load(block: &Block) -> __m128i {
    // SAFETY: a block is sixteen readable bytes; this load asks for no alignment.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn is(block: __m128i, byte: u8) -> __m128i {
    _mm_cmpeq_epi8(block, _mm_set1_epi8(byte as i8))
}

/// Bytes that are `byte` when the bits outside `mask` are cleared.
#[inline]
#[target_feature(enable = "sse2")]
fn is_masked(block: __m128i, mask: u8, byte: u8) -> __m128i {
    is(_mm_and_si128(block, _mm_set1_epi8(mask as i8)), byte)
}

/// Bytes from `low` to `high`, unsigned.
#[inline]
#[target_feature(enable = "sse2")]
fn is_between(block: __m128i, low: u8, high: u8) -> __m128i {
    let shifted = _mm_sub_epi8(block, _mm_set1_epi8(low as i8));
    _mm_cmpeq_epi8(_mm_min_epu8(shifted, _mm_set1_epi8((high - low) as i8)), shifted)
}

#[inline]
#[target_feature(enable = "sse2")]
fn mask(bytes: __m128i) -> u32 {
    _mm_movemask_epi8(bytes) as u32
}

/// Bytes equal to `byte`.
#[inline(always)]
pub(crate) fn equal(block: &Block, byte: u8) -> u32 {
    // SAFETY: this module is compiled only where the whole target has SSE2.
    unsafe { sse2_equal(block, byte) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn sse2_equal(block: &Block, byte: u8) -> u32 {
    mask(is(load(block), byte))
}

/// Bytes that equal `text` once the bits of `fold` are set.
#[inline(always)]
pub(crate) fn equal_folded(block: &Block, fold: &Block, text: &Block) -> u32 {
    // SAFETY: this module is compiled only where the whole target has SSE2.
    unsafe { sse2_equal_folded(block, fold, text) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn sse2_equal_folded(block: &Block, fold: &Block, text: &Block) -> u32 {
    mask(_mm_cmpeq_epi8(_mm_or_si128(load(block), load(fold)), load(text)))
}

/// Bytes that are not of class VALUE.
#[inline(always)]
pub(crate) fn not_value(block: &Block) -> u32 {
    // SAFETY: this module is compiled only where the whole target has SSE2.
    unsafe { sse2_not_value(block) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn sse2_not_value(block: &Block) -> u32 {
    let block = load(block);
    let control = _mm_andnot_si128(is(block, b'\t'), is_between(block, 0, 0x1f));
    mask(_mm_or_si128(control, is(block, 0x7f)))
}

/// Bytes that are not of class PATH.
#[inline(always)]
pub(crate) fn not_path(block: &Block) -> u32 {
    // SAFETY: this module is compiled only where the whole target has SSE2.
    unsafe { sse2_not_path(block) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn sse2_not_path(block: &Block) -> u32 {
    let block = load(block);
    // As signed numbers: 0x21 to 0x7f. What RFC 3986 leaves out of them follows.
    let visible = _mm_cmpgt_epi8(block, _mm_set1_epi8(0x20));
    let high = _mm_andnot_si128(is(block, b'~'), _mm_cmpgt_epi8(block, _mm_set1_epi8(b'z' as i8)));
    let quotes = is_masked(block, 0xfe, b'"'); // " #
    let angles = is_masked(block, 0xfd, b'<'); // < >
    let slants = is_masked(block, 0xfd, b'\\'); // \ ^
    let others = _mm_or_si128(is(block, b'`'), is(block, b'?'));
    let left_out = _mm_or_si128(_mm_or_si128(quotes, angles), _mm_or_si128(slants, others));
    mask(_mm_or_si128(_mm_or_si128(left_out, high), is_not(visible)))
}

#[inline]
#[target_feature(enable = "sse2")]
fn is_not(bytes: __m128i) -> __m128i {
    _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0))
}

/// Bytes that are neither letter, digit, nor one of `- . / _`.
#[inline(always)]
pub(crate) fn not_plain_path(block: &Block) -> u32 {
    // SAFETY: this module is compiled only where the whole target has SSE2.
    unsafe { sse2_not_plain_path(block) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn sse2_not_plain_path(block: &Block) -> u32 {
    let block = load(block);
    let marks = _mm_or_si128(is_between(block, b'-', b'9'), is(block, b'_'));
    !mask(_mm_or_si128(marks, is_letter(block))) & 0xffff
}

/// Bytes that are neither letter, digit, `.` nor `-`; bytes that are `:`; bytes that are no digit.
#[inline(always)]
pub(crate) fn not_plain_host(block: &Block) -> (u32, u32, u32) {
    // SAFETY: this module is compiled only where the whole target has SSE2.
    unsafe { sse2_not_plain_host(block) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn sse2_not_plain_host(block: &Block) -> (u32, u32, u32) {
    let block = load(block);
    let digit = is_between(block, b'0', b'9');
    let mark = is_between(block, b'-', b'.');
    let plain = _mm_or_si128(_mm_or_si128(digit, mark), is_letter(block));
    (!mask(plain) & 0xffff, mask(is(block, b':')), !mask(digit) & 0xffff)
}

#[inline]
#[target_feature(enable = "sse2")]
fn is_letter(block: __m128i) -> __m128i {
    is_between(_mm_or_si128(block, _mm_set1_epi8(0x20)), b'a', b'z')
}
