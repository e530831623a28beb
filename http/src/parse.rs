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
use crate::head::{Field, Head, Method, Span, Version};
use crate::known::{Known, KnownSet};
use crate::scan::{self, BLOCK_BYTES, TARGET, TOKEN};

/// Parses the head that begins `bytes`, which is at most as long as the head limit. `None`: not complete, or
/// not well formed, or beyond a limit; `head` is then of no use.
///
/// Not inlined: it needs the registers for itself.
#[inline(never)]
pub(crate) fn parse(bytes: &[u8], head: &mut Head, limits: &Limits) -> Option<()> {
    head.fields.clear();
    let mut names = Names::default();
    let mut at = request_line(bytes, head, limits)?;
    while *bytes.get(at)? != b'\r' {
        if head.fields.len() >= limits.fields() {
            return None;
        }
        at = field_line(bytes, at, head, &mut names)?;
    }
    if *bytes.get(at + 1)? != b'\n' {
        return None;
    }
    (head.seen, head.repeated) = (names.seen, names.repeated);
    head.len = (at + 2) as u16;
    Some(())
}

/// The names of the fields so far.
#[derive(Default)]
struct Names {
    seen: KnownSet,
    repeated: KnownSet,
}

/// `method SP target SP HTTP/d.d CRLF`. Gives the place of the first field line.
#[inline(always)]
fn request_line(bytes: &[u8], head: &mut Head, limits: &Limits) -> Option<usize> {
    let method_len = if bytes.starts_with(b"GET ") {
        head.method = Method::Get;
        3
    } else {
        method(bytes, head)?
    };
    head.method_len = method_len as u8;
    let start = method_len + 1;
    let path_end = scan::path_end(bytes, start);
    let end = if *bytes.get(path_end)? == b'?' {
        query(bytes, path_end, head)
    } else {
        path_end
    };
    head.has_query = end != path_end;
    if end == start || end - start > limits.target() {
        return None;
    }
    head.target = Span::new(start, end);
    head.path = Span::new(start, path_end);
    version(bytes, end, head)
}

/// A method other than GET, and its space. Gives the method's length.
#[cold]
fn method(bytes: &[u8], head: &mut Head) -> Option<usize> {
    let window = &bytes[..bytes.len().min(Limits::METHOD_BYTES_MAX + 1)];
    let len = scan::class_end(window, 0, TOKEN);
    if len == 0 || *window.get(len)? != b' ' {
        return None;
    }
    head.method = Method::of(&window[..len]);
    Some(len)
}

/// The query that the question mark at `at` begins. Gives its end.
#[cold]
fn query(bytes: &[u8], at: usize, head: &mut Head) -> usize {
    let end = scan::class_end(bytes, at + 1, TARGET);
    head.query = Span::new(at + 1, end);
    end
}

/// `SP HTTP/d.d CRLF` at `at`. Gives the place behind it.
#[inline(always)]
fn version(bytes: &[u8], at: usize, head: &mut Head) -> Option<usize> {
    let line: &[u8; 11] = bytes.get(at..)?.first_chunk()?;
    (head.version, head.major) = if line == b" HTTP/1.1\r\n" {
        (Version::Http11, b'1')
    } else {
        other_version(line)?
    };
    Some(at + line.len())
}

#[cold]
fn other_version(line: &[u8; 11]) -> Option<(Version, u8)> {
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
            let version = if *minor == b'0' {
                Version::Http10
            } else {
                Version::Http11
            };
            Some((version, *major))
        }
        _ => None,
    }
}

/// `name ":" OWS value OWS CRLF` at `at`. Gives the place behind it.
#[inline(always)]
fn field_line(bytes: &[u8], at: usize, head: &mut Head, names: &mut Names) -> Option<usize> {
    let (colon, known) = field_name(bytes, at)?;
    let line_end = scan::value_end(bytes, colon + 1);
    let line = bytes.get(colon + 1..line_end.checked_add(2)?)?;
    // In what has been checked, only white space is not above SP.
    let value = match line {
        [b' ', first, .., last, b'\r', b'\n'] if *first > b' ' && *last > b' ' => {
            Span::new(colon + 2, line_end)
        }
        [.., b'\r', b'\n'] => trimmed(bytes, colon + 1, line_end),
        _ => return None,
    };
    let bit = KnownSet::of(&[known]);
    names.repeated = names.repeated.union(names.seen.intersection(bit));
    names.seen = names.seen.union(bit);
    head.fields.push(Field {
        name: Span::new(at, colon),
        value,
        known,
    });
    Some(line_end + 2)
}

#[inline(never)]
fn trimmed(bytes: &[u8], mut start: usize, mut end: usize) -> Span {
    while start < end && scan::is_space(bytes[start]) {
        start += 1;
    }
    while end > start && scan::is_space(bytes[end - 1]) {
        end -= 1;
    }
    Span::new(start, end)
}

/// A name of one byte at least, up to its colon: the colon's place, and which of the known names it is.
#[inline(always)]
fn field_name(bytes: &[u8], at: usize) -> Option<(usize, Known)> {
    let Some(block) = scan::block(bytes, at) else {
        return other_name(bytes, at);
    };
    // The one name that comes with every request, mostly first and written like this.
    if block.starts_with(b"Host:") {
        return Some((at + 4, Known::Host));
    }
    // 32 when there is none.
    let len = scan::equal(block, b':').trailing_zeros() as usize;
    if len == 0 || len >= BLOCK_BYTES {
        return other_name(bytes, at);
    }
    let last = *bytes.get(at + len - 1)?;
    // A known name needs no check of its bytes.
    match Known::find_short(block, last, len) {
        Some(known) => Some((at + len, known)),
        None => other_name(bytes, at),
    }
}

/// A name that is not known, or long, or near the end of the bytes.
#[inline(never)]
fn other_name(bytes: &[u8], at: usize) -> Option<(usize, Known)> {
    let colon = scan::class_end(bytes, at, TOKEN);
    if colon == at || *bytes.get(colon)? != b':' {
        return None;
    }
    Some((colon, Known::of(&bytes[at..colon])))
}
