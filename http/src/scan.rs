//! Byte classes, and how far a run of one class goes.
//!
//! Each class of RFC 9110 and RFC 3986 is one bit in a table of 256 bytes. Runs that are long in
//! practice (targets, field values) or come with every request (names, the host) are read in blocks
//! of sixteen bytes. A block becomes a mask with one bit a byte, and the first stop is the lowest
//! bit:
//!
//! ```text
//! block   h  2  l  o  a  d  ␍  ␊  …
//! mask    0  0  0  0  0  0  1  1        trailing zeros: 6
//! ```
//!
//! Each function on blocks exists twice, with the same names in the same order: for SSE2 and for
//! every processor. Both are tested here against the table, every byte at every place.

#[cfg_attr(target_arch = "x86_64", allow(dead_code, reason = "the other half of the tests"))]
mod portable;
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
mod sse2;

#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
use portable as vector;
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
use sse2 as vector;

pub(crate) use vector::{equal, equal_folded};

/// What is looked at in one go.
pub(crate) type Block = [u8; BLOCK_BYTES];
pub(crate) const BLOCK_BYTES: usize = 16;

/// A character of a token (RFC 9110, section 5.6.2): methods, field names.
pub(crate) const TOKEN: u8 = 1;
/// What a path may contain (RFC 3986, section 3.3), and the brackets, which are everywhere in use.
pub(crate) const PATH: u8 = 1 << 1;
/// What a target may contain: [`PATH`] and `?`.
pub(crate) const TARGET: u8 = 1 << 2;
/// What a field value may contain (RFC 9110, section 5.5): visible, SP, HTAB, obs-text.
pub(crate) const VALUE: u8 = 1 << 3;
/// unreserved and sub-delims (RFC 3986, section 2): what a registered name is made of.
pub(crate) const REG_NAME: u8 = 1 << 4;
/// What a quoted string contains without a backslash (RFC 9110, section 5.6.4).
pub(crate) const QUOTED: u8 = 1 << 5;

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
            class |= REG_NAME | PATH | TARGET;
        }
        if is_one_of(byte, b"%:@/[]") {
            class |= PATH | TARGET;
        }
        if byte == b'?' {
            class |= TARGET;
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
pub(crate) fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

/// Where the run of `class` that begins at `from` ends: the first other byte, or the end.
#[inline]
pub(crate) fn class_end(bytes: &[u8], from: usize, class: u8) -> usize {
    let rest = bytes.get(from..).unwrap_or(&[]);
    from + rest.iter().position(|&byte| !is(byte, class)).unwrap_or(rest.len())
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

/// `bytes` without the optional white space around it.
#[inline]
pub(crate) fn trim(bytes: &[u8]) -> &[u8] {
    let mut bytes = trim_start(bytes);
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// How many bytes `bytes` begins with that `stops` does not mark, block by block.
#[inline(always)]
fn run_len(bytes: &[u8], class: u8, stops: impl Fn(&Block) -> u32) -> usize {
    let mut rest = bytes;
    while let Some((block, behind)) = rest.split_first_chunk() {
        let stops = stops(block);
        if stops != 0 {
            return bytes.len() - rest.len() + stops.trailing_zeros() as usize;
        }
        rest = behind;
    }
    // What is left lies in the last block, behind what has been looked at already.
    let Some(last) = bytes.last_chunk() else {
        return class_end(bytes, 0, class);
    };
    let stops = stops(last) >> (BLOCK_BYTES - rest.len());
    let len = if stops == 0 { rest.len() } else { stops.trailing_zeros() as usize };
    bytes.len() - rest.len() + len
}

/// How long the field content is that begins `bytes`: up to the first control character but HTAB.
#[inline(always)]
pub(crate) fn value_len(bytes: &[u8]) -> usize {
    run_len(bytes, VALUE, vector::not_value)
}

/// Where the field content that begins at `from` ends.
pub(crate) fn value_end(bytes: &[u8], from: usize) -> usize {
    from + bytes.get(from..).map_or(0, value_len)
}

/// How long the path is that begins `bytes`, when it is short and plain and a space follows, as
/// mostly.
#[inline(always)]
pub(crate) fn plain_path_len(bytes: &[u8]) -> Option<usize> {
    let block: &Block = bytes.first_chunk()?;
    let len = vector::not_plain_path(block).trailing_zeros() as usize;
    (*block.get(len)? == b' ').then_some(len)
}

/// How long the path is that begins `bytes`.
pub(crate) fn path_len(bytes: &[u8]) -> usize {
    run_len(bytes, PATH, vector::not_path)
}

/// Whether the `len` bytes at `start` are a host of letters, digits, dots and hyphens with an
/// optional port: what nearly every `Host` is. `false` says nothing: look closer.
#[inline(always)]
pub(crate) fn is_plain_host(bytes: &[u8], start: usize, len: usize) -> bool {
    let Some(block) = bytes.get(start..).and_then(<[u8]>::first_chunk) else {
        return false;
    };
    if len >= BLOCK_BYTES {
        return false;
    }
    let (odd, colons, not_digits) = vector::not_plain_host(block);
    let text = low_bits(len);
    let odd = odd & text;
    if odd == 0 {
        return len != 0;
    }
    // Up to and including the first odd byte, which must be a colon behind at least one byte.
    let name = odd ^ (odd - 1);
    let first_odd = odd & odd.wrapping_neg();
    colons & first_odd & !1 != 0 && not_digits & text & !name == 0
}

/// The lowest `count` bits, fewer than 32.
#[inline]
pub(crate) fn low_bits(count: usize) -> u32 {
    (1 << count) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All bytes at all places of a block that is otherwise `filler`.
    fn each_byte_at_each_place(filler: u8, check: impl Fn(&Block)) {
        for place in 0..BLOCK_BYTES {
            for byte in 0..=255u8 {
                let mut block = [filler; BLOCK_BYTES];
                block[place] = byte;
                check(&block);
            }
        }
    }

    #[test]
    fn both_kinds_of_blocks_say_the_same() {
        each_byte_at_each_place(b'a', |block| {
            assert_eq!(vector::not_value(block), portable::not_value(block));
            assert_eq!(vector::not_path(block), portable::not_path(block));
            assert_eq!(vector::not_plain_host(block), portable::not_plain_host(block));
            assert_eq!(vector::not_plain_path(block), portable::not_plain_path(block));
            assert_eq!(vector::equal(block, b':'), portable::equal(block, b':'));
            let (fold, text) = ([0x20; 16], [b'a'; 16]);
            assert_eq!(
                vector::equal_folded(block, &fold, &text),
                portable::equal_folded(block, &fold, &text)
            );
        });
    }

    proptest! {
        #[test]
        fn runs_end_where_the_naive_loop_says(
            bytes in proptest::collection::vec(
                prop_oneof![12 => Just(b'a'), 2 => Just(b' '), 1 => any::<u8>()], 0..80),
            from in 0..80usize,
        ) {
            let from = from.min(bytes.len());
            prop_assert_eq!(value_end(&bytes, from), class_end(&bytes, from, VALUE));
            prop_assert_eq!(from + path_len(&bytes[from..]), class_end(&bytes, from, PATH));
            if let Some(len) = plain_path_len(&bytes[from..]) {
                prop_assert_eq!(from + len, class_end(&bytes, from, PATH));
            }
        }

        #[test]
        fn a_plain_host_is_a_host(
            bytes in proptest::collection::vec(
                prop_oneof![4 => b'0'..=b'9', 4 => Just(b'a'), 1 => Just(b':'), 1 => any::<u8>()],
                0..40,
            ),
            len in 0..20usize,
        ) {
            let len = len.min(bytes.len());
            if is_plain_host(&bytes, 0, len) {
                prop_assert!(crate::form::is_authority(&bytes[..len]));
            }
        }
    }
}
