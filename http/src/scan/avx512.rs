//! Blocks by AVX-512 (Intel since Ice Lake, AMD since Zen 4).
//!
//! VPERMI2B looks up 64 bytes at once in a table of 128: the classes of every ASCII byte, as bits.
//! A test of one bit gives the mask. The last block is loaded under a mask: memory beyond the end
//! is not touched, and cannot fault.

#![allow(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::{
    __m512i, __mmask64, _mm512_cmplt_epu8_mask, _mm512_loadu_si512, _mm512_mask_testn_epi8_mask,
    _mm512_maskz_loadu_epi8, _mm512_maskz_permutex2var_epi8, _mm512_set1_epi8,
    _mm512_testn_epi8_mask,
};

use super::avx2::Avx2;
use super::block::{BLOCK_BYTES_MAX, Half, Scanner, count_examined};
use super::dispatch::{Program, Task};
use super::{CLASSES, VALUE};

/// Proof that the processor has AVX-512 F, BW, VL and VBMI, and what [`Avx2`] proves.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Avx512(Avx2);

impl Avx512 {
    /// That proof, if it has.
    pub(crate) fn detect() -> Option<Self> {
        let there = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512vbmi");
        if there { Avx2::detect().map(Avx512) } else { None }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx2,bmi1,bmi2,lzcnt")]
#[inline(never)]
fn enter<T: Task>(scanner: Avx512, task: T) -> T::Output {
    task.run(scanner)
}

/// `P` in these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx2,bmi1,bmi2,lzcnt")]
pub(super) fn run<P: Program>(
    bytes: &[u8],
    product: &mut P::Product,
    rules: &P::Rules,
) -> P::Output {
    P::run(Avx512(Avx2::here()), bytes, product, rules)
}

/// The classes of the bytes of a block.
#[derive(Copy, Clone)]
pub(crate) struct Classes {
    /// Of each byte, as bits; bytes from 0x80 on are in no table, and have none here.
    bits: __m512i,
    /// Which bytes are ASCII.
    ascii: __mmask64,
}

impl Scanner for Avx512 {
    type Block = Classes;

    const BLOCK_BYTES: usize = BLOCK_BYTES_MAX;

    #[inline(always)]
    fn load(self, bytes: &[u8], at: usize) -> Classes {
        count_examined(bytes, at, Self::BLOCK_BYTES);
        // SAFETY: `self` exists, so the processor has these instructions.
        unsafe { classes(load(bytes.get(at..).unwrap_or(&[]))) }
    }

    #[inline(always)]
    fn outside<const CLASS: u8>(self, block: Classes) -> u64 {
        // SAFETY: as above.
        unsafe { outside(block, CLASS) }
    }

    #[inline(always)]
    fn is_same(self, half: &Half, text: &Half, mask: &Half) -> bool {
        self.0.is_same(half, text, mask)
    }

    #[inline(always)]
    fn enter<T: Task>(self, task: T) -> T::Output {
        // SAFETY: as above.
        unsafe { enter(self, task) }
    }
}

/// 0, 1, 2 … 63.
#[inline]
#[target_feature(enable = "avx512f")]
fn numbers() -> __m512i {
    static NUMBERS: [u8; BLOCK_BYTES_MAX] = {
        let mut numbers = [0; BLOCK_BYTES_MAX];
        let mut at = 0;
        while at < BLOCK_BYTES_MAX {
            numbers[at] = at as u8;
            at += 1;
        }
        numbers
    };
    // SAFETY: 64 readable bytes; this load needs no alignment.
    unsafe { _mm512_loadu_si512(NUMBERS.as_ptr().cast()) }
}

/// The first bytes of `rest`; zeros after its end.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn load(rest: &[u8]) -> __m512i {
    if let Some(block) = rest.first_chunk::<BLOCK_BYTES_MAX>() {
        // SAFETY: 64 readable bytes; this load needs no alignment.
        return unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
    }
    let there = _mm512_cmplt_epu8_mask(numbers(), _mm512_set1_epi8(rest.len() as i8));
    // SAFETY: the mask has a bit for readable bytes only; others are not accessed, and cannot
    // fault.
    unsafe { _mm512_maskz_loadu_epi8(there, rest.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn classes(block: __m512i) -> Classes {
    let ascii = _mm512_testn_epi8_mask(block, _mm512_set1_epi8(0x80u8 as i8));
    let (low, high) = (&CLASSES[..64], &CLASSES[64..128]);
    // SAFETY: both have 64 readable bytes; these loads need no alignment.
    let (low, high) = unsafe {
        (_mm512_loadu_si512(low.as_ptr().cast()), _mm512_loadu_si512(high.as_ptr().cast()))
    };
    Classes { bits: _mm512_maskz_permutex2var_epi8(ascii, low, block, high), ascii }
}

#[inline]
#[target_feature(enable = "avx512bw")]
fn outside(block: Classes, class: u8) -> u64 {
    let class_bit = _mm512_set1_epi8(class as i8);
    // Bytes from 0x80 on (obs-text) are allowed in values.
    let may_be = if class == VALUE { block.ascii } else { !0 };
    _mm512_mask_testn_epi8_mask(may_be, block.bits, class_bit)
}
