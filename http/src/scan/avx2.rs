//! Blocks of 32 bytes by AVX2 (Intel since 2013, AMD since 2015).
//!
//! A class of ASCII bytes is two tables of sixteen entries, looked up by PSHUFB for 32 bytes at
//! once. A byte is in row `byte >> 4` and column `byte & 15`; the six rows that have members have a
//! bit each:
//!
//! ```text
//! rows[byte >> 4]      the bit of its row
//! columns[byte & 15]   the bits of the rows in which this column is a member
//! both & ≠ 0           a member
//! ```
//!
//! PSHUFB gives 0 for bytes from 0x80 on, which are members of none of these classes.

#![allow(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_and_si256, _mm256_andnot_si256, _mm256_broadcastsi128_si256,
    _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16,
    _mm256_testz_si256, _mm256_xor_si256,
};

use super::block::{HALF_BYTES, Half, Scanner, count_examined};
use super::dispatch::{Program, Task};
use super::{VALUE, is};

/// Proof that the processor has AVX2, BMI1, BMI2 and LZCNT.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// That proof, if it has.
    pub(crate) fn detect() -> Option<Self> {
        let there = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt");
        there.then_some(Avx2(()))
    }

    /// The same where it is known at compile time.
    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
    pub(super) fn here() -> Self {
        Avx2(())
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
#[inline(never)]
fn enter<T: Task>(scanner: Avx2, task: T) -> T::Output {
    task.run(scanner)
}

/// `P` in these instructions.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
pub(super) fn run<P: Program>(
    bytes: &[u8],
    product: &mut P::Product,
    rules: &P::Rules,
) -> P::Output {
    P::run(Avx2(()), bytes, product, rules)
}

/// A block. The last one is loaded together with the bytes before it.
#[derive(Copy, Clone)]
pub(crate) struct Loaded {
    bytes: __m256i,
    /// How many bytes come before the block.
    before: u32,
    /// The bits beyond the end.
    beyond: u32,
}

impl Scanner for Avx2 {
    type Block = Loaded;

    const BLOCK_BYTES: usize = HALF_BYTES;

    #[inline(always)]
    fn load(self, bytes: &[u8], at: usize) -> Loaded {
        count_examined(bytes, at, Self::BLOCK_BYTES);
        // SAFETY: `self` exists, so the processor has these instructions.
        unsafe { load_block(bytes, bytes.get(at..).unwrap_or(&[])) }
    }

    #[inline(always)]
    fn outside<const CLASS: u8>(self, block: Loaded) -> u64 {
        // SAFETY: as above.
        let outside = unsafe { outside::<CLASS>(block.bytes) };
        u64::from(outside >> block.before | block.beyond)
    }

    #[inline(always)]
    fn is_same(self, half: &Half, text: &Half, mask: &Half) -> bool {
        // SAFETY: as above.
        unsafe { is_same(half, text, mask) }
    }

    #[inline(always)]
    fn enter<T: Task>(self, task: T) -> T::Output {
        // SAFETY: as above.
        unsafe { enter(self, task) }
    }
}

/// The first bytes of `rest`, which `bytes` ends with.
#[inline]
#[target_feature(enable = "avx2")]
fn load_block(bytes: &[u8], rest: &[u8]) -> Loaded {
    if let Some(block) = rest.first_chunk() {
        return Loaded { bytes: load(block), before: 0, beyond: 0 };
    }
    let beyond = !0 << rest.len();
    match bytes.last_chunk() {
        // `rest` may be empty: then all of them come before.
        Some(last) if !rest.is_empty() => {
            Loaded { bytes: load(last), before: (HALF_BYTES - rest.len()) as u32, beyond }
        }
        _ => Loaded { bytes: load(&padded(rest)), before: 0, beyond },
    }
}

/// Of fewer than 32 bytes: hardly any request is so short.
#[inline(never)]
fn padded(rest: &[u8]) -> Half {
    let mut half = [0; HALF_BYTES];
    half[..rest.len()].copy_from_slice(rest);
    half
}

/// A class as rows and columns.
struct Class {
    rows: [u8; 16],
    columns: [u8; 16],
}

impl Class {
    const fn of(class: u8) -> Class {
        let mut tables = Class { rows: [0; 16], columns: [0; 16] };
        let mut byte = 0;
        while byte < 256 && class != VALUE {
            if is(byte as u8, class) {
                assert!(byte >= 0x20 && byte < 0x80, "only rows 2 to 7 have a bit");
                let row = 1 << (byte / 16 - 2);
                tables.rows[byte / 16] = row;
                tables.columns[byte % 16] |= row;
            }
            byte += 1;
        }
        tables
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(half: &Half) -> __m256i {
    // SAFETY: 32 readable bytes; this load needs no alignment.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn table(entries: &[u8; 16]) -> __m256i {
    // SAFETY: 16 readable bytes; this load needs no alignment.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(entries.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
fn mask(bytes: __m256i) -> u32 {
    _mm256_movemask_epi8(bytes) as u32
}

#[inline]
#[target_feature(enable = "avx2")]
fn equal(bytes: __m256i, byte: u8) -> __m256i {
    _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8))
}

/// The bytes that are not of that class.
#[inline]
#[target_feature(enable = "avx2")]
fn outside<const CLASS: u8>(bytes: __m256i) -> u32 {
    if CLASS == VALUE {
        return not_value(bytes);
    }
    let class = &const { Class::of(CLASS) };
    let row = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), _mm256_set1_epi8(15));
    let row = _mm256_shuffle_epi8(table(&class.rows), row);
    let column = _mm256_shuffle_epi8(table(&class.columns), bytes);
    mask(_mm256_cmpeq_epi8(_mm256_and_si256(row, column), _mm256_setzero_si256()))
}

/// The same for VALUE, which has too many rows for tables.
#[inline]
#[target_feature(enable = "avx2")]
fn not_value(bytes: __m256i) -> u32 {
    let low = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes);
    let control = _mm256_andnot_si256(equal(bytes, b'\t'), low);
    mask(_mm256_or_si256(control, equal(bytes, 0x7f)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn is_same(half: &Half, text: &Half, mask: &Half) -> bool {
    // VPTEST: all of the bits are zero.
    _mm256_testz_si256(_mm256_xor_si256(load(half), load(text)), load(mask)) != 0
}
