//! Callers that do not keep to the contract: other bytes after `NeedMore`, calls in any order, limits
//! that change. The answer is an error, or nonsense of the caller's own making; never a panic.

use proptest::prelude::*;
use stampede_http::client::{self, Asked, ResponseHead};
use stampede_http::{Connection, ErrorKind, Event, Head, Limits, trailers};

/// A connection that has been given `first`, and wants more of it.
fn server_after(first: &[u8], limits: &Limits) -> (Connection, Head) {
    let (mut connection, mut head) = (Connection::new(), Head::new(limits));
    let step = connection.next(first, &mut head, limits).unwrap();
    assert_eq!((step.consumed, step.event), (0, Event::NeedMore));
    (connection, head)
}

fn client_after(first: &[u8], limits: &Limits) -> (client::Connection, ResponseHead) {
    let (mut connection, mut head) = (client::Connection::new(), ResponseHead::new(limits));
    connection.sent(Asked::Content).unwrap();
    let step = connection.next(first, &mut head, limits).unwrap();
    assert_eq!((step.consumed, step.event), (0, client::Event::NeedMore));
    (connection, head)
}

#[test]
fn a_server_that_is_given_other_bytes_refuses_them() {
    let limits = Limits::default();
    let first = b"GET /a HTTP/1.1\r\nHost: a\r\nX";
    let others: [&[u8]; 8] = [
        // A malformed beginning, with an end that fits.
        b"\0\0\0 /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
        b"                           : y\r\n\r\n",
        b"GET /aaaaaaaaaaaaaaaaaaaaaaX: y\r\n\r\n",
        // A blank line earlier than before.
        b"GET /a HTTP/1.1\r\n\r\n\r\n\r\n\r\nXX: y\r\n\r\n",
        // Fewer bytes.
        b"GET /a HTTP/1.1\r\nHost: a\r\n",
        b"G",
        b"",
        b"\r\nGET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n",
    ];
    for other in others {
        let (mut connection, mut head) = server_after(first, &limits);
        let error = connection.next(other, &mut head, &limits).unwrap_err();
        assert_eq!(
            (error.kind, error.status().code()),
            (ErrorKind::InputChanged, 500),
            "{other:?}"
        );
        assert!(!connection.persists() && !head.is_complete());
        assert_eq!(connection.next(other, &mut head, &limits).unwrap().event, Event::NeedMore);
    }
}

#[test]
fn a_client_that_is_given_other_bytes_refuses_them() {
    let limits = Limits::default();
    let first = b"HTTP/1.1 200 OK\r\nServer: s\r\nX";
    let others: [&[u8]; 7] = [
        b"                             : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nServer  : s\r: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n\r\n\r\n\r\n\r\n\r\n: y\r\n\r\n",
        b"HTTP/1.1 ::: OK\r\nServer: s\r\nX: y\r\n\r\n",
        b"HTTP/1.1 200 OK",
        b"H",
        b"",
    ];
    for other in others {
        let (mut connection, mut head) = client_after(first, &limits);
        let error = connection.next(other, &mut head, &limits).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InputChanged, "{other:?}");
        assert!(!connection.persists());
    }
}

#[test]
fn other_bytes_of_a_kept_trailer_section_are_refused() {
    let limits = Limits::default();
    let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
    let start = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for other in [&b"\0: 1\r\nB: 2\r\n\r\n"[..], b"A", b"", b"\r\n\r\n\r\nX: 2\r\n\r\n"] {
        connection = Connection::new();
        connection.next(start, &mut head, &limits).unwrap();
        assert!(connection.keep_trailers());
        let step = connection.next(b"0\r\nA: 1\r\nB", &mut head, &limits).unwrap();
        assert_eq!((step.consumed, step.event), (3, Event::NeedMore));
        let error = connection.next(other, &mut head, &limits).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InputChanged, "{other:?}");
    }
    assert!(!connection.persists());
}

#[test]
fn limits_may_be_lowered_in_the_middle() {
    let (wide, narrow) = (Limits::default(), Limits::new(64, 1, 8, 8).unwrap().with_trailer(0));
    let first = [&b"GET / HTTP/1.1\r\nHost: a\r\nX: "[..], &[b'y'; 100]].concat();
    let (mut connection, mut head) = server_after(&first, &wide);
    let more = [&first[..], b"z"].concat();
    let error = connection.next(&more, &mut head, &narrow).unwrap_err();
    assert_eq!(error.kind, ErrorKind::HeadTooLarge);

    let start = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b";
    for keeps in [false, true] {
        let (mut connection, mut head) = (Connection::new(), Head::new(&wide));
        let mut at = connection.next(start, &mut head, &wide).unwrap().consumed;
        assert!(!keeps || connection.keep_trailers());
        at += connection.next(&start[at..], &mut head, &wide).unwrap().consumed;
        let more = [&start[at..], b"c"].concat();
        let error = connection.next(&more, &mut head, &narrow).unwrap_err();
        assert_eq!(error.kind, ErrorKind::TrailerTooLarge);
    }
}

