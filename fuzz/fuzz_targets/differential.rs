//! Against httparse: a disagreement is ours being stricter, in a way that is listed here, or a bug.
//!
//! | ours | httparse | |
//! |---|---|---|
//! | a head | a head | the same in every part |
//! | a head | an error | only a minor version that it does not know |
//! | an error of a kind | a head, or more to come | only the kinds that [`is_stricter`] lists |
//! | more to come | a head | never |
//!
//! The same bytes are read as a chunk size as well.
#![no_main]

use httparse::Status;
use libfuzzer_sys::fuzz_target;
use stampede_http::{Connection, Error, ErrorKind, Event, Head, Limits};

const CHUNKED: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

fuzz_target!(|input: &[u8]| {
    heads(input);
    chunk_sizes(input);
});

fn heads(input: &[u8]) {
    let limits = Limits::default();
    let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
    let ours = connection.next(input, &mut head, &limits);
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut other = httparse::Request::new(&mut headers);
    let theirs = other.parse(input);
    match ours {
        Ok(step) if step.event == Event::Head => match theirs {
            Err(httparse::Error::Version) => assert!(has_other_minor(&head, input)),
            theirs => {
                assert_eq!(theirs, Ok(Status::Complete(step.consumed)));
                same(&head, &other, input);
            }
        },
        // It may report an error earlier or later than we do: what counts is that it finds no head
        // where we wait for more.
        Ok(_) => assert!(!matches!(theirs, Ok(Status::Complete(_))), "{theirs:?}"),
        Err(error) => {
            assert!(theirs.is_err() || is_stricter(error, input), "{error:?}, {theirs:?}")
        }
    }
}

/// Whether the version is neither 1.0 nor 1.1: higher ones are read as 1.1.
fn has_other_minor(head: &Head, input: &[u8]) -> bool {
    let request = head.request(input);
    let line_len = request.method_text().len() + 1 + request.target().len() + 1;
    !matches!(&request.head_bytes()[line_len..][..8], b"HTTP/1.0" | b"HTTP/1.1")
}

fn same(head: &Head, other: &httparse::Request<'_, '_>, input: &[u8]) {
    let request = head.request(input);
    assert_eq!(other.method.map(str::as_bytes), Some(request.method_text()));
    assert_eq!(other.path.map(str::as_bytes), Some(request.target()));
    let line_end = request.method_text().len() + 1 + request.target().len() + 1 + 8;
    assert_eq!(other.version.map(|minor| b'0' + minor), Some(request.head_bytes()[line_end - 1]));
    let theirs = other.headers.iter().map(|field| (field.name.as_bytes(), field.value));
    assert!(theirs.eq(request.fields()));
}

/// Whether we refuse in this way what httparse accepts, or would wait for. A new kind must be added
/// here.
fn is_stricter(error: Error, input: &[u8]) -> bool {
    use ErrorKind::*;
    match error.kind {
        // It skips any number of empty lines, and accepts bare LF as their end and that of every
        // line.
        EmptyLines | LineEnd => true,
        // It has no limits but the number of its slots.
        MethodTooLong | TargetTooLong | TooManyFields | HeadTooLarge | BodyTooLarge => true,
        // It accepts every byte from 0x21 on but DEL.
        Target => true,
        // It splits; judging the meaning of a head is left to its user.
        TargetForm | MissingHost | RepeatedHost | InvalidHost | ContentLength | AmbiguousLength
        | TransferEncoding | UnsupportedCoding | Expectation => true,
        // Its empty lines again: a bare LF where a method should begin.
        Method => input[error.offset] == b'\n',
        // The same grammar: these it must refuse as well.
        Version | UnsupportedVersion | Fold | FieldName | FieldValue => false,
        // A request's head has nothing of a body or of a response.
        BodyTooLarge
        | ChunkSize
        | ChunkExtension
        | ChunkExtensionsTooLong
        | ChunkEnd
        | TrailerTooLarge
        | InputChanged
        | Incomplete
        | StatusCode
        | Reason
        | Unasked
        | UnaskedUpgrade => false,
        new => panic!("{new:?} is missing from this list"),
    }
}

/// A chunk size with its line, as a body begins with.
fn chunk_sizes(input: &[u8]) {
    let limits = Limits::default().with_body(u64::MAX).with_chunk_extensions(u16::MAX);
    let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
    connection.next(CHUNKED, &mut head, &limits).expect("a good head");
    // As far as the line goes, and a byte of data.
    let line = input.iter().position(|&byte| byte == b'\n').map_or(input, |at| &input[..=at]);
    let body = [line, b"d"].concat();
    let ours = connection.next(&body, &mut head, &limits);
    let theirs = httparse::parse_chunk_size(line);
    match (ours, theirs) {
        (Ok(step), Ok(Status::Complete((len, size)))) if line.ends_with(b"\n") => {
            assert_eq!(len, line.len());
            match step.event {
                Event::Data { start, len } => assert_eq!((start, len), (line.len(), 1)),
                // The last chunk: a trailer section begins with `d`.
                _ => assert_eq!((step.event, size), (Event::NeedMore, 0)),
            }
        }
        (Err(error), Ok(_)) => assert!(is_stricter_chunk(error, line), "{error:?}"),
        // It counts leading zeros as digits, of which it takes sixteen.
        (Ok(_), Err(_)) => assert!(line.starts_with(b"0"), "httparse refuses {line:?}"),
        _ => {}
    }
}

/// Whether we refuse in this way what httparse's `parse_chunk_size` accepts.
fn is_stricter_chunk(error: Error, line: &[u8]) -> bool {
    match error.kind {
        // It accepts an empty size as zero, that is, as the last chunk. The end of the line is
        // followed by bytes that only we were given.
        ErrorKind::ChunkSize => error.offset == 0 || error.offset == line.len(),
        // It accepts every byte in an extension, and white space that no `;` follows.
        ErrorKind::ChunkExtension | ErrorKind::ChunkExtensionsTooLong | ErrorKind::LineEnd => true,
        _ => false,
    }
}
