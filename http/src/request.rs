//! A request that can be read: a head together with its bytes.

use crate::field_name::{FieldName, FieldNames};
use crate::fields::Fields;
use crate::{Form, Framing, Head, Method, Version};

/// A view of a parsed head and the bytes it was parsed from. Two words: pass it by value.
#[derive(Copy, Clone, Debug)]
pub struct Request<'a> {
    head: &'a Head,
    /// From the request line on.
    bytes: &'a [u8],
}

impl<'a> Request<'a> {
    #[inline]
    pub(crate) fn new(head: &'a Head, bytes: &'a [u8]) -> Self {
        Request { head, bytes: bytes.get(head.start as usize..).unwrap_or(&[]) }
    }

    pub(crate) fn from_line(head: &'a Head, bytes: &'a [u8]) -> Self {
        Request { head, bytes }
    }

    /// The offsets behind this view.
    #[inline]
    pub fn head(&self) -> &'a Head {
        self.head
    }

    /// The method.
    #[inline]
    pub fn method(&self) -> Method {
        self.head.method
    }

    /// The method as received, even when it is not a known one.
    pub fn method_text(&self) -> &'a [u8] {
        // It is followed by the one space before the target.
        let end = self.head.target.start().saturating_sub(1);
        self.bytes.get(..end).unwrap_or(&[])
    }

    /// The target as received.
    pub fn target(&self) -> &'a [u8] {
        self.head.target.of(self.bytes)
    }

    /// The path as received, still percent-encoded: see
    /// [`decode_path`](crate::target::decode_path). `*` for the asterisk-form, `/` for an
    /// absolute-form without a path, empty for CONNECT.
    #[inline]
    pub fn path(&self) -> &'a [u8] {
        if self.head.path.is_empty() && self.head.form == Form::Absolute {
            return b"/";
        }
        self.head.path.of(self.bytes)
    }

    /// What follows the first `?`, still encoded; `None` without a `?`.
    #[inline]
    pub fn query(&self) -> Option<&'a [u8]> {
        self.head.has_query.then(|| self.head.query.of(self.bytes))
    }

    /// Host and port: the authority of an absolute target, or `Host` (RFC 9112, section 3.2.2).
    /// Empty only when HTTP/1.0 came without one.
    pub fn host(&self) -> &'a [u8] {
        self.head.host.of(self.bytes)
    }

    /// The version.
    #[inline]
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The version as received, like `HTTP/1.1`.
    pub fn version_text(&self) -> &'a [u8] {
        // One space is before it, and it has eight bytes.
        let start = self.head.target.end() + 1;
        self.bytes.get(start..start + b"HTTP/1.1".len()).unwrap_or(&[])
    }

    /// The form of the target.
    #[inline]
    pub fn form(&self) -> Form {
        self.head.form
    }

    /// Which body follows.
    #[inline]
    pub fn framing(&self) -> Framing {
        self.head.framing
    }

    /// Whether there is such a field.
    #[inline]
    pub fn has(&self, name: FieldName) -> bool {
        self.head.has(name)
    }

    /// Whether there is a field with any of these names: one AND.
    #[inline]
    pub fn has_any(&self, names: FieldNames) -> bool {
        self.head.has_any(names)
    }

    /// The value of the first field of that name.
    #[inline]
    pub fn field(&self, name: FieldName) -> Option<&'a [u8]> {
        self.view().value(name)
    }

    /// The values of all fields of that name, in order.
    pub fn values(&self, name: FieldName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.view().values(name)
    }

    /// The value of the first field of that name, case-insensitively. For names that are not in
    /// [`FieldName`].
    pub fn field_by_name(&self, name: &str) -> Option<&'a [u8]> {
        self.view().named(name)
    }

    /// Names and values of all fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        self.view().all()
    }

    #[inline]
    fn view(&self) -> Fields<'a> {
        Fields { list: self.head.fields(), seen: self.head.seen, bytes: self.bytes }
    }

    /// The head as received, from the request line to the blank line.
    pub fn head_bytes(&self) -> &'a [u8] {
        self.bytes.get(..self.head.len as usize).unwrap_or(&[])
    }
}
