//! Blocks of sixteen bytes for every processor, with the same functions as `sse2`.
//!
//! Each function gives a mask: bit n is about byte n. The loops have no branches, so that the
//! compiler can use whatever vectors the processor has.

use super::{Block, PATH, VALUE, is};

#[inline(always)]
fn mask(block: &Block, test: impl Fn(usize, u8) -> bool) -> u32 {
    let bits = block.iter().enumerate().map(|(at, &byte)| (test(at, byte) as u32) << at);
    bits.fold(0, |mask, bit| mask | bit)
}

/// Bytes equal to `byte`.
#[inline]
pub(crate) fn equal(block: &Block, byte: u8) -> u32 {
    mask(block, |_, other| other == byte)
}

/// Bytes that equal `text` once the bits of `fold` are set.
#[inline]
pub(crate) fn equal_folded(block: &Block, fold: &Block, text: &Block) -> u32 {
    mask(block, |at, byte| byte | fold[at] == text[at])
}

/// Bytes that are not of class VALUE.
#[inline]
pub(crate) fn not_value(block: &Block) -> u32 {
    mask(block, |_, byte| !is(byte, VALUE))
}

/// Bytes that are not of class PATH.
#[inline]
pub(crate) fn not_path(block: &Block) -> u32 {
    mask(block, |_, byte| !is(byte, PATH))
}

/// Bytes that are neither letter, digit, nor one of `- . / _`.
#[inline]
pub(crate) fn not_plain_path(block: &Block) -> u32 {
    mask(block, |_, byte| !byte.is_ascii_alphanumeric() && !b"-./_".contains(&byte))
}

/// Bytes that are neither letter, digit, `.` nor `-`; bytes that are `:`; bytes that are no digit.
#[inline]
pub(crate) fn not_plain_host(block: &Block) -> (u32, u32, u32) {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    let odd = mask(block, |_, byte| !plain(byte));
    (odd, equal(block, b':'), mask(block, |_, byte| !byte.is_ascii_digit()))
}
