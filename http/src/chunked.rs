//! The decoder of chunked bodies (RFC 9112, section 7.1): it can stop at any byte and resume later,
//! and never copies data.
//!
//! ```text
//! Size ─► [extensions] ─CR─► SizeLf ─LF─► Data ─► DataCr ─► DataLf ─┐
//!   ▲                           │ size 0                             │
//!   │                           └───► Trailer (incremental) ─► done  │
//!   └────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A small chunk that has arrived whole is decoded in one go, without these states:
//! [`Chunked::whole`].
//!
//! Everything is consumed as it comes, but for a trailer section that is kept: like a head, it stays
//! with the caller until it is whole.
//!
//! Strict where decoders differ, because that is how requests are smuggled: no bare LF or CR, no
//! sign, no prefix, no space before a size, extensions by their grammar and bounded for the whole
//! body. Trailer fields are validated and, unless they are asked for, dropped: none of them may
//! change what the head said (section 7.1.2).

use crate::error::{Error, ErrorKind};
use crate::incremental::{IncrementalParser, TrailerParser};
use crate::limits::Limits;
use crate::scan::{self, QUOTED, TOKEN, VALUE};

const CRLF: &[u8; 2] = b"\r\n";

/// A size line that is decoded in one go: that of a chunk below 64 KiB.
#[derive(Copy, Clone, Debug)]
struct Line {
    /// In little-endian bytes, so that a decoder is no larger for their alignment.
    size: [u8; 2],
    /// Its bytes, with CRLF.
    len: u8,
    /// The shift that leaves nothing else in a word that begins with it.
    shift: u8,
}

/// What the next byte belongs to.
#[derive(Copy, Clone, Debug)]
enum State {
    /// The first digit of a size. The last line's text is in [`Chunked::left`].
    Start(Line),
    /// A digit of the size, or what ends it; the count of digits so far.
    Size(u8),
    /// White space after a size or an extension's value: only `;` may follow.
    BeforeSemicolon,
    /// After `;`.
    BeforeName,
    Name,
    /// White space after an extension's name: `=` or `;` may follow.
    AfterName,
    /// After `=`.
    BeforeValue,
    Value,
    Quoted,
    /// After a backslash in a quoted value.
    QuotedPair,
    /// After the closing quote.
    QuotedEnd,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer(TrailerParser),
}

/// A decoder between two bytes.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Chunked {
    /// Bytes of the chunk that are still to come, or its size so far. At the start of a chunk: the
    /// text of the last size line, in the highest bytes.
    left: u64,
    /// Bytes of the body that the limit still allows, the announced chunk deducted.
    allowed: u64,
    state: State,
    /// The trailer section is kept until it is whole.
    keeps_trailer: bool,
    /// Bytes of extensions so far; in the trailer section, bytes of that.
    counted: u16,
}

/// What a step found.
pub(crate) enum Found {
    /// All of the input was framing, or there was none.
    More,
    /// What follows this offset must come again with more behind it.
    Held(usize),
    /// Data, from start to end.
    Data(usize, usize),
    /// The end of the body, which is before this offset.
    End(usize),
    /// The same behind a trailer section that was kept, from start to end.
    Trailers(usize, usize),
}

impl Chunked {
    pub(crate) fn new(limits: &Limits) -> Self {
        let state = State::Start(Line::NONE);
        let (left, allowed) = (Line::NO_TEXT, limits.body());
        Chunked { left, allowed, state, keeps_trailer: false, counted: 0 }
    }

    /// From now on, the trailer section is kept; `false`: it has begun already.
    pub(crate) fn keep_trailer(&mut self) -> bool {
        let early = !matches!(self.state, State::Trailer(_));
        self.keeps_trailer |= early;
        early
    }

    /// Bytes that have been read and must come again.
    pub(crate) fn held(&self) -> usize {
        match self.state {
            State::Trailer(_) if self.keeps_trailer => self.counted as usize,
            _ => 0,
        }
    }

