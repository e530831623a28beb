//! What of a body is not in the output buffer: bytes in shared memory, a range of a file, a
//! generator.
//!
//! A response has a few of them at most, in a row, and they are sent one after the other as the
//! socket has room. There is no list on the heap: [`PIECES_MAX`] places, of which most are empty.

use std::fs::File;

use bytes::Bytes;

use crate::app::{Generator, SharedFile};

/// Pieces a response may consist of. What needs more is a generator.
pub const PIECES_MAX: usize = 2;

/// A part of a body that is not in the output buffer.
pub enum Piece {
    /// Bytes in shared memory.
    Bytes(Bytes),
    /// A range of an open file.
    File {
        /// The file.
        file: SharedFile,
        /// Where the range begins.
        offset: u64,
        /// Where it ends (exclusive).
        end: u64,
        /// How far it may be sent.
        reach: Reach,
    },
    /// Bytes made when there is room for them.
    Generate {
        /// Their source.
        source: Generator,
        /// How many must come, when that was announced.
        left: Option<u64>,
        /// Whether each filling is framed as a chunk.
        chunked: bool,
        /// Whether the source may wait for a disk.
        waits: bool,
    },
}

/// How far a file may be sent without asking whether it is in memory; by default nowhere, and it has
/// not been asked yet. One word, because every response in flight has room for its pieces.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach(u64);

impl Reach {
    /// No file is that long (`off_t` is signed).
    const COLD: u64 = 1 << 63;

    /// Up to there. `cold`: what comes before it had to be read from a disk.
    pub fn new(until: u64, cold: bool) -> Self {
        let until = until & !Reach::COLD;
        Reach(if cold { until | Reach::COLD } else { until })
    }

    /// Where it ends (exclusive).
    pub fn until(self) -> u64 {
        self.0 & !Reach::COLD
    }

    /// What came before had to be read from a disk: then so has what comes next.
    pub fn is_cold(self) -> bool {
        self.0 & Reach::COLD != 0
    }
}

impl Piece {
    /// The piece's length in bytes, when it is known.
    pub fn len(&self) -> Option<u64> {
        match self {
            Piece::Bytes(bytes) => Some(bytes.len() as u64),
            Piece::File { offset, end, .. } => Some(end.saturating_sub(*offset)),
            Piece::Generate { left, .. } => *left,
        }
    }

    /// Whether nothing is left of it.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

/// The pieces of one response, in order.
#[derive(Default)]
pub struct Pieces {
    list: [Option<Piece>; PIECES_MAX],
}

impl Pieces {
    /// No pieces.
    pub const fn new() -> Self {
        Pieces { list: [const { None }; PIECES_MAX] }
    }

    /// The piece to send next.
    pub fn front(&mut self) -> Option<&mut Piece> {
        self.list[0].as_mut()
    }

    /// Whether nothing is left to send.
    pub fn is_empty(&self) -> bool {
        self.list[0].is_none()
    }

    /// Whether one of them has to be brought into a buffer before it can be sent.
    pub fn fills_buffer(&self, takes_sendfile: impl Fn(&File) -> bool) -> bool {
        self.list.iter().flatten().any(|piece| match piece {
            Piece::Bytes(_) => false,
            Piece::File { file, .. } => !takes_sendfile(file),
            Piece::Generate { .. } => true,
        })
    }

    /// Drops the first piece; the others move up.
    pub fn pop_front(&mut self) {
        self.list[0] = None;
        self.list.rotate_left(1);
    }

    /// Drops all pieces.
    pub fn clear(&mut self) {
        self.list = [const { None }; PIECES_MAX];
    }

    /// Appends a piece; hands it back when there is no room.
    pub(super) fn push(&mut self, piece: Piece) -> Result<(), Piece> {
        match self.list.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => {
                *slot = Some(piece);
                Ok(())
            }
            None => Err(piece),
        }
    }
}
