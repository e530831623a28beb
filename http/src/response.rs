//! Writes a response head into a [`BufMut`] (RFC 9112, sections 4 and 5).
//!
//! ```text
//! status_line · field* · content_length | chunked · end · body | (chunk_head data chunk_end)*
//!                                                                last_chunk | trailer
//! trailer:  last_chunk_head · field* · end
//! ```
//!
//! What is *not* checked: that the parts come in this order, and that the buffer has room (a
//! `BufMut` of fixed size panics when it has not: ask `remaining_mut` first, the lengths are
//! known). What is: a field can never end its own line, so no value from a request can add a field
//! or a second response (RFC 9110, section 5.5; RFC 9112, section 11.1).

use std::fmt;

use bytes::BufMut;

use crate::{Method, Status, scan, trailers};

/// A field name that is not a token, or a value with a CR, LF, NUL or another control character but
/// HTAB; in a trailer section, also a name that must not be there.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct InvalidField;

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the field name is not a token or not allowed here, or the value holds a control \
             character",
        )
    }
}

impl std::error::Error for InvalidField {}

/// A reason phrase with a control character but HTAB (RFC 9112, section 4).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct InvalidReason;

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reason phrase holds a control character")
    }
}

impl std::error::Error for InvalidReason {}

/// A chunk without data, which would end the body.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct EmptyChunk;

impl fmt::Display for EmptyChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a chunk of no bytes would end the body")
    }
}

impl std::error::Error for EmptyChunk {}

/// Writes the status line.
#[inline]
pub fn status_line(out: &mut (impl BufMut + ?Sized), status: Status) {
    out.put_slice(status.line());
}

/// Writes the status line with a reason phrase of one's own, in place of the registered one.
///
/// # Errors
/// The phrase would end its line, or holds another control character; nothing has been written.
pub fn status_line_with(
    out: &mut (impl BufMut + ?Sized),
    status: Status,
    reason: &[u8],
) -> Result<(), InvalidReason> {
    if scan::value_end(reason, 0) != reason.len() {
        return Err(InvalidReason);
    }
    out.put_slice(b"HTTP/1.1 ");
    decimal(out, status.code().into());
    out.put_slice(b" ");
    out.put_slice(reason);
    out.put_slice(b"\r\n");
    Ok(())
}

/// Writes one field line.
///
/// # Errors
/// The field is invalid; nothing has been written.
#[inline]
pub fn field(
    out: &mut (impl BufMut + ?Sized),
    name: &[u8],
    value: &[u8],
) -> Result<(), InvalidField> {
    if !scan::is_token(name) || scan::value_end(value, 0) != value.len() {
        return Err(InvalidField);
    }
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
    Ok(())
}

/// Writes `Content-Length`.
#[inline]
pub fn content_length(out: &mut (impl BufMut + ?Sized), len: u64) {
    out.put_slice(b"Content-Length: ");
    decimal(out, len);
    out.put_slice(b"\r\n");
}

/// Announces a chunked body. Never to a client of HTTP/1.0 (RFC 9112, section 6.1).
#[inline]
pub fn chunked(out: &mut (impl BufMut + ?Sized)) {
    out.put_slice(b"Transfer-Encoding: chunked\r\n");
}

/// Writes the blank line that ends the head.
#[inline]
pub fn end(out: &mut (impl BufMut + ?Sized)) {
    out.put_slice(b"\r\n");
}

/// The most bytes that chunk framing adds to one piece: sixteen digits and two line ends.
pub const CHUNK_OVERHEAD_BYTES_MAX: usize = 16 + 2 + 2;

/// Writes what goes before a chunk's data.
///
/// # Errors
/// `len` is 0: that would be the last chunk. Nothing has been written; write no
/// [`chunk_end`] either.
pub fn chunk_head(out: &mut (impl BufMut + ?Sized), len: u64) -> Result<(), EmptyChunk> {
    if len == 0 {
        return Err(EmptyChunk);
    }
    let digits = (67 - len.leading_zeros()) / 4;
    for digit in (0..digits).rev() {
        out.put_u8(b"0123456789abcdef"[(len >> (digit * 4)) as usize & 15]);
    }
    out.put_slice(b"\r\n");
    Ok(())
}

/// Writes what follows a chunk's data.
pub fn chunk_end(out: &mut (impl BufMut + ?Sized)) {
    out.put_slice(b"\r\n");
}

