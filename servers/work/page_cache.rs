//! Files that are not in memory: the loop sends what is, and has a worker read the rest first.
//!
//! A file's range is sent in windows. Before each the loop tries to read a byte at its end, without
//! waiting; if that is not in memory, a worker reads the window just to bring it into the page cache,
//! and the loop sends it from there. From then on all windows go to workers first, until one is found
//! to be in memory throughout.
//!
//! ```text
//!            all in memory                       not in memory
//!   loop     look ► send ► look ► send ► look    look ┐     ┌► send ┐     ┌► send ┐
//!   worker                                            └read─┘       └read─┘       └read…
//!   disk                                              a window ahead of the worker
//! ```
//!
//! What a generator reads from files (several ranges of one) cannot be checked beforehand: there a
//! worker fills a buffer each time.
//!
//! Flash's idea, which asked mincore(2) (Pai et al., section 3.4); see [`reactor::page_cache`] for
//! what is asked now. A window that is in memory costs one system call more than it does without
//! (and the first of a response two: it may begin with a hole).
//!
//! What is *not* guaranteed: that what is in memory at both ends of a window is so in between. The
//! kernel reads ahead, and reclaims, in runs; reading every page to be sure would cost as much as
//! sending them: 250 µs of CPU a MiB instead of 120, where a byte for each window disappears in the
//! noise. Nor that what was in memory stays there until it is sent: a system so short of memory has
//! other worries.

use std::io;
use std::os::unix::fs::FileExt;

use reactor::{Buffer, page_cache};

use crate::app::response::{Piece, Reach};
use crate::app::{Disk, SharedFile};

/// Bytes of a window, at whose multiples windows end. Larger ones could hide wider holes; with
/// smaller ones the checks would cost too much.
const WINDOW_BYTES: u64 = 256 << 10;

/// The same once one had to be read. A job costs two handovers, which take some 10 µs where cores are
/// idle, but where workers have to wait for one, and those are at a low priority, milliseconds.
const COLD_WINDOW_BYTES: u64 = 4 * WINDOW_BYTES;

/// Bytes behind a window that the kernel is to begin to read, too: so that the disk has something
/// to do while the window is sent. With it a file comes from a disk of 1.2 GB/s at three quarters to
/// nine tenths of the rate of SPED, whose loop waits for the kernel's readahead.
const AHEAD_BYTES: u64 = 2 * COLD_WINDOW_BYTES;

/// Whether the piece cannot be sent from where it is without waiting for a disk. If it can, its
/// reach says how far.
pub fn is_cold(piece: &mut Piece, disk: Disk) -> bool {
    let Piece::File { file, offset, end, reach } = piece else {
        let waits = matches!(piece, Piece::Generate { waits: true, .. });
        return waits && disk == Disk::Avoid && !piece.is_empty();
    };
    if disk == Disk::Wait {
        *reach = Reach::new(*end, false);
    }
    if *offset < reach.until() || *offset >= *end {
        return false;
    }
    let until = window_end(*offset, *end, WINDOW_BYTES);
    // Behind what is in memory, the next page is, too: it was looked at, or is as good as the last.
    let begins = reach.until() > 0 || page_cache::is_cached(&**file, *offset);
    if reach.is_cold() || !begins || !page_cache::is_cached(&**file, until - 1) {
        return true;
    }
    *reach = Reach::new(until, false);
    false
}

fn window_end(offset: u64, end: u64, bytes: u64) -> u64 {
    ((offset / bytes + 1) * bytes).min(end)
}

/// A part of a file that is to be brought into memory.
pub struct Window {
    file: SharedFile,
    offset: u64,
    until: u64,
    /// Where the response ends.
    end: u64,
    /// What comes before it had to be read, too.
    continues: bool,
}

impl Window {
    /// What has to be read before the piece can be sent.
    pub fn next(piece: &Piece) -> Option<Self> {
        let Piece::File { file, offset, end, reach } = piece else { return None };
        let (file, offset, end) = (SharedFile::clone(file), *offset, *end);
        let continues = reach.is_cold();
        let bytes = if continues { COLD_WINDOW_BYTES } else { WINDOW_BYTES };
        Some(Window { file, offset, until: window_end(offset, end, bytes), end, continues })
    }

    /// Reads it, and waits for the disk. Returns how far the response may be sent then.
    ///
    /// # Errors
    /// The file's, see `pread(2)`; `UnexpectedEof` when it ends before the window begins.
    pub fn read(&self, scratch: &mut Buffer) -> io::Result<Reach> {
        let mut cold = self.read_ahead();
        let mut at = self.offset;
        while at < self.until {
            match self.read_some(scratch, at, &mut cold) {
                Ok(0) if at == self.offset => return Err(io::ErrorKind::UnexpectedEof.into()),
                // Cut short meanwhile: what is left of it goes out, then the next window has none.
                Ok(0) => break,
                Ok(count) => at += count as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Reach::new(at, cold))
    }

    /// Has the kernel read on; `false`: what it would have to read is in memory.
    fn read_ahead(&self) -> bool {
        let end = (self.until + AHEAD_BYTES).min(self.end);
        let begin = match self.continues {
            // The rest was asked for with the windows before.
            true => (self.offset + AHEAD_BYTES).min(end),
            false => {
                page_cache::stop_readahead(&*self.file);
                self.offset
            }
        };
        let cold = begin < end && !page_cache::is_cached(&*self.file, end - 1);
        page_cache::prefetch(&*self.file, begin..end);
        cold
    }

    /// Reads a buffer full, and notes whether it had to wait.
    fn read_some(&self, scratch: &mut Buffer, at: u64, cold: &mut bool) -> io::Result<usize> {
        scratch.clear();
        let room = scratch.spare_mut();
        let want = room.len().min(usize::try_from(self.until - at).unwrap_or(usize::MAX));
        let room = &mut room[..want];
        if let Some(count @ 1..) = page_cache::read_cached(&*self.file, room, at)? {
            return Ok(count);
        }
        *cold = true;
        self.file.read_at(room, at)
    }
}

/// The window has been read. Returns how many bytes that were.
pub fn filled(piece: &mut Piece, read: Reach) -> u64 {
    let Piece::File { offset, reach, .. } = piece else { return 0 };
    *reach = read;
    read.until().saturating_sub(*offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_at_their_multiples_and_where_the_response_does() {
        let end = |offset, end| window_end(offset, end, WINDOW_BYTES);
        assert_eq!(end(0, u64::MAX), WINDOW_BYTES);
        assert_eq!(end(WINDOW_BYTES - 1, u64::MAX), WINDOW_BYTES);
        assert_eq!(end(WINDOW_BYTES, u64::MAX), 2 * WINDOW_BYTES);
        assert_eq!(end(5, 6), 6);
    }
}
