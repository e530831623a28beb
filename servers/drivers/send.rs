//! Sending: a buffer of heads and small bodies, then the pieces of the last response.
//!
//! [`send_all`] writes until everything is out, the socket is full, or the turn's budget is spent.
//! When a socket takes less than it was offered, the kernel has already set `SOCK_NOSPACE`, so the
//! edge will come: a second `send` to see `EAGAIN` is not needed.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::AsFd as _;

use bytes::{Buf, Bytes};
use reactor::Buffer;
use reactor::net::Stream;

use crate::app::response::{Piece, Pieces, refill};
use crate::app::{Disk, file_errors};
use crate::work::page_cache;

/// Bytes that one connection may send in a turn while others wait.
pub const SEND_TURN_BYTES_MAX: u64 = 1 << 20;

/// Bytes of a file sent with one `sendfile(2)`.
const SENDFILE_BYTES_MAX: usize = 1 << 20;

/// How far sending got.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// The kernel has everything.
    Done,
    /// The socket is full: an edge will report room.
    Full,
    /// The budget is spent: go on next turn.
    Budget,
    /// The next piece is not in memory: a thread that may block has to read it.
    Cold,
    /// The response cannot be completed: the file shrank or the generator failed.
    Broken,
    /// The same because the file cannot be read: an error of the disk, which has been reported.
    Unreadable,
}

/// How files are sent.
#[derive(Copy, Clone)]
pub struct FileSending {
    /// By sendfile(2), instead of through a buffer.
    pub sendfile: bool,
    /// Whether to wait for what is not in memory.
    pub disk: Disk,
}

impl FileSending {
    /// Whether this file is sent by sendfile(2): also whether its file system is known not to do
    /// it.
    #[inline]
    pub fn takes_sendfile(self, file: &File) -> bool {
        self.sendfile && file_errors::takes_sendfile(file)
    }
}

/// Sends `out`, then `pieces`; returns how far it got and how many bytes went out.
///
/// # Errors
/// The socket's (`EPIPE`, `ECONNRESET`, …): the connection must be closed.
pub fn send_all(
    stream: &Stream,
    out: &mut Buffer,
    pieces: &mut Pieces,
    files: FileSending,
) -> io::Result<(Progress, u64)> {
    let mut total = 0u64;
    loop {
        let is_cold = |piece: &mut Piece| page_cache::is_cold(piece, files.disk);
        if out.is_empty() && pieces.front().is_some_and(is_cold) {
            return Ok((Progress::Cold, total));
        }
        if out.is_empty() && pieces.is_empty() {
            return Ok((Progress::Done, total));
        }
        let progress = send_some(stream, out, pieces, files, &mut total)?;
        if progress != Progress::Done {
            return Ok((progress, total));
        }
        if total >= SEND_TURN_BYTES_MAX && !(out.is_empty() && pieces.is_empty()) {
            return Ok((Progress::Budget, total));
        }
    }
}

/// Sends what comes first, with at most one system call.
fn send_some(
    stream: &Stream,
    out: &mut Buffer,
    pieces: &mut Pieces,
    files: FileSending,
    total: &mut u64,
) -> io::Result<Progress> {
    match pieces.front() {
        None => send_buffer(stream, out, false, total),
        Some(Piece::Bytes(bytes)) => {
            let all = send_bytes(stream, out, bytes, total)?;
            if bytes.is_empty() {
                pieces.pop_front();
            }
            Ok(all)
        }
        Some(piece) if piece.is_empty() => {
            pieces.pop_front();
            Ok(Progress::Done)
        }
        Some(Piece::File { file, offset, reach, .. }) if files.takes_sendfile(file) => {
            if !out.is_empty() {
                return send_buffer(stream, out, true, total);
            }
            let count = (reach.until() - *offset).min(SENDFILE_BYTES_MAX as u64) as usize;
            send_file(stream, file, offset, count, total)
        }
        Some(piece) => {
            if out.is_empty() {
                match refill(out, piece) {
                    Ok(true) => {}
                    Ok(false) => pieces.pop_front(),
                    Err(error) => return Ok(unreadable(piece, &error)),
                }
            }
            if out.is_empty() { Ok(Progress::Done) } else { send_buffer(stream, out, false, total) }
        }
    }
}

/// The piece could not be read or made. A generator that reads no files fails by itself, and a file
/// that ended early has been truncated by another program; everything else is the disk's doing.
#[cold]
pub fn unreadable(piece: &Piece, error: &io::Error) -> Progress {
    let file = match piece {
        _ if error.kind() == io::ErrorKind::UnexpectedEof => return Progress::Broken,
        Piece::File { file, .. } => Some(&**file),
        Piece::Generate { waits: true, .. } => None,
        Piece::Generate { .. } | Piece::Bytes(_) => return Progress::Broken,
    };
    file_errors::read_failed(file, error);
    Progress::Unreadable
}

/// Bytes that a `send` took: none if the socket is full.
#[inline(always)]
pub fn taken(result: io::Result<usize>) -> io::Result<usize> {
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
    bytes: &mut Bytes,
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
    file: &File,
    offset: &mut u64,
    count: usize,
    total: &mut u64,
) -> io::Result<Progress> {
    match stream.sendfile(file.as_fd(), offset, count) {
        // The range is not empty, so the file was truncated.
        Ok(0) => Ok(Progress::Broken),
        Ok(sent) => {
            *total += sent as u64;
            // A short count means a full socket or a truncated file: the next call tells which.
            Ok(Progress::Done)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Progress::Full),
        Err(error) if file_errors::is_of_connection(&error, || stream.peer().is_ok()) => Err(error),
        Err(error) if file_errors::is_refusal(&error) => {
            file_errors::sendfile_refused(file, &error);
            // Next turn it is read and sent: for that the connection may need a buffer first.
            Ok(Progress::Budget)
        }
        Err(error) => {
            file_errors::read_failed(Some(file), &error);
            Ok(Progress::Unreadable)
        }
    }
}
