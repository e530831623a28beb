//! Responses that are made once and sent often: fixed routes, cached files.

use std::mem;

use bytes::Bytes;
use http::response as wire;
use http::{Method, Status};

use super::COPY_BYTES_MAX;

/// The room that [`Clock::date_tail`] takes.
pub(super) const DATE_TAIL: &[u8; 39] = b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n";

/// A response whose head never changes but for `Date` and `Connection`: prepared once, copied
/// often.
///
/// ```text
/// image  status line, fields | Date: 29 bytes CRLF CRLF | body, when it is small
///                             ^ fields_len
/// ```
///
/// On a connection that persists, answering is one copy of the image and one of the date.
pub struct Prepared {
    pub(super) status: Status,
    pub(super) image: Box<[u8]>,
    pub(super) fields_len: u32,
    pub(super) body: Bytes,
}

impl Prepared {
    /// Prepares a response with `Content-Length`, or without when the status allows no content.
    ///
    /// # Errors
    /// A field name that is no token, or a value with CR, LF or NUL.
    pub fn new(
        status: Status,
        fields: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Self, wire::InvalidField> {
        let body = body.into();
        let copied = if body.len() <= COPY_BYTES_MAX { body.len() } else { 0 };
        let mut image = Vec::with_capacity(256 + copied);
        wire::status_line(&mut image, status);
        for (name, value) in fields {
            wire::field(&mut image, name.as_bytes(), value.as_bytes())?;
        }
        if wire::body_allowed(status, Method::Get) {
            wire::content_length(&mut image, body.len() as u64);
        }
        let fields_len = image.len() as u32;
        image.extend_from_slice(DATE_TAIL);
        image.extend_from_slice(&body[..copied]);
        Ok(Prepared { status, image: image.into_boxed_slice(), fields_len, body })
    }

    /// Its status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Its body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Bytes of memory it holds, for a bounded cache.
    pub fn cost(&self) -> usize {
        self.image.len() + self.body.len() + mem::size_of::<Self>()
    }

    pub(super) fn fields(&self) -> &[u8] {
        &self.image[..self.fields_len as usize]
    }
}
