//! Trailer sections written at one end and read at the other, however they are cut.

use stampede_http::client::{self, Asked, ResponseHead, request};
use stampede_http::{Connection, ErrorKind, Event, Head, Limits, Status, response, trailers};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// The body and the trailer fields of a chunked message.
type Read = (Vec<u8>, Fields);

fn owned(section: &[u8]) -> Fields {
    trailers::fields(section).map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

/// A step's result.
struct Seen {
    consumed: usize,
    data: Vec<u8>,
    /// At the end.
    fields: Option<Fields>,
    waits: bool,
}

/// Feeds a message whose input grows to each place in `ends`.
fn read(
    input: &[u8],
    ends: &[usize],
    mut next: impl FnMut(&[u8]) -> Result<Seen, ErrorKind>,
) -> Result<Read, ErrorKind> {
    let (mut at, mut body) = (0, Vec::new());
    for &end in ends {
        loop {
            let seen = next(&input[at..end])?;
            body.extend(seen.data);
            if let Some(fields) = seen.fields {
                return Ok((body, fields));
            }
            at += seen.consumed;
            if seen.waits {
                break;
            }
        }
    }
    panic!("no end of {}", input.escape_ascii());
}

fn read_request(input: &[u8], ends: &[usize], limits: &Limits) -> Result<Read, ErrorKind> {
    let (mut connection, mut head) = (Connection::new(), Head::new(limits));
    read(input, ends, |piece| {
        let step = connection.next(piece, &mut head, limits).map_err(|error| error.kind)?;
        if step.event == Event::Head {
            assert!(connection.keep_trailers());
        }
        let data = match step.event {
            Event::Data { start, len } => piece[start..start + len].to_vec(),
            _ => Vec::new(),
        };
        let ended = step.event == Event::End;
        let fields = ended.then(|| owned(connection.trailers(&piece[..step.consumed])));
        Ok(Seen { consumed: step.consumed, data, fields, waits: step.event == Event::NeedMore })
    })
}

fn read_response(input: &[u8], ends: &[usize], limits: &Limits) -> Result<Read, ErrorKind> {
    let (mut connection, mut head) = (client::Connection::new(), ResponseHead::new(limits));
    connection.sent(Asked::Content).unwrap();
    read(input, ends, |piece| {
        let step = connection.next(piece, &mut head, limits).map_err(|error| error.kind)?;
        if step.event == client::Event::Head {
            assert!(connection.keep_trailers());
        }
        let data = match step.event {
            client::Event::Data { start, len } => piece[start..start + len].to_vec(),
            _ => Vec::new(),
        };
        let ended = step.event == client::Event::End;
        let fields = ended.then(|| owned(connection.trailers(&piece[..step.consumed])));
        let waits = step.event == client::Event::NeedMore;
        Ok(Seen { consumed: step.consumed, data, fields, waits })
    })
}

/// Both messages with this body behind their heads.
fn messages(body: &[u8]) -> [Vec<u8>; 2] {
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    request::line(&mut asked, b"POST", b"/").unwrap();
    request::host(&mut asked, b"a").unwrap();
    response::status_line(&mut answered, Status::OK);
    [asked, answered].map(|mut out| {
        response::chunked(&mut out);
        response::end(&mut out);
        out.extend_from_slice(body);
        out
    })
}

/// What every way to cut the message gives.
fn read_both(body: &[u8], limits: &Limits) -> Result<Read, ErrorKind> {
    let [asked, answered] = messages(body);
    let whole = read_request(&asked, &[asked.len()], limits);
    assert_eq!(read_response(&answered, &[answered.len()], limits), whole);
    let bytewise = |message: &[u8]| (1..=message.len()).collect::<Vec<_>>();
    assert_eq!(read_request(&asked, &bytewise(&asked), limits), whole);
    assert_eq!(read_response(&answered, &bytewise(&answered), limits), whole);
    for at in 1..asked.len() {
        assert_eq!(read_request(&asked, &[at, asked.len()], limits), whole, "cut at {at}");
    }
    whole
}

fn fields(list: &[(&str, &str)]) -> Fields {
    list.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

#[test]
fn what_is_written_behind_a_body_is_read_there() {
    let mut body = Vec::new();
    response::chunk_head(&mut body, 5).unwrap();
    body.extend_from_slice(b"hello");
    response::chunk_end(&mut body);
    response::last_chunk_head(&mut body);
    response::trailer(&mut body, b"Digest", b"abc").unwrap();
    response::trailer(&mut body, b"X-Rows", b" 17").unwrap();
    response::end(&mut body);
    let expected = (b"hello".to_vec(), fields(&[("Digest", "abc"), ("X-Rows", "17")]));
    assert_eq!(read_both(&body, &Limits::default()), Ok(expected));
}

#[test]
fn a_section_without_fields_gives_none() {
    for last in [&b"0\r\n\r\n"[..], b"000\r\n\r\n", b"0;a=\"b:c\"\r\n\r\n"] {
        let body = [b"1\r\nx\r\n", last].concat();
        assert_eq!(read_both(&body, &Limits::default()), Ok((b"x".to_vec(), Vec::new())));
    }
}

#[test]
fn sections_that_are_malformed_or_too_long_are_refused_when_kept_too() {
    let limits = Limits::default().with_trailer(16);
    for (section, expected) in [
        ("bad trailer\r\n\r\n", ErrorKind::FieldName),
        ("A: b\r\n c\r\n\r\n", ErrorKind::Fold),
        ("A: b\n\r\n", ErrorKind::LineEnd),
        ("A: 0123456789abcdef\r\n\r\n", ErrorKind::TrailerTooLarge),
    ] {
        let body = format!("1\r\nx\r\n0\r\n{section}");
        assert_eq!(read_both(body.as_bytes(), &limits), Err(expected), "{section:?}");
    }
    let most = read_both(b"0\r\nA: 456789abc\r\n\r\n", &limits).unwrap();
    assert_eq!(most.1, fields(&[("A", "456789abc")]));
}

#[test]
fn a_limit_of_0_takes_every_body_without_trailers() {
    let limits = Limits::default().with_trailer(0);
    assert_eq!(read_both(b"1\r\nx\r\n0\r\n\r\n", &limits), Ok((b"x".to_vec(), Vec::new())));
    assert_eq!(read_both(b"0\r\nA: b\r\n\r\n", &limits), Err(ErrorKind::TrailerTooLarge));
}

#[test]
fn what_must_not_come_late_is_not_written() {
    for name in ["Content-Length", "transfer-encoding", "HOST", "Set-Cookie", "Trailer", "a b"] {
        let mut out = Vec::new();
        assert!(response::trailer(&mut out, name.as_bytes(), b"1").is_err(), "{name}");
        assert!(out.is_empty());
    }
}

#[test]
fn there_is_nothing_to_keep_before_and_after_a_chunked_body() {
    let limits = Limits::default();
    let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
    assert!(!connection.keep_trailers());
    let input = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
    connection.next(input, &mut head, &limits).unwrap();
    assert!(!connection.keep_trailers());
    connection.next(b"x", &mut head, &limits).unwrap();
    connection.next(b"", &mut head, &limits).unwrap();
    let [input, _] = messages(b"");
    connection.next(&input, &mut head, &limits).unwrap();
    connection.next(b"0\r\nA: b", &mut head, &limits).unwrap();
    assert!(!connection.keep_trailers(), "a part of it has been dropped");
    connection.next(b"\r\n\r\n", &mut head, &limits).unwrap();
    assert!(connection.persists() && !connection.keep_trailers());
}

/// The next body is another decision.
#[test]
fn they_are_kept_for_one_request() {
    let limits = Limits::default();
    let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
    for keeps in [true, false] {
        let [input, _] = messages(b"0\r\nA: b");
        let at = connection.next(&input, &mut head, &limits).unwrap().consumed;
        assert!(!keeps || connection.keep_trailers());
        let held = connection.next(&input[at..], &mut head, &limits).unwrap().consumed;
        assert_eq!(held, if keeps { b"0\r\n".len() } else { input.len() - at });
        let eof = connection.eof().unwrap_err();
        assert_eq!((eof.kind, eof.offset), (ErrorKind::Incomplete, input.len() - at - held));
        let rest = [&input[at + held..], b"\r\n\r\n"].concat();
        assert_eq!(connection.next(&rest, &mut head, &limits).unwrap().event, Event::End);
        let section: &[u8] = if keeps { b"A: b\r\n\r\n" } else { b"" };
        assert_eq!(connection.trailers(&rest), section);
        assert!(connection.is_between_requests() && !connection.body_follows());
    }
}