    /// Decodes a whole chunk, with its size before and the CRLF after it, if `bytes` begins with
    /// one: its data, from start to end. `None`: nothing was consumed; call [`next`](Self::next),
    /// which handles everything that may be there instead, and the errors.
    ///
    /// A sender's chunks mostly have one size, its buffer's. So the last size line is kept, and the
    /// next is first compared with that. The processor predicts that it is the same, and knows
    /// where the next line is without waiting for this one: 2 ns a chunk instead of 4.
    #[inline]
    pub(crate) fn whole(&mut self, bytes: &[u8]) -> Option<(usize, usize)> {
        let State::Start(mut line) = self.state else {
            return None;
        };
        let word = u64::from_le_bytes(*bytes.first_chunk()?);
        if word.wrapping_shl(line.shift.into()) != self.left {
            line = self.learn(word)?;
        }
        let (start, size) = (line.len as usize, u16::from_le_bytes(line.size) as usize);
        let end = start + size;
        let behind = bytes.get(end..end + CRLF.len())?;
        if size as u64 > self.allowed || behind != CRLF {
            return None;
        }
        self.allowed -= size as u64;
        Some((start, end))
    }

    /// Keeps the size line that begins `word`, if it is one.
    #[inline(never)]
    fn learn(&mut self, word: u64) -> Option<Line> {
        let line = Line::read(word.to_le_bytes())?;
        self.left = word << line.shift;
        self.state = State::Start(line);
        Some(line)
    }

