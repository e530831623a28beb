//! Comma-separated lists in field values (RFC 9110, section 5.6.1).
//!
//! Elements are split at every comma: right for lists of tokens, which is what framing and
//! persistence depend on, and wrong for elements that may quote a comma.

use crate::scan;

/// The elements without the white space around them; empty ones are skipped.
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(scan::trim).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_elements_and_white_space_are_skipped() {
        let list: Vec<_> = elements(b" , a,,\tb ,c d,").collect();
        assert_eq!(list, [&b"a"[..], b"b", b"c d"]);
    }
}
