//! The fast parser: a complete head in one pass, into offsets.
//!
//! It handles one case, the usual one: the whole head is there and well formed. In every other case
//! it gives up with `None`, and [`skim`](crate::skim) finds out byte by byte what is wrong, or that
//! more must come. So there is one place that knows errors and their offsets, and this one has none
//! to keep track of.
//!
//! Both accept the same language; the tests and the fuzz targets compare them.
//!
//! Grammar: RFC 9112, sections 3 and 5.

use crate::Limits;
use crate::head::{Field, Head, Method, Span, Version};
use crate::known::{Known, KnownSet};
use crate::scan::{self, BLOCK_BYTES, TARGET, TOKEN};

/// Parses the head that begins `bytes`, which is at most as long as the head limit. `None`: not
/// complete, or not well formed, or beyond a limit; `head` is then of no use.
///
/// It goes forward by shortening `rest`: what lies before it has been parsed. Not inlined: it needs
/// the registers for itself.
#[inline(never)]
pub(crate) fn parse(bytes: &[u8], head: &mut Head, limits: &Limits) -> Option<()> {
    let mut names = Names::default();
    let mut rest = request_line(bytes, head, limits)?;
    let mut slots = head.slots.iter_mut();
    let mut count = 0;
    while *rest.first()? != b'\r' {
        let at = bytes.len() - rest.len();
        rest = field_line(rest, at, slots.next()?, &mut names, &mut head.host)?;
        count += 1;
    }
    if *rest.get(1)? != b'\n' || count > limits.fields() {
        return None;
    }
    head.count = count as u16;
    (head.seen, head.repeated) = (names.seen, names.repeated);
    head.len = (bytes.len() - rest.len() + 2) as u16;
    Some(())
}

/// The names of the fields so far.
#[derive(Default)]
struct Names {
    seen: KnownSet,
    repeated: KnownSet,
}

impl Names {
    #[cold]
    fn repeat(&mut self, known: Known) {
        self.repeated = self.repeated.with(known);
    }
}

/// `method SP target SP HTTP/d.d CRLF`. Gives what follows.
#[inline(always)]
fn request_line<'a>(bytes: &'a [u8], head: &mut Head, limits: &Limits) -> Option<&'a [u8]> {
    let (start, rest) = if let Some(rest) = bytes.strip_prefix(b"GET ") {
        head.method = Method::Get;
        (4, rest)
    } else {
        method(bytes, head)?
    };
    head.has_query = false;
    let (path_len, len) = match scan::plain_path_len(rest) {
        Some(len) => (len, len),
        None => target(rest, start, head),
    };
    if len == 0 || len > limits.target() {
        return None;
    }
    head.target = Span::new(start, start + len);
    head.path = Span::new(start, start + path_len);
    version(rest.get(len..)?, head)
}

/// A method other than GET, and its space. Gives where the target starts, and what follows.
#[cold]
fn method<'a>(bytes: &'a [u8], head: &mut Head) -> Option<(usize, &'a [u8])> {
    let window = &bytes[..bytes.len().min(Limits::METHOD_BYTES_MAX + 1)];
    let len = scan::class_end(window, 0, TOKEN);
    if len == 0 || *window.get(len)? != b' ' {
        return None;
    }
    head.method = Method::of(&window[..len]);
    Some((len + 1, &bytes[len + 1..]))
}

/// A target of any kind, which begins `rest`. Gives the lengths of its path and of the whole.
#[inline(never)]
fn target(rest: &[u8], start: usize, head: &mut Head) -> (usize, usize) {
    let path_len = scan::path_len(rest);
    if rest.get(path_len) != Some(&b'?') {
        return (path_len, path_len);
    }
    let len = scan::class_end(rest, path_len + 1, TARGET);
    head.query = Span::new(start + path_len + 1, start + len);
    head.has_query = true;
    (path_len, len)
}

/// `SP HTTP/d.d CRLF`. Gives what follows.
#[inline(always)]
fn version<'a>(rest: &'a [u8], head: &mut Head) -> Option<&'a [u8]> {
    let (line, rest) = rest.split_first_chunk::<11>()?;
    (head.version, head.major) =
        if line == b" HTTP/1.1\r\n" { (Version::Http11, b'1') } else { other_version(line)? };
    Some(rest)
}

#[cold]
fn other_version(line: &[u8; 11]) -> Option<(Version, u8)> {
    match line {
        [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b'\r', b'\n']
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            let version = if *minor == b'0' { Version::Http10 } else { Version::Http11 };
            Some((version, *major))
        }
        _ => None,
    }
}

/// `name ":" OWS value OWS CRLF`, which begins `rest`, at `at`. Gives what follows.
#[inline(always)]
fn field_line<'a>(
    rest: &'a [u8],
    at: usize,
    slot: &mut Field,
    names: &mut Names,
    host: &mut Span,
) -> Option<&'a [u8]> {
    let (name_len, known) = field_name(rest)?;
    let start = at + name_len + 1;
    let rest = rest.get(name_len + 1..)?;
    let len = scan::value_len(rest);
    let (line, rest) = rest.split_at_checked(len + 2)?;
    // In what has been checked, only white space is not above SP.
    let value = match line {
        [b' ', first, .., last, b'\r', b'\n'] if *first > b' ' && *last > b' ' => {
            Span::new(start + 1, start + len)
        }
        [value @ .., b'\r', b'\n'] => trimmed(value, start),
        _ => return None,
    };
    if known == Known::Host {
        *host = value;
    }
    if names.seen.contains(known) {
        names.repeat(known);
    }
    names.seen = names.seen.with(known);
    *slot = Field { name: Span::new(at, start - 1), value, known };
    Some(rest)
}

#[inline(never)]
fn trimmed(value: &[u8], start: usize) -> Span {
    let text = scan::trim_start(value);
    let start = start + value.len() - text.len();
    Span::new(start, start + scan::trim(text).len())
}

/// A name of one byte at least, which begins `rest` and ends at a colon: its length, and which of
/// the known names it is.
#[inline(always)]
fn field_name(rest: &[u8]) -> Option<(usize, Known)> {
    let Some(block) = rest.first_chunk() else {
        return other_name(rest);
    };
    // The one name that comes with every request, mostly first and written like this.
    if block.starts_with(b"Host:") {
        return Some((4, Known::Host));
    }
    // 32 when there is none.
    let len = scan::equal(block, b':').trailing_zeros() as usize;
    if len == 0 || len >= BLOCK_BYTES {
        return other_name(rest);
    }
    // A known name needs no check of its bytes.
    match Known::find_short(block, len) {
        Some(known) => Some((len, known)),
        None => other_name(rest),
    }
}

/// A name that is not known, or long, or near the end of the bytes.
#[inline(never)]
fn other_name(rest: &[u8]) -> Option<(usize, Known)> {
    let len = scan::class_end(rest, 0, TOKEN);
    if len == 0 || *rest.get(len)? != b':' {
        return None;
    }
    Some((len, Known::of(&rest[..len])))
}
