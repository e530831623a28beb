//! A parsed response head: offsets, no borrows.
//!
//! It is to a response what [`Head`](crate::Head) is to a request: 16-bit offsets from the first
//! byte of the status line, so that it moves together with its buffer; its list of fields is
//! cleared for the next response, not freed. Together with the bytes, it becomes a [`Response`].
//!
//! ```text
//! bytes   HTTP/1.1 200 OK␍␊Date: x␍␊␍␊
//! spans                ──  ────  ─
//! ```

use crate::field_name::{FieldName, FieldNames};
use crate::fields::Fields;
use crate::head::{Field, Span, Version};
use crate::{Limits, Status};

/// What follows a response head (RFC 9112, section 6.3).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Framing {
    /// The next response.
    #[default]
    None,
    /// This many bytes of content.
    Length(u64),
    /// Content in chunks.
    Chunked,
    /// Content until the server closes.
    UntilClose,
    /// Another protocol: after a 101, or a 2xx to CONNECT.
    Tunnel,
}

/// A parsed head. Created once per connection or loop, refilled by
/// [`Connection::next`](super::Connection::next).
#[derive(Debug)]
pub struct ResponseHead {
    /// One for every field that the limit allows; the first `count` are the response's.
    pub(super) slots: Box<[Field]>,
    pub(super) count: u16,
    /// Which names the fields have.
    pub(super) seen: FieldNames,
    /// Which of them came more than once.
    pub(super) repeated: FieldNames,
    pub(super) framing: Framing,
    /// Bytes of empty lines before the status line.
    pub(super) start: u8,
    pub(super) version: Version,
    /// As received: `HTTP/`**`major`**`.minor`, an ASCII digit.
    pub(super) major: u8,
    pub(super) code: u16,
    /// Bytes from the status line to the blank line; 0: nothing parsed.
    pub(super) len: u16,
    pub(super) reason: Span,
}

impl ResponseHead {
    /// An empty head with room for as many fields as `limits` allows: give
    /// [`Connection::next`](super::Connection::next) the same.
    pub fn new(limits: &Limits) -> Self {
        ResponseHead {
            slots: vec![Field::default(); limits.fields()].into_boxed_slice(),
            count: 0,
            seen: FieldNames::EMPTY,
            repeated: FieldNames::EMPTY,
            framing: Framing::None,
            start: 0,
            version: Version::Http11,
            major: b'1',
            code: 0,
            len: 0,
            reason: Span::default(),
        }
    }

    /// Forgets the response, keeps the memory.
    pub fn clear(&mut self) {
        self.count = 0;
        self.seen = FieldNames::EMPTY;
        self.repeated = FieldNames::EMPTY;
        self.framing = Framing::None;
        (self.start, self.len, self.code) = (0, 0, 0);
        self.reason = Span::default();
    }

    /// Whether a whole head is in here. Also after an error in its meaning (version, framing): then
    /// there is a response to log; after an error in its grammar there is none.
    pub fn is_complete(&self) -> bool {
        self.len != 0
    }

    /// Bytes up to and including the blank line, empty lines before the status line included.
    pub fn len(&self) -> usize {
        self.start as usize + self.len as usize
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The status code, 0 to 999 as received. One that is not registered is treated like the x00
    /// of its class, and one outside 100 to 599 like 500 (RFC 9110, section 15).
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The status, when it is a registered one.
    pub fn status(&self) -> Option<Status> {
        Status::from_code(self.code).filter(|status| status.is_registered())
    }

    /// The version.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What follows.
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The fields in order. Their spans count from the status line: see [`Response::head_bytes`].
    pub fn fields(&self) -> &[Field] {
        self.slots.get(..self.count as usize).unwrap_or(&[])
    }

    /// The names among the fields.
    pub fn known(&self) -> FieldNames {
        self.seen
    }

    /// Whether there is such a field.
    pub fn has(&self, name: FieldName) -> bool {
        self.seen.contains(name)
    }

    /// The head with its bytes: those that were given to the call that filled it. With other bytes
    /// the view shows nonsense, or nothing where they do not fit, but never panics.
    pub fn response<'a>(&'a self, bytes: &'a [u8]) -> Response<'a> {
        Response { head: self, bytes: bytes.get(self.start as usize..).unwrap_or(&[]) }
    }

    /// The fields with bytes that begin at the status line.
    pub(super) fn view<'a>(&'a self, bytes: &'a [u8]) -> Fields<'a> {
        Fields { list: self.fields(), seen: self.seen, bytes }
    }
}

/// A view of a parsed head and the bytes it was parsed from. Pass it by value.
#[derive(Copy, Clone, Debug)]
pub struct Response<'a> {
    head: &'a ResponseHead,
    /// From the status line on.
    bytes: &'a [u8],
}

impl<'a> Response<'a> {
    /// The offsets behind this view.
    pub fn head(&self) -> &'a ResponseHead {
        self.head
    }

    /// The status code: see [`ResponseHead::code`].
    pub fn code(&self) -> u16 {
        self.head.code
    }

    /// The reason phrase, often empty. It means nothing (RFC 9112, section 4).
    pub fn reason(&self) -> &'a [u8] {
        self.head.reason.of(self.bytes)
    }

    /// Whether there is such a field.
    pub fn has(&self, name: FieldName) -> bool {
        self.head.has(name)
    }

    /// The value of the first field of that name.
    pub fn field(&self, name: FieldName) -> Option<&'a [u8]> {
        self.head.view(self.bytes).value(name)
    }

    /// The values of all fields of that name, in order.
    pub fn values(&self, name: FieldName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.head.view(self.bytes).values(name)
    }

    /// The value of the first field of that name, case-insensitively. For names that are not in
    /// [`FieldName`].
    pub fn field_by_name(&self, name: &str) -> Option<&'a [u8]> {
        self.head.view(self.bytes).named(name)
    }

    /// Names and values of all fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.head.view(self.bytes).all()
    }

    /// The head as received, from the status line to the blank line.
    pub fn head_bytes(&self) -> &'a [u8] {
        self.bytes.get(..self.head.len as usize).unwrap_or(&[])
    }
}
