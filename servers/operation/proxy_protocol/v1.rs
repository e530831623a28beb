//! Version 1: a line of text (section 2.1 of the specification).
//!
//! ```text
//! "PROXY " ("TCP4" | "TCP6") " " source " " destination " " port " " port CRLF
//! "PROXY UNKNOWN" anything CRLF
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use reactor::net::Peer;

use super::{Header, Malformed, agrees};

const BEGIN: &[u8] = b"PROXY ";
/// Including the CRLF: UNKNOWN and two IPv6 addresses.
pub(super) const LINE_BYTES_MAX: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    if !agrees(bytes, BEGIN) {
        return Err(Malformed::Signature);
    }
    let bytes = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return if bytes.len() < LINE_BYTES_MAX { Ok(None) } else { Err(Malformed::LineEnd) };
    };
    match &bytes[at..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] if at + 1 < LINE_BYTES_MAX => return Ok(None),
        _ => return Err(Malformed::LineEnd),
    }
    let words = bytes.get(BEGIN.len()..at).ok_or(Malformed::LineEnd)?;
    let client = client(words).ok_or(Malformed::Words)?;
    Ok(Some(Header { len: at + 2, client }))
}

/// The client named by the words; `None` if they are malformed.
fn client(words: &[u8]) -> Option<Option<Peer>> {
    // "The receiver must ignore anything presented before the CRLF."
    if words == b"UNKNOWN" || words.starts_with(b"UNKNOWN ") {
        return Some(None);
    }
    let text = str::from_utf8(words).ok()?;
    let mut words = text.split(' ');
    let mut next = || words.next();
    let (family, source, destination) = (next()?, next()?, next()?);
    let (port, _) = (self::port(next()?)?, self::port(next()?)?);
    if next().is_some() {
        return None;
    }
    Some(Some(match family {
        "TCP4" => Peer::V4(both::<Ipv4Addr>(source, destination)?, port),
        // Some senders use the notation of a mapped address, `::ffff:192.0.2.1`.
        "TCP6" => Peer::V6(both::<Ipv6Addr>(source, destination)?, port),
        _ => return None,
    }))
}

/// The source, if the destination is an address of the same family.
fn both<T: FromStr>(source: &str, destination: &str) -> Option<T> {
    destination.parse::<T>().ok()?;
    source.parse().ok()
}

/// A decimal port without leading zeros.
fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    if digits && !padded { text.parse().ok() } else { None }
}
