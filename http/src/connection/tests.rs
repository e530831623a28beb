//! What only the inside shows: sizes, and how often a byte is read.

use super::*;
use crate::scan::block::{BLOCK_BYTES_MAX, EXAMINED};

#[test]
fn a_connection_is_at_most_32_bytes() {
    assert!(size_of::<Connection>() <= 32, "{}", size_of::<Connection>());
}

/// Feeds a head in pieces of this many bytes; returns how many bytes were read, and the pieces.
fn examined(head_bytes: &[u8], piece: usize) -> (usize, usize) {
    let limits = Limits::default();
    let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
    EXAMINED.set(0);
    let mut pieces = 0;
    loop {
        pieces += 1;
        let there = head_bytes.len().min(pieces * piece);
        let step = connection.next(&head_bytes[..there], &mut head, &limits).unwrap();
        if step.event == Event::Head {
            assert_eq!(step.consumed, head_bytes.len());
            return (EXAMINED.get(), pieces);
        }
        assert_eq!((step.consumed, step.event), (0, Event::NeedMore));
    }
}

#[test]
fn a_head_in_pieces_is_read_twice_at_most() {
    let short_lines = "A:\r\n".repeat(90);
    let long_name = format!("{}: v\r\n", "n".repeat(3000));
    let long_value = format!("X: {}\r\n", "v".repeat(3000));
    let usual = "User-Agent: curl/8.5.0\r\nAccept: */*\r\nX-Empty:\r\nX-Odd:\t1 \r\n";
    for fields in [&short_lines, &long_name, &long_value, usual] {
        for target in ["/", "/a/b?c=d", &"/t".repeat(1000)] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            for piece in (1..=130).chain([1000, 2000, 4000]) {
                let (examined, pieces) = examined(head.as_bytes(), piece);
                let bound = 2 * head.len() + BLOCK_BYTES_MAX * pieces;
                assert!(examined <= bound, "{examined} of {} in {piece}s", head.len());
            }
            let (byte_by_byte, _) = examined(head.as_bytes(), 1);
            assert!(byte_by_byte <= 2 * head.len() + 2 * BLOCK_BYTES_MAX, "{byte_by_byte}");
        }
    }
}
