//! Byte classes, and how far a run of one class goes.
//!
//! Each class of RFC 9110 and RFC 3986 is one bit in a table of 256 bytes, which is the reference.
//! Heads are not looked up byte by byte but classified in [`block`]s, for which each set of vector
//! instructions has its own file, with the same functions in the same order.
//!
//! | file | for | a class is |
//! |---|---|---|
//! | `avx512` | x86-64 with AVX-512 VBMI | a table of 128 bytes, looked up 64 at once |
//! | `avx2` | x86-64 with AVX2 | two tables of 16 bytes, looked up 32 at once |
//! | `sse2` | every x86-64 | ranges, for 16 at once |
//! | `neon` | every AArch64 | two tables of 64 bytes, looked up 16 at once |
//! | `portable` | the rest | the table, or arithmetic on words of 8 |
//!
//! Which one runs is decided at run time by [`dispatch`]. All of them are tested here against the
//! table: every byte at every place, every length and alignment, right before a protected page.

pub(crate) mod block;
pub(crate) mod dispatch;
pub(crate) mod line;
#[cfg_attr(
    any(target_arch = "x86_64", target_arch = "aarch64"),
    allow(dead_code, reason = "the other half of the tests")
)]
mod portable;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod sse2;

#[cfg(test)]
mod tests;

use block::{Cursor, Scanner};

#[cfg(target_arch = "aarch64")]
const BASELINE: neon::Neon = neon::Neon::new();
#[cfg(target_arch = "x86_64")]
const BASELINE: sse2::Sse2 = sse2::Sse2::new();
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const BASELINE: portable::Portable = portable::Portable;

/// A character of a token (RFC 9110, section 5.6.2): methods, field names.
pub(crate) const TOKEN: u8 = 1;
/// What is accepted in a path: what it may contain (RFC 3986, section 3.3), brackets, which are in
/// common use, and `^` and `|`, which browsers leave as they are.
pub(crate) const PATH: u8 = 1 << 1;
/// What is accepted in a query: [`PATH`], `?`, and what browsers leave as it is there: a backslash,
/// a backquote and braces (the WHATWG's URL Standard, sections 1.3 and 4.4).
pub(crate) const QUERY: u8 = 1 << 2;
/// What a field value may contain (RFC 9110, section 5.5): visible, SP, HTAB, obs-text.
pub(crate) const VALUE: u8 = 1 << 3;
/// unreserved and sub-delims (RFC 3986, section 2): what a registered name is made of.
pub(crate) const REG_NAME: u8 = 1 << 4;
/// What a quoted string contains without a backslash (RFC 9110, section 5.6.4).
pub(crate) const QUOTED: u8 = 1 << 5;
/// What nearly every host consists of: letters, digits, `.` and `-`.
pub(crate) const PLAIN_HOST: u8 = 1 << 6;
/// What a target may contain and be written with: [`PATH`] and `?`, without what only browsers
/// allow themselves.
pub(crate) const TARGET: u8 = 1 << 7;

static CLASSES: [u8; 256] = classes();

const fn is_one_of(byte: u8, set: &[u8]) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let word = byte.is_ascii_alphanumeric();
        let mut class = 0;
        if word || is_one_of(byte, b"!#$%&'*+-.^_`|~") {
            class |= TOKEN;
        }
        if word || is_one_of(byte, b"-._~!$&'()*+,;=") {
            class |= REG_NAME | PATH | QUERY | TARGET;
        }
        if is_one_of(byte, b"%:@/[]") {
            class |= PATH | QUERY | TARGET;
        }
        if is_one_of(byte, b"^|") {
            class |= PATH | QUERY;
        }
        if is_one_of(byte, b"\\`{}") {
            class |= QUERY;
        }
        if word || byte == b'.' || byte == b'-' {
            class |= PLAIN_HOST;
        }
        if byte == b'?' {
            class |= QUERY | TARGET;
        }
        if byte == b'\t' || byte >= b' ' && byte != 0x7f {
            class |= VALUE;
            if byte != b'"' && byte != b'\\' {
                class |= QUOTED;
            }
        }
        table[at] = class;
        at += 1;
    }
    table
}

/// Whether `byte` is in one of the classes.
#[inline]
pub(crate) const fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

/// Where the run of `class` that begins at `from` ends: the first other byte, or the end.
#[inline]
pub(crate) fn class_end(bytes: &[u8], from: usize, class: u8) -> usize {
    let rest = bytes.get(from..).unwrap_or(&[]);
    let end = from + rest.iter().position(|&byte| !is(byte, class)).unwrap_or(rest.len());
    block::add_examined(bytes.len().min(end + 1).saturating_sub(from));
    end
}

/// Whether `bytes` is a token.
#[inline]
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && class_end(bytes, 0, TOKEN) == bytes.len()
}

/// Whether `byte` is optional white space (RFC 9110, section 5.6.3).
#[inline]
pub(crate) fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// `bytes` without the optional white space before it.
#[inline]
pub(crate) fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    bytes
}

/// `bytes` without the optional white space after it.
#[inline]
pub(crate) fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// `bytes` without the optional white space around it.
#[inline]
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    trim_end(trim_start(bytes))
}

/// A walk over lines from `at` on, using what every processor of this kind has.
pub(crate) fn lines(bytes: &[u8], at: usize) -> Cursor<'_, impl Scanner> {
    Cursor::new(BASELINE, bytes, at)
}

/// Where the field content that begins at `from` ends: the first control character but HTAB, or the
/// end.
pub(crate) fn value_end(bytes: &[u8], from: usize) -> usize {
    lines(bytes, from).value_end(from)
}
