//! One connection's state, without the connection: bytes in, events out.
//!
//! ```text
//!                 ┌────────────── no body ──────────────┐
//!                 ▼                                     │
//!   ──► between requests ──► head ── Event::Head ───────┤
//!                 ▲                                     │ body
//!                 └──── Event::End ◄── Event::Data* ◄───┘
//! ```
//!
//! The caller owns the buffer and the clock. It feeds what it has not yet consumed; after
//! [`Event::NeedMore`] it reads more and feeds the rest again with the new bytes appended.
//! Pipelined requests are simply what is left after one is complete. A caller that brings other
//! bytes instead, or fewer, gets [`ErrorKind::InputChanged`] where they contradict what was there.
//!
//! Where the last answer changes the protocol (101, or 2xx to CONNECT), the caller says so by
//! [`Connection::change_protocol`]: what follows is not looked at, and left in the input.
//!
//! However the bytes are split over calls, the events, the kind of an error and its byte are the
//! same. Data may come in different pieces, of course.
//!
//! What is *not* guaranteed: that two requests are answered in order (the caller's part: RFC 9112,
//! section 9.3.2), and that a slow head ever completes (the caller has the clock).
//!
//! RFC 9112, sections 2.2, 6, 8 and 9.

use crate::chunked::{Chunked, Found};
use crate::error::{Error, ErrorKind};
use crate::framing::{self, Exchange};
use crate::head::{Framing, Head, Version};
use crate::incremental::IncrementalParser;
use crate::limits::Limits;
use crate::parse::{self, Stop};

/// The result of a step.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing: more bytes are needed.
    NeedMore,
    /// A head is complete and in the [`Head`]. Its bytes are the first `consumed` of the input.
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
    /// A head, of which no byte has arrived, nor an empty line before it.
    Fresh,
    /// A head, or the empty lines before it. `read` bytes of it have been validated.
    Head { parser: IncrementalParser, read: u16 },
    /// A body of known length, with this many bytes to come.
    Length(u64),
    /// A chunked body.
    Chunked(Chunked),
    /// The next request, if the connection persists: a body has ended, and the last bytes of it were
    /// a trailer section of this length.
    Trailers(u16),
    /// Nothing: the last exchange has been read.
    Ended,
    /// Another protocol.
    Tunnel,
    /// Nothing: after an error.
    Failed,
}

impl Phase {
    /// Before the next request, if another one is allowed.
    fn after_exchange(persists: bool) -> Phase {
        if persists { Phase::Fresh } else { Phase::Ended }
    }
}

/// The state of one connection. A clone can read ahead.
#[derive(Clone, Debug)]
pub struct Connection {
    phase: Phase,
    requests: u32,
    /// Empty lines since the last request.
    empty_lines: u8,
    version: Version,
    persists: bool,
    expects_continue: bool,
}

impl Default for Connection {
    fn default() -> Self {
        Self::new()
    }
}

impl Connection {
    /// A connection on which nothing has been received.
    pub const fn new() -> Self {
        Connection {
            phase: Phase::Fresh,
            requests: 0,
            empty_lines: 0,
            version: Version::Http11,
            persists: true,
            expects_continue: false,
        }
    }

    /// Takes the next step through `input`, which begins where the last step's `consumed` ended.
    ///
    /// What follows the last request of a connection that does not persist, or an error, is
    /// consumed and ignored. What follows a [change of protocol](Connection::change_protocol) is
    /// never consumed.
    ///
    /// # Errors
    /// The request is refused. If its head is well formed (and only its meaning is wrong), `head`
    /// holds it all the same: see [`Head::is_complete`]. The connection no longer persists.
    #[inline(always)]
    pub fn next(&mut self, input: &[u8], head: &mut Head, limits: &Limits) -> Result<Step, Error> {
        if matches!(self.phase, Phase::Fresh) {
            return self.fresh_head(input, head, limits);
        }
        if let Phase::Chunked(chunked) = &mut self.phase
            && let Some((start, end)) = chunked.whole(input)
        {
            return Ok(self.chunk(start, end));
        }
        self.next_slow_path(input, head, limits)
    }

