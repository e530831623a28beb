//! One client connection's state, without the connection: bytes in, events out.
//!
//! ```text
//!        ┌─ Event::Interim (1xx)
//!        ▼     │       ┌────────── no body ──────────┐
//!   ──► between responses ──► head ── Event::Head ───┤
//!        ▲                                           │ body
//!        └──── Event::End (or eof) ◄── Event::Data* ◄┘
//! ```
//!
//! RFC 9112, sections 2.2, 6.3, 8 and 9.

use crate::chunked::{Chunked, Found};
use crate::connection::{behind, empty_lines};
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;

use super::asked::Outstanding;
use super::parse::{self, Reader};
use super::{Asked, Framing, ResponseHead, TooManyOutstanding, framing};

/// The result of a step.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing: more bytes are needed.
    NeedMore,
    /// The head of an interim response (1xx) is complete and in the [`ResponseHead`]; the final
    /// one is still to come (RFC 9110, section 15.2). Its bytes are the first `consumed` of the
    /// input.
    Interim,
    /// The same for the final response.
    Head,
    /// Body data, at this offset of the input. Never empty.
    Data {
        /// Its first byte within the input.
        start: usize,
        /// Its length.
        len: usize,
    },
    /// The body is complete. Comes after every head that a body follows, even an empty chunked one.
    End,
}

/// A step through the input.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that were consumed; the next input begins after them.
    pub consumed: usize,
    /// What was found in them.
    pub event: Event,
}

/// What the next byte belongs to.
#[derive(Copy, Clone, Debug)]
enum Phase {
    /// A head, or the empty lines before it. `read` bytes of it have been read.
    Head { reader: Reader, read: u16 },
    /// A body of known length, with this many bytes to come.
    Length(u64),
    /// A chunked body.
    Chunked(Chunked),
    /// A body that the server ends by closing; the limit allows this many more bytes.
    UntilClose(u64),
    /// Another protocol.
    Tunnel,
    /// Nothing: after the last response, or an error.
    Over,
}

impl Phase {
    const FRESH: Phase = Phase::Head { reader: Reader::START, read: 0 };
}

