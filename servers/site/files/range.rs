//! The `Range` field (RFC 9110, section 14.2), sans-IO.
//!
//! ```text
//! bytes=0-4, 10-, -5      first-last │ first to the end │ the last N
//! ```
//!
//! Invalid fields are ignored, as the RFC requires: another unit, bad syntax, a last before its
//! first. So are fields that look like an attack (section 17.15): more than [`RANGES_MAX`] ranges,
//! or ranges that add up to more than the whole. Numbers saturate, so that no position can wrap
//! around.

use std::ops::Range;

use crate::site::digits;

/// More ranges than this in one request are not honoured; a PDF reader asks for a handful.
pub const RANGES_MAX: usize = 16;

/// What a `Range` field asks for, given the size of the representation.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Everything: there is no usable range in it.
    Whole,
    /// Only ranges that do not exist: 416.
    Nothing,
    /// One part: 206.
    One(Range<u64>),
    /// Several parts: 206 as multipart/byteranges. At least two, none of them empty.
    Many(Vec<Range<u64>>),
}

/// Parses a `Range` field's value for a representation of `size` bytes.
pub fn parse(value: &[u8], size: u64) -> Wanted {
    let Some(set) = bytes_set(value) else {
        return Wanted::Whole;
    };
    let mut found: [Range<u64>; RANGES_MAX] = [const { 0..0 }; RANGES_MAX];
    let (mut count, mut specs) = (0, 0);
    for spec in set.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
        if spec.is_empty() {
            continue; // an empty list element means nothing (section 5.6.1.2)
        }
        specs += 1;
        if specs > RANGES_MAX {
            return Wanted::Whole;
        }
        match resolve(spec, size) {
            Spec::Invalid => return Wanted::Whole,
            Spec::Unsatisfiable => {}
            Spec::Part(part) => count = append(&mut found, count, part),
        }
    }
    conclude(&found[..count], specs, size)
}

fn conclude(found: &[Range<u64>], specs: usize, size: u64) -> Wanted {
    let total = found.iter().fold(0u64, |sum, part| sum.saturating_add(part.end - part.start));
    match found {
        [] if specs == 0 => Wanted::Whole,
        [] => Wanted::Nothing,
        // `-5` of an empty file is satisfiable, but no Content-Range can express that.
        [one] if one.is_empty() => Wanted::Whole,
        [one] => Wanted::One(one.clone()),
        _ if total > size => Wanted::Whole,
        many => Wanted::Many(many.to_vec()),
    }
}

/// Adds a part; if it touches or overlaps the part before it, extends that one.
fn append(found: &mut [Range<u64>], count: usize, part: Range<u64>) -> usize {
    if let Some(last) = count.checked_sub(1).map(|index| &mut found[index])
        && part.start >= last.start
        && part.start <= last.end
    {
        last.end = last.end.max(part.end);
        return count;
    }
    found[count] = part;
    count + 1
}

/// What follows `bytes=`; unit names are case-insensitive.
fn bytes_set(value: &[u8]) -> Option<&[u8]> {
    let equals = value.iter().position(|&byte| byte == b'=')?;
    let (unit, set) = (&value[..equals], &value[equals + 1..]);
    unit.eq_ignore_ascii_case(b"bytes").then_some(set)
}

enum Spec {
    Invalid,
    Unsatisfiable,
    Part(Range<u64>),
}

