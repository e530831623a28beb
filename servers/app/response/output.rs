//! Where responses are composed: a buffer of heads and small bodies, then the pieces of the last
//! response; and how a piece that has to be read or made becomes bytes in that buffer.
//!
//! ```text
//! bytes   [head₁ body₁][head₂ body₂][head₃ ]   ──► one send
//! pieces                                   └─► what is sent from where it is, or refills `bytes`
//! ```
//!
//! An `Output` does not know its socket: it travels to another thread with its job.

use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;

use bytes::BufMut as _;
use reactor::Buffer;

use super::{Piece, Pieces};
use crate::app::Generator;

/// `0000000` CRLF: a chunk-size of fixed width, so that the data can be made behind it first.
/// Leading zeros are legal (RFC 9112, section 7.1: `1*HEXDIG`).
const CHUNK_HEAD: usize = 7 + 2;
const CHUNK_END: usize = 2;
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Bytes to send, then pieces to send.
pub struct Output {
    /// Heads and small bodies.
    pub bytes: Buffer,
    /// What of the last response is not in `bytes`.
    pub pieces: Pieces,
}

impl Output {
    /// An empty one that composes in `bytes`.
    pub fn new(bytes: Buffer) -> Self {
        Output { bytes, pieces: Pieces::new() }
    }

    /// Nothing is left to send.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.pieces.is_empty()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.pieces.clear();
    }

    /// Room for another response's head of `bytes` bytes, and no pieces that must go out first.
    #[inline]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.pieces.is_empty() && self.bytes.remaining_mut() >= bytes
    }
}

/// Fills the empty `out` from a piece. `Ok(false)`: the piece is complete with what is in `out`.
///
/// # Errors
/// The file's or the generator's; `UnexpectedEof` when either ends before its announced length.
pub fn refill(out: &mut Buffer, piece: &mut Piece) -> io::Result<bool> {
    out.clear();
    match piece {
        Piece::File { file, offset, end, reach } => {
            let room = out.spare_mut();
            let want = (reach.until() - *offset).min(room.len() as u64) as usize;
            let got = file.read_at(&mut room[..want], *offset)?;
            if got == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            out.filled(got);
            *offset += got as u64;
            Ok(*offset < *end)
        }
        Piece::Generate { source, left, chunked: false, .. } => refill_plain(out, source, left),
        Piece::Generate { source, chunked: true, .. } => refill_chunk(out, source),
        Piece::Bytes(_) => Ok(false),
    }
}

/// What the generator gives, at most what was announced.
fn refill_plain(
    out: &mut Buffer,
    source: &mut Generator,
    left: &mut Option<u64>,
) -> io::Result<bool> {
    let room = out.spare_mut();
    let want = left.map_or(room.len(), |left| left.min(room.len() as u64) as usize);
    let got = source.read(&mut room[..want])?;
    out.filled(got);
    match left {
        None => Ok(got > 0),
        Some(_) if got == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
        Some(left) => {
            *left -= got as u64;
            Ok(*left > 0)
        }
    }
}

/// One chunk around what the generator gives, or the last chunk.
fn refill_chunk(out: &mut Buffer, source: &mut Generator) -> io::Result<bool> {
    let room = out.spare_mut();
    let data_max = room.len() - CHUNK_HEAD - CHUNK_END;
    let got = source.read(&mut room[CHUNK_HEAD..CHUNK_HEAD + data_max])?;
    if got == 0 {
        room[..LAST_CHUNK.len()].copy_from_slice(LAST_CHUNK);
        out.filled(LAST_CHUNK.len());
        return Ok(false);
    }
    for (i, digit) in room[..7].iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[got >> (4 * (6 - i)) & 15];
    }
    room[7..CHUNK_HEAD].copy_from_slice(b"\r\n");
    room[CHUNK_HEAD + got..CHUNK_HEAD + got + CHUNK_END].copy_from_slice(b"\r\n");
    out.filled(CHUNK_HEAD + got + CHUNK_END);
    Ok(true)
}
