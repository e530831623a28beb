//! The protocol changes: after a 101, or a 2xx to CONNECT, what follows is handed out untouched. Both
//! ends do the same.

use stampede_http::client::{self, Asked, Framing, ResponseHead};
use stampede_http::{Connection, Event, Head, Limits, Status, response};

const UPGRADE: &[u8] =
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
const CONNECT: &[u8] = b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n";
const FOREIGN: &[u8] = b"\0\x16GET / HTTP/1.1\r\n\r\n";

fn server() -> (Connection, Head, Limits) {
    let limits = Limits::default();
    (Connection::new(), Head::new(&limits), limits)
}

#[test]
fn what_follows_is_left_to_the_other_protocol() {
    for asked in [UPGRADE, CONNECT] {
        let (mut connection, mut head, limits) = server();
        let input = [asked, FOREIGN].concat();
        let step = connection.next(&input, &mut head, &limits).unwrap();
        assert_eq!((step.event, step.consumed), (Event::Head, asked.len()));
        assert!(connection.change_protocol() && connection.has_changed_protocol());
        for _ in 0..2 {
            let step = connection.next(&input[asked.len()..], &mut head, &limits).unwrap();
            assert_eq!((step.event, step.consumed), (Event::NeedMore, 0));
        }
        assert!(!connection.persists() && connection.is_between_requests());
        assert_eq!((connection.eof(), connection.requests()), (Ok(()), 1));
        assert!(!connection.body_follows() && !connection.change_protocol());
    }
}

#[test]
fn it_changes_behind_the_body_of_its_request_and_not_before() {
    let (mut connection, mut head, limits) = server();
    assert!(!connection.change_protocol(), "no request has been read");
    let asked = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\
        Content-Length: 2\r\n\r\n";
    connection.next(asked, &mut head, &limits).unwrap();
    assert!(!connection.change_protocol());
    connection.next(b"a", &mut head, &limits).unwrap();
    assert!(!connection.change_protocol());
    connection.next(b"b", &mut head, &limits).unwrap();
    assert_eq!(connection.next(FOREIGN, &mut head, &limits).unwrap().event, Event::End);
    assert!(connection.change_protocol());
    let step = connection.next(FOREIGN, &mut head, &limits).unwrap();
    assert_eq!((step.event, step.consumed), (Event::NeedMore, 0));
}

#[test]
fn it_does_not_change_in_a_head_or_after_an_error() {
    let (mut connection, mut head, limits) = server();
    connection.next(UPGRADE, &mut head, &limits).unwrap();
    connection.next(b"GET", &mut head, &limits).unwrap();
    assert!(!connection.change_protocol() && !connection.has_changed_protocol());
    connection.next(b"GET\0", &mut head, &limits).unwrap_err();
    assert!(!connection.change_protocol());
    assert_eq!(connection.next(FOREIGN, &mut head, &limits).unwrap().consumed, FOREIGN.len());
}

/// A caller that looks for a pipelined request before it answers.
#[test]
fn it_changes_after_a_look_that_found_nothing() {
    for (looked_at, changes) in [(&b""[..], true), (b"\r", true), (b"\r\n", false)] {
        let (mut connection, mut head, limits) = server();
        connection.next(CONNECT, &mut head, &limits).unwrap();
        let step = connection.next(looked_at, &mut head, &limits).unwrap();
        assert_eq!((step.event, step.consumed == 0), (Event::NeedMore, changes));
        assert_eq!(connection.change_protocol(), changes, "{looked_at:?}");
    }
}

/// `Connection: close, upgrade` closes behind the other protocol.
#[test]
fn it_changes_on_a_connection_that_would_not_persist() {
    let (mut connection, mut head, limits) = server();
    let asked = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: x\r\n\r\n";
    connection.next(asked, &mut head, &limits).unwrap();
    assert!(connection.change_protocol());
    assert_eq!(connection.next(FOREIGN, &mut head, &limits).unwrap().consumed, 0);
}

#[test]
fn both_ends_leave_the_same_bytes() {
    for (request, asked, status) in [
        (UPGRADE, Asked::Upgrade, Status::SWITCHING_PROTOCOLS),
        (CONNECT, Asked::Tunnel, Status::OK),
    ] {
        let (mut server, mut head, limits) = server();
        server.next(request, &mut head, &limits).unwrap();
        let mut answer = Vec::new();
        response::status_line(&mut answer, status);
        response::end(&mut answer);
        assert!(server.change_protocol());
        assert_eq!(server.next(FOREIGN, &mut head, &limits).unwrap().consumed, 0);

        let (mut client, mut head) = (client::Connection::new(), ResponseHead::new(&limits));
        client.sent(asked).unwrap();
        let answer_len = answer.len();
        answer.extend_from_slice(FOREIGN);
        let step = client.next(&answer, &mut head, &limits).unwrap();
        assert_eq!((step.consumed, head.framing()), (answer_len, Framing::Tunnel));
        assert_eq!(client.next(FOREIGN, &mut head, &limits).unwrap().consumed, 0);
    }
}
