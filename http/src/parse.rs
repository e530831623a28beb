//! The fast parser: a complete head in one pass, into offsets.
//!
//! It jumps from one end of a run to the next, by the bits of classified
//! [blocks](crate::scan::block), and collects the known names on the way. It handles the usual
//! case, a complete and well-formed head. In every other case it stops and reports where, and
//! [`incremental`](crate::incremental) resumes there: it finds out what is wrong, or that more must
//! come. So errors and their offsets are handled in one place, and this one has none to keep track
//! of.
//!
//! Both accept the same language; the tests and the fuzz targets compare them.
//!
//! Grammar: RFC 9112, sections 3 and 5.

use crate::Limits;
use crate::field_name::{FieldName, FieldNames};
use crate::head::{Field, Head, Method, Span, Version};
use crate::incremental::IncrementalParser;
use crate::scan::block::{Cursor, Scanner, Start};
use crate::scan::dispatch::Program;
use crate::scan::line::{Line, VERSION_BYTES};
use crate::scan::{self, QUERY, TOKEN};

/// Where the head was found incomplete or malformed: the reader that resumes at that byte.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Stop {
    pub parser: IncrementalParser,
    /// At most the head limit.
    pub at: u16,
}

impl Stop {
    fn new(parser: IncrementalParser, at: usize) -> Stop {
        Stop { parser, at: at as u16 }
    }
}

/// Parses the head that begins `bytes`, which is at most as long as the head limit. After an `Err`,
/// `head` is undefined.
#[inline(always)]
pub(crate) fn parse(bytes: &[u8], head: &mut Head, limits: &Limits) -> Result<(), Stop> {
    let parser = head.parser;
    parser.run(bytes, head, limits)
}

/// [`parse`], compiled for each scanner.
pub(crate) enum Parser {}

impl Program for Parser {
    type Product = Head;
    type Rules = Limits;
    type Output = Result<(), Stop>;

    #[inline(always)]
    fn run<S: Scanner>(
        scanner: S,
        bytes: &[u8],
        head: &mut Head,
        limits: &Limits,
    ) -> Result<(), Stop> {
        let (start, mut cursor) = Start::new(scanner, bytes);
        let (line_end, is_fast_path) = request_line(bytes, &start, head, limits)?;
        let at = cursor.pass_line(line_end);
        let Head { slots, values, .. } = head;
        let fields_max = limits.fields().min(slots.len());
        let mut fields = Fields::new(&mut slots[..fields_max], values);
        let host = host_first(&start, &mut cursor, &mut fields, at);
        head.is_fast_path = is_fast_path && host.is_some_and(|(_, is_plain)| is_plain);
        let at = host.map_or(at, |(end, _)| end);
        let (fields, end) = lines(bytes, cursor, fields, at)?;
        head.count = (fields_max - fields.room()) as u16;
        head.len = end as u16;
        (head.seen, head.repeated) = (fields.seen, fields.repeated);
        Ok(())
    }
}

/// `method SP target SP HTTP/d.d CRLF`. Returns the offset after it, and whether its target is in
/// origin-form and its version 1.1.
#[inline(always)]
fn request_line<S: Scanner>(
    bytes: &[u8],
    block: &Start<'_, S>,
    head: &mut Head,
    limits: &Limits,
) -> Result<(usize, bool), Stop> {
    let start = method(bytes, head).ok_or(Stop::new(IncrementalParser::HEAD, 0))?;
    let path_end = block.path_end(start);
    let mut end = path_end;
    head.has_query = bytes.get(end) == Some(&b'?');
    if head.has_query {
        end = block.path_end(end + 1);
        if bytes.get(end).is_some_and(|&byte| scan::is(byte, QUERY)) {
            end = block.query_end(end + 1);
        }
        head.query = Span::new(path_end + 1, end);
    }
    if end == start || end - start > limits.target() {
        return Err(Stop::new(IncrementalParser::in_target(0), start));
    }
    head.target = Span::new(start, end);
    head.path = Span::new(start, path_end);
    match block.version(end) {
        Some(line) if is_http_1_1(line) => {
            (head.version, head.major) = (Version::Http11, b'1');
            let is_origin_form = bytes[start] == b'/' && head.method != Method::Connect;
            Ok((end + line.len(), is_origin_form))
        }
        Some(line) if other_version(line, head) => Ok((end + line.len(), false)),
        _ if head.has_query => Err(Stop::new(IncrementalParser::in_query(end - start), end)),
        _ => Err(Stop::new(IncrementalParser::in_target(end - start), end)),
    }
}

