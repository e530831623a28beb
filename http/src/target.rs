//! Request targets: their forms, the host, and paths and queries decoded.
//!
//! ```text
//! origin      /where?q=now                 every method but CONNECT
//! absolute    http://host:80/where?q=now   the same
//! authority   host:80                      CONNECT only
//! asterisk    *                            OPTIONS only
//! ```
//!
//! RFC 9112, section 3.2 (the forms); RFC 3986, sections 2.1 (percent-encoding), 3.2.2 (hosts), 5.2.4 (dot
//! segments); RFC 9110, section 4.2.1 (no http URI without a host).

use std::fmt;

use crate::error::{Error, ErrorKind};
use crate::head::{Form, Head, Method, Span};
use crate::scan::{self, REG_NAME};

/// Decides the form and, for the absolute-form, host and path.
#[inline]
pub(crate) fn settle(head: &mut Head, bytes: &[u8]) -> Result<(), Error> {
    let first = bytes.get(head.target.start()).copied();
    if first == Some(b'/') && head.method != Method::Connect {
        head.form = Form::Origin;
        return Ok(());
    }
    other_forms(head, bytes)
}

#[cold]
fn other_forms(head: &mut Head, bytes: &[u8]) -> Result<(), Error> {
    let target = head.target.of(bytes);
    let fits = match head.method {
        Method::Connect => {
            head.form = Form::Authority;
            head.path = Span::default();
            head.host = head.target;
            is_authority(target) && has_port(target)
        }
        Method::Options if target == b"*" => {
            head.form = Form::Asterisk;
            true
        }
        _ => {
            head.form = Form::Absolute;
            absolute(head, bytes)
        }
    };
    if fits {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::TargetForm, head.target.start()))
    }
}

/// `http://authority[/path]` or `https://…`; what follows the path has been split off already.
fn absolute(head: &mut Head, bytes: &[u8]) -> bool {
    let whole = head.path.of(bytes);
    let Some(colon) = whole.iter().position(|&byte| byte == b':') else {
        return false;
    };
    let (scheme, rest) = whole.split_at(colon);
    let known = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    if !known || !rest.starts_with(b"://") {
        return false;
    }
    let rest = &rest[3..];
    let host_len = rest
        .iter()
        .position(|&byte| byte == b'/')
        .unwrap_or(rest.len());
    let host_start = head.path.start() + colon + 3;
    let path_start = host_start + host_len;
    head.host = Span::new(host_start, path_start);
    head.path = Span::new(path_start, head.path.end());
    is_authority(&rest[..host_len])
}

/// The first byte behind a run of digits at the end: whether a non-empty port follows a colon.
fn has_port(authority: &[u8]) -> bool {
    let digits = authority
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    digits > 0 && authority[..authority.len() - digits].ends_with(b":")
}

/// Whether this is `uri-host [":" port]` with a host that is not empty. User information is refused
/// (RFC 9110, section 4.2.4).
#[inline]
pub(crate) fn is_authority(text: &[u8]) -> bool {
    let end = scan::class_end(text, 0, REG_NAME);
    match text.get(end) {
        None => end > 0,
        Some(b':') => end > 0 && is_port(&text[end + 1..]),
        Some(_) => is_unusual_authority(text),
    }
}

#[inline]
fn is_port(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_digit)
}

/// An IP literal, or a name with percent-encoded bytes.
#[cold]
fn is_unusual_authority(text: &[u8]) -> bool {
    if let [b'[', rest @ ..] = text {
        let Some(end) = rest.iter().position(|&byte| byte == b']') else {
            return false;
        };
        let port_fits = match &rest[end + 1..] {
            [] => true,
            [b':', port @ ..] => is_port(port),
            _ => false,
        };
        return port_fits && is_ip_literal(&rest[..end]);
    }
    let end = text
        .iter()
        .position(|&byte| byte == b':')
        .unwrap_or(text.len());
    let (name, port) = text.split_at(end);
    !name.is_empty() && is_encoded_name(name) && port.get(1..).is_none_or(is_port)
}

/// What stands between the brackets: an IPv6 address, or `v`, a version, a dot and an address of the future.
fn is_ip_literal(text: &[u8]) -> bool {
    if let [b'v' | b'V', rest @ ..] = text {
        let Some(dot) = rest.iter().position(|&byte| byte == b'.') else {
            return false;
        };
        let (version, address) = (&rest[..dot], &rest[dot + 1..]);
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && !address.is_empty()
            && address
                .iter()
                .all(|&byte| byte == b':' || scan::is(byte, REG_NAME));
    }
    str::from_utf8(text).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_encoded_name(mut name: &[u8]) -> bool {
    while let [first, rest @ ..] = name {
        name = match (first, rest) {
            (b'%', [high, low, rest @ ..]) if byte_of(*high, *low).is_some() => rest,
            (byte, rest) if scan::is(*byte, REG_NAME) => rest,
            _ => return false,
        };
    }
    true
}

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
fn byte_of(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

/// Decodes a path and resolves its dot segments, without ever leaving the root. `out` is cleared first.
///
/// The result begins with `/` and has no segment `.` or `..`, whether they were encoded or not; an
/// encoded `/` counts as a separator, so that what is opened is what was checked. Empty segments (`//`) stay.
/// A path that ends in a dot segment ends in `/`.
///
/// # Errors
/// [`DecodeError`]; `out` then holds nothing of use.
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
        let end = path[start..]
            .iter()
            .position(|&byte| byte == b'/')
            .map_or(path.len(), |at| start + at);
        match &path[start..end] {
            b"." | b".." => {
                if end - start == 2 {
                    write = path[..write]
                        .iter()
                        .rposition(|&byte| byte == b'/')
                        .unwrap_or(0);
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

/// Appends `raw` percent-decoded; `+` becomes a space where the form encoding is meant.
fn decode(raw: &[u8], out: &mut Vec<u8>, plus_is_space: bool) -> Result<(), DecodeError> {
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        (rest, _) = match (*first, tail) {
            (b'%', [high, low, tail @ ..]) => (
                tail,
                out.push(byte_of(*high, *low).ok_or(DecodeError::BadEscape)?),
            ),
            (b'%', _) => return Err(DecodeError::BadEscape),
            (b'+', _) if plus_is_space => (tail, out.push(b' ')),
            (byte, _) => (tail, out.push(byte)),
        };
    }
    Ok(())
}

/// The parameters of a query, `name=value&name=value`, still encoded. Empty ones are skipped; one without
/// `=` has an empty value.
pub fn query_pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query
        .split(|&byte| byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| match pair.iter().position(|&byte| byte == b'=') {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        })
}

/// The value of the first parameter called `name`, still encoded; `None` when there is none.
pub fn parameter<'a>(query: &'a [u8], name: &str) -> Option<&'a [u8]> {
    query_pairs(query)
        .find(|(key, _)| *key == name.as_bytes())
        .map(|(_, value)| value)
}

/// Decodes the name or value of a parameter: percent-encoding, and `+` for a space as forms send it.
///
/// # Errors
/// A bad escape.
pub fn decode_parameter(raw: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::with_capacity(raw.len());
    decode(raw, &mut out, true)?;
    Ok(out)
}
