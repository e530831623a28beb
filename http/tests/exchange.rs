//! What a server relies on between the events: the head after an error, when a 100 is wanted, the
//! effect of `close`.

use stampede_http::{
    Connection, Error, ErrorKind, Event, FieldName, FieldNames, Framing, Head, Limits, Status, Step,
};

fn next(connection: &mut Connection, head: &mut Head, input: &[u8]) -> Result<Step, Error> {
    connection.next(input, head, &Limits::default())
}

fn fresh() -> (Connection, Head) {
    (Connection::new(), Head::new(&Limits::default()))
}

#[test]
fn a_requests_view_shows_everything() {
    let (mut connection, mut head) = fresh();
    let input = b"PUT /a%20b?x=1&y HTTP/1.1\r\nHOST: h:1\r\nX-Own: one\r\nx-own:  two \r\n\
        Accept-Encoding: gzip\r\naccept-encoding: br\r\n\r\nGET";
    let step = next(&mut connection, &mut head, input).unwrap();
    assert_eq!(step, Step { consumed: input.len() - 3, event: Event::Head });
    let request = head.request(input);
    assert_eq!(request.method_text(), b"PUT");
    assert_eq!(request.target(), b"/a%20b?x=1&y");
    assert_eq!((request.path(), request.query()), (&b"/a%20b"[..], Some(&b"x=1&y"[..])));
    assert_eq!(request.host(), b"h:1");
    assert_eq!(request.field_by_name("X-OWN"), Some(&b"one"[..]));
    assert_eq!(request.field(FieldName::AcceptEncoding), Some(&b"gzip"[..]));
    let all: Vec<_> = request.values(FieldName::AcceptEncoding).collect();
    assert_eq!(all, [&b"gzip"[..], b"br"]);
    assert!(request.has_any(FieldNames::of(&[FieldName::Range, FieldName::AcceptEncoding])));
    assert!(!request.has(FieldName::Range));
    assert_eq!(request.field(FieldName::Range), None);
    assert_eq!(request.fields().last(), Some((&b"accept-encoding"[..], &b"br"[..])));
    assert_eq!(request.head_bytes(), &input[..input.len() - 3]);
}

#[test]
fn the_authority_of_the_target_wins_over_host() {
    let (mut connection, mut head) = fresh();
    let input = b"\r\nGET http://real:81?q HTTP/1.1\r\nHost: other\r\n\r\n";
    next(&mut connection, &mut head, input).unwrap();
    let request = head.request(input);
    assert_eq!(request.host(), b"real:81");
    assert_eq!((request.path(), request.query()), (&b"/"[..], Some(&b"q"[..])));
    assert_eq!(request.head_bytes(), &input[2..]);
}

#[test]
fn a_head_moves_with_its_bytes() {
    let (mut connection, mut head) = fresh();
    let buffer = b"GET /moved HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    next(&mut connection, &mut head, &buffer).unwrap();
    let path = std::thread::spawn(move || head.request(&buffer).path().to_vec()).join().unwrap();
    assert_eq!(path, b"/moved");
}

#[test]
fn a_refused_body_leaves_a_head_to_log() {
    let (mut connection, mut head) = fresh();
    let input = b"POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n";
    let error = next(&mut connection, &mut head, input).unwrap_err();
    assert_eq!((error.kind, error.status()), (ErrorKind::BodyTooLarge, Status::CONTENT_TOO_LARGE));
    assert!(head.is_complete());
    assert_eq!(head.request(input).path(), b"/big");
    assert_eq!(head.framing(), Framing::Length(1_048_577));
    assert!(!connection.persists());
    assert_eq!(connection.connection_line(), b"Connection: close\r\n");
}

#[test]
fn a_malformed_head_leaves_none() {
    let (mut connection, mut head) = fresh();
    next(&mut connection, &mut head, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert!(head.is_complete());
    let error =
        next(&mut connection, &mut head, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n").unwrap_err();
    assert_eq!(error.kind, ErrorKind::FieldName);
    assert!(!head.is_complete());
    assert_eq!(head.request(b"GET").path(), b"");
}

#[test]
fn a_chunked_body_over_the_limit_is_refused_at_its_size() {
    let (mut connection, mut head) = fresh();
    let limits = Limits::default().with_body(10);
    let input =
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n3\r\n";
    let mut at = connection.next(input, &mut head, &limits).unwrap().consumed;
    let step = connection.next(&input[at..], &mut head, &limits).unwrap();
    assert_eq!(step, Step { consumed: 13, event: Event::Data { start: 3, len: 8 } });
    at += step.consumed;
    let error = connection.next(&input[at..], &mut head, &limits).unwrap_err();
    assert_eq!((error.kind, at + error.offset), (ErrorKind::BodyTooLarge, input.len() - 3));
}

#[test]
fn a_client_waits_for_100_until_it_is_sent_or_the_body_comes() {
    let input = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    let (mut connection, mut head) = fresh();
    next(&mut connection, &mut head, input).unwrap();
    assert!(connection.expects_continue() && connection.body_follows());
    assert_eq!(next(&mut connection, &mut head, b"").unwrap().event, Event::NeedMore);
    assert!(connection.expects_continue());
    connection.continue_sent();
    assert!(!connection.expects_continue());

    let (mut connection, mut head) = fresh();
    next(&mut connection, &mut head, input).unwrap();
    next(&mut connection, &mut head, b"x").unwrap();
    assert!(!connection.expects_continue());
    next(&mut connection, &mut head, b"y").unwrap();
    assert_eq!(next(&mut connection, &mut head, b"").unwrap().event, Event::End);
}

#[test]
fn close_makes_the_exchange_the_last_one_but_reads_its_body() {
    let (mut connection, mut head) = fresh();
    let input = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
    next(&mut connection, &mut head, input).unwrap();
    connection.close();
    assert_eq!(connection.connection_line(), b"Connection: close\r\n");
    let step = next(&mut connection, &mut head, b"xyGET /").unwrap();
    assert_eq!(step, Step { consumed: 2, event: Event::Data { start: 0, len: 2 } });
    assert_eq!(next(&mut connection, &mut head, b"GET /").unwrap().event, Event::End);
    let step = next(&mut connection, &mut head, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(step, Step { consumed: 27, event: Event::NeedMore });
    assert_eq!(connection.requests(), 1);
}

#[test]
fn between_requests_the_connection_may_end_and_holds_no_byte() {
    let (mut connection, mut head) = fresh();
    assert!(connection.is_between_requests() && connection.eof().is_ok());
    // An empty line is consumed at once.
    assert_eq!(next(&mut connection, &mut head, b"\r\n").unwrap().consumed, 2);
    assert!(connection.is_between_requests() && connection.eof().is_ok());
    assert_eq!(next(&mut connection, &mut head, b"GET").unwrap().consumed, 0);
    assert!(!connection.is_between_requests());
    assert_eq!(connection.eof().unwrap_err().kind, ErrorKind::Incomplete);
}

#[test]
fn http_1_0_is_told_that_it_persists() {
    let (mut connection, mut head) = fresh();
    next(&mut connection, &mut head, b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").unwrap();
    assert_eq!(connection.connection_line(), b"Connection: keep-alive\r\n");
    next(&mut connection, &mut head, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(connection.connection_line(), b"");
    next(&mut connection, &mut head, b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(connection.connection_line(), b"Connection: close\r\n");
}

#[test]
fn nothing_is_parsed_after_an_error() {
    let (mut connection, mut head) = fresh();
    next(&mut connection, &mut head, b"\0").unwrap_err();
    let step = next(&mut connection, &mut head, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(step, Step { consumed: 27, event: Event::NeedMore });
}
