//! Chunks in one go beside chunks byte by byte.

use super::*;
use proptest::prelude::*;

/// The result of a body: its data, and where it ended, or the error and its byte.
type Outcome = (Vec<u8>, Result<Option<usize>, Error>);

/// Decodes a body, whole chunks in one go or none of them.
fn decode(body: &[u8], limits: &Limits, in_one_go: bool) -> Outcome {
    let (mut chunked, mut data, mut at) = (Chunked::new(limits), Vec::new(), 0);
    loop {
        let rest = &body[at..];
        if in_one_go && let Some((start, end)) = chunked.whole(rest) {
            data.extend_from_slice(&rest[start..end]);
            at += end + CRLF.len();
            continue;
        }
        match chunked.next(rest, limits) {
            Ok(Found::Data(start, end)) => {
                data.extend_from_slice(&rest[start..end]);
                at += end;
            }
            Ok(Found::End(end)) => return (data, Ok(Some(at + end))),
            Ok(Found::More) => return (data, Ok(None)),
            Ok(Found::Held(_) | Found::Trailers(..)) => unreachable!("no trailer is kept"),
            Err(error) => {
                return (data, Err(Error { offset: at + error.offset, ..error }));
            }
        }
    }
}

/// Chunks of few sizes, so that one recurs, and near misses.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&[u8]> = vec![
        b"1\r\n1\r\n",
        b"1\r\n\r\r\n",
        b"2\r\n\r\n\r\n",
        b"002\r\nab\r\n",
        b"00002\r\nab\r\n",
        b"a\r\n0123456789\r\n",
        b"A\r\n0123456789\r\n",
        b"1;a\r\n1\r\n",
        b"1\r\n1\r",
        b"1\n1\r\n",
        b"0\r\n",
        b"\r\n",
        b"g\r\n",
    ];
    prop_oneof![
        9 => proptest::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ]
}

proptest! {
    #[test]
    fn chunks_in_one_go_decode_as_byte_by_byte(
        pieces in proptest::collection::vec(piece(), 0..12),
        body in 0..40u64,
    ) {
        let (input, limits) = (pieces.concat(), Limits::default().with_body(body));
        prop_assert_eq!(decode(&input, &limits, true), decode(&input, &limits, false));
    }
}

#[test]
fn every_chunk_below_64_kib_is_taken_in_one_go_and_no_other() {
    let limits = Limits::default();
    let digits = ["1", "f", "F", "10", "ff", "400", "1000", "ffff", "0001", "0", "0000", "10000"];
    for size in digits {
        let len = usize::from_str_radix(size, 16).unwrap();
        let body = [size.as_bytes(), CRLF, &vec![b'd'; len], CRLF, b"0\r\n\r\n"].concat();
        let mut chunked = Chunked::new(&limits);
        let start = size.len() + CRLF.len();
        let expected = (1..0x1_0000).contains(&len).then_some((start, start + len));
        assert_eq!(chunked.whole(&body), expected, "{size}");
        // A truncated one is not, however little is missing.
        let cut = &body[..start + len + 1];
        assert_eq!(Chunked::new(&limits).whole(cut), None, "{size}");
    }
}