/// `method SP`. Returns where the target starts. Common methods are compared as words.
#[inline(always)]
fn method(bytes: &[u8], head: &mut Head) -> Option<usize> {
    const GET: u32 = u32::from_le_bytes(*b"GET ");
    const POST: u32 = u32::from_le_bytes(*b"POST");
    const HEAD: u32 = u32::from_le_bytes(*b"HEAD");
    let (word, behind) = bytes.split_first_chunk()?;
    let space = behind.first() == Some(&b' ');
    let (method, len) = match u32::from_le_bytes(*word) {
        GET => (Method::Get, 3),
        POST if space => (Method::Post, 4),
        HEAD if space => (Method::Head, 4),
        _ => other_method(bytes)?,
    };
    head.method = method;
    Some(len + 1)
}

/// Any method, and its length, if a space follows.
#[inline(never)]
fn other_method(bytes: &[u8]) -> Option<(Method, usize)> {
    let window = &bytes[..bytes.len().min(Limits::METHOD_BYTES_MAX + 1)];
    let len = scan::class_end(window, 0, TOKEN);
    if len == 0 || *window.get(len)? != b' ' {
        return None;
    }
    Some((Method::of(&window[..len]), len))
}

/// Whether it is HTTP/1.1, compared as two words that overlap.
#[inline(always)]
fn is_http_1_1(line: &[u8; VERSION_BYTES]) -> bool {
    const EXPECTED: &[u8; VERSION_BYTES] = b" HTTP/1.1\r\n";
    let first = |line: &[u8; VERSION_BYTES]| line.first_chunk().copied().map(u64::from_le_bytes);
    let last = |line: &[u8; VERSION_BYTES]| line.last_chunk().copied().map(u32::from_le_bytes);
    first(line) == first(EXPECTED) && last(line) == last(EXPECTED)
}

/// `SP HTTP/d.d CRLF`.
#[cold]
fn other_version(line: &[u8; VERSION_BYTES], head: &mut Head) -> bool {
    match line {
        [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b'\r', b'\n']
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            head.version = if *minor == b'0' { Version::Http10 } else { Version::Http11 };
            head.major = *major;
            true
        }
        _ => false,
    }
}

/// The fields so far, and the room for more.
struct Fields<'a> {
    count: usize,
    slots: std::slice::IterMut<'a, Field>,
    values: &'a mut [Span; FieldName::WITH_VALUE],
    /// Their names.
    seen: FieldNames,
    /// Those names that came more than once and have a value in `values`.
    repeated: FieldNames,
}

impl<'a> Fields<'a> {
    #[inline(always)]
    fn new(slots: &'a mut [Field], values: &'a mut [Span; FieldName::WITH_VALUE]) -> Self {
        let (seen, repeated) = (FieldNames::EMPTY, FieldNames::EMPTY);
        Fields { count: slots.len(), slots: slots.iter_mut(), values, seen, repeated }
    }

    /// How many more the limits allow.
    #[inline(always)]
    fn room(&self) -> usize {
        self.slots.len()
    }

    /// How many there are.
    fn count(&self) -> usize {
        self.count - self.room()
    }

    /// Adds one; `false` when there is no room.
    #[inline(always)]
    fn add(&mut self, line: Line, known: FieldName) -> bool {
        let name = Span::new(line.at, line.name_end);
        self.add_spans(known, name, Span::new(line.value(), line.end))
    }

    #[inline(always)]
    fn add_spans(&mut self, known: FieldName, name: Span, value: Span) -> bool {
        let Some(slot) = self.slots.next() else { return false };
        *slot = Field { name, value, known };
        if let Some(place) = self.values.get_mut(known as usize) {
            *place = value;
            if self.seen.contains(known) {
                self.repeated = self.repeated.with(known);
            }
        }
        self.seen = self.seen.with(known);
        true
    }
}

/// All field lines, from `at` on, and the blank line. Returns the offset after it.
#[inline(always)]
fn lines<'a, S: Scanner>(
    bytes: &[u8],
    mut cursor: Cursor<'_, S>,
    mut fields: Fields<'a>,
    mut at: usize,
) -> Result<(Fields<'a>, usize), Stop> {
    if cursor.is_blank_line(at) {
        return Ok((fields, at + 2));
    }
    loop {
        let line = cursor.fast_path_lines(at, |line, known| fields.add(line, known));
        if cursor.is_blank_line(line.at) {
            return Ok((fields, line.at + 2));
        }
        (fields, at) = slow_path(bytes, fields, line)?;
    }
}

