//! Version 2: a binary block (section 2.2 of the specification).
//!
//! ```text
//!  0          12              13                14       16            16 + length
//!  │ signature │ version │ cmd │ family │ proto │ length │ addresses, TLVs │
//!                4 bits   4 bits  4 bits   4 bits
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};

use reactor::net::Peer;

use super::{HEADER_BYTES_MAX, Header, Malformed, agrees, checksum};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
const FIXED: usize = 16;
/// `PP2_TYPE_CRC32C`
const TYPE_CHECKSUM: u8 = 0x03;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    if !agrees(bytes, SIGNATURE) {
        return Err(Malformed::Signature);
    }
    let Some(command) = bytes.get(12) else { return Ok(None) };
    let local = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed::Command),
    };
    let Some(family) = bytes.get(13) else { return Ok(None) };
    // LOCAL: family and addresses must be ignored.
    let family = if local { Family::Unspecified } else { Family::of(*family)? };
    let Some(length) = bytes.get(14..FIXED) else { return Ok(None) };
    let end = FIXED + usize::from(u16::from_be_bytes([length[0], length[1]]));
    let addresses_end = FIXED + family.addresses_len();
    if end < addresses_end || end > HEADER_BYTES_MAX {
        return Err(Malformed::Length);
    }
    let Some(header) = bytes.get(..end) else { return Ok(None) };
    // Without a known address family, the position of the TLVs is undefined.
    if family != Family::Unspecified {
        check_tlvs(header, addresses_end)?;
    }
    Ok(Some(Header { len: end, client: family.client(&header[FIXED..addresses_end]) }))
}

#[derive(Copy, Clone, PartialEq, Eq)]
enum Family {
    Unspecified,
    V4,
    V6,
    Unix,
}

impl Family {
    /// Decodes the byte with family and transport. If either is UNSPEC, the connection's own
    /// address is used; the transport between client and balancer does not matter here.
    fn of(byte: u8) -> Result<Family, Malformed> {
        match (byte >> 4, byte & 15) {
            (0, 0..=2) | (1..=3, 0) => Ok(Family::Unspecified),
            (1, 1 | 2) => Ok(Family::V4),
            (2, 1 | 2) => Ok(Family::V6),
            (3, 1 | 2) => Ok(Family::Unix),
            _ => Err(Malformed::Family),
        }
    }

    /// Bytes of source and destination, with their ports.
    fn addresses_len(self) -> usize {
        match self {
            Family::Unspecified => 0,
            Family::V4 => 2 * (4 + 2),
            Family::V6 => 2 * (16 + 2),
            Family::Unix => 2 * 108,
        }
    }

    /// The source among the addresses: source, destination, source's port, destination's port.
    fn client(self, addresses: &[u8]) -> Option<Peer> {
        match self {
            Family::Unspecified => None,
            Family::V4 => {
                let ip: [u8; 4] = *addresses.first_chunk()?;
                Some(Peer::V4(Ipv4Addr::from(ip), port(addresses, 8)?))
            }
            Family::V6 => {
                let ip: [u8; 16] = *addresses.first_chunk()?;
                Some(Peer::V6(Ipv6Addr::from(ip), port(addresses, 32)?))
            }
            Family::Unix => Some(Peer::Unix),
        }
    }
}

fn port(addresses: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*addresses.get(at..)?.first_chunk()?))
}

/// Each TLV is a type, a 16-bit length and a value, up to the header's end.
fn check_tlvs(header: &[u8], begin: usize) -> Result<(), Malformed> {
    let mut at = begin;
    while at < header.len() {
        let Some([kind, high, low]) = header[at..].first_chunk() else {
            return Err(Malformed::Tlv);
        };
        let value = at + 3;
        let end = value + usize::from(u16::from_be_bytes([*high, *low]));
        let Some(bytes) = header.get(value..end) else { return Err(Malformed::Tlv) };
        if *kind == TYPE_CHECKSUM {
            let Ok(sent) = bytes.try_into() else { return Err(Malformed::Tlv) };
            if checksum::with_zeros(header, value..end) != u32::from_be_bytes(sent) {
                return Err(Malformed::Checksum);
            }
        }
        at = end;
    }
    Ok(())
}
