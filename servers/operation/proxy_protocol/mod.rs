//! The PROXY protocol, versions 1 and 2: a balancer says whom it speaks for, before anything else.
//!
//! ```text
//! "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"            version 1, at most 107 bytes
//! signature (12) | version, command | family | length | addresses | TLVs      version 2
//!                                                                    then HTTP as ever
//! ```
//!
//! Bytes in, an answer out: no sockets here. [`parse`] is asked again with more bytes for as long as
//! it says that they are too few. However they are cut, the answer is the same; and what can no
//! longer become a header is refused at the first byte that shows it.
//!
//! The receiver "must not try to guess" whether there is a header (the specification, section 5). So
//! it is decided by who connects ([`Trusted`]): from those that are trusted there must be one, and
//! all others are refused, for whoever may send one can pretend to be anybody.
//!
//! Willy Tarreau, "The PROXY protocol, versions 1 & 2", `doc/proxy-protocol.txt` of HAProxy.
//!
//! *Not* done: destination addresses and TLVs are checked for their form and not kept, but for the
//! checksum, which must be right where there is one.

use std::fmt;

use reactor::net::Peer;

mod checksum;
#[cfg(test)]
mod tests;
mod trusted;
mod v1;
mod v2;

pub use trusted::{Network, NotANetwork, Trusted};

/// The longest header that is taken. A certificate's name may make one long; HTTP's own head has
/// other limits, and the smallest buffer holds this one.
pub const HEADER_BYTES_MAX: usize = 4096;

/// A complete header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its bytes; what comes after them is the client's.
    pub len: usize,
    /// Whom the balancer speaks for; `None`: for itself (LOCAL), or it does not know (UNKNOWN).
    pub client: Option<Peer>,
}

/// What is wrong with a header.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It begins like neither version.
    Signature,
    /// Version 1: no CRLF where one must be.
    LineEnd,
    /// Version 1: the words between PROXY and CRLF.
    Words,
    /// Version 2: another version, or a command that is neither LOCAL nor PROXY.
    Command,
    /// Version 2: an address family or a transport that does not exist.
    Family,
    /// Version 2: shorter than its addresses, or longer than [`HEADER_BYTES_MAX`].
    Length,
    /// Version 2: a TLV that does not end where the header does.
    Tlv,
    /// Version 2: the checksum is not that of the header.
    Checksum,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::Signature => "no PROXY protocol header",
            Malformed::LineEnd => "a header line without its end",
            Malformed::Words => "a header line with the wrong words",
            Malformed::Command => "an unknown version or command",
            Malformed::Family => "an unknown address family or transport",
            Malformed::Length => "a length that cannot be",
            Malformed::Tlv => "a TLV that is cut off",
            Malformed::Checksum => "a wrong checksum",
        })
    }
}

impl std::error::Error for Malformed {}

/// Reads a header at the beginning of `bytes`. `Ok(None)`: it is not complete.
///
/// # Errors
/// The bytes are not the beginning of a header, and more of them would not change that.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => v1::parse(bytes),
        Some(b'\r') => v2::parse(bytes),
        Some(_) => Err(Malformed::Signature),
    }
}

/// Whether `bytes` are the beginning of `expected`, or begin with it.
fn agrees(bytes: &[u8], expected: &[u8]) -> bool {
    bytes.iter().zip(expected).all(|(byte, expected)| byte == expected)
}