    /// A whole chunk, and the CRLF after it.
    #[inline(always)]
    fn chunk(&mut self, start: usize, end: usize) -> Step {
        self.expects_continue = false;
        Step { consumed: end + 2, event: Event::Data { start, len: end - start } }
    }

    /// The same without the fast paths.
    #[inline(never)]
    fn next_slow_path(
        &mut self,
        input: &[u8],
        head: &mut Head,
        limits: &Limits,
    ) -> Result<Step, Error> {
        if let Phase::Trailers(_) = self.phase {
            self.phase = Phase::after_exchange(self.persists);
        }
        let step = self.other(input, head, limits);
        if step.is_err() {
            self.fail();
        }
        step
    }

    #[cold]
    fn fail(&mut self) {
        self.phase = Phase::Failed;
        self.persists = false;
        self.expects_continue = false;
    }

    /// The fast path first; if the head is incomplete or malformed, the slow one.
    #[inline(always)]
    fn fresh_head(
        &mut self,
        input: &[u8],
        head: &mut Head,
        limits: &Limits,
    ) -> Result<Step, Error> {
        let window = &input[..input.len().min(limits.head())];
        if let Err(stop) = parse::parse(window, head, limits) {
            return self.stopped(stop, input, head, limits);
        }
        head.start = 0;
        let step = self.begin(input, head, limits);
        if step.is_err() {
            self.fail();
        }
        step
    }

    /// The fast path stopped at a byte; the slow one resumes there.
    #[cold]
    fn stopped(
        &mut self,
        stop: Stop,
        input: &[u8],
        head: &mut Head,
        limits: &Limits,
    ) -> Result<Step, Error> {
        self.phase = Phase::Head { parser: stop.parser, read: stop.at };
        self.next_slow_path(input, head, limits)
    }

    /// Everything but the fast path.
    fn other(&mut self, input: &[u8], head: &mut Head, limits: &Limits) -> Result<Step, Error> {
        match self.phase {
            Phase::Head { parser, read } if self.persists => {
                self.resume_head(input, head, limits, parser, read as usize)
            }
            Phase::Fresh => self.resume_head(input, head, limits, IncrementalParser::HEAD, 0),
            _ => self.body(input, limits),
        }
    }

