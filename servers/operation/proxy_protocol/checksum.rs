//! CRC-32C (Castagnoli 1993; RFC 4960, appendix B), one bit at a time: a few hundred bytes, once
//! per connection, from the few balancers that send it.

use std::ops::Range;

/// The polynomial 0x1EDC6F41, the least significant bit first.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// The checksum of `bytes`, with those in `hole` taken as zeros.
pub(super) fn with_zeros(bytes: &[u8], hole: Range<usize>) -> u32 {
    let bytes = bytes.iter().enumerate();
    !bytes.fold(!0, |sum, (i, byte)| add(sum, if hole.contains(&i) { 0 } else { *byte }))
}

fn add(sum: u32, byte: u8) -> u32 {
    (0..8).fold(sum ^ u32::from(byte), |sum, _| {
        let carry = if sum & 1 == 1 { POLYNOMIAL } else { 0 };
        (sum >> 1) ^ carry
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, appendix B.4, and the usual check value for the nine digits.
    #[test]
    fn known_checksums() {
        assert_eq!(with_zeros(b"123456789", 0..0), 0xE306_9283);
        assert_eq!(with_zeros(&[0; 32], 0..0), 0x8A91_36AA);
        assert_eq!(with_zeros(&[0xFF; 32], 0..0), 0x62A8_AB43);
        assert_eq!(with_zeros(&[0xFF; 32], 0..32), 0x8A91_36AA, "the hole counts as zeros");
    }
}