/// The field that comes with every request, mostly first and written like this. Returns the offset
/// after it, and whether it is plainly a valid host.
#[inline(always)]
fn host_first<S: Scanner>(
    start: &Start<'_, S>,
    cursor: &mut Cursor<'_, S>,
    fields: &mut Fields<'_>,
    at: usize,
) -> Option<(usize, bool)> {
    let mut ahead = *cursor;
    let line = ahead.host_line(at)?;
    if !fields.add(line, FieldName::Host) {
        return None;
    }
    *cursor = ahead;
    Some((line.end + 2, start.is_plain_host(line.value(), line.end - line.value())))
}

/// Any field line, `name ":" OWS value OWS CRLF`, if it is complete and well formed. Returns the
/// offset after it.
#[inline(never)]
fn slow_path<'a>(
    bytes: &[u8],
    mut fields: Fields<'a>,
    line: Line,
) -> Result<(Fields<'a>, usize), Stop> {
    let Line { at, name_end, end } = line;
    let stop = |parser, at| Err(Stop::new(parser, at));
    if name_end == at || fields.room() == 0 {
        return stop(IncrementalParser::at_line_start(fields.count()), at);
    }
    match bytes.get(name_end) {
        Some(b':') => {}
        Some(_) => return stop(IncrementalParser::at_line_start(fields.count()), at),
        // A long name that is incomplete is not read again.
        None => return stop(IncrementalParser::in_name(fields.count() + 1), name_end),
    }
    if bytes.get(end..end + 2) != Some(b"\r\n") {
        return stop(IncrementalParser::in_value(fields.count() + 1), end.min(bytes.len()));
    }
    let value = scan::trim_end(&bytes[name_end + 1..end]);
    let text = scan::trim_start(value);
    let start = name_end + 1 + value.len() - text.len();
    let known = FieldName::of(&bytes[at..name_end]);
    fields.add_spans(known, Span::new(at, name_end), Span::new(start, start + text.len()));
    Ok((fields, end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::dispatch::Isa;
    use proptest::prelude::*;

    /// Everything that is parsed, as text.
    fn parsed(isa: Isa, bytes: &[u8], limits: &Limits) -> String {
        let mut head = Head { parser: isa.compiled(), ..Head::new(limits) };
        match parse(bytes, &mut head, limits) {
            Ok(()) => format!("{head:?}"),
            Err(stop) => format!("{stop:?}"),
        }
    }

    fn field() -> impl Strategy<Value = String> {
        let name = proptest::sample::select(vec![
            "Host",
            "Accept",
            "connection",
            "Content-Length",
            "X-Request-Id",
            "DNT",
            "TE",
            "Upgrade-Insecure-Requests",
            "X-Something-That-Is-Known-To-Nobody-At-All",
        ]);
        let value = "[ \t]{0,2}([!-~\u{e9}]{1,90}|[!-~]{0,3}|a, b  c|example.org:80)[ \t]{0,2}";
        (name, value).prop_map(|(name, value)| format!("{name}:{value}\r\n"))
    }

    proptest! {
        #[test]
        fn all_scanners_parse_the_same(
            line in "(GET|POST|HEAD|PATCH|get|X) /[a-z/%._-]{0,90}(\\?[a-z=&?]{0,70})? HTTP/1.[01]",
            fields in proptest::collection::vec(field(), 0..12),
            cut in any::<Option<proptest::sample::Index>>(),
            change in any::<Option<(proptest::sample::Index, u8)>>(),
        ) {
            let mut bytes = format!("{line}\r\n{}\r\nbody", fields.concat()).into_bytes();
            if let Some((index, byte)) = change {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
            if let Some(index) = cut {
                bytes.truncate(index.index(bytes.len()));
            }
            let limits = Limits::new(4096, 10, 100, 0).unwrap();
            let best = parsed(Isa::detect(), &bytes, &limits);
            for isa in Isa::all() {
                prop_assert_eq!(&parsed(isa, &bytes, &limits), &best, "{:?}", isa);
            }
        }
    }
}