/// The state of one connection.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    outstanding: Outstanding,
    /// Empty lines since the last response.
    empty_lines: u8,
    persists: bool,
    /// Bytes of the trailer section that the last step has consumed, and was to keep.
    trailers_len: u16,
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    /// The most requests that may wait for their responses.
    pub const OUTSTANDING_MAX: usize = Outstanding::MAX;

    /// A connection on which nothing has been sent.
    pub const fn new() -> Self {
        Connection {
            phase: Phase::FRESH,
            outstanding: Outstanding::NONE,
            empty_lines: 0,
            persists: true,
            trailers_len: 0,
        }
    }

    /// A request has been sent, or is about to be: its [`Method`](crate::Method), or [`Asked`].
    /// Call it for each, in order, before its response is fed.
    ///
    /// # Errors
    /// [`OUTSTANDING_MAX`](Self::OUTSTANDING_MAX) requests are pending already; this one is not
    /// recorded.
    pub fn sent(&mut self, asked: impl Into<Asked>) -> Result<(), TooManyOutstanding> {
        self.outstanding.push(asked.into())
    }

    /// Takes the next step through `input`, which begins where the last step's `consumed` ended.
    ///
    /// What follows the last response of a connection that does not persist, or an error, is
    /// consumed and ignored. What follows a head with [`Framing::Tunnel`] belongs to another
    /// protocol and is never consumed.
    ///
    /// # Errors
    /// The response is refused. If its head is well formed (and only its meaning is wrong), `head`
    /// holds it all the same: see [`ResponseHead::is_complete`]. The connection no longer persists.
    pub fn next(
        &mut self,
        input: &[u8],
        head: &mut ResponseHead,
        limits: &Limits,
    ) -> Result<Step, Error> {
        self.trailers_len = 0;
        let step = match self.phase {
            Phase::Head { reader, read } => self.head(input, head, limits, reader, read as usize),
            _ => self.body(input, limits),
        };
        if step.is_err() {
            self.phase = Phase::Over;
            self.persists = false;
        }
        step
    }

    fn head(
        &mut self,
        input: &[u8],
        head: &mut ResponseHead,
        limits: &Limits,
        mut reader: Reader,
        read: usize,
    ) -> Result<Step, Error> {
        head.clear();
        let (start, lines) = empty_lines(input, self.empty_lines)?;
        let line = &input[start..];
        if read > 0 && (start > 0 || line.len() < read) {
            return Err(Error::new(ErrorKind::InputChanged, start));
        }
        // Empty lines are consumed at once, so that an idle connection holds no byte.
        let more = Step { consumed: start, event: Event::NeedMore };
        if read == 0 && (line.is_empty() || line == b"\r") {
            self.empty_lines = lines;
            return Ok(more);
        }
        let Some(asked) = self.outstanding.first() else {
            return Err(Error::new(ErrorKind::Unasked, start));
        };
        let window = &line[..line.len().min(limits.head())];
        let end = reader.run(window, read, limits).map_err(|error| behind(error, start))?;
        let Some(end) = end else {
            // `read` is more if the limit was lowered meanwhile.
            if window.len() == limits.head() || window.len() < read {
                return Err(Error::new(ErrorKind::HeadTooLarge, start + window.len()));
            }
            self.empty_lines = lines;
            self.phase = Phase::Head { reader, read: window.len() as u16 };
            return Ok(more);
        };
        // What came in pieces may have been brought again with other bytes, and what follows
        // trusts them.
        if read > 0 && !Reader::is_whole(&line[..end], limits) {
            return Err(Error::new(ErrorKind::InputChanged, start));
        }
        if parse::index(&line[..end], head).is_none() {
            // Only a head that was created for a lower limit has too little room.
            return Err(Error::new(ErrorKind::TooManyFields, start));
        }
        head.start = start as u8;
        self.begin(&line[..end], head, asked, limits).map_err(|error| behind(error, start))
    }

    /// The head is complete. `line` begins at the status line.
    fn begin(
        &mut self,
        line: &[u8],
        head: &mut ResponseHead,
        asked: Asked,
        limits: &Limits,
    ) -> Result<Step, Error> {
        let persists = framing::interpret(head, line, asked, limits)?;
        let consumed = head.len();
        self.empty_lines = 0;
        self.phase = Phase::FRESH;
        if (100..200).contains(&head.code) && head.framing != Framing::Tunnel {
            return Ok(Step { consumed, event: Event::Interim });
        }
        self.outstanding.pop();
        self.persists = persists;
        match head.framing {
            Framing::None | Framing::Length(0) => self.complete(),
            Framing::Length(len) => self.phase = Phase::Length(len),
            Framing::Chunked => self.phase = Phase::Chunked(Chunked::new(limits)),
            Framing::UntilClose => self.phase = Phase::UntilClose(limits.body()),
            Framing::Tunnel => self.phase = Phase::Tunnel,
        }
        Ok(Step { consumed, event: Event::Head })
    }

    /// The response being read is complete.
    fn complete(&mut self) {
        self.phase = if self.persists { Phase::FRESH } else { Phase::Over };
    }

    fn body(&mut self, input: &[u8], limits: &Limits) -> Result<Step, Error> {
        let there = input.len() as u64;
        match &mut self.phase {
            Phase::Length(0) => {
                self.complete();
                Ok(Step { consumed: 0, event: Event::End })
            }
            Phase::UntilClose(0) if there > 0 => Err(Error::new(ErrorKind::BodyTooLarge, 0)),
            Phase::Length(left) | Phase::UntilClose(left) => {
                let len = there.min(*left);
                *left -= len;
                Ok(data(0, len as usize))
            }
            Phase::Chunked(chunked) => {
                let found = chunked.next(input, limits)?;
                Ok(self.found(found, input.len()))
            }
            Phase::Tunnel => Ok(Step { consumed: 0, event: Event::NeedMore }),
            Phase::Over | Phase::Head { .. } => {
                Ok(Step { consumed: input.len(), event: Event::NeedMore })
            }
        }
    }

    fn found(&mut self, found: Found, available: usize) -> Step {
        match found {
            Found::More => Step { consumed: available, event: Event::NeedMore },
            Found::Held(at) => Step { consumed: at, event: Event::NeedMore },
            Found::Data(start, end) => data(start, end),
            Found::End(end) => {
                self.complete();
                Step { consumed: end, event: Event::End }
            }
            Found::Trailers(start, end) => {
                self.complete();
                // Within the limit, which fits 16 bits.
                self.trailers_len = (end - start) as u16;
                Step { consumed: end, event: Event::End }
            }
        }
    }

    /// The server has finished sending, and everything it sent has been fed. Returns [`Event::End`]
    /// when that completes a body.
    ///
    /// # Errors
    /// [`ErrorKind::Incomplete`] in the middle of a response (RFC 9112, section 8).
    pub fn eof(&mut self) -> Result<Option<Event>, Error> {
        let ended = match self.phase {
            Phase::Head { read: 0, .. } | Phase::Tunnel | Phase::Over => Ok(None),
            Phase::Length(0) | Phase::UntilClose(_) => Ok(Some(Event::End)),
            Phase::Head { read, .. } => Err(Error::new(ErrorKind::Incomplete, read as usize)),
            Phase::Chunked(chunked) => Err(Error::new(ErrorKind::Incomplete, chunked.held())),
            Phase::Length(_) => Err(Error::new(ErrorKind::Incomplete, 0)),
        };
        self.phase = Phase::Over;
        self.persists = false;
        ended
    }

    /// After [`Event::Head`]: whether a body follows, which [`Event::End`] will end. If not, the
    /// response is complete.
    pub fn body_follows(&self) -> bool {
        matches!(self.phase, Phase::Length(_) | Phase::Chunked(_) | Phase::UntilClose(_))
    }

    /// After [`Event::Head`]: keeps the trailer section of this response's chunked body until
    /// it is whole, within its limit: it is consumed by the step that gives [`Event::End`], and
    /// found by [`trailers`](Self::trailers). Returns whether it is kept: `false` when no chunked
    /// body is being read, or its end has been reached.
    pub fn keep_trailers(&mut self) -> bool {
        match &mut self.phase {
            Phase::Chunked(chunked) => chunked.keep_trailer(),
            _ => false,
        }
    }

    /// After [`Event::End`], if the [trailer section was kept](Self::keep_trailers): the section,
    /// for [`trailers::fields`](crate::trailers::fields). `consumed` are the bytes that the step has
    /// consumed. Empty in every other case.
    pub fn trailers<'a>(&self, consumed: &'a [u8]) -> &'a [u8] {
        match consumed.len().checked_sub(self.trailers_len.into()) {
            Some(start) => &consumed[start..],
            None => &[],
        }
    }

    /// Whether the server lets another request follow: it has not announced that it closes, and
    /// there was no error. After a response that does, those [`outstanding`](Self::outstanding) are
    /// never answered.
    pub fn persists(&self) -> bool {
        self.persists
    }

    /// Requests that wait for their final response.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// Whether no response is partly read.
    pub fn is_between_responses(&self) -> bool {
        matches!(self.phase, Phase::Head { read: 0, .. } | Phase::Over)
    }
}

/// Data, if there is any.
fn data(start: usize, end: usize) -> Step {
    let event = match end - start {
        0 => Event::NeedMore,
        len => Event::Data { start, len },
    };
    Step { consumed: end, event }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_at_most_64_bytes() {
        assert!(size_of::<Connection>() <= 64, "{}", size_of::<Connection>());
    }
}