    /// Decodes up to the next data or the end.
    pub(crate) fn next(&mut self, bytes: &[u8], limits: &Limits) -> Result<Found, Error> {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::Data => return Ok(self.data(bytes, at)),
                State::Trailer(parser) if self.keeps_trailer => {
                    return self.kept_trailer(parser.into(), bytes, at, limits);
                }
                State::Trailer(parser) => return self.trailer(parser.into(), bytes, at, limits),
                _ => {}
            }
            self.framing(bytes[at], at, limits)?;
            at += 1;
        }
        if self.held() > 0 {
            return Err(Error::new(ErrorKind::InputChanged, at));
        }
        Ok(Found::More)
    }

    fn data(&mut self, bytes: &[u8], at: usize) -> Found {
        let there = (bytes.len() - at) as u64;
        let len = self.left.min(there);
        self.left -= len;
        if self.left == 0 {
            self.state = State::DataCr;
        }
        Found::Data(at, at + len as usize)
    }

    fn trailer(
        &mut self,
        mut parser: IncrementalParser,
        bytes: &[u8],
        at: usize,
        limits: &Limits,
    ) -> Result<Found, Error> {
        // Limits that have been lowered meanwhile leave none.
        let room = limits.trailer().saturating_sub(self.counted as usize);
        let end = bytes.len().min(at + room);
        if let Some(end) = parser.run(&bytes[..end], at, limits)? {
            return Ok(Found::End(end));
        }
        self.state = State::Trailer(parser.into());
        self.counted += (end - at) as u16;
        if end == at + room {
            return Err(Error::new(ErrorKind::TrailerTooLarge, end));
        }
        Ok(Found::More)
    }

    /// The same for a section that begins at `start` and of which `counted` bytes have been
    /// validated.
    #[cold]
    fn kept_trailer(
        &mut self,
        mut parser: IncrementalParser,
        bytes: &[u8],
        start: usize,
        limits: &Limits,
    ) -> Result<Found, Error> {
        let at = start + self.counted as usize;
        if bytes.len() < at {
            return Err(Error::new(ErrorKind::InputChanged, start));
        }
        let limit = start + limits.trailer();
        let end = bytes.len().min(limit).max(at);
        let Some(end) = parser.run(&bytes[..end], at, limits)? else {
            self.state = State::Trailer(parser.into());
            self.counted = (end - start) as u16;
            if end >= limit {
                return Err(Error::new(ErrorKind::TrailerTooLarge, end));
            }
            return Ok(Found::Held(start));
        };
        // The first part may have been brought again with other bytes.
        if self.counted > 0 && !IncrementalParser::is_trailer(&bytes[start..end], limits) {
            return Err(Error::new(ErrorKind::InputChanged, start));
        }
        Ok(Found::Trailers(start, end))
    }

    /// One byte of framing.
    fn framing(&mut self, byte: u8, at: usize, limits: &Limits) -> Result<(), Error> {
        self.state = match self.state {
            State::Start(_) => {
                self.left = 0;
                return self.size(byte, 0, at, limits);
            }
            State::Size(digits) => return self.size(byte, digits, at, limits),
            State::SizeLf if byte == b'\n' => self.size_end(),
            State::DataCr if byte == b'\r' => State::DataLf,
            State::DataLf if byte == b'\n' => {
                self.left = Line::NO_TEXT;
                State::Start(Line::NONE)
            }
            State::SizeLf => return Err(Error::new(ErrorKind::LineEnd, at)),
            State::DataCr | State::DataLf => return Err(Error::new(ErrorKind::ChunkEnd, at)),
            state => self.extension(state, byte, at, limits)?,
        };
        Ok(())
    }

    fn size(&mut self, byte: u8, digits: u8, at: usize, limits: &Limits) -> Result<(), Error> {
        let Some(digit) = (byte as char).to_digit(16) else {
            if digits == 0 {
                return Err(Error::new(ErrorKind::ChunkSize, at));
            }
            self.state = match byte {
                b'\r' => State::SizeLf,
                b'\n' => return Err(Error::new(ErrorKind::LineEnd, at)),
                b';' | b' ' | b'\t' => self.extension(State::BeforeSemicolon, byte, at, limits)?,
                _ => return Err(Error::new(ErrorKind::ChunkSize, at)),
            };
            return Ok(());
        };
        if self.left >> 60 != 0 {
            return Err(Error::new(ErrorKind::ChunkSize, at));
        }
        self.left = self.left << 4 | digit as u64;
        if self.left > self.allowed {
            return Err(Error::new(ErrorKind::BodyTooLarge, at));
        }
        if digits >= Limits::CHUNK_DIGITS {
            // As many of the digits are leading zeros.
            self.count_extension(at, limits)?;
        }
        self.state = State::Size(digits.saturating_add(1));
        Ok(())
    }

    fn size_end(&mut self) -> State {
        if self.left == 0 {
            self.counted = 0;
            return State::Trailer(IncrementalParser::TRAILER.into());
        }
        self.allowed -= self.left;
        State::Data
    }

    /// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`, then CR. Extensions are
    /// ignored.
    fn extension(
        &mut self,
        state: State,
        byte: u8,
        at: usize,
        limits: &Limits,
    ) -> Result<State, Error> {
        use State::*;
        let next = match (state, byte) {
            (BeforeSemicolon | Name | AfterName | Value | QuotedEnd, b';') => BeforeName,
            (BeforeSemicolon | Value | QuotedEnd, b' ' | b'\t') => BeforeSemicolon,
            (Name | AfterName, b' ' | b'\t') => AfterName,
            (Name | AfterName, b'=') => BeforeValue,
            (BeforeName | BeforeValue, b' ' | b'\t') => state,
            (BeforeName | Name, _) if scan::is(byte, TOKEN) => Name,
            (BeforeValue | Value, _) if scan::is(byte, TOKEN) => Value,
            (BeforeValue, b'"') | (QuotedPair, _) if scan::is(byte, VALUE) => Quoted,
            (Quoted, b'"') => QuotedEnd,
            (Quoted, b'\\') => QuotedPair,
            (Quoted, _) if scan::is(byte, QUOTED) => Quoted,
            (Name | Value | QuotedEnd, b'\r') => return Ok(SizeLf),
            (_, b'\n') => return Err(Error::new(ErrorKind::LineEnd, at)),
            _ => return Err(Error::new(ErrorKind::ChunkExtension, at)),
        };
        self.count_extension(at, limits)?;
        Ok(next)
    }

    /// A byte of a size line that says nothing.
    fn count_extension(&mut self, at: usize, limits: &Limits) -> Result<(), Error> {
        if self.counted as usize >= limits.chunk_extensions() {
            return Err(Error::new(ErrorKind::ChunkExtensionsTooLong, at));
        }
        self.counted += 1;
        Ok(())
    }
}

impl Line {
    /// Before the first one. With [`Line::NO_TEXT`] it equals nothing: a shift leaves zeros behind.
    const NONE: Line = Line { size: [0, 0], len: 0, shift: 8 };
    const NO_TEXT: u64 = 1;

    /// One to four digits, not all zero, and CRLF at once.
    fn read(bytes: [u8; 8]) -> Option<Line> {
        let digits = bytes.iter().position(|&byte| byte == CRLF[0])?;
        if !(1..=4).contains(&digits) || bytes[digits + 1] != CRLF[1] {
            return None;
        }
        let size = bytes[..digits].iter().try_fold(0u16, |size, &byte| {
            let digit = (byte as char).to_digit(16)?;
            Some(size << 4 | digit as u16)
        })?;
        if size == 0 {
            return None;
        }
        let len = digits + CRLF.len();
        Some(Line { size: size.to_le_bytes(), len: len as u8, shift: 64 - 8 * len as u8 })
    }
}

#[cfg(test)]
mod tests;
