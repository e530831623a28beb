//! The byte-by-byte reader of heads and trailer sections: it can stop at any byte and resume later.
//!
//! It only validates. Between two calls it keeps a state and a few counters, and it finds every
//! error of the grammar at its byte, as soon as that byte has arrived, however the bytes were
//! split: a TLS ClientHello on a clear-text port is refused at its first byte, not waited for. Once
//! the blank line has arrived, the head is parsed once by [`parse`](crate::parse).
//!
//! ```text
//! Method ─SP─► Target [─?─► Query] ─SP─► Version ──► LineCr ─CR─► LineLf ─LF─┐
//!                                  ┌─────────────────────────────────────────┘
//!                                  ▼
//!          ┌─LF─ ValueLf ◄─CR─ Value ◄─:─ Name ◄──┐
//!          └─────────────────► LineStart ─────────┘
//!                                  └─CR─► EndLf ─LF─► done
//! ```
//!
//! Grammar: RFC 9112, sections 3, 5 and 7.1.2.

use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::scan::{self, PATH, QUERY, TOKEN};

/// What the next byte belongs to.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Method,
    Target,
    Query,
    Version,
    LineCr,
    LineLf,
    LineStart,
    Name,
    Value,
    ValueLf,
    EndLf,
}

/// A reader between two bytes.
#[derive(Copy, Clone, Debug)]
pub(crate) struct IncrementalParser {
    state: State,
    /// Bytes of the current element (method, target or version) so far.
    element: u16,
    fields: u16,
}

/// The same in a trailer section, in fewer bytes: there are no elements, and the decoder of a body
/// is a part of every connection.
#[derive(Copy, Clone, Debug)]
pub(crate) struct TrailerParser {
    state: State,
    fields: [u8; 2],
}

impl From<IncrementalParser> for TrailerParser {
    fn from(parser: IncrementalParser) -> Self {
        TrailerParser { state: parser.state, fields: parser.fields.to_le_bytes() }
    }
}

impl From<TrailerParser> for IncrementalParser {
    fn from(parser: TrailerParser) -> Self {
        let fields = u16::from_le_bytes(parser.fields);
        IncrementalParser { state: parser.state, element: 0, fields }
    }
}

impl IncrementalParser {
    /// Before the first byte of a request line.
    pub(crate) const HEAD: IncrementalParser =
        IncrementalParser { state: State::Method, element: 0, fields: 0 };

    /// Before the first byte of a trailer section.
    pub(crate) const TRAILER: IncrementalParser =
        IncrementalParser { state: State::LineStart, element: 0, fields: 0 };

    /// In a target before its query; of the target there have been this many bytes.
    pub(crate) fn in_target(len: usize) -> IncrementalParser {
        IncrementalParser { state: State::Target, element: len as u16, fields: 0 }
    }

    /// In the query of a target, of which there have been this many bytes.
    pub(crate) fn in_query(len: usize) -> IncrementalParser {
        IncrementalParser { state: State::Query, element: len as u16, fields: 0 }
    }

    /// Before a line, after this many fields.
    pub(crate) fn at_line_start(fields: usize) -> IncrementalParser {
        IncrementalParser { state: State::LineStart, element: 0, fields: fields as u16 }
    }

    /// In the name of that field, the first being 1.
    pub(crate) fn in_name(field: usize) -> IncrementalParser {
        IncrementalParser { state: State::Name, element: 0, fields: field as u16 }
    }

    /// In the value of that field, the first being 1.
    pub(crate) fn in_value(field: usize) -> IncrementalParser {
        IncrementalParser { state: State::Value, element: 0, fields: field as u16 }
    }

    /// Whether `bytes` are a trailer section, whole and no more.
    pub(crate) fn is_trailer(bytes: &[u8], limits: &Limits) -> bool {
        Self::TRAILER.is_whole(bytes, limits)
    }

    /// Whether what this one is to read is exactly `bytes`.
    pub(crate) fn is_whole(mut self, bytes: &[u8], limits: &Limits) -> bool {
        self.run(bytes, 0, limits) == Ok(Some(bytes.len()))
    }

    /// Reads `bytes` from `at` on. Returns the offset after the blank line, or `None` when it has
    /// not arrived. The caller makes sure that all bytes of one head or trailer section are at most
    /// 65,535.
    pub(crate) fn run(
        &mut self,
        bytes: &[u8],
        mut at: usize,
        limits: &Limits,
    ) -> Result<Option<usize>, Error> {
        while at < bytes.len() {
            at = match self.state {
                State::Method => self.method(bytes, at)?,
                State::Target => self.target(bytes, at, PATH, limits)?,
                State::Query => self.target(bytes, at, QUERY, limits)?,
                State::Version | State::LineCr | State::LineLf => self.line_end(bytes[at], at)?,
                _ => return self.lines(bytes, at, limits),
            }
        }
        Ok(None)
    }