/// A call that a caller may make, whether or not it makes sense.
#[derive(Clone, Debug)]
enum Call {
    Next(Vec<u8>),
    Eof,
    Close,
    Continue,
    KeepTrailers,
    ChangeProtocol,
    Sent(Asked),
    /// The limits of the following calls.
    Limits(usize),
}

fn call() -> impl Strategy<Value = Call> {
    let pieces = vec![
        "GET / HTTP/1.1\r\n",
        "GET /a",
        "?b{c HTTP/1.1\r\n",
        "POST /b HTTP/1.1\r\nHost: a\r\n",
        "Host: a\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 3\r\n",
        "X: y\r\n",
        "X",
        ": y\r\n",
        "\r\n",
        "\r",
        "3\r\nabc\r\n",
        "0\r\n",
        "00000000000000000000",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 101 \r\n",
        "HTTP/1.",
        "abc",
        "\0",
    ];
    let bytes = proptest::collection::vec(proptest::sample::select(pieces), 0..6);
    let asked = vec![Asked::Content, Asked::Head, Asked::Tunnel, Asked::Upgrade];
    prop_oneof![
        8 => bytes.prop_map(|pieces| Call::Next(pieces.concat().into_bytes())),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Call::Next),
        1 => Just(Call::Eof),
        1 => Just(Call::Close),
        1 => Just(Call::Continue),
        1 => Just(Call::KeepTrailers),
        1 => Just(Call::ChangeProtocol),
        1 => proptest::sample::select(asked).prop_map(Call::Sent),
        1 => (0..3usize).prop_map(Call::Limits),
    ]
}

fn limits() -> [Limits; 3] {
    let narrow = Limits::new(64, 2, 8, 4).unwrap().with_trailer(0).with_chunk_extensions(0);
    [Limits::default(), narrow, Limits::new(200, 5, 20, u64::MAX).unwrap().with_trailer(9)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_order_of_calls_makes_a_server_panic(calls in proptest::collection::vec(call(), 0..20)) {
        let (all, mut chosen) = (limits(), 0);
        let (mut connection, mut head) = (Connection::new(), Head::new(&all[2]));
        for call in calls {
            match call {
                Call::Next(input) => {
                    let changed = connection.has_changed_protocol();
                    let Ok(step) = connection.next(&input, &mut head, &all[chosen]) else { continue };
                    prop_assert!(step.consumed <= input.len() && !(changed && step.consumed > 0));
                    let section = connection.trailers(&input);
                    let _ = (head.request(&input).fields().count(), trailers::fields(section).count());
                    if let Event::Data { start, len } = step.event {
                        prop_assert!(len > 0 && start + len <= step.consumed);
                    }
                }
                Call::Eof => _ = connection.eof(),
                Call::Close => connection.close(),
                Call::Continue => connection.continue_sent(),
                Call::KeepTrailers => _ = connection.keep_trailers(),
                Call::ChangeProtocol => _ = connection.change_protocol(),
                Call::Sent(_) => {}
                Call::Limits(index) => chosen = index,
            }
        }
    }

    #[test]
    fn no_order_of_calls_makes_a_client_panic(calls in proptest::collection::vec(call(), 0..20)) {
        let (all, mut chosen) = (limits(), 0);
        let (mut connection, mut head) = (client::Connection::new(), ResponseHead::new(&all[2]));
        for call in calls {
            match call {
                Call::Next(input) => {
                    let Ok(step) = connection.next(&input, &mut head, &all[chosen]) else { continue };
                    prop_assert!(step.consumed <= input.len());
                    let _ = head.response(&input).fields().count();
                    if let client::Event::Data { start, len } = step.event {
                        prop_assert!(len > 0 && start + len <= step.consumed);
                    }
                }
                Call::Eof => _ = connection.eof(),
                Call::KeepTrailers => _ = connection.keep_trailers(),
                Call::Sent(asked) => _ = connection.sent(asked),
                Call::Limits(index) => chosen = index,
                Call::Close | Call::Continue | Call::ChangeProtocol => {}
            }
        }
    }
}
