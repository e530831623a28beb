//! A parsed request head: offsets, no borrows.
//!
//! A [`Head`] records where in a buffer everything is, in 16-bit offsets from the first byte of the
//! request line. It borrows nothing, so it moves together with its buffer to another thread;
//! together with the bytes, it becomes a [`Request`] that can be read. One `Head` serves request
//! after request: its list of fields is cleared, not freed.
//!
//! ```text
//! bytes   GET /a?b HTTP/1.1␍␊Host: c␍␊␍␊
//! spans   ─── ────           ────  ─
//! ```
//!
//! What is *not* guaranteed: that the bytes given to [`Head::request`] are those that were parsed.
//! With other bytes the spans show nonsense, or nothing where they do not fit, but never panic.

use std::fmt;

use crate::field_name::{FieldName, FieldNames};
use crate::parse::Parser;
use crate::scan::dispatch::{Compiled, Isa};
use crate::{Limits, Request};

/// A place in a head: offset and length, 16 bits each.
///
/// Both are in one word, because a processor stalls when it reads as one what was just written in
/// two parts.
#[derive(Copy, Clone, Default, PartialEq, Eq)]
pub struct Span {
    /// Bytes need no alignment: a field has nine.
    word: [u8; 4],
}

impl Span {
    /// From `start` to `end`, both within the head limit, which fits 16 bits.
    #[inline(always)]
    pub(crate) fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && end <= Limits::HEAD_BYTES_MAX);
        Span { word: (start as u32 | ((end - start) as u32) << 16).to_ne_bytes() }
    }

    #[inline(always)]
    fn word(self) -> u32 {
        u32::from_ne_bytes(self.word)
    }

    /// The bytes of this span; `bytes` begins at the request line. Empty where the span does not
    /// fit.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start()..self.end()).unwrap_or(&[])
    }

    /// Its first byte.
    #[inline]
    pub fn start(self) -> usize {
        (self.word() & 0xffff) as usize
    }

    /// One past its last byte.
    #[inline]
    pub fn end(self) -> usize {
        self.start() + self.len()
    }

    /// Its length in bytes.
    #[inline]
    pub fn len(self) -> usize {
        (self.word() >> 16) as usize
    }

    /// Whether it is empty.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.start(), self.end())
    }
}

/// A request method (RFC 9110, section 9). Methods are case-sensitive: `get` is [`Method::Other`].
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are self-explanatory")]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Delete,
    Options,
    Trace,
    Connect,
    Patch,
    /// A method unknown here: the application answers 501. Its text is in the request.
    Other,
}

impl Method {
    /// The method of a token.
    pub fn of(text: &[u8]) -> Method {
        match text {
            b"GET" => Method::Get,
            b"HEAD" => Method::Head,
            b"POST" => Method::Post,
            b"PUT" => Method::Put,
            b"DELETE" => Method::Delete,
            b"OPTIONS" => Method::Options,
            b"TRACE" => Method::Trace,
            b"CONNECT" => Method::Connect,
            b"PATCH" => Method::Patch,
            _ => Method::Other,
        }
    }

    /// The method's name; empty for [`Method::Other`].
    pub const fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Trace => "TRACE",
            Method::Connect => "CONNECT",
            Method::Patch => "PATCH",
            Method::Other => "",
        }
    }
}

/// The version that a request is treated as (RFC 9110, section 2.5).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1, and every higher minor version.
    #[default]
    Http11,
}

/// The form of a request target (RFC 9112, section 3.2).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Form {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `host:port`, with CONNECT
    Authority,
    /// `*`, with OPTIONS
    Asterisk,
}

/// Which body follows a head (RFC 9112, section 6.3).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Framing {
    /// None.
    #[default]
    None,
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// One field line.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Field {
    /// The name as received.
    pub name: Span,
    /// The value without the white space around it.
    pub value: Span,
    /// Which of the known names it is.
    pub known: FieldName,
}

/// A parsed head. Created once per connection or loop, refilled by
/// [`Connection::next`](crate::Connection::next).
#[derive(Debug)]
pub struct Head {
    /// One for every field that the limit allows; the first `count` are the request's.
    pub(crate) slots: Box<[Field]>,
    pub(crate) count: u16,
    /// Which names the fields have.
    pub(crate) seen: FieldNames,
    /// Which of them came more than once, of those that have a place in `values`.
    pub(crate) repeated: FieldNames,
    pub(crate) framing: Framing,
    /// Bytes of empty lines before the request line.
    pub(crate) start: u8,
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) form: Form,
    /// As received: `HTTP/`**`major`**`.minor`, an ASCII digit.
    pub(crate) major: u8,
    pub(crate) has_query: bool,
    /// Bytes from the request line to the blank line; 0: nothing parsed.
    pub(crate) len: u16,
    pub(crate) target: Span,
    pub(crate) path: Span,
    pub(crate) query: Span,
    pub(crate) host: Span,
    /// The values of the first few known names, by number: of the last field with that name.
    pub(crate) values: [Span; FieldName::WITH_VALUE],
    /// HTTP/1.1, the origin-form, and a `Host` that is plainly valid: what nearly all requests are.
    /// `false` decides nothing: check in full.
    pub(crate) is_fast_path: bool,
    /// The scanner it is parsed with.
    pub(crate) parser: Compiled<Parser>,
}

