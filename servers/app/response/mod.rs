//! A response on its way into the output buffer.
//!
//! The head is written straight into the buffer that the next `send` takes, in the order in which
//! it goes out; small bodies follow it there, so that a whole pipelined batch is one `send`. What
//! is large or not yet known stays behind as [`Piece`]s, which the driver sends when the socket has
//! room:
//!
//! ```text
//! out buffer  [head₁ body₁][head₂ body₂][head₃ ]   ──► one send
//! pieces                                      └─► Bytes | File range | generator
//! ```
//!
//! Framing (RFC 9112, section 6) is decided here, once: a known length becomes `Content-Length`; an
//! unknown one becomes chunked, or for a client of HTTP/1.0 the end of the connection.

mod output;
mod pieces;
mod prepared;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use bytes::{BufMut, Bytes};
use http::response as wire;
use http::{Method, Status, Version};
use reactor::Buffer;

use crate::app::clock::Clock;
use crate::app::{Generator, SharedFile};
pub use output::{Output, refill};
pub use pieces::{PIECES_MAX, Piece, Pieces, Reach};
use prepared::DATE_TAIL;
pub use prepared::Prepared;

/// Bodies up to this many bytes are copied behind their head; larger ones are sent from where they
/// are. A second `iovec` and the count of a reference cost some 180 instructions (callgrind), a copy
/// of 4 KiB about as many; and copied bodies leave with the rest of a pipelined batch.
pub const COPY_BYTES_MAX: usize = 4096;

/// What a finished response was, for the log and the counters.
#[derive(Copy, Clone, Debug)]
pub struct Finished {
    /// Its status.
    pub status: Status,
    /// The body's length, when it was known beforehand (0 for HEAD).
    pub body_len: Option<u64>,
    /// The connection ends after it.
    pub close: bool,
    /// A file could not be read or opened because of an error of the disk.
    pub unreadable: bool,
}

/// What of the request shapes the response's framing.
#[derive(Copy, Clone, Debug, Default)]
pub struct Frame {
    /// The request's method: HEAD gets no body.
    pub method: Method,
    /// Its version: 1.0 gets no chunks.
    pub version: Version,
    /// `""`, `"Connection: close\r\n"` or `"Connection: keep-alive\r\n"`.
    pub connection_line: &'static [u8],
}

/// The response to one request. Answer by [`Response::start`], [`Response::prepared`] or
/// [`Response::error`]; what is never answered becomes a 500.
pub struct Response<'a> {
    out: &'a mut Buffer,
    pieces: &'a mut Pieces,
    clock: &'a Clock,
    frame: Frame,
    /// Length of `out` before this response: where a failed one is rolled back to.
    begin: usize,
    close: bool,
    finished: Option<Finished>,
}

/// The line that announces the end of the connection.
const CLOSE_LINE: &[u8] = b"Connection: close\r\n";

impl<'a> Response<'a> {
    /// A response that is appended to `out`, which should have room for a head.
    #[inline]
    pub fn new(output: &'a mut Output, clock: &'a Clock, frame: Frame) -> Self {
        let Output { bytes: out, pieces } = output;
        let begin = out.len();
        Response { out, pieces, clock, frame, begin, close: false, finished: None }
    }

