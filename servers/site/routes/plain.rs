//! `/plaintext` and `/json`: prepared once, and all of it inlined into the driver.

use std::io;

use http::Status;

use crate::app::Prepared;

/// The two answers.
pub(super) struct Plain {
    plaintext: Prepared,
    json: Prepared,
}

impl Plain {
    /// # Errors
    /// A prepared field that is none: a mistake in this file.
    pub(super) fn new() -> io::Result<Self> {
        let prepare = |kind: &str, body: &'static [u8]| {
            Prepared::new(Status::OK, &[("Content-Type", kind)], body)
                .map_err(|_| io::Error::other("a prepared answer's field is not valid"))
        };
        Ok(Plain {
            plaintext: prepare("text/plain", b"Hello, World!")?,
            json: prepare("application/json", br#"{"message":"Hello, World!"}"#)?,
        })
    }

    /// The answer of a path. Each path by itself, as a word or two: a match compares byte by byte,
    /// 30 instructions a request more.
    #[inline(always)]
    pub(super) fn of(&self, path: &[u8]) -> Option<&Prepared> {
        if path == b"/plaintext" {
            return Some(&self.plaintext);
        }
        if path == b"/json" {
            return Some(&self.json);
        }
        None
    }
}
