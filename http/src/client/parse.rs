//! Reads response heads, in two passes.
//!
//! [`Reader`] validates. It can stop at any byte and resume there: it keeps a state and a few
//! counters, and finds an error at its byte as soon as that byte has arrived. The fields, whose
//! grammar is that of every field section, it leaves to [`incremental`](crate::incremental). Once
//! the blank line has arrived, [`index`] records where everything is, without validating again. So
//! each byte is read twice, however the bytes were split.
//!
//! ```text
//! Line ──► Reason ─CR─► ReasonLf ─LF─► Fields (incremental) ──► index
//! HTTP/d.d SP ddd SP
//! ```
//!
//! Grammar: RFC 9112, sections 4 and 5.

use crate::Limits;
use crate::error::{Error, ErrorKind};
use crate::field_name::{FieldName, FieldNames};
use crate::head::{Field, Span, Version};
use crate::incremental::IncrementalParser;
use crate::scan;

use super::ResponseHead;

/// The part of a status line that has a fixed length; `d` is any digit.
const LINE: &[u8; 13] = b"HTTP/d.d ddd ";

/// Where in it: the major version, the minor version, the status code.
pub(super) const MAJOR: usize = 5;
const MINOR: usize = 7;
pub(super) const CODE: usize = 9;

/// What the next byte belongs to.
#[derive(Copy, Clone, Debug)]
enum State {
    /// [`LINE`], of which this many bytes have arrived.
    Line(u8),
    Reason,
    ReasonLf,
    Fields(IncrementalParser),
}

/// A reader between two bytes.
#[derive(Copy, Clone, Debug)]
pub(super) struct Reader(State);

impl Reader {
    /// Before the first byte of a status line.
    pub(super) const START: Reader = Reader(State::Line(0));

    /// Whether `bytes` are a head, whole and no more.
    pub(super) fn is_whole(bytes: &[u8], limits: &Limits) -> bool {
        let mut reader = Reader::START;
        reader.run(bytes, 0, limits) == Ok(Some(bytes.len()))
    }

    /// Reads `bytes` from `at` on. Returns the offset after the blank line, or `None` when it has
    /// not arrived.
    pub(super) fn run(
        &mut self,
        bytes: &[u8],
        mut at: usize,
        limits: &Limits,
    ) -> Result<Option<usize>, Error> {
        if matches!(self.0, State::Line(0)) && fits_fast_path(&bytes[at..]) {
            self.0 = State::Reason;
            at += LINE.len();
        }
        while let Some(&byte) = bytes.get(at) {
            match &mut self.0 {
                State::Line(place) => self.0 = fixed(byte, *place, at)?,
                State::Reason => {
                    at = scan::value_end(bytes, at);
                    match bytes.get(at) {
                        None => return Ok(None),
                        Some(b'\r') => self.0 = State::ReasonLf,
                        Some(b'\n') => return Err(Error::new(ErrorKind::LineEnd, at)),
                        Some(_) => return Err(Error::new(ErrorKind::Reason, at)),
                    }
                }
                State::ReasonLf if byte == b'\n' => {
                    self.0 = State::Fields(IncrementalParser::TRAILER)
                }
                State::ReasonLf => return Err(Error::new(ErrorKind::LineEnd, at)),
                State::Fields(parser) => return parser.run(bytes, at, limits),
            }
            at += 1;
        }
        Ok(None)
    }
}

/// Whether all of [`LINE`] is there, and of HTTP/1.1: one comparison instead of thirteen, which
/// saves a fifth of the instructions of a short head.
fn fits_fast_path(bytes: &[u8]) -> bool {
    match bytes.strip_prefix(b"HTTP/1.1 ") {
        Some([a, b, c, b' ', ..]) => [a, b, c].iter().all(|digit| digit.is_ascii_digit()),
        _ => false,
    }
}

/// One byte of [`LINE`].
fn fixed(byte: u8, place: u8, at: usize) -> Result<State, Error> {
    let index = place as usize % LINE.len();
    let fits = if LINE[index] == b'd' { byte.is_ascii_digit() } else { byte == LINE[index] };
    if !fits {
        let kind = if index <= MINOR { ErrorKind::Version } else { ErrorKind::StatusCode };
        return Err(Error::new(kind, at));
    }
    let last = index + 1 == LINE.len();
    Ok(if last { State::Reason } else { State::Line(place + 1) })
}

/// Fills `head` from `bytes`, which a [`Reader`] has read to the end. `None` when there is no room
/// for all fields.
pub(super) fn index(bytes: &[u8], head: &mut ResponseHead) -> Option<()> {
    let digit = |place: usize| (bytes[place] - b'0') as u16;
    head.major = bytes[MAJOR];
    head.version = if bytes[MINOR] == b'0' { Version::Http10 } else { Version::Http11 };
    head.code = 100 * digit(CODE) + 10 * digit(CODE + 1) + digit(CODE + 2);
    let reason_end = scan::value_end(bytes, LINE.len());
    head.reason = Span::new(LINE.len(), reason_end);

    let mut at = reason_end + 2;
    let mut count = 0;
    (head.seen, head.repeated) = (FieldNames::EMPTY, FieldNames::EMPTY);
    while bytes[at] != b'\r' {
        let (field, next) = field_line(bytes, at);
        if head.seen.contains(field.known) {
            head.repeated = head.repeated.with(field.known);
        }
        head.seen = head.seen.with(field.known);
        *head.slots.get_mut(count)? = field;
        count += 1;
        at = next;
    }
    head.count = count as u16;
    head.len = (at + 2) as u16;
    Some(())
}

/// The field line at `at`, and where the next line begins.
fn field_line(bytes: &[u8], at: usize) -> (Field, usize) {
    let line = &bytes[at..];
    let len = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
    let colon = at + len;
    let end = scan::value_end(bytes, colon + 1);
    let text = scan::trim_start(&bytes[colon + 1..end]);
    let start = end - text.len();
    let value = Span::new(start, start + scan::trim(text).len());
    let field = Field { name: Span::new(at, colon), value, known: FieldName::of(&line[..len]) };
    (field, end + 2)
}