    /// The same from the first field line on: each block is classified once.
    fn lines(
        &mut self,
        bytes: &[u8],
        mut at: usize,
        limits: &Limits,
    ) -> Result<Option<usize>, Error> {
        let mut lines = scan::lines(bytes, at);
        while at < bytes.len() {
            let byte = bytes[at];
            at = match self.state {
                State::LineStart => self.line_start(byte, at, limits)?,
                State::Name => self.name(bytes, lines.name_end(at))?,
                State::Value => self.value(bytes, lines.value_end(at))?,
                State::EndLf => {
                    expect(byte, b'\n', ErrorKind::LineEnd, at)?;
                    return Ok(Some(at + 1));
                }
                _ => self.line_end(byte, at)?,
            }
        }
        Ok(None)
    }

    /// One byte of what ends a line.
    fn line_end(&mut self, byte: u8, at: usize) -> Result<usize, Error> {
        match self.state {
            State::Version => self.version(byte, at)?,
            State::LineCr => {
                expect(byte, b'\r', ErrorKind::LineEnd, at)?;
                self.state = State::LineLf;
            }
            _ => {
                expect(byte, b'\n', ErrorKind::LineEnd, at)?;
                self.state = State::LineStart;
            }
        }
        Ok(at + 1)
    }

    fn method(&mut self, bytes: &[u8], at: usize) -> Result<usize, Error> {
        let end = self.element_end(bytes, at, TOKEN);
        if self.element as usize > Limits::METHOD_BYTES_MAX {
            let over = self.element as usize - Limits::METHOD_BYTES_MAX;
            return Err(Error::new(ErrorKind::MethodTooLong, end - over));
        }
        match bytes.get(end) {
            None => Ok(end),
            Some(b' ') if self.element > 0 => {
                self.element = 0;
                self.state = State::Target;
                Ok(end + 1)
            }
            Some(_) => Err(Error::new(ErrorKind::Method, end)),
        }
    }

    /// The target, or its query, which consists of another class of bytes.
    fn target(
        &mut self,
        bytes: &[u8],
        at: usize,
        class: u8,
        limits: &Limits,
    ) -> Result<usize, Error> {
        let end = self.element_end(bytes, at, class);
        if self.element as usize > limits.target() {
            let over = self.element as usize - limits.target();
            return Err(Error::new(ErrorKind::TargetTooLong, end - over));
        }
        match bytes.get(end) {
            None => Ok(end),
            Some(b' ') if self.element > 0 => {
                self.element = 0;
                self.state = State::Version;
                Ok(end + 1)
            }
            Some(b'?') => {
                self.state = State::Query;
                Ok(end)
            }
            Some(_) => Err(Error::new(ErrorKind::Target, end)),
        }
    }

    /// Where the run of `class` ends; counts its bytes.
    fn element_end(&mut self, bytes: &[u8], at: usize, class: u8) -> usize {
        let end = scan::class_end(bytes, at, class);
        self.element += (end - at) as u16;
        end
    }

    fn version(&mut self, byte: u8, at: usize) -> Result<(), Error> {
        const PATTERN: &[u8; 8] = b"HTTP/d.d";
        let expected = PATTERN[self.element as usize % PATTERN.len()];
        let fits = if expected == b'd' { byte.is_ascii_digit() } else { byte == expected };
        if !fits {
            return Err(Error::new(ErrorKind::Version, at));
        }
        self.element += 1;
        if self.element as usize == PATTERN.len() {
            self.state = State::LineCr;
        }
        Ok(())
    }

    fn line_start(&mut self, byte: u8, at: usize, limits: &Limits) -> Result<usize, Error> {
        match byte {
            b'\r' => self.state = State::EndLf,
            b' ' | b'\t' => return Err(Error::new(ErrorKind::Fold, at)),
            b'\n' => return Err(Error::new(ErrorKind::LineEnd, at)),
            _ if !scan::is(byte, TOKEN) => return Err(Error::new(ErrorKind::FieldName, at)),
            _ if self.fields as usize >= limits.fields() => {
                return Err(Error::new(ErrorKind::TooManyFields, at));
            }
            _ => {
                self.fields += 1;
                self.state = State::Name;
            }
        }
        Ok(at + 1)
    }

    /// A name that ends at `end`, or goes on.
    fn name(&mut self, bytes: &[u8], end: usize) -> Result<usize, Error> {
        match bytes.get(end) {
            None => Ok(end),
            Some(b':') => {
                self.state = State::Value;
                Ok(end + 1)
            }
            Some(_) => Err(Error::new(ErrorKind::FieldName, end)),
        }
    }

    /// A value that ends at `end`, or goes on.
    fn value(&mut self, bytes: &[u8], end: usize) -> Result<usize, Error> {
        match bytes.get(end) {
            None => Ok(end),
            Some(b'\r') => {
                self.state = State::ValueLf;
                Ok(end + 1)
            }
            Some(b'\n') => Err(Error::new(ErrorKind::LineEnd, end)),
            Some(_) => Err(Error::new(ErrorKind::FieldValue, end)),
        }
    }
}

fn expect(byte: u8, expected: u8, kind: ErrorKind, at: usize) -> Result<(), Error> {
    if byte == expected { Ok(()) } else { Err(Error::new(kind, at)) }
}
