//! Every scanner against the table.

use super::block::{BLOCK_BYTES_MAX, Cursor, HALF_BYTES, Half, Scanner};
use super::dispatch::{Isa, Task};
use super::*;
use proptest::prelude::*;

mod lines;
#[cfg(target_os = "linux")]
mod protected;

/// A scanner's result for a block.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    not_token: u64,
    not_value: u64,
    not_path: u64,
    not_plain_host: u64,
}

struct Look<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Task for Look<'_> {
    type Output = Seen;

    #[inline(always)]
    fn run<S: Scanner>(self, scanner: S) -> Seen {
        let mut seen = Seen::default();
        for start in (0..BLOCK_BYTES_MAX).step_by(S::BLOCK_BYTES) {
            let block = scanner.load(self.bytes, self.at + start);
            seen.not_token |= scanner.outside::<TOKEN>(block) << start;
            seen.not_value |= scanner.outside::<VALUE>(block) << start;
            seen.not_path |= scanner.outside::<PATH>(block) << start;
            seen.not_plain_host |= scanner.outside::<PLAIN_HOST>(block) << start;
        }
        seen
    }
}

/// The naive oracle: one byte after the other, by the table.
fn naive(bytes: &[u8], at: usize) -> Seen {
    let outside = |class| {
        let byte = |n: usize| bytes.get(at + n).copied().unwrap_or(0);
        (0..BLOCK_BYTES_MAX).fold(0, |mask, n| mask | u64::from(!is(byte(n), class)) << n)
    };
    Seen {
        not_token: outside(TOKEN),
        not_value: outside(VALUE),
        not_path: outside(PATH),
        not_plain_host: outside(PLAIN_HOST),
    }
}

fn check(bytes: &[u8], at: usize) {
    for isa in Isa::all() {
        assert_eq!(isa.run(Look { bytes, at }), naive(bytes, at), "{isa:?} at {at} of {bytes:?}");
    }
}

#[test]
fn the_best_of_this_processor_is_among_all() {
    let best = std::mem::discriminant(&Isa::detect());
    assert!(Isa::all().iter().any(|isa| std::mem::discriminant(isa) == best));
}

#[test]
fn every_byte_is_classified_at_every_place() {
    for place in 0..BLOCK_BYTES_MAX {
        for byte in 0..=255u8 {
            let mut block = [b'a'; BLOCK_BYTES_MAX];
            block[place] = byte;
            check(&block, 0);
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn every_length_is_read_to_its_end_and_no_further() {
    let mut page = protected::Page::new();
    for len in 0..=3 * BLOCK_BYTES_MAX {
        for byte in [b'a', b' ', b':', 0, 0x7f, 0x80, b'\r'] {
            let bytes = page.last(len);
            bytes.fill(byte);
            for at in 0..=len {
                check(bytes, at);
            }
        }
    }
}

struct IsSame<'a>(&'a Half, &'a Half, &'a Half);

impl Task for IsSame<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Scanner>(self, scanner: S) -> bool {
        scanner.is_same(self.0, self.1, self.2)
    }
}

/// Walks as the parser does, and as the reader of incomplete heads does.
struct Walk<'a>(&'a [u8]);

impl Task for Walk<'_> {
    type Output = Vec<(usize, usize)>;

    #[inline(always)]
    fn run<S: Scanner>(self, scanner: S) -> Vec<(usize, usize)> {
        let bytes = self.0;
        let (mut cursor, mut at) = (Cursor::new(scanner, bytes, 0), 0);
        let mut lines = Vec::new();
        while at < bytes.len() {
            let name_end = cursor.name_end(at);
            if bytes.get(name_end) != Some(&b':') {
                break;
            }
            let end = cursor.line_end();
            lines.push((name_end, end));
            if bytes.get(end..end + 2) != Some(b"\r\n") {
                break;
            }
            at = end + 2;
        }
        lines
    }
}

fn naive_walk(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut lines, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let name_end = class_end(bytes, at, TOKEN);
        if bytes.get(name_end) != Some(&b':') {
            break;
        }
        let end = class_end(bytes, name_end, VALUE);
        lines.push((name_end, end));
        if bytes.get(end..end + 2) != Some(b"\r\n") {
            break;
        }
        at = end + 2;
    }
    lines
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    (1..70usize, 0..200usize, any::<Option<u8>>()).prop_map(|(name, value, odd)| {
        let mut line = vec![b'n'; name];
        line.push(b':');
        line.resize(line.len() + value, b'v');
        line.extend(odd.filter(|byte| *byte % 16 == 0));
        line.extend_from_slice(b"\r\n");
        line
    })
}

proptest! {
    #[test]
    fn any_bytes_are_classified(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in 0..200usize,
    ) {
        check(&bytes, at.min(bytes.len()));
    }

    #[test]
    fn names_are_compared_as_the_naive_loop_does(
        half in any::<Half>(),
        changes in any::<Half>(),
        mask in any::<Half>(),
        changed in any::<Half>(),
    ) {
        // Few bits are changed, and most of those outside the mask.
        let change = |n: usize| changes[n] & if changed[n] < 8 { 0xff } else { !mask[n] };
        let text: Half = std::array::from_fn(|n| half[n] ^ change(n));
        let naive = (0..HALF_BYTES).all(|n| half[n] & mask[n] == text[n] & mask[n]);
        for isa in Isa::all() {
            prop_assert_eq!(isa.run(IsSame(&half, &text, &mask)), naive, "{:?}", isa);
        }
    }

    #[test]
    fn lines_end_where_the_naive_loop_finds_them(
        lines in proptest::collection::vec(line(), 0..8),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = lines.concat();
        bytes.truncate(cut.index(bytes.len() + 1));
        for isa in Isa::all() {
            let mut walked = isa.run(Walk(&bytes));
            // Beyond the end there is nothing to distinguish.
            for (_, end) in &mut walked {
                *end = (*end).min(bytes.len());
            }
            prop_assert_eq!(walked, naive_walk(&bytes), "{:?}", isa);
        }
    }

    #[test]
    fn a_value_ends_where_the_naive_loop_finds_it(
        bytes in proptest::collection::vec(
            prop_oneof![12 => Just(b'a'), 2 => Just(b' '), 1 => any::<u8>()], 0..200),
        from in 0..200usize,
    ) {
        let from = from.min(bytes.len());
        prop_assert_eq!(value_end(&bytes, from), class_end(&bytes, from, VALUE));
    }
}
