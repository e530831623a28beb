//! Trailer sections: the fields after a chunked body (RFC 9110, section 6.5; RFC 9112, section
//! 7.1.2).
//!
//! Most servers have no use for them, so they are validated and dropped unless
//! [`Connection::keep_trailers`](crate::Connection::keep_trailers) asks for them, which the client's
//! side has as well. Then the body's last step consumes the whole section at once:
//!
//! ```
//! use stampede_http::{Connection, Event, Head, Limits, trailers};
//!
//! let limits = Limits::default();
//! let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
//! let input = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
//! connection.next(input, &mut head, &limits)?;
//! assert!(connection.keep_trailers());
//!
//! let body = b"0\r\nDigest: abc\r\nX-Rows:  17\r\n\r\n";
//! let step = connection.next(body, &mut head, &limits)?;
//! assert_eq!(step.event, Event::End);
//! let section = connection.trailers(&body[..step.consumed]);
//! let fields: Vec<_> = trailers::fields(section).collect();
//! assert_eq!(fields, [(&b"Digest"[..], &b"abc"[..]), (b"X-Rows", b"17")]);
//! # Ok::<(), stampede_http::Error>(())
//! ```
//!
//! They are never merged with the fields of the head: what has been decided by those would have to
//! be decided again. [`is_forbidden`] names the fields that must not come so late; a sender of them
//! is refused by the writer, a recipient ignores them.

use crate::scan;

/// Names and values of the fields, in order. `section` is what
/// [`Connection::trailers`](crate::Connection::trailers) gives; of any other bytes, what looks like a
/// field line is returned.
pub fn fields(section: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    section.split(|&byte| byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = (&line[..colon], scan::trim(&line[colon + 1..]));
        scan::is_token(name).then_some((name, value))
    })
}

/// The value of the first field of that name, case-insensitively.
pub fn field<'a>(section: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let named = |(other, _): &(&[u8], &[u8])| other.eq_ignore_ascii_case(name.as_bytes());
    Some(fields(section).find(named)?.1)
}

/// Fields that frame or route a message, modify a request, authenticate, control a response, or say
/// how its content is to be read (RFC 9110, section 6.5.1).
const FORBIDDEN: [&[u8]; 34] = [
    b"age",
    b"authorization",
    b"cache-control",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"date",
    b"expect",
    b"expires",
    b"host",
    b"if-match",
    b"if-modified-since",
    b"if-none-match",
    b"if-range",
    b"if-unmodified-since",
    b"keep-alive",
    b"location",
    b"max-forwards",
    b"pragma",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"range",
    b"retry-after",
    b"set-cookie",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"vary",
    b"warning",
    b"www-authenticate",
];

/// Whether a field of this name must not be in a trailer section.
pub fn is_forbidden(name: &[u8]) -> bool {
    FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_any_spelling_of_their_name() {
        let section = b"A: 1\r\nb:\t2 \r\nA: 3\r\nEmpty:\r\n\r\n";
        assert_eq!(fields(section).count(), 4);
        assert_eq!(field(section, "a"), Some(&b"1"[..]));
        assert_eq!(field(section, "B"), Some(&b"2"[..]));
        assert_eq!((field(section, "empty"), field(section, "c")), (Some(&b""[..]), None));
        assert_eq!(fields(b"\r\n").count(), 0);
    }

    #[test]
    fn any_bytes_can_be_read() {
        for bytes in [&b""[..], b":", b"a", b"a:", b"\n\n:\n", b"\r:\r\n\xff:\0"] {
            assert!(fields(bytes).all(|(name, value)| name.len() + value.len() < bytes.len()));
        }
    }
}
