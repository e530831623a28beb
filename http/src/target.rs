//! Paths and queries decoded.
//!
//! The parser leaves a target as it came. What a path names is determined here, once and safely:
//! percent-encoding decoded, dot segments resolved, the root never left.
//!
//! RFC 3986, sections 2.1 (percent-encoding) and 5.2.4 (dot segments).

use std::fmt;

/// Why a path or a query does not decode.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// A `%` that two hexadecimal digits do not follow.
    BadEscape,
    /// A zero byte, which would end a file name early.
    Zero,
    /// The path does not begin with `/`.
    NotAbsolute,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecodeError::BadEscape => "a % is not followed by two hexadecimal digits",
            DecodeError::Zero => "a zero byte in the path",
            DecodeError::NotAbsolute => "the path does not begin with /",
        })
    }
}

impl std::error::Error for DecodeError {}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn byte_of(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

/// Decodes a path and resolves its dot segments, without ever leaving the root. `out` is cleared
/// first.
///
/// The result begins with `/` and has no segment `.` or `..`, encoded or not; an encoded `/` counts
/// as a separator, so that the path opened is the path checked. Empty segments (`//`) stay. A path
/// that ends in a dot segment ends in `/`.
///
/// # Errors
/// [`DecodeError`]; `out` is then undefined.
pub fn decode_path(raw: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    out.clear();
    if raw.first() != Some(&b'/') {
        return Err(DecodeError::NotAbsolute);
    }
    decode(raw, out, false)?;
    if out.contains(&0) {
        return Err(DecodeError::Zero);
    }
    if out.windows(2).any(|pair| pair == b"/.") {
        remove_dot_segments(out);
    }
    Ok(())
}

/// RFC 3986, section 5.2.4, in place: the write mark never overtakes the read mark.
fn remove_dot_segments(path: &mut Vec<u8>) {
    let (mut read, mut write) = (0, 0);
    while read < path.len() {
        // `read` stands on a slash; the segment is what lies between it and the next.
        let start = read + 1;
        let end =
            path[start..].iter().position(|&byte| byte == b'/').map_or(path.len(), |at| start + at);
        match &path[start..end] {
            b"." | b".." => {
                if end - start == 2 {
                    write = path[..write].iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                }
                if end == path.len() {
                    path[write] = b'/';
                    write += 1;
                }
            }
            _ => {
                path.copy_within(read..end, write);
                write += end - read;
            }
        }
        read = end;
    }
    path.truncate(write);
}

/// Appends `raw` percent-decoded; `+` becomes a space in the form encoding.
fn decode(raw: &[u8], out: &mut Vec<u8>, plus_is_space: bool) -> Result<(), DecodeError> {
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        (rest, _) = match (*first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                (tail, out.push(byte_of(*high, *low).ok_or(DecodeError::BadEscape)?))
            }
            (b'%', _) => return Err(DecodeError::BadEscape),
            (b'+', _) if plus_is_space => (tail, out.push(b' ')),
            (byte, _) => (tail, out.push(byte)),
        };
    }
    Ok(())
}

/// The parameters of a query, `name=value&name=value`, still encoded. Empty ones are skipped; one
/// without `=` has an empty value.
pub fn query_pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        match pair.iter().position(|&byte| byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        }
    })
}

/// The value of the first parameter called `name`, still encoded; `None` when there is none.
pub fn parameter<'a>(query: &'a [u8], name: &str) -> Option<&'a [u8]> {
    query_pairs(query).find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
}

/// Decodes the name or value of a parameter: percent-encoding, and `+` for a space as forms send
/// it.
///
/// # Errors
/// A bad escape.
pub fn decode_parameter(raw: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::with_capacity(raw.len());
    decode(raw, &mut out, true)?;
    Ok(out)
}
