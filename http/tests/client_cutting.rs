//! However responses are cut, the events are the same: for valid, nearly valid and invalid ones.

#[path = "common/client.rs"]
mod common;

use common::feed;
use proptest::prelude::*;
use stampede_http::Limits;
use stampede_http::client::Asked;

/// Pieces of messages that form something like a response more often than chance would.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&[u8]> = vec![
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 200 \r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 \r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 \r\n",
        b"HTTP/2.0 999 x\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Connection: keep-alive\r\n",
        b"X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\t \r\n",
        b"X-Empty:\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"hello",
        b"5\r\nhello\r\n",
        b"5;a=\"b\"\r\nhello\r\n",
        b"0\r\n\r\n",
        b"0\r\nX: y\r\n\r\n",
        b"\r",
        b"\n",
        b" ",
        b":",
    ];
    prop_oneof![
        20 => proptest::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 1..4),
    ]
}

/// Valid responses, perhaps with a byte changed.
fn responses() -> impl Strategy<Value = Vec<u8>> {
    let whole: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
        HTTP/1.1 200 OK\r\nServer: x y\r\nTransfer-Encoding: chunked\r\nETag: \"a\"\r\n\r\n\
        5;a=b\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nT: u\r\n\r\n\r\n\
        HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello\
        HTTP/1.0 200 OK\r\n\r\nto the end";
    (any::<proptest::sample::Index>(), any::<u8>(), any::<bool>()).prop_map(
        move |(index, byte, change)| {
            let mut bytes = whole.to_vec();
            if change {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        },
    )
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(piece(), 0..14).prop_map(|list| list.concat()),
        responses(),
    ]
}

fn asked() -> impl Strategy<Value = Vec<Asked>> {
    let one = prop_oneof![
        6 => Just(Asked::Content),
        1 => Just(Asked::Head),
        1 => Just(Asked::Tunnel),
        1 => Just(Asked::Upgrade),
    ];
    proptest::collection::vec(one, 0..6)
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0..300usize, 0..12).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts
    })
}

proptest! {
    #[test]
    fn every_way_of_cutting_gives_the_same(
        input in message(),
        asked in asked(),
        cuts in cuts(),
    ) {
        let limits = Limits::default();
        prop_assert_eq!(feed(&input, &cuts, &asked, &limits), feed(&input, &[], &asked, &limits));
    }

    #[test]
    fn every_way_of_cutting_gives_the_same_at_the_limits(
        input in message(),
        asked in asked(),
        cuts in cuts(),
        head in 64..200usize,
        fields in 1..6usize,
        body in 0..20u64,
        trailer in 0..12u16,
    ) {
        let limits = Limits::new(head, fields, 10, body).unwrap()
            .with_trailer(trailer)
            .with_chunk_extensions(trailer);
        prop_assert_eq!(feed(&input, &cuts, &asked, &limits), feed(&input, &[], &asked, &limits));
    }
}
