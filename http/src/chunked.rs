//! The decoder of chunked bodies (RFC 9112, section 7.1): it can stop at any byte and go on later,
//! and never copies data.
//!
//! ```text
//! Size ─► [extensions] ─CR─► SizeLf ─LF─► Data ─► DataCr ─► DataLf ─┐
//!   ▲                           │ size 0                             │
//!   │                           └────────► Trailer (by skim) ─► done │
//!   └────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Strict where decoders differ, because that is where requests are smuggled: no bare LF or CR, no
//! sign, no prefix, no space before a size, extensions by their grammar and bounded for the whole
//! body. Trailer fields are validated and dropped: none of them may change what the head said
//! (section 7.1.2).

use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::scan::{self, QUOTED, TOKEN, VALUE};
use crate::skim::Skim;

/// What the next byte belongs to.
#[derive(Copy, Clone, Debug)]
enum State {
    /// A digit of the size; so many have come.
    Size(u8),
    /// White space behind a size or an extension's value: only `;` may follow.
    BeforeSemicolon,
    /// Behind `;`.
    BeforeName,
    Name,
    /// White space behind an extension's name: `=` or `;` may follow.
    AfterName,
    /// Behind `=`.
    BeforeValue,
    Value,
    Quoted,
    /// Behind a backslash in a quoted value.
    QuotedPair,
    /// Behind the closing quote.
    QuotedEnd,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer(Skim),
}

/// A decoder between two bytes.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Chunked {
    /// Bytes of the chunk that are still to come, or its size so far.
    left: u64,
    /// Bytes of the body that the limit still allows, the announced chunk taken off.
    allowed: u64,
    state: State,
    /// Bytes of extensions so far; in the trailer section, bytes of that.
    counted: u16,
}

/// What a step found.
pub(crate) enum Found {
    /// All of the input was framing, or there was none.
    More,
    /// Data from here to there.
    Data(usize, usize),
    /// The body's end, before this place.
    End(usize),
}

impl Chunked {
    pub(crate) fn new(limits: &Limits) -> Self {
        Chunked { left: 0, allowed: limits.body(), state: State::Size(0), counted: 0 }
    }

    /// Reads on, up to the next data or the end.
    pub(crate) fn next(&mut self, bytes: &[u8], limits: &Limits) -> Result<Found, Error> {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                State::Data => return Ok(self.data(bytes, at)),
                State::Trailer(skim) => return self.trailer(skim, bytes, at, limits),
                _ => {}
            }
            self.framing(bytes[at], at, limits)?;
            at += 1;
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
        mut skim: Skim,
        bytes: &[u8],
        at: usize,
        limits: &Limits,
    ) -> Result<Found, Error> {
        let room = limits.trailer() - self.counted as usize;
        let end = bytes.len().min(at + room);
        if let Some(end) = skim.run(&bytes[..end], at, limits)? {
            return Ok(Found::End(end));
        }
        self.state = State::Trailer(skim);
        self.counted += (end - at) as u16;
        if end == at + room {
            return Err(Error::new(ErrorKind::TrailerTooLarge, end));
        }
        Ok(Found::More)
    }

    /// One byte of framing.
    fn framing(&mut self, byte: u8, at: usize, limits: &Limits) -> Result<(), Error> {
        self.state = match self.state {
            State::Size(digits) => return self.size(byte, digits, at, limits),
            State::SizeLf if byte == b'\n' => self.size_end(),
            State::DataCr if byte == b'\r' => State::DataLf,
            State::DataLf if byte == b'\n' => State::Size(0),
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
        if digits == Limits::CHUNK_DIGITS_MAX {
            return Err(Error::new(ErrorKind::ChunkSize, at));
        }
        // Sixteen digits fit 64 bits.
        self.left = self.left << 4 | digit as u64;
        if self.left > self.allowed {
            return Err(Error::new(ErrorKind::BodyTooLarge, at));
        }
        self.state = State::Size(digits + 1);
        Ok(())
    }

    fn size_end(&mut self) -> State {
        if self.left == 0 {
            self.counted = 0;
            return State::Trailer(Skim::TRAILER);
        }
        self.allowed -= self.left;
        State::Data
    }

    /// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`, then CR. What an
    /// extension says is ignored.
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
        if self.counted as usize >= limits.chunk_extensions() {
            return Err(Error::new(ErrorKind::ChunkExtensionsTooLong, at));
        }
        self.counted += 1;
        Ok(next)
    }
}
