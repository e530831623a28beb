//! Byte classes, and how far a run of one class goes.
//!
//! Each class of RFC 9110 and RFC 3986 is one bit in a table of 256 bytes. Two runs are long enough to be
//! worth more than a byte at a time: field values, and names up to their colon. They are read as words of
//! eight bytes, with the arithmetic that finds a byte in a word without looking at each:
//!
//! ```text
//! zero byte in x?   (x - 0x01…01) & !x & 0x80…80      exact up to and including the first
//! ```
//!
//! Every function is checked against the naive loop in the tests below.

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
    from + rest
        .iter()
        .position(|&byte| !is(byte, class))
        .unwrap_or(rest.len())
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

/// `bytes` without the optional white space around it.
#[inline]
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGHS: u64 = ONES << 7;

/// The eight bytes at `at`, the first lowest; `None` when there are fewer.
#[inline]
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*eight))
}

/// A mask of the lowest `count` bytes; of all for 8 and more.
#[inline]
pub(crate) const fn low_bytes(count: usize) -> u64 {
    if count >= 8 {
        u64::MAX
    } else {
        (1 << (count * 8)) - 1
    }
}

/// The place of the first `byte` in `word`, from 0; 8 when there is none.
#[inline]
pub(crate) fn find_in_word(word: u64, byte: u8) -> usize {
    let differs = word ^ (ONES * byte as u64);
    let zero = differs.wrapping_sub(ONES) & !differs & HIGHS;
    zero.trailing_zeros() as usize / 8
}

/// Where the field content that begins at `from` ends: the first control character but HTAB, or
/// the end of `bytes`.
#[inline]
pub(crate) fn value_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(word) = word(bytes, at) {
        // The high bit of each byte below 0x20, and of 0x7f. HTAB is among them: looked at below.
        let below = word.wrapping_sub(ONES * 0x20) & !word;
        let delete = (word ^ (ONES * 0x7f)).wrapping_sub(ONES) & !word;
        let stops = (below | delete) & HIGHS;
        if stops == 0 {
            at += 8;
            continue;
        }
        at += stops.trailing_zeros() as usize / 8;
        if bytes.get(at) != Some(&b'\t') {
            return at;
        }
        at += 1;
    }
    class_end(bytes, at, VALUE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_byte_ends_a_value_or_not_at_every_place() {
        for place in 0..24 {
            for byte in 0..=255u8 {
                let mut bytes = [b'a'; 24];
                bytes[place] = byte;
                let expected = if is(byte, VALUE) { 24 } else { place };
                assert_eq!(value_end(&bytes, 0), expected, "{byte:#x} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn values_end_where_the_naive_loop_says(
            bytes in proptest::collection::vec(
                prop_oneof![Just(b'\t'), Just(0x7f), Just(b'\r'), 0x1e..0x22u8, 0x7d..0x83u8, any::<u8>()], 0..40),
            from in 0..40usize,
        ) {
            let from = from.min(bytes.len());
            prop_assert_eq!(value_end(&bytes, from), class_end(&bytes, from, VALUE));
        }

        #[test]
        fn a_byte_is_found_at_its_first_place(bytes: [u8; 8], byte: u8) {
            let expected = bytes.iter().position(|&b| b == byte).unwrap_or(8);
            prop_assert_eq!(find_in_word(u64::from_le_bytes(bytes), byte), expected);
        }
    }
}
