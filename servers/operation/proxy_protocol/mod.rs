//! The PROXY protocol, versions 1 and 2: a balancer sends the client's address before anything
//! else.
//!
//! ```text
//! "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"            version 1, at most 107 bytes
//! signature (12) | version, command | family | length | addresses | TLVs      version 2
//!                                                                    then HTTP as usual
//! ```
//!
//! Sans-IO: [`parse`] is called again with more bytes for as long as the header is incomplete. The
//! result does not depend on how the bytes are split, and invalid input is refused at the first
//! byte that cannot be part of a header.
//!
//! The receiver "must not try to guess" whether there is a header (the specification, section 5).
//! So the peer decides ([`Trusted`](crate::options::Trusted)): a trusted one must send a header,
//! and all others are refused, for a peer that may send one can claim any address.
//!
//! Willy Tarreau, "The PROXY protocol, versions 1 & 2", `doc/proxy-protocol.txt` of HAProxy.
//!
//! *Not* done: destination addresses and TLVs are checked for syntax only, except the checksum,
//! which is verified if present.

use std::fmt;

use reactor::net::Peer;

mod checksum;
#[cfg(test)]
mod tests;
mod v1;
mod v2;

/// The longest header accepted. A certificate's name may make one long; HTTP heads have their own
/// limit, and the smallest buffer holds this one.
pub const HEADER_BYTES_MAX: usize = 4096;

/// A complete header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its length; the client's data follows.
    pub len: usize,
    /// The client's address; `None`: the balancer itself (LOCAL), or unknown (UNKNOWN).
    pub client: Option<Peer>,
}

/// What is wrong with a header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The signature of neither version.
    Signature,
    /// Version 1: CRLF missing or misplaced.
    LineEnd,
    /// Version 1: malformed words between PROXY and CRLF.
    Words,
    /// Version 2: another version, or a command that is neither LOCAL nor PROXY.
    Command,
    /// Version 2: an undefined address family or transport.
    Family,
    /// Version 2: shorter than its addresses, or longer than [`HEADER_BYTES_MAX`].
    Length,
    /// Version 2: a TLV that extends past the header.
    Tlv,
    /// Version 2: wrong checksum.
    Checksum,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::Signature => "no PROXY protocol header",
            Malformed::LineEnd => "missing or misplaced CRLF",
            Malformed::Words => "malformed header line",
            Malformed::Command => "unknown version or command",
            Malformed::Family => "unknown address family or transport",
            Malformed::Length => "invalid length",
            Malformed::Tlv => "truncated TLV",
            Malformed::Checksum => "wrong checksum",
        })
    }
}

impl std::error::Error for Malformed {}

/// Parses a header at the beginning of `bytes`. `Ok(None)`: it is incomplete.
///
/// # Errors
/// The bytes cannot be the beginning of a header.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => v1::parse(bytes),
        Some(b'\r') => v2::parse(bytes),
        Some(_) => Err(Malformed::Signature),
    }
}

/// Whether one of `bytes` and `expected` is a prefix of the other.
fn agrees(bytes: &[u8], expected: &[u8]) -> bool {
    bytes.iter().zip(expected).all(|(byte, expected)| byte == expected)
}