    /// Reads byte by byte; parses once the blank line has arrived.
    #[cold]
    fn resume_head(
        &mut self,
        input: &[u8],
        head: &mut Head,
        limits: &Limits,
        mut parser: IncrementalParser,
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
            self.phase = Phase::Head { parser: IncrementalParser::HEAD, read: 0 };
            return Ok(more);
        }
        let window = &line[..line.len().min(limits.head())];
        let end = parser.run(window, read, limits).map_err(|error| behind(error, start))?;
        let Some(end) = end else {
            // `read` is more if the limit was lowered meanwhile.
            if window.len() == limits.head() || window.len() < read {
                return Err(Error::new(ErrorKind::HeadTooLarge, start + window.len()));
            }
            self.empty_lines = lines;
            self.phase = Phase::Head { parser, read: window.len() as u16 };
            return Ok(more);
        };
        let parsed = parse::parse(&line[..end], head, limits);
        if parsed.is_err() || head.len as usize != end {
            head.clear();
            return Err(Error::new(refused(&line[..end], head, limits), start));
        }
        head.start = start as u8;
        self.phase = Phase::Fresh;
        self.empty_lines = 0;
        self.begin(line, head, limits).map_err(|error| behind(error, start))
    }

    /// The head is complete and the phase is fresh: the exchange begins. `line` begins at the
    /// request line.
    #[inline(always)]
    fn begin(&mut self, line: &[u8], head: &mut Head, limits: &Limits) -> Result<Step, Error> {
        self.requests = self.requests.saturating_add(1);
        self.version = head.version;
        let Exchange { persists, expects_continue } = framing::interpret(head, line, limits)?;
        self.persists = persists;
        self.expects_continue = expects_continue;
        match head.framing {
            Framing::None | Framing::Length(0) => {
                if !persists {
                    self.phase = Phase::Ended;
                }
            }
            Framing::Length(len) => self.phase = Phase::Length(len),
            Framing::Chunked => self.phase = Phase::Chunked(Chunked::new(limits)),
        }
        Ok(Step { consumed: head.len(), event: Event::Head })
    }

    fn body(&mut self, input: &[u8], limits: &Limits) -> Result<Step, Error> {
        if !input.is_empty() {
            // The client did not wait for the 100, or stopped waiting.
            self.expects_continue = false;
        }
        match &mut self.phase {
            Phase::Length(left) => {
                let len = (*left).min(input.len() as u64);
                *left -= len;
                Ok(self.sized(len as usize))
            }
            Phase::Chunked(chunked) => {
                let found = chunked.next(input, limits)?;
                Ok(self.found(found, input.len()))
            }
            Phase::Tunnel => Ok(Step { consumed: 0, event: Event::NeedMore }),
            // The first three have been dealt with.
            Phase::Fresh
            | Phase::Head { .. }
            | Phase::Trailers(_)
            | Phase::Ended
            | Phase::Failed => Ok(Step { consumed: input.len(), event: Event::NeedMore }),
        }
    }

    fn sized(&mut self, len: usize) -> Step {
        let event = match self.phase {
            _ if len > 0 => Event::Data { start: 0, len },
            Phase::Length(0) => {
                self.phase = Phase::after_exchange(self.persists);
                Event::End
            }
            _ => Event::NeedMore,
        };
        Step { consumed: len, event }
    }

    fn found(&mut self, found: Found, available: usize) -> Step {
        match found {
            Found::More => Step { consumed: available, event: Event::NeedMore },
            Found::Held(at) => Step { consumed: at, event: Event::NeedMore },
            Found::Data(start, end) => {
                Step { consumed: end, event: Event::Data { start, len: end - start } }
            }
            Found::End(end) => {
                self.phase = Phase::after_exchange(self.persists);
                Step { consumed: end, event: Event::End }
            }
            Found::Trailers(start, end) => {
                // Within the limit, which fits 16 bits.
                self.phase = Phase::Trailers((end - start) as u16);
                Step { consumed: end, event: Event::End }
            }
        }
    }

    /// After [`Event::Head`]: whether a body follows, which [`Event::End`] will end. If not, the
    /// request is complete.
    #[inline]
    pub fn body_follows(&self) -> bool {
        matches!(self.phase, Phase::Length(_) | Phase::Chunked(_))
    }

    /// The peer has finished sending, and everything it sent has been fed.
    ///
    /// # Errors
    /// [`ErrorKind::Incomplete`] in the middle of a request, which must then not be acted upon (RFC
    /// 9112, section 8).
    pub fn eof(&self) -> Result<(), Error> {
        let offset = match self.phase {
            Phase::Head { read, .. } if read > 0 => read as usize,
            Phase::Fresh | Phase::Head { .. } | Phase::Length(0) => return Ok(()),
            Phase::Trailers(_) | Phase::Ended | Phase::Failed | Phase::Tunnel => return Ok(()),
            Phase::Length(_) => 0,
            Phase::Chunked(chunked) => chunked.held(),
        };
        Err(Error::new(ErrorKind::Incomplete, offset))
    }

    /// Whether another request may follow this exchange.
    #[inline]
    pub fn persists(&self) -> bool {
        self.persists
    }

    /// After [`Event::Head`]: keeps the trailer section of this request's chunked body until
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
        let Phase::Trailers(len) = self.phase else { return &[] };
        consumed.len().checked_sub(len.into()).map_or(&[], |start| &consumed[start..])
    }

    /// The request that was read last is answered by a change of protocol: by a 101 to one with
    /// `Upgrade`, or a 2xx to CONNECT (RFC 9110, sections 7.8 and 9.3.6). From now on the input is
    /// not HTTP: [`next`](Self::next) consumes none of it, and no other request follows.
    ///
    /// `false`, and nothing has changed: no request has been read, or one is still being read. The
    /// protocol changes behind a whole request, its body included.
    pub fn change_protocol(&mut self) -> bool {
        let nothing_follows = match self.phase {
            Phase::Fresh | Phase::Trailers(_) | Phase::Ended => true,
            // It was called for more, and there was none, nor an empty line.
            Phase::Head { read, .. } => read == 0 && self.empty_lines == 0,
            _ => false,
        };
        let is_behind_one = self.requests > 0 && nothing_follows;
        if is_behind_one {
            self.phase = Phase::Tunnel;
            self.persists = false;
        }
        is_behind_one
    }

    /// Whether the protocol has changed: what is left of the input belongs to another one.
    pub fn has_changed_protocol(&self) -> bool {
        matches!(self.phase, Phase::Tunnel)
    }

    /// Makes this exchange the last one. Its body is still read; what follows is ignored.
    pub fn close(&mut self) {
        self.persists = false;
        if matches!(self.phase, Phase::Fresh) {
            self.phase = Phase::Ended;
        }
    }

    /// Whether the client waits for a 100 (RFC 9110, section 10.1.1): it requested one, none was
    /// sent, a body is expected and none of it has been seen.
    #[inline]
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// The 100 has been sent.
    pub fn continue_sent(&mut self) {
        self.expects_continue = false;
    }

    /// Whether no byte of a request line has been seen since the last request was complete.
    #[inline]
    pub fn is_between_requests(&self) -> bool {
        let is_over = matches!(self.phase, Phase::Ended | Phase::Tunnel);
        is_over
            || matches!(self.phase, Phase::Fresh | Phase::Head { read: 0, .. } | Phase::Trailers(_))
    }

    /// The field line that the response to this exchange needs: that the connection closes, or that
    /// it persists although the client uses HTTP/1.0, or nothing.
    #[inline]
    pub fn connection_line(&self) -> &'static [u8] {
        if self.persists && self.version == Version::Http11 {
            return b"";
        }
        self.connection_line_needed()
    }

    #[cold]
    fn connection_line_needed(&self) -> &'static [u8] {
        match self.persists {
            true => b"Connection: keep-alive\r\n",
            false => b"Connection: close\r\n",
        }
    }

    /// Requests so far whose head was complete.
    #[inline]
    pub fn requests(&self) -> u32 {
        self.requests
    }
}

