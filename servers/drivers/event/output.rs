//! Sending: a buffer of heads and small bodies, then the pieces of the last response.
//!
//! [`send_all`] writes until everything is out, the socket is full, or the turn's budget is spent.
//! On a socket that took less than it was offered the kernel has noted that somebody wants space
//! (`SOCK_NOSPACE`), so the edge will come: there is no second `send` to learn `EAGAIN`.

use std::io::{self, IoSlice, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use bytes::Buf;
use reactor::Buffer;
use reactor::net::Stream;

use super::cold;
use crate::app::Disk;
use crate::app::response::{Piece, Pieces};

/// Bytes that one connection may send in a turn while others wait.
pub(super) const SEND_TURN_BYTES_MAX: u64 = 1 << 20;

/// Bytes of a file sent with one `sendfile(2)`.
const SENDFILE_BYTES_MAX: usize = 1 << 20;

/// `0000000` CRLF: a chunk-size of fixed width, so that data can be made behind it first. Leading
/// zeros are legal (RFC 9112, section 7.1: `1*HEXDIG`).
const CHUNK_HEAD: usize = 7 + 2;
const CHUNK_END: usize = 2;
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// How far sending came.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// Everything is with the kernel.
    Done,
    /// The socket is full: an edge will say when it is not.
    Full,
    /// The budget is spent: go on next turn.
    Budget,
    /// What comes next is not in memory: somebody has to read it who may wait.
    Cold,
    /// The response cannot be completed: the file shrank or the generator failed.
    Broken,
}

/// How files are sent.
#[derive(Copy, Clone)]
pub(super) struct FileSending {
    /// By sendfile(2), instead of through a buffer.
    pub sendfile: bool,
    /// What is not in memory.
    pub disk: Disk,
}

/// Sends `out`, then `pieces`; returns how far it came and how many bytes went out.
///
/// # Errors
/// The socket's (`EPIPE`, `ECONNRESET`, …): the connection is of no more use.
pub(super) fn send_all(
    stream: &Stream,
    out: &mut Buffer,
    pieces: &mut Pieces,
    files: FileSending,
) -> io::Result<(Progress, u64)> {
    let mut total = 0u64;
    loop {
        if out.is_empty() && pieces.front().is_some_and(|piece| cold::is_cold(piece, files.disk)) {
            return Ok((Progress::Cold, total));
        }
        let progress = match pieces.front() {
            None if out.is_empty() => return Ok((Progress::Done, total)),
            None => send_buffer(stream, out, false, &mut total)?,
            Some(Piece::Bytes(bytes)) => {
                let all = send_bytes(stream, out, bytes, &mut total)?;
                if bytes.is_empty() {
                    pieces.pop_front();
                }
                all
            }
            Some(piece) if piece.is_empty() => {
                pieces.pop_front();
                continue;
            }
            Some(Piece::File { file, offset, reach, .. }) if files.sendfile => {
                if out.is_empty() {
                    let count = (reach.until() - *offset).min(SENDFILE_BYTES_MAX as u64) as usize;
                    send_file(stream, file.as_fd(), offset, count, &mut total)?
                } else {
                    send_buffer(stream, out, true, &mut total)?
                }
            }
            Some(piece) => {
                if out.is_empty() {
                    match refill(out, piece) {
                        Ok(true) => {}
                        Ok(false) => pieces.pop_front(),
                        Err(_) => return Ok((Progress::Broken, total)),
                    }
                    if out.is_empty() {
                        continue;
                    }
                }
                send_buffer(stream, out, false, &mut total)?
            }
        };
        if progress != Progress::Done {
            return Ok((progress, total));
        }
        if total >= SEND_TURN_BYTES_MAX && !(out.is_empty() && pieces.is_empty()) {
            return Ok((Progress::Budget, total));
        }
    }
}

/// What a `send` that found a full socket means.
#[inline(always)]
pub(super) fn taken(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        other => other,
    }
}

fn send_buffer(
    stream: &Stream,
    out: &mut Buffer,
    more: bool,
    total: &mut u64,
) -> io::Result<Progress> {
    let sent = taken(if more { stream.send_more(out) } else { stream.send(out) })?;
    *total += sent as u64;
    if sent == out.len() {
        out.clear();
        return Ok(Progress::Done);
    }
    out.advance(sent);
    Ok(Progress::Full)
}

fn send_bytes(
    stream: &Stream,
    out: &mut Buffer,
    bytes: &mut bytes::Bytes,
    total: &mut u64,
) -> io::Result<Progress> {
    let offered = out.len() + bytes.len();
    let sent = taken(if out.is_empty() {
        stream.send(bytes)
    } else {
        stream.write_vectored(&[IoSlice::new(out), IoSlice::new(bytes)])
    })?;
    *total += sent as u64;
    let of_out = sent.min(out.len());
    if of_out == out.len() {
        out.clear();
    } else {
        out.advance(of_out);
    }
    Buf::advance(bytes, sent - of_out);
    Ok(if sent == offered { Progress::Done } else { Progress::Full })
}

fn send_file(
    stream: &Stream,
    file: std::os::fd::BorrowedFd<'_>,
    offset: &mut u64,
    count: usize,
    total: &mut u64,
) -> io::Result<Progress> {
    match stream.sendfile(file, offset, count) {
        // Zero bytes of a range that should have some: the file was cut short.
        Ok(0) => Ok(Progress::Broken),
        Ok(sent) => {
            *total += sent as u64;
            // Less than asked for is a full socket, or a file that ends: the next call tells.
            Ok(Progress::Done)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Progress::Full),
        Err(error) => Err(error),
    }
}

/// Fills the empty `out` from a piece. `Ok(false)`: the piece is complete with what is in `out`.
pub(super) fn refill(out: &mut Buffer, piece: &mut Piece) -> io::Result<bool> {
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
        Piece::Generate { source, left, chunked: false, .. } => {
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
        Piece::Generate { source, chunked: true, .. } => refill_chunk(out, source),
        Piece::Bytes(_) => Ok(false),
    }
}

/// One chunk around what the generator gives, or the last chunk.
fn refill_chunk(out: &mut Buffer, source: &mut crate::app::Generator) -> io::Result<bool> {
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
