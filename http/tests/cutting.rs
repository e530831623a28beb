//! However the bytes are cut, the events are the same: for valid, nearly valid and invalid
//! messages.

mod common;

use common::{assert_cuts_agree, feed};
use proptest::prelude::*;
use stampede_http::Limits;

/// Pieces of messages that form something like a request more often than chance would.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&[u8]> = vec![
        b"GET / HTTP/1.1\r\n",
        b"POST /a?b HTTP/1.1\r\n",
        b"GET http://h/p HTTP/1.1\r\n",
        b"HEAD / HTTP/1.0\r\n",
        b"Host: a\r\n",
        b"host:b:80 \r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Connection: keep-alive\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade-Insecure-Requests: 1\r\n",
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

/// A valid request, perhaps with a byte changed.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let whole: &[u8] = b"POST /path/to?q=1 HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: x y\r\n\
        Transfer-Encoding: chunked\r\nAccept-Encoding: gzip, br\r\n\r\n\
        5;a=b\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nT: u\r\n\r\n\
        GET / HTTP/1.1\r\nHost: a\r\n\r\n";
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
    prop_oneof![proptest::collection::vec(piece(), 0..14).prop_map(|list| list.concat()), request()]
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0..300usize, 0..12).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts
    })
}

proptest! {
    #[test]
    fn every_way_of_cutting_gives_the_same(input in message(), cuts in cuts()) {
        let limits = Limits::default();
        prop_assert_eq!(feed(&input, &cuts, &limits), feed(&input, &[], &limits));
    }

    #[test]
    fn every_way_of_cutting_gives_the_same_at_the_limits(
        input in message(),
        cuts in cuts(),
        head in 64..200usize,
        fields in 1..6usize,
        target in 1..20usize,
        body in 0..20u64,
        trailer in 0..12u16,
    ) {
        let limits = Limits::new(head, fields, target, body).unwrap()
            .with_trailer(trailer)
            .with_chunk_extensions(trailer);
        prop_assert_eq!(feed(&input, &cuts, &limits), feed(&input, &[], &limits));
    }

    #[test]
    fn a_pipeline_is_its_requests(first in request(), second in request()) {
        let limits = Limits::default();
        let alone = feed(&first, &[], &limits);
        prop_assume!(alone.error.is_none() && alone.persists && alone.may_end);
        let both = feed(&[first, second].concat(), &[], &limits);
        prop_assert_eq!(&both.requests[..alone.requests.len()], &alone.requests[..]);
    }
}

#[test]
fn every_single_cut_of_a_pipeline() {
    let input = b"\r\nPOST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\r\n\
        POST /b HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\n0\r\nT: u\r\n\r\n\
        GET /c HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /d HTTP/1.1\r\nHost: d\r\n\r\n";
    let trace = assert_cuts_agree(input, &Limits::default());
    assert_eq!(trace.requests.len(), 4);
    assert!(trace.requests.iter().all(|request| request.complete));
    assert_eq!(trace.requests[1].body, b"abc");
}
