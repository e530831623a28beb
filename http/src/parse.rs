//! The fast parser: a complete head in one pass, into offsets.
//!
//! It handles one case, the usual one: the whole head is there and well formed. In every other case it gives
//! up with `None`, and [`skim`](crate::skim) finds out byte by byte what is wrong, or that more must come. So
//! there is one place that knows errors and their offsets, and this one has none to keep track of.
//!
//! Both accept the same language; the tests and the fuzz targets compare them.
//!
//! Grammar: RFC 9112, sections 3 and 5.

use crate::Limits;
use crate::head::{Head, Method, Span, Version};
use crate::known::Known;
use crate::scan::{self, TARGET, TOKEN};

/// Parses the head that begins `bytes`, which is at most as long as the head limit. `None`: not complete,
/// or not well formed, or beyond a limit; `head` is then half filled.
#[inline]
pub(crate) fn parse(bytes: &[u8], head: &mut Head, limits: &Limits) -> Option<()> {
    head.clear();
    let mut at = request_line(bytes, head, limits)?;
    while *bytes.get(at)? != b'\r' {
        if head.fields.len() >= limits.fields() {
            return None;
        }
        at = field_line(bytes, at, head)?;
    }
    if *bytes.get(at + 1)? != b'\n' {
        return None;
    }
    head.len = (at + 2) as u16;
    Some(())
}

/// `method SP target SP HTTP/d.d CRLF`. Gives the place of the first field line.
#[inline]
fn request_line(bytes: &[u8], head: &mut Head, limits: &Limits) -> Option<usize> {
    let method_len = method(bytes, head)?;
    head.method_len = method_len as u8;
    let start = method_len + 1;
    let path_end = scan::path_end(bytes, start);
    let mut end = path_end;
    if bytes.get(path_end) == Some(&b'?') {
        end = scan::class_end(bytes, path_end + 1, TARGET);
        head.query = Span::new(path_end + 1, end);
        head.has_query = true;
    }
    if end == start || end - start > limits.target() {
        return None;
    }
    head.target = Span::new(start, end);
    head.path = Span::new(start, path_end);
    version(bytes, end, head)
}

/// The method and its space. Gives the method's length.
#[inline]
fn method(bytes: &[u8], head: &mut Head) -> Option<usize> {
    if bytes.starts_with(b"GET ") {
        head.method = Method::Get;
        return Some(3);
    }
    let window = &bytes[..bytes.len().min(Limits::METHOD_BYTES_MAX + 1)];
    let len = scan::class_end(window, 0, TOKEN);
    if len == 0 || *window.get(len)? != b' ' {
        return None;
    }
    head.method = Method::of(&window[..len]);
    Some(len)
}

/// `SP HTTP/d.d CRLF` at `at`. Gives the place behind it.
#[inline]
fn version(bytes: &[u8], at: usize, head: &mut Head) -> Option<usize> {
    let line: &[u8; 11] = bytes.get(at..)?.first_chunk()?;
    if line == b" HTTP/1.1\r\n" {
        head.version = Version::Http11;
        head.major = b'1';
        return Some(at + 11);
    }
    match line {
        [
            b' ',
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            major,
            b'.',
            minor,
            b'\r',
            b'\n',
        ] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            head.version = if *minor == b'0' {
                Version::Http10
            } else {
                Version::Http11
            };
            head.major = *major;
            Some(at + 11)
        }
        _ => None,
    }
}

/// `name ":" OWS value OWS CRLF` at `at`. Gives the place behind it.
#[inline]
fn field_line(bytes: &[u8], at: usize, head: &mut Head) -> Option<usize> {
    let (colon, known) = field_name(bytes, at)?;
    let mut start = colon + 1;
    while scan::is_space(*bytes.get(start)?) {
        start += 1;
    }
    let line_end = scan::value_end(bytes, start);
    if bytes.get(line_end..line_end + 2)? != b"\r\n" {
        return None;
    }
    let mut end = line_end;
    while end > start && scan::is_space(bytes[end - 1]) {
        end -= 1;
    }
    head.push(Span::new(at, colon), Span::new(start, end), known);
    Some(line_end + 2)
}

/// A name of one byte at least, up to its colon: the colon's place, and which of the known names it is.
#[inline]
fn field_name(bytes: &[u8], at: usize) -> Option<(usize, Known)> {
    if let Some(block) = scan::block(bytes, at) {
        let colons = scan::equal(block, b':');
        let len = colons.trailing_zeros() as usize;
        // A known name needs no check of its bytes.
        if colons != 0
            && let known = Known::find(block, None, len)
            && known != Known::Other
        {
            return Some((at + len, known));
        }
    }
    other_name(bytes, at)
}

/// A name that is not known, or long, or close to the end of the bytes.
fn other_name(bytes: &[u8], at: usize) -> Option<(usize, Known)> {
    let colon = scan::class_end(bytes, at, TOKEN);
    if colon == at || *bytes.get(colon)? != b':' {
        return None;
    }
    Some((colon, Known::of(&bytes[at..colon])))
}