    /// What time it is.
    pub fn clock(&self) -> &'a Clock {
        self.clock
    }

    /// Ends the connection after this response.
    pub fn close(&mut self) {
        self.close = true;
    }

    /// Whether it has been answered.
    pub fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// Answers with a response prepared earlier.
    #[inline(always)]
    pub fn prepared(&mut self, prepared: &Prepared) {
        let fast_path = prepared.body.len() <= COPY_BYTES_MAX
            && self.frame.connection_line.is_empty()
            && !self.close
            && self.frame.method != Method::Head
            && self.finished.is_none();
        let image = &*prepared.image;
        let room = self.out.spare_mut();
        if !fast_path || room.len() < image.len() {
            return self.prepared_slow_path(prepared);
        }
        room[..image.len()].copy_from_slice(image);
        let date_at = prepared.fields_len as usize;
        room[date_at..date_at + DATE_TAIL.len()].copy_from_slice(self.clock.date_tail());
        self.out.filled(image.len());
        self.finish(prepared.status, Some(prepared.body.len() as u64));
    }

    /// A connection that ends, HEAD, or a body that is large or does not fit.
    #[cold]
    fn prepared_slow_path(&mut self, prepared: &Prepared) {
        if self.finished.is_some() {
            return;
        }
        let (fields, line) = (prepared.fields(), self.connection_line());
        let tail = self.clock.date_tail();
        if self.out.remaining_mut() < fields.len() + line.len() + tail.len() {
            self.fail();
            return;
        }
        self.out.put_slice(fields);
        self.out.put_slice(line);
        self.out.put_slice(tail);
        let mut sent_len = 0;
        if self.frame.method != Method::Head && !prepared.body.is_empty() {
            sent_len = prepared.body.len() as u64;
            if !self.push_bytes(&prepared.body) {
                self.fail();
                return;
            }
        }
        self.finish(prepared.status, Some(sent_len));
    }

    fn push_bytes(&mut self, body: &Bytes) -> bool {
        if body.len() <= COPY_BYTES_MAX.min(self.out.remaining_mut()) {
            self.out.put_slice(body);
            return true;
        }
        self.pieces.push(Piece::Bytes(body.clone())).is_ok()
    }

    /// Begins a response: fields and a body follow.
    pub fn start(&mut self, status: Status) -> Head<'_, 'a> {
        // The second start counts: an error was found while the first response was being built.
        self.roll_back();
        let fits = self.out.remaining_mut() >= status.line().len();
        if fits {
            wire::status_line(&mut *self.out, status);
        }
        Head { response: self, status, overflow: !fits }
    }

    /// Answers with a short page that names the status.
    pub fn error(&mut self, status: Status) {
        self.error_with(status, None);
    }

    /// Answers 503, and asks the client to come again in a second.
    pub fn unavailable(&mut self) {
        self.error_with(Status::SERVICE_UNAVAILABLE, Some(("Retry-After", "1")));
    }

    /// Answers 405, and names the methods that are allowed here (RFC 9110, section 15.5.6).
    pub fn method_not_allowed(&mut self, allow: &str) {
        self.error_with(Status::METHOD_NOT_ALLOWED, Some(("Allow", allow)));
    }

    fn error_with(&mut self, status: Status, field: Option<(&str, &str)>) {
        let mut page = String::with_capacity(64);
        let _ = writeln!(page, "{} {}", status.code(), status.reason());
        let mut head = self.start(status);
        if let Some((name, value)) = field {
            head = head.field(name, value);
        }
        head.field("Content-Type", "text/plain; charset=utf-8").bytes(page.as_bytes());
    }

    /// Takes back what was written, for a response that is made elsewhere; tells whether it was to
    /// end the connection.
    pub fn withdraw(mut self) -> bool {
        self.roll_back();
        self.close
    }

    /// 500, for an error of the disk.
    #[cold]
    pub fn unreadable(&mut self) {
        self.error(Status::INTERNAL_SERVER_ERROR);
        self.finished.iter_mut().for_each(|finished| finished.unreadable = true);
    }

    /// What was answered; a 500 when nothing was.
    #[inline]
    pub fn outcome(&mut self) -> Finished {
        match self.finished {
            Some(finished) => finished,
            None => self.fail(),
        }
    }

    fn connection_line(&self) -> &'static [u8] {
        if self.close { CLOSE_LINE } else { self.frame.connection_line }
    }

    fn roll_back(&mut self) {
        self.out.truncate(self.begin);
        self.pieces.clear();
        self.finished = None;
    }

    /// Takes back what was written and answers 500, closing.
    #[cold]
    fn fail(&mut self) -> Finished {
        const ANSWER: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\n\
            Content-Length: 0\r\nConnection: close\r\n";
        self.roll_back();
        self.close = true;
        let tail = self.clock.date_tail();
        if self.out.remaining_mut() >= ANSWER.len() + tail.len() {
            self.out.put_slice(ANSWER);
            self.out.put_slice(tail);
        }
        let status = Status::INTERNAL_SERVER_ERROR;
        let finished = Finished { status, body_len: Some(0), close: true, unreadable: false };
        *self.finished.insert(finished)
    }

    #[inline]
    fn finish(&mut self, status: Status, body_len: Option<u64>) {
        self.finished = Some(Finished { status, body_len, close: self.close, unreadable: false });
    }
}

