//! Field lines as nearly all are written, `name ":" SP value CRLF`, recognised by one check.
//!
//! The bits give where the name ends and where the line does. What remains to be checked are a few
//! bytes at those two places:
//!
//! ```text
//! ␊user-agent: curl/8.5.0␍␊
//!  ▲         ▲ ▲        ▲▲
//!  at        │ first    │end
//!     name_end       last
//! ```
//!
//! One check for the line makes sure that all of them are within the bytes, instead of one for
//! each: a fifth of the instructions of a field were such checks. So this reads without them, and
//! leaves any line that is written differently to the code that checks.

#![allow(unsafe_code, reason = "reads bytes whose bounds were checked for several at once")]

use super::block::{Cursor, Scanner, Start};
use crate::field_name::{FieldName, WINDOW_BYTES};

/// A line that begins at `at`, whose bytes up to `name_end` are those of a name. If a colon
/// follows, its value ends at `end`.
#[derive(Copy, Clone)]
pub(crate) struct Line {
    pub at: usize,
    pub name_end: usize,
    pub end: usize,
}

impl Line {
    /// Where the value of a usual line begins.
    #[inline(always)]
    pub(crate) fn value(self) -> usize {
        self.name_end + 2
    }

    /// Whether it is `name ":" SP value CRLF` without more white space, and complete.
    #[inline(always)]
    fn is_fast_path(self, bytes: &[u8]) -> bool {
        let Line { name_end, end, .. } = self;
        if end + 2 > bytes.len() || name_end + 2 >= end {
            return false;
        }
        // SAFETY: name_end + 2 < end and end + 2 <= bytes.len(), as just checked.
        let (before, first, behind) = unsafe {
            (two(bytes, name_end), *bytes.get_unchecked(name_end + 2), window(bytes, end - 2))
        };
        // In what has been classified, only white space is not above SP. So the line ends with a
        // byte above it, CR and LF: as a word, that is a range.
        const LEAST: u32 = u32::from_le_bytes(*b"\0!\r\n");
        const MOST: u32 = u32::from_le_bytes(*b"\xff\xff\r\n");
        let behind = u32::from_le_bytes(*behind);
        before == *b": " && first > b' ' && (LEAST..=MOST).contains(&behind)
    }
}

/// The bytes from `at` on.
///
/// # Safety
/// They are in `bytes`.
#[inline(always)]
unsafe fn window<const N: usize>(bytes: &[u8], at: usize) -> &[u8; N] {
    debug_assert!(at + N <= bytes.len());
    // SAFETY: the caller has made sure; an array of bytes needs no alignment.
    unsafe { &*bytes.as_ptr().add(at).cast() }
}

/// Two bytes, likewise.
///
/// # Safety
/// They are in `bytes`.
#[inline(always)]
unsafe fn two(bytes: &[u8], at: usize) -> [u8; 2] {
    // SAFETY: as the caller guarantees.
    unsafe { *window(bytes, at) }
}

/// SP, HTTP-version and CRLF.
pub(crate) const VERSION_BYTES: usize = b" HTTP/1.1\r\n".len();

impl<S: Scanner> Start<'_, S> {
    /// What follows a target that ends at `end`, if that many bytes are there.
    #[inline(always)]
    pub(crate) fn version(&self, end: usize) -> Option<&[u8; VERSION_BYTES]> {
        let bytes = self.bytes();
        // SAFETY: as just checked.
        (end + VERSION_BYTES <= bytes.len()).then(|| unsafe { window(bytes, end) })
    }
}

impl<S: Scanner> Cursor<'_, S> {
    /// Whether a blank line is at `at`.
    #[inline(always)]
    pub(crate) fn is_blank_line(&self, at: usize) -> bool {
        // SAFETY: two bytes are there, as just checked.
        at + 2 <= self.bytes().len() && unsafe { two(self.bytes(), at) } == *b"\r\n"
    }

    /// The usual lines from `at` on, where one begins, as long as `add` has room for them. Returns
    /// the first line of which that is not true; `bytes` are those of the cursor.
    #[inline(always)]
    pub(crate) fn fast_path_lines(
        &mut self,
        mut at: usize,
        mut add: impl FnMut(Line, FieldName) -> bool,
    ) -> Line {
        if at + 3 < WINDOW_BYTES {
            return self.line(at);
        }
        loop {
            let name_end = self.name_end(at);
            if name_end == at {
                return Line { at, name_end, end: at };
            }
            let line = Line { at, name_end, end: self.line_end() };
            if !line.is_fast_path(self.bytes()) {
                return line;
            }
            // SAFETY: the window ends after the colon and the space of a usual line, so before its
            // end. It begins at or after the first byte: name_end > at, and at + 3 >= WINDOW_BYTES
            // has been checked before the first line; from line to line, `at` grows.
            let window = unsafe { window(self.bytes(), name_end + 2 - WINDOW_BYTES) };
            if !add(line, FieldName::find(self.scanner(), window, name_end - at)) {
                return line;
            }
            at = line.end + 2;
        }
    }

    /// Any line at `at`.
    #[inline(always)]
    fn line(&mut self, at: usize) -> Line {
        let name_end = self.name_end(at);
        let end = if name_end == at { at } else { self.line_end() };
        Line { at, name_end, end }
    }

    /// The usual line at `at` if its name is `Host`, written like this. If it is not, or if it is
    /// the first line of a block but for an LF or CRLF, what is passed is undefined.
    #[inline(always)]
    pub(crate) fn host_line(&mut self, at: usize) -> Option<Line> {
        if at + 6 > self.bytes().len() {
            return None;
        }
        // SAFETY: six bytes are there, as just checked.
        let (name, behind) = unsafe { (window(self.bytes(), at), two(self.bytes(), at + 4)) };
        if name != b"Host" || behind != *b": " {
            return None;
        }
        let line = Line { at, name_end: at + 4, end: self.line_end() };
        line.is_fast_path(self.bytes()).then_some(line)
    }
}