impl Head {
    /// An empty head with room for as many fields as `limits` allows: give
    /// [`Connection::next`](crate::Connection::next) the same.
    pub fn new(limits: &Limits) -> Self {
        Head {
            slots: vec![Field::default(); limits.fields()].into_boxed_slice(),
            count: 0,
            seen: FieldNames::EMPTY,
            repeated: FieldNames::EMPTY,
            framing: Framing::None,
            start: 0,
            method: Method::Get,
            version: Version::Http11,
            form: Form::Origin,
            major: b'1',
            has_query: false,
            len: 0,
            target: Span::default(),
            path: Span::default(),
            query: Span::default(),
            host: Span::default(),
            values: [Span::default(); FieldName::WITH_VALUE],
            is_fast_path: false,
            parser: Isa::detect().compiled(),
        }
    }

    /// Forgets the request, keeps the memory.
    pub fn clear(&mut self) {
        self.count = 0;
        self.seen = FieldNames::EMPTY;
        self.repeated = FieldNames::EMPTY;
        self.framing = Framing::None;
        self.len = 0;
        self.has_query = false;
        (self.target, self.path) = (Span::default(), Span::default());
        (self.query, self.host) = (Span::default(), Span::default());
    }

    /// Whether a whole head is in here. Also after an error in its meaning (framing, host,
    /// version): then there is a request to log; after an error in its grammar there is none.
    pub fn is_complete(&self) -> bool {
        self.len != 0
    }

    /// Bytes up to and including the blank line, empty lines before the request line included.
    #[inline]
    pub fn len(&self) -> usize {
        self.start as usize + self.len as usize
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The method.
    #[inline]
    pub fn method(&self) -> Method {
        self.method
    }

    /// The version.
    #[inline]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The form of the target.
    #[inline]
    pub fn form(&self) -> Form {
        self.form
    }

    /// Which body follows.
    #[inline]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The fields in order. Their spans count from the request line: see [`Request::head_bytes`].
    #[inline]
    pub fn fields(&self) -> &[Field] {
        self.slots.get(..self.count as usize).unwrap_or(&[])
    }

    /// The names among the fields.
    #[inline]
    pub fn known(&self) -> FieldNames {
        self.seen
    }

    /// Whether there is such a field.
    #[inline]
    pub fn has(&self, name: FieldName) -> bool {
        self.seen.contains(name)
    }

    /// Whether there is a field with any of these names: one AND.
    #[inline]
    pub fn has_any(&self, names: FieldNames) -> bool {
        self.seen.intersects(names)
    }

    /// The head with its bytes: those that were given to the call that filled it.
    #[inline]
    pub fn request<'a>(&'a self, bytes: &'a [u8]) -> Request<'a> {
        Request::new(self, bytes)
    }

    /// The view of a head whose bytes begin at the request line.
    pub(crate) fn request_from_line<'a>(&'a self, bytes: &'a [u8]) -> Request<'a> {
        Request::from_line(self, bytes)
    }

    /// The first field of that name.
    #[inline]
    pub(crate) fn first(&self, name: FieldName) -> Option<&Field> {
        if !self.has(name) {
            return None;
        }
        self.fields().iter().find(|field| field.known == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_four_bytes_and_a_field_nine() {
        assert_eq!(size_of::<Span>(), 4);
        assert_eq!(size_of::<Field>(), 9);
    }

    #[test]
    fn a_span_that_does_not_fit_is_empty() {
        assert_eq!(Span::new(2, 4).of(b"abc"), b"");
        assert_eq!(Span::new(1, 3).of(b"abc"), b"bc");
    }

    #[test]
    fn methods_are_case_sensitive() {
        for method in [Method::Get, Method::Options, Method::Patch, Method::Connect] {
            assert_eq!(Method::of(method.name().as_bytes()), method);
            assert_eq!(Method::of(method.name().to_lowercase().as_bytes()), Method::Other);
        }
    }
}