/// A response head that is still open: add fields, then end it with a body.
pub struct Head<'r, 'a> {
    response: &'r mut Response<'a>,
    status: Status,
    /// The head did not fit or a field was invalid: it becomes a 500.
    overflow: bool,
}

impl<'a> Head<'_, 'a> {
    /// Adds a field line. A name that is no token or a value that could end the line makes the
    /// response a 500: it never goes out (RFC 9110, section 5.5).
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        let room = self.response.out.remaining_mut();
        // Name, colon, space, value, CRLF.
        let fits = room >= name.len() + value.len() + 4;
        self.overflow |=
            !fits || wire::field(&mut *self.response.out, name.as_bytes(), value).is_err();
        self
    }

    /// No body: `Content-Length: 0`, or nothing where the status allows no content.
    pub fn empty(self) {
        self.end(Some(0), |_| Ok(()));
    }

    /// A body that is copied.
    pub fn bytes(self, body: &[u8]) {
        self.end(Some(body.len() as u64), |response| {
            if body.len() <= response.out.remaining_mut() {
                response.out.put_slice(body);
                return Ok(());
            }
            response.pieces.push(Piece::Bytes(Bytes::copy_from_slice(body)))
        });
    }

    /// A body in shared memory; copied when it is small.
    pub fn shared(self, body: Bytes) {
        if body.len() <= COPY_BYTES_MAX {
            return self.bytes(&body);
        }
        self.pieces([Piece::Bytes(body)]);
    }

    /// `len` bytes of a file from `offset` on.
    pub fn file(self, file: SharedFile, offset: u64, len: u64) {
        self.pieces([Piece::File {
            file,
            offset,
            end: offset.saturating_add(len),
            reach: Reach::default(),
        }]);
    }

    /// A body made when there is room: `len` bytes, or as many as come.
    pub fn generate(self, len: Option<u64>, source: Generator) {
        self.pieces([Piece::Generate { source, left: len, chunked: false, waits: false }]);
    }

    /// The same for a source that reads files: in a model with worker threads they read it.
    pub fn generate_from_disk(self, len: Option<u64>, source: Generator) {
        self.pieces([Piece::Generate { source, left: len, chunked: false, waits: true }]);
    }

    /// A body of several pieces (at most [`PIECES_MAX`]). One of unknown length must stand alone, for
    /// its end is the body's: beside others it makes the response a 500.
    pub fn pieces<const N: usize>(self, pieces: [Piece; N]) {
        const { assert!(N <= PIECES_MAX) };
        let total = pieces.iter().try_fold(0u64, |sum, piece| sum.checked_add(piece.len()?));
        if total.is_none() && N != 1 {
            self.response.fail();
            return;
        }
        let chunked = total.is_none() && self.response.frame.version == Version::Http11;
        self.end(total, |response| {
            for mut piece in pieces {
                if let Piece::Generate { chunked: framed, .. } = &mut piece {
                    *framed = chunked;
                }
                if !piece.is_empty() {
                    response.pieces.push(piece)?;
                }
            }
            Ok(())
        });
    }

    /// Ends the head with its framing, `Connection` and `Date`; `body` adds what follows.
    fn end(mut self, len: Option<u64>, body: impl FnOnce(&mut Response<'a>) -> Result<(), Piece>) {
        // Content-Length or Transfer-Encoding, Connection, Date, blank line: at most this long.
        const END_MAX: usize = 48 + 24 + 40;
        if self.overflow || self.response.out.remaining_mut() < END_MAX {
            self.response.fail();
            return;
        }
        self.end_head(len);
        let response = self.response;
        let sends_body = wire::body_allowed(self.status, response.frame.method);
        if sends_body && body(response).is_err() {
            response.fail();
            return;
        }
        response.finish(self.status, if sends_body { len } else { Some(0) });
    }

    fn end_head(&mut self, len: Option<u64>) {
        let response = &mut *self.response;
        // A 204 or 304 has no length (RFC 9110, section 8.6); HEAD has the one that GET would have.
        if wire::body_allowed(self.status, Method::Get) {
            match (len, response.frame.version) {
                (Some(len), _) => wire::content_length(&mut *response.out, len),
                (None, Version::Http11) => wire::chunked(&mut *response.out),
                (None, Version::Http10) => response.close = true,
            }
        }
        let line = response.connection_line();
        response.out.put_slice(line);
        response.out.put_slice(response.clock.date_tail());
    }
}
