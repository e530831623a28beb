//! Writes a request into a [`BufMut`] (RFC 9112, sections 3, 5 and 7.1).
//!
//! ```text
//! line · host · field* · content_length | chunked · end · body | (chunk_head data chunk_end)*
//!                                                                last_chunk | trailer
//! trailer:  last_chunk_head · field* · end
//! ```
//!
//! What is *not* checked: that the parts come in this order, that nothing is repeated, and that the
//! buffer has room (a `BufMut` of fixed size panics when it has not). What is: no part can end its
//! own line, so no target and no foreign value can add a field or a second request (RFC 9112,
//! section 11.1), and a strict server accepts the request line.
//!
//! All but the first two lines are written by the same functions as in a response.

use std::fmt;

use bytes::BufMut;

use crate::scan::{self, TARGET};
use crate::{Limits, form};

pub use crate::response::{
    CHUNK_OVERHEAD_BYTES_MAX, EmptyChunk, InvalidField, chunk_end, chunk_head, chunked,
    content_length, end, field, last_chunk, last_chunk_head, trailer,
};

/// What makes a request line, or a `Host` line, invalid.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum InvalidLine {
    /// The method is not a token of 1 to [`METHOD_BYTES_MAX`] bytes.
    Method,
    /// The target is empty, holds a byte that no URI may contain, or has none of the forms allowed
    /// with the method (RFC 9112, section 3.2).
    Target,
    /// The host is not a host with an optional port (RFC 9110, section 7.2).
    Host,
}

/// Longer methods do not exist, and this crate's server refuses them.
pub const METHOD_BYTES_MAX: usize = Limits::METHOD_BYTES_MAX;

impl fmt::Display for InvalidLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidLine::Method => "the method is not a token of 1 to 32 bytes",
            InvalidLine::Target => "the target has no form that is allowed with this method",
            InvalidLine::Host => "the host is not a host with an optional port",
        })
    }
}

impl std::error::Error for InvalidLine {}

/// Writes the request line, for HTTP/1.1. The target is written as given: percent-encoded.
///
/// # Errors
/// Method or target are invalid; nothing has been written.
pub fn line(
    out: &mut (impl BufMut + ?Sized),
    method: &[u8],
    target: &[u8],
) -> Result<(), InvalidLine> {
    if !scan::is_token(method) || method.len() > METHOD_BYTES_MAX {
        return Err(InvalidLine::Method);
    }
    if scan::class_end(target, 0, TARGET) != target.len() || !form::fits(method, target) {
        return Err(InvalidLine::Target);
    }
    out.put_slice(method);
    out.put_slice(b" ");
    out.put_slice(target);
    out.put_slice(b" HTTP/1.1\r\n");
    Ok(())
}

/// Writes `Host`, which every request has once (RFC 9112, section 3.2).
///
/// # Errors
/// The host is invalid; nothing has been written.
pub fn host(out: &mut (impl BufMut + ?Sized), authority: &[u8]) -> Result<(), InvalidLine> {
    if !form::is_authority(authority) {
        return Err(InvalidLine::Host);
    }
    out.put_slice(b"Host: ");
    out.put_slice(authority);
    out.put_slice(b"\r\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_line(method: &str, target: &str) -> Result<String, InvalidLine> {
        let mut out = Vec::new();
        let written = line(&mut out, method.as_bytes(), target.as_bytes());
        assert!(written.is_ok() || out.is_empty(), "an error has written something");
        written.map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn a_target_has_a_form_allowed_with_its_method() {
        for (method, target) in [
            ("GET", "/"),
            ("GET", "/a%20b?c=[d]?"),
            ("GET", "http://a:80/b?c"),
            ("X-OWN", "https://[::1]?q"),
            ("OPTIONS", "*"),
            ("CONNECT", "a:443"),
        ] {
            let written = try_line(method, target).unwrap();
            assert_eq!(written, format!("{method} {target} HTTP/1.1\r\n"));
        }
        for (method, target) in [
            ("GET", ""),
            ("GET", "*"),
            ("GET", "a"),
            ("GET", "a:443"),
            ("GET", "http:///"),
            ("GET", "http://u@a/"),
            ("GET", "ftp://a/"),
            ("GET", "?http://a/"),
            ("CONNECT", "/"),
            ("CONNECT", "a"),
            ("CONNECT", "http://a:1/"),
        ] {
            assert_eq!(try_line(method, target), Err(InvalidLine::Target), "{method} {target}");
        }
    }

    #[test]
    fn no_part_ends_its_own_line() {
        for target in ["/ HTTP/1.1\r\nX: y", "/a b", "/\t", "/\n", "/\0", "/#", "/\u{e9}"] {
            assert_eq!(try_line("GET", target), Err(InvalidLine::Target), "{target:?}");
        }
        let long = "M".repeat(METHOD_BYTES_MAX + 1);
        for method in ["", "GET ", "G\r\n", "G\0", "G(T", &long] {
            assert_eq!(try_line(method, "/"), Err(InvalidLine::Method), "{method:?}");
        }
        assert!(try_line(&long[1..], "/").is_ok());
        for authority in ["", "a\r\nX: y", "a b", "u@a", "a/b", "a:b", ":80", "[::1"] {
            let mut out = Vec::new();
            assert_eq!(host(&mut out, authority.as_bytes()), Err(InvalidLine::Host));
            assert!(out.is_empty());
        }
        let mut out = Vec::new();
        host(&mut out, b"[::1]:8080").unwrap();
        assert_eq!(out, b"Host: [::1]:8080\r\n");
    }
}
