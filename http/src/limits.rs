//! Upper bounds for every part of a request.
//!
//! Each limit has a status of its own (RFC 9112, section 3; RFC 6585, section 5; RFC 9110, section
//! 15.5.14): the target 414, the head and its fields 431, the body 413.

use std::fmt;

/// The limits of one server. Checked once when created, so that the parser need not.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    head: u16,
    fields: u16,
    target: u16,
    trailer: u16,
    chunk_extensions: u16,
    body: u64,
}

/// Limits that contradict each other or the parser.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum InvalidLimits {
    /// A head of more than [`Limits::HEAD_BYTES_MAX`] or less than [`Limits::HEAD_BYTES_MIN`]
    /// bytes.
    Head,
    /// More than 65,535 fields, or none.
    Fields,
    /// A target as long as the head or longer, or none.
    Target,
}

impl Limits {
    /// Offsets into a head are 16 bits wide.
    pub const HEAD_BYTES_MAX: usize = u16::MAX as usize;

    /// Below this, hardly any request fits.
    pub const HEAD_BYTES_MIN: usize = 64;

    /// Empty lines tolerated before a request line (RFC 9112, section 2.2: at least one).
    pub(crate) const EMPTY_LINES_MAX: u8 = 4;

    /// The longest registered method, UPDATEREDIRECTREF, has 17.
    pub(crate) const METHOD_BYTES_MAX: usize = 32;

    /// Digits of a chunk size that count as nothing else: those of 2^64 - 1. More of them must be
    /// leading zeros, and count as chunk extensions.
    pub(crate) const CHUNK_DIGITS: u8 = 16;

    /// The blank line of a trailer section, without which no chunked body ends.
    const TRAILER_BYTES_MIN: u16 = 2;

    /// Limits of a head in bytes, its fields in number, its target in bytes, a body in bytes.
    ///
    /// # Errors
    /// Which limit is impossible.
    pub const fn new(
        head: usize,
        fields: usize,
        target: usize,
        body: u64,
    ) -> Result<Self, InvalidLimits> {
        if head > Self::HEAD_BYTES_MAX || head < Self::HEAD_BYTES_MIN {
            return Err(InvalidLimits::Head);
        }
        if fields == 0 || fields > u16::MAX as usize {
            return Err(InvalidLimits::Fields);
        }
        if target == 0 || target >= head {
            return Err(InvalidLimits::Target);
        }
        Ok(Limits {
            head: head as u16,
            fields: fields as u16,
            target: target as u16,
            body,
            ..Self::DEFAULT
        })
    }

    const DEFAULT: Limits = Limits {
        head: 16 * 1024,
        fields: 100,
        target: 8 * 1024,
        trailer: 4 * 1024,
        // Extensions are not used in practice; those that testers send have a few bytes.
        chunk_extensions: 1024,
        body: 1024 * 1024,
    };

    /// The same with another limit for bodies.
    #[must_use]
    pub const fn with_body(self, body: u64) -> Self {
        Limits { body, ..self }
    }

    /// The same with another limit for the trailer section, in bytes. Its blank line, of two bytes,
    /// always fits: 0 means no trailer fields.
    #[must_use]
    pub const fn with_trailer(self, trailer: u16) -> Self {
        let has_room = trailer >= Self::TRAILER_BYTES_MIN;
        Limits { trailer: if has_room { trailer } else { Self::TRAILER_BYTES_MIN }, ..self }
    }

    /// The same with another limit for all chunk extensions of a body together, in bytes, leading
    /// zeros of chunk sizes beyond sixteen digits included. 0 means none of either.
    #[must_use]
    pub const fn with_chunk_extensions(self, chunk_extensions: u16) -> Self {
        Limits { chunk_extensions, ..self }
    }

    /// Bytes of a head, from the request line to the blank line.
    #[inline]
    pub const fn head(&self) -> usize {
        self.head as usize
    }

    /// Number of fields.
    #[inline]
    pub const fn fields(&self) -> usize {
        self.fields as usize
    }

    /// Bytes of a target.
    #[inline]
    pub const fn target(&self) -> usize {
        self.target as usize
    }

    /// Bytes of a body, without its framing.
    #[inline]
    pub const fn body(&self) -> u64 {
        self.body
    }

    /// Bytes of a trailer section, its blank line included.
    pub const fn trailer(&self) -> usize {
        self.trailer as usize
    }

    /// Bytes of chunk extensions, and of superfluous leading zeros, in one body.
    pub const fn chunk_extensions(&self) -> usize {
        self.chunk_extensions as usize
    }
}

impl Default for Limits {
    /// Head 16 KiB, 100 fields, target 8 KiB, body 1 MiB, trailer 4 KiB, chunk extensions 1 KiB.
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for InvalidLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InvalidLimits::Head => write!(
                f,
                "the head limit must be from {} to {} bytes",
                Limits::HEAD_BYTES_MIN,
                Limits::HEAD_BYTES_MAX
            ),
            InvalidLimits::Fields => f.write_str("the field limit must be from 1 to 65535"),
            InvalidLimits::Target => {
                f.write_str("the target limit must be at least 1 byte and below the head limit")
            }
        }
    }
}

impl std::error::Error for InvalidLimits {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_their_own_check() {
        let default = Limits::default();
        let made = Limits::new(16 * 1024, 100, 8 * 1024, 1024 * 1024);
        assert_eq!(made, Ok(default));
    }

    #[test]
    fn every_trailer_limit_has_room_for_the_blank_line() {
        let trailer = |bytes| Limits::default().with_trailer(bytes).trailer();
        assert_eq!([0, 1, 2, 3, u16::MAX].map(trailer), [2, 2, 2, 3, 65_535]);
    }

    #[test]
    fn impossible_limits_are_refused() {
        assert_eq!(Limits::new(65_536, 100, 100, 0), Err(InvalidLimits::Head));
        assert_eq!(Limits::new(63, 100, 10, 0), Err(InvalidLimits::Head));
        assert_eq!(Limits::new(1024, 0, 100, 0), Err(InvalidLimits::Fields));
        assert_eq!(Limits::new(1024, 10, 1024, 0), Err(InvalidLimits::Target));
        assert_eq!(Limits::new(usize::MAX, 10, 1024, 0), Err(InvalidLimits::Head));
        assert_eq!(Limits::new(1024, usize::MAX, 100, 0), Err(InvalidLimits::Fields));
        assert_eq!(Limits::new(1024, 10, usize::MAX, 0), Err(InvalidLimits::Target));
        assert_eq!(Limits::new(1024, 10, 0, 0), Err(InvalidLimits::Target));
    }
}