fn resolve(spec: &[u8], size: u64) -> Spec {
    let Some(dash) = spec.iter().position(|&byte| byte == b'-') else {
        return Spec::Invalid;
    };
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    match (first.is_empty(), last.is_empty()) {
        (true, true) => Spec::Invalid,
        (true, false) => match digits(last) {
            None => Spec::Invalid,
            Some(0) => Spec::Unsatisfiable,
            Some(suffix) => Spec::Part(size.saturating_sub(suffix)..size),
        },
        (false, _) => {
            let last = if last.is_empty() { Some(u64::MAX) } else { digits(last) };
            match (digits(first), last) {
                (Some(first), Some(last)) if first > last => Spec::Invalid,
                (Some(first), Some(_)) if first >= size => Spec::Unsatisfiable,
                (Some(first), Some(last)) => Spec::Part(first..last.saturating_add(1).min(size)),
                _ => Spec::Invalid,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_range_is_cut_to_the_size() {
        assert_eq!(parse(b"bytes=0-4", 50), Wanted::One(0..5));
        assert_eq!(parse(b"bytes=-5", 50), Wanted::One(45..50));
        assert_eq!(parse(b"bytes=-500", 50), Wanted::One(0..50));
        assert_eq!(parse(b"bytes=45-", 50), Wanted::One(45..50));
        assert_eq!(parse(b"bytes=0-999", 50), Wanted::One(0..50));
        assert_eq!(parse(b"BYTES= 7-7 ,", 50), Wanted::One(7..8));
        assert_eq!(parse(b"bytes=0-99999999999999999999999", 50), Wanted::One(0..50));
    }

    #[test]
    fn what_is_not_there_is_unsatisfiable() {
        for value in
            [&b"bytes=50-"[..], b"bytes=-0", b"bytes=99999999999999999999-", b"bytes=60-70,-0"]
        {
            assert_eq!(parse(value, 50), Wanted::Nothing);
        }
        assert_eq!(parse(b"bytes=0-", 0), Wanted::Nothing);
        assert_eq!(parse(b"bytes=18446744073709551615-", u64::MAX), Wanted::Nothing);
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        for value in [
            &b"bytes=abc"[..],
            b"bytes=5-2",
            b"frobs=0-4",
            b"bytes",
            b"bytes=",
            b"bytes=,",
            b"bytes=-",
            b"bytes=--5",
            b"bytes=0-4-",
            b"bytes=+1-2",
            b"bytes=0 - 4",
            b"bytes =0-4",
            b"bytes=0-4,x",
            b"",
        ] {
            assert_eq!(parse(value, 50), Wanted::Whole, "{}", value.escape_ascii());
        }
        assert_eq!(parse(b"bytes=-5", 0), Wanted::Whole);
    }

    #[test]
    fn several_ranges_keep_their_order_and_neighbours_join() {
        assert_eq!(parse(b"bytes=0-1,4-5", 50), Wanted::Many(vec![0..2, 4..6]));
        assert_eq!(parse(b"bytes=-2,0-0", 50), Wanted::Many(vec![48..50, 0..1]));
        assert_eq!(parse(b"bytes=0-1,2-5", 50), Wanted::One(0..6));
        assert_eq!(parse(b"bytes=0-9,3-5,90-", 50), Wanted::One(0..10));
    }

    #[test]
    fn more_than_the_whole_or_too_many_ranges_are_ignored() {
        assert_eq!(parse(b"bytes=40-,0-,0-", 50), Wanted::Whole);
        let many = |count: usize| {
            let specs: Vec<_> = (0..count).map(|i| format!("{0}-{0}", i * 2)).collect();
            format!("bytes={}", specs.join(","))
        };
        assert!(
            matches!(parse(many(16).as_bytes(), 500), Wanted::Many(parts) if parts.len() == 16)
        );
        assert_eq!(parse(many(17).as_bytes(), 500), Wanted::Whole);
    }

    proptest! {
        #[test]
        fn parts_lie_within_the_file_and_are_not_empty(
            value in "bytes=([0-9]{0,21}-[0-9]{0,21}[, ]{0,2}){0,20}", size: u64,
        ) {
            match parse(value.as_bytes(), size) {
                Wanted::Whole | Wanted::Nothing => {}
                Wanted::One(part) => prop_assert!(part.start < part.end && part.end <= size),
                Wanted::Many(parts) => {
                    prop_assert!(parts.len() > 1 && parts.len() <= RANGES_MAX);
                    let total: u128 = parts.iter().map(|p| u128::from(p.end - p.start)).sum();
                    prop_assert!(total <= u128::from(size));
                    prop_assert!(parts.iter().all(|p| p.start < p.end && p.end <= size));
                }
            }
        }

        #[test]
        fn no_bytes_whatever_confuse_it(value: Vec<u8>, size: u64) {
            let _ = parse(&value, size);
        }
    }
}
