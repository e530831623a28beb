//! The fields of a head, request or response, together with their bytes (RFC 9110, section 5).

use crate::field_name::{FieldName, FieldNames};
use crate::head::Field;

/// A view of the fields of one head.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) list: &'a [Field],
    /// The names in the list: most lookups end here.
    pub(crate) seen: FieldNames,
    /// The bytes that the spans count from.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The first field of that name.
    #[inline]
    pub(crate) fn first(&self, name: FieldName) -> Option<&'a Field> {
        if !self.seen.contains(name) {
            return None;
        }
        self.list.iter().find(|field| field.known == name)
    }

    /// The value of the first field of that name.
    #[inline]
    pub(crate) fn value(&self, name: FieldName) -> Option<&'a [u8]> {
        Some(self.first(name)?.value.of(self.bytes))
    }

    /// The values of all fields of that name, in order.
    pub(crate) fn values(&self, name: FieldName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let bytes = self.bytes;
        let list = if self.seen.contains(name) { self.list } else { &[] };
        list.iter().filter(move |field| field.known == name).map(|field| field.value.of(bytes))
    }

    /// The value of the first field of that name, case-insensitively.
    pub(crate) fn named(&self, name: &str) -> Option<&'a [u8]> {
        let (_, value) = self.all().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(value)
    }

    /// Names and values of all fields, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        self.list.iter().map(move |field| (field.name.of(bytes), field.value.of(bytes)))
    }
}
