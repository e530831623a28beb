//! Conditional requests (RFC 9110, section 13), sans-IO.
//!
//! ```text
//!  If-Match ── absent ──► If-Unmodified-Since       either false: 412
//!     └──────────┬───────────────┘
//!  If-None-Match ── absent ──► If-Modified-Since    either false: 304
//!     └──────────┬───────────────┘
//!          Range + If-Range                         false: the whole
//! ```
//!
//! The order is section 13.2.2's; the first field of each row takes precedence over the second. A
//! field with an invalid date is ignored. Only for GET and HEAD of something that exists: for
//! everything else preconditions do not apply (section 13.2.1).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A representation's validators.
#[derive(Copy, Clone)]
pub struct Validators<'a> {
    /// The entity tag as it is sent: quoted, with `W/` in front when it is weak.
    pub etag: &'a [u8],
    /// Last-Modified, in seconds since 1970.
    pub modified_s: u64,
    /// Whether both are old enough to be strong.
    pub strong: bool,
}

/// The result of the preconditions.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answer as if there were no preconditions.
    Proceed,
    /// 304: the client has it.
    NotModified,
    /// 412: the client means another one.
    Failed,
}

/// Evaluates the four fields of section 13.2.2, steps 1 to 4.
pub fn evaluate<'a>(
    validators: Validators<'_>,
    mut if_match: impl Iterator<Item = &'a [u8]>,
    if_unmodified_since: Option<&[u8]>,
    mut if_none_match: impl Iterator<Item = &'a [u8]>,
    if_modified_since: Option<&[u8]>,
) -> Verdict {
    if let Some(first) = if_match.next() {
        let mut lines = [first].into_iter().chain(if_match);
        if !lines.any(|line| lists(line, |tag| equal_strong(tag, validators.etag))) {
            return Verdict::Failed;
        }
    } else if let Some(date_s) = if_unmodified_since.and_then(date)
        && validators.modified_s > date_s
    {
        return Verdict::Failed;
    }
    if let Some(first) = if_none_match.next() {
        let mut lines = [first].into_iter().chain(if_none_match);
        if lines.any(|line| lists(line, |tag| equal_weak(tag, validators.etag))) {
            return Verdict::NotModified;
        }
    } else if let Some(date_s) = if_modified_since.and_then(date)
        && validators.modified_s <= date_s
    {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Step 5: whether `Range` applies despite an `If-Range` (section 13.1.5). Only a strong validator
/// will do: the client has a part and is going to append the rest to it.
pub fn if_range_holds(validators: Validators<'_>, if_range: &[u8]) -> bool {
    if if_range.starts_with(b"\"") || if_range.starts_with(b"W/") {
        return equal_strong(if_range, validators.etag);
    }
    validators.strong && date(if_range) == Some(validators.modified_s)
}

/// Whether the field value is `*` or lists a tag that `accepts`.
fn lists(mut value: &[u8], accepts: impl Fn(&[u8]) -> bool) -> bool {
    if value.trim_ascii() == b"*" {
        return true;
    }
    // A comma may stand inside the quotes, so the list is walked rather than split.
    while let Some((tag, rest)) = next_tag(value) {
        if accepts(tag) {
            return true;
        }
        value = rest;
    }
    false
}

/// The next entity tag of a list and what follows it; `None` at the end or at invalid syntax.
fn next_tag(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let begin = value.iter().position(|byte| !matches!(byte, b',' | b' ' | b'\t'))?;
    let value = &value[begin..];
    let prefix = if value.starts_with(b"W/") { 2 } else { 0 };
    let inner = value[prefix..].strip_prefix(b"\"")?;
    let close = inner.iter().position(|&byte| byte == b'"')?;
    Some(value.split_at(prefix + 1 + close + 1))
}

/// Strong comparison (section 8.8.3.2): the same, and neither is weak.
fn equal_strong(one: &[u8], other: &[u8]) -> bool {
    one == other && one.starts_with(b"\"")
}

/// Weak comparison: the same, except perhaps for `W/`.
fn equal_weak(one: &[u8], other: &[u8]) -> bool {
    one.strip_prefix(b"W/").unwrap_or(one) == other.strip_prefix(b"W/").unwrap_or(other)
}

/// A date in any of the three formats of section 5.6.7, in seconds since 1970.
fn date(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    let time = httpdate::parse_http_date(text.trim_ascii()).ok()?;
    time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
}

/// The date as text: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn date_text(seconds: u64) -> String {
    // The format has no digits for years after 9999, and the formatter panics.
    const YEAR_9999_S: u64 = 253_402_300_799;
    let time: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds.min(YEAR_9999_S));
    httpdate::fmt_http_date(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRONG: Validators<'static> =
        Validators { etag: b"\"e\"", modified_s: 1_767_225_600, strong: true };
    const LAST_MODIFIED: &[u8] = b"Thu, 01 Jan 2026 00:00:00 GMT";
    const BEFORE: &[u8] = b"Thu, 01 Jan 2015 00:00:00 GMT";

    /// The four fields in the order of the RFC; an empty one is absent.
    fn verdict(fields: [&[u8]; 4]) -> Verdict {
        let [matches, unmodified, none, modified] = fields.map(|f| (!f.is_empty()).then_some(f));
        evaluate(STRONG, matches.into_iter(), unmodified, none.into_iter(), modified)
    }

    #[test]
    fn if_none_match_compares_weakly_and_takes_lists() {
        for tags in [&b"\"e\""[..], b"W/\"e\"", b"*", b"\"x\", \"e\", \"y\"", b"\"a,b\",,W/\"e\""] {
            assert_eq!(verdict([b"", b"", tags, b""]), Verdict::NotModified);
        }
        for tags in [&b"\"nope\""[..], b"e", b"\"e", b"w/\"e\"", b"x, \"e\""] {
            assert_eq!(verdict([b"", b"", tags, b""]), Verdict::Proceed);
        }
    }

    #[test]
    fn if_match_compares_strongly() {
        assert_eq!(verdict([b"\"e\"", b"", b"", b""]), Verdict::Proceed);
        assert_eq!(verdict([b"*", b"", b"", b""]), Verdict::Proceed);
        assert_eq!(verdict([b"W/\"e\"", b"", b"", b""]), Verdict::Failed);
        assert_eq!(verdict([b"\"nope\"", b"", b"", b""]), Verdict::Failed);
    }

    #[test]
    fn dates_count_in_all_three_formats_and_nonsense_does_not() {
        let formats =
            [LAST_MODIFIED, b"Thursday, 01-Jan-26 00:00:00 GMT", b"Thu Jan  1 00:00:00 2026"];
        for date in formats {
            assert_eq!(verdict([b"", b"", b"", date]), Verdict::NotModified);
            assert_eq!(verdict([b"", date, b"", b""]), Verdict::Proceed);
        }
        assert_eq!(verdict([b"", b"", b"", BEFORE]), Verdict::Proceed);
        assert_eq!(verdict([b"", BEFORE, b"", b""]), Verdict::Failed);
        for nonsense in [&b"yesterday"[..], b"\xff", b"0"] {
            assert_eq!(verdict([b"", nonsense, b"", nonsense]), Verdict::Proceed);
        }
    }

    #[test]
    fn the_tag_wins_over_the_date_of_its_row() {
        assert_eq!(verdict([b"\"e\"", BEFORE, b"", b""]), Verdict::Proceed);
        assert_eq!(verdict([b"", b"", b"\"nope\"", LAST_MODIFIED]), Verdict::Proceed);
        assert_eq!(verdict([b"\"nope\"", b"", b"\"e\"", b""]), Verdict::Failed);
        assert_eq!(verdict([b"\"e\"", b"", b"\"e\"", b""]), Verdict::NotModified);
    }

    #[test]
    fn if_range_takes_only_what_is_strong() {
        assert!(if_range_holds(STRONG, b"\"e\""));
        assert!(if_range_holds(STRONG, LAST_MODIFIED));
        for other in [&b"\"other\""[..], b"W/\"e\"", BEFORE, b"", b"e"] {
            assert!(!if_range_holds(STRONG, other));
        }
        let weak = Validators { etag: b"W/\"e\"", strong: false, ..STRONG };
        for any in [&b"\"e\""[..], b"W/\"e\"", LAST_MODIFIED] {
            assert!(!if_range_holds(weak, any));
        }
    }

    #[test]
    fn dates_that_have_no_text_are_cut_to_those_that_have() {
        assert_eq!(date_text(1_767_225_600).as_bytes(), LAST_MODIFIED);
        assert_eq!(date_text(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