/// Ends a chunked body, without trailers.
pub fn last_chunk(out: &mut (impl BufMut + ?Sized)) {
    out.put_slice(b"0\r\n\r\n");
}

/// Begins the end of a chunked body with trailers: any number of [`trailer`] fields follow, then
/// [`end`]. Announce them in `Trailer`, and send only what the client may ignore, unless it sent
/// `TE: trailers` (RFC 9110, section 6.5.1).
pub fn last_chunk_head(out: &mut (impl BufMut + ?Sized)) {
    out.put_slice(b"0\r\n");
}

/// Writes one field line of a trailer section.
///
/// # Errors
/// The field is invalid, or one that must not come so late: one that frames or routes the message,
/// or that changes how it is processed (RFC 9110, section 6.5.1). Nothing has been written.
pub fn trailer(
    out: &mut (impl BufMut + ?Sized),
    name: &[u8],
    value: &[u8],
) -> Result<(), InvalidField> {
    if trailers::is_forbidden(name) {
        return Err(InvalidField);
    }
    field(out, name, value)
}

/// Writes a number in decimal.
#[inline]
pub fn decimal(out: &mut (impl BufMut + ?Sized), mut number: u64) {
    // 2^64 - 1 has twenty digits.
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 || at == 0 {
            break;
        }
    }
    out.put_slice(&digits[at..]);
}

/// Whether content may follow a head with this status to a request with this method (RFC 9112,
/// section 6.3, rules 1 and 2).
#[inline]
pub const fn body_allowed(status: Status, method: Method) -> bool {
    !(status.is_informational()
        || matches!(status, Status::NO_CONTENT | Status::NOT_MODIFIED)
        || matches!(method, Method::Head)
        || matches!(method, Method::Connect) && status.is_success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_the_standard_library_does() {
        for shift in 0..64 {
            for number in [1u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                assert_eq!(written(|out| decimal(out, number)), number.to_string());
                if number != 0 {
                    let head = written(|out| chunk_head(out, number).unwrap());
                    assert_eq!(head, format!("{number:x}\r\n"));
                }
            }
        }
    }

    #[test]
    fn a_field_cannot_end_its_own_line() {
        for (name, value) in [
            (&b"X"[..], &b"a\r\nSet-Cookie: b"[..]),
            (b"X", b"a\n"),
            (b"X", b"a\0"),
            (b"X", b"a\x7f"),
            (b"X\r\nY", b"a"),
            (b"X:", b"a"),
            (b"X ", b"a"),
            (b"", b"a"),
        ] {
            let mut out = Vec::new();
            assert_eq!(field(&mut out, name, value), Err(InvalidField));
            assert!(out.is_empty());
        }
        let line = written(|out| field(out, b"X-A", b"b\tc \xc3\xa9").unwrap());
        assert_eq!(line, "X-A: b\tc \u{e9}\r\n");
    }

    #[test]
    fn a_chunk_without_data_is_refused() {
        assert_eq!(written(|out| assert_eq!(chunk_head(out, 0), Err(EmptyChunk))), "");
    }

    #[test]
    fn a_status_of_ones_own_has_any_phrase_that_ends_no_line() {
        let status = Status::from_code(299).unwrap();
        let with = |reason: &'static [u8]| {
            move |out: &mut Vec<u8>| status_line_with(out, status, reason).unwrap()
        };
        assert_eq!(written(with(b"Quite All Right")), "HTTP/1.1 299 Quite All Right\r\n");
        assert_eq!(written(with(b"")), "HTTP/1.1 299 \r\n");
        assert_eq!(written(|out| status_line(out, status)), "HTTP/1.1 299 \r\n");
        for reason in [&b"a\r\nX: y"[..], b"a\n", b"\0", b"\x7f"] {
            let mut out = Vec::new();
            assert_eq!(status_line_with(&mut out, status, reason), Err(InvalidReason));
            assert!(out.is_empty());
        }
    }

    #[test]
    fn content_follows_only_where_allowed() {
        assert!(body_allowed(Status::OK, Method::Get));
        assert!(body_allowed(Status::NOT_FOUND, Method::Connect));
        assert!(!body_allowed(Status::OK, Method::Head));
        assert!(!body_allowed(Status::NO_CONTENT, Method::Get));
        assert!(!body_allowed(Status::NOT_MODIFIED, Method::Get));
        assert!(!body_allowed(Status::CONTINUE, Method::Get));
        assert!(!body_allowed(Status::OK, Method::Connect));
    }
}