/// Why the second pass refuses a head that the first one found whole.
#[cold]
fn refused(line: &[u8], head: &Head, limits: &Limits) -> ErrorKind {
    // The first pass read it in pieces, and the caller brought others the next time.
    if !IncrementalParser::HEAD.is_whole(line, limits) {
        return ErrorKind::InputChanged;
    }
    // The head was created for a lower limit than that of the call.
    debug_assert!(
        head.slots.len() < limits.fields(),
        "the incremental parser accepts what parse refuses"
    );
    ErrorKind::TooManyFields
}

/// The bytes of empty lines that `input` begins with, and how many lines there have been in all
/// after `lines` before. A message may follow a few: clients used to send one after a body (RFC
/// 9112, section 2.2).
pub(crate) fn empty_lines(input: &[u8], mut lines: u8) -> Result<(usize, u8), Error> {
    let mut at = 0;
    while input.get(at) == Some(&b'\r') {
        if lines == Limits::EMPTY_LINES_MAX {
            return Err(Error::new(ErrorKind::EmptyLines, at));
        }
        match input.get(at + 1) {
            Some(b'\n') => at += 2,
            Some(_) => return Err(Error::new(ErrorKind::LineEnd, at + 1)),
            None => break,
        }
        lines += 1;
    }
    Ok((at, lines))
}

/// The same error counted from `start` bytes earlier.
pub(crate) fn behind(error: Error, start: usize) -> Error {
    Error { offset: error.offset + start, ..error }
}

#[cfg(test)]
mod tests;
