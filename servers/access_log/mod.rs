//! The access log: one line per response, written in batches, without ever blocking the loop.
//!
//! ```text
//! record() ──► one line ──► batch (≤ 1 MiB) ──► output: file, pipe, terminal, socket
//!                             │ turn_ended(): at 32 KiB, or when 200 ms old
//!                             └ full: the line is dropped and counted
//! ```
//!
//! A file takes a batch in one `write(2)`. A pipe or a terminal whose reader has stopped would
//! block the whole server, so it is polled first and given no more than fits (see `output.rs`). The
//! rest waits, up to a bound. What cannot be written is reported when that begins and when it ends
//! (see `trouble.rs`).
//!
//! *Not* guaranteed: that a line survives a reader that is too slow (see
//! [`AccessLog::take_dropped`]); that a file's contents are on the disk (nothing is synced); the
//! order of lines that are completed later ([`AccessLog::hold`]).

use std::fmt;
use std::io;
use std::mem;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use crate::options::{LogFormat, LogOptions};

mod line;
mod output;
mod shared;
mod stamp;
#[cfg(test)]
mod tests;
mod trouble;

use output::Output;
pub use shared::Log;
use stamp::Stamps;
use trouble::Trouble;
pub use trouble::prepare;

/// A batch this large is written at the turn's end: many lines per system call, few pages of
/// memory.
const BATCH_BYTES: usize = 32 * 1024;
/// A line waits at most this long, which looks immediate to a person watching the log.
const BATCH_MS: u64 = 200;
/// Bound on bytes waiting for a slow reader; beyond it, lines are dropped.
const PENDING_BYTES_MAX: usize = 1024 * 1024;
/// How soon to retry an output that had no room.
const RETRY_MS: u64 = 20;
/// How long a stopping server waits for a slow reader.
const LAST_FLUSH: Duration = Duration::from_millis(500);

/// Bytes of a first line that are shown if there is no request: most of a usual one, and hardly more
/// than a person reads. In the log, each may take four.
pub const LINE_BYTES_MAX: usize = 256;

const _: () = assert!(BATCH_BYTES < PENDING_BYTES_MAX);
const _: () = assert!(RETRY_MS < BATCH_MS);

/// A response, for the log.
pub struct Record<'a> {
    /// The client; `None` for a Unix socket.
    pub peer: Option<IpAddr>,
    /// The request; `None` if its head was invalid or incomplete.
    pub request: Option<http::Request<'a>>,
    /// Without a request: what came instead. Its first line is shown, up to [`LINE_BYTES_MAX`].
    pub line: &'a [u8],
    /// The response's status.
    pub status: u16,
    /// Bytes of the response's body that were sent.
    pub body_bytes: u64,
    /// From the request's first byte to the response's last, at the resolution of loop turns.
    pub duration_us: u64,
    /// When the response was made.
    pub time: SystemTime,
}

/// The line of a response that is still being sent, without its length and duration.
#[derive(Debug)]
pub struct HeldRecord {
    text: Vec<u8>,
    /// Where in `text` the length and the duration belong.
    split: usize,
}

/// The access log of one loop, or of threads that share it: see [`Log`].
#[derive(Debug)]
pub struct AccessLog {
    on: bool,
    format: LogFormat,
    stamps: Stamps,
    /// Lines to write; the bytes before `written` are already out.
    batch: Vec<u8>,
    written: usize,
    /// When the batch must be written, on the loop's clock.
    due_ms: Option<u64>,
    /// The output had no room: no retry before `due_ms`.
    blocked: bool,
    dropped: u64,
    output: Option<Output>,
    trouble: Trouble,
}

impl AccessLog {
    /// Opens the log, unless it is off.
    ///
    /// # Errors
    /// The file's, with its name.
    pub fn open(options: &LogOptions) -> io::Result<Self> {
        let on = options.format != LogFormat::Off;
        let output = if on { Some(Output::open(&options.target)?) } else { None };
        Ok(AccessLog {
            on,
            format: options.format,
            stamps: Stamps::new(),
            batch: Vec::with_capacity(if on { 2 * BATCH_BYTES } else { 0 }),
            written: 0,
            due_ms: None,
            blocked: false,
            dropped: 0,
            output,
            trouble: Trouble::of_server(),
        })
    }

    /// Whether the log is on: check before building a [`Record`].
    #[inline]
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Logs a response.
    pub fn record(&mut self, record: &Record<'_>) {
        if !self.on {
            return;
        }
        let begin = self.batch.len();
        line::before(&mut self.batch, self.format, record, self.stamps.of(record.time));
        line::measures(&mut self.batch, self.format, record.body_bytes, record.duration_us);
        line::after(&mut self.batch, self.format, record);
        self.line_ended(begin);
    }

    /// Formats the line of a response that is not complete yet; the request may go away.
    pub fn hold(&self, record: &Record<'_>) -> Box<HeldRecord> {
        let mut text = Vec::with_capacity(256);
        if !self.on {
            return Box::new(HeldRecord { text, split: 0 });
        }
        // Not the stamps' cache: such lines are rare, and this way `&self` will do.
        let mut stamps = Stamps::new();
        line::before(&mut text, self.format, record, stamps.of(record.time));
        let split = text.len();
        line::after(&mut text, self.format, record);
        Box::new(HeldRecord { text, split })
    }

    /// Logs a held line, now that its response is complete.
    pub fn record_held(&mut self, held: &HeldRecord, body_bytes: u64, duration_us: u64) {
        if !self.on {
            return;
        }
        let begin = self.batch.len();
        let (before, after) = held.text.split_at(held.split);
        self.batch.extend_from_slice(before);
        line::measures(&mut self.batch, self.format, body_bytes, duration_us);
        self.batch.extend_from_slice(after);
        self.line_ended(begin);
    }

    /// Ends the line that begins at `begin`, or drops it if too much is waiting.
    fn line_ended(&mut self, begin: usize) {
        self.batch.push(b'\n');
        if self.batch.len() - self.written > PENDING_BYTES_MAX {
            self.batch.truncate(begin);
            self.lose(1);
            self.failed(&"its reader is too slow");
        }
    }

    /// Lines are dropped.
    fn lose(&mut self, lines: u64) {
        self.dropped += lines;
        self.trouble.lost(lines);
    }

    #[cold]
    fn failed(&self, why: &dyn fmt::Display) {
        if let Some(output) = &self.output {
            self.trouble.failed(output, why);
        }
    }

    /// Writes the batch if it is large or old enough. Call it at the end of every turn.
    #[inline]
    pub fn turn_ended(&mut self, now_ms: u64) {
        if self.batch.is_empty() {
            return;
        }
        let due_ms = *self.due_ms.get_or_insert(now_ms + BATCH_MS);
        let large = self.batch.len() - self.written >= BATCH_BYTES && !self.blocked;
        if large || now_ms >= due_ms {
            self.flush();
            self.due_ms = self.blocked.then_some(now_ms + RETRY_MS);
        }
    }

    /// When [`AccessLog::turn_ended`] should be called at the latest, on the loop's clock.
    pub fn next_flush_ms(&self) -> Option<u64> {
        self.due_ms
    }

    /// Writes as much as the output takes without blocking.
    pub fn flush(&mut self) {
        let Some(output) = &mut self.output else {
            return;
        };
        let (written, error) = output.write(&self.batch[self.written..]);
        self.written += written;
        self.blocked = self.written < self.batch.len();
        if let Some(error) = error {
            self.trouble.failed(output, &error);
        } else if written > 0 {
            self.trouble.succeeded(output);
        }
        if !self.blocked {
            self.due_ms = None;
            self.written = 0;
            self.batch.clear();
            self.batch.shrink_to(2 * BATCH_BYTES);
        } else if self.written >= BATCH_BYTES {
            self.batch.drain(..mem::take(&mut self.written));
        }
    }

    /// Reopens the file by name, after the old one was moved away. On an error the old one is kept.
    ///
    /// # Errors
    /// The file's, with its name.
    pub fn reopen(&mut self) -> io::Result<()> {
        self.flush();
        let Some(output) = &mut self.output else {
            return Ok(());
        };
        if output.reopen()? {
            self.drop_half_line();
        }
        Ok(())
    }

    /// If the old file got part of a line, drops the rest, so that the new one begins with a whole
    /// line.
    fn drop_half_line(&mut self) {
        if self.written == 0 || self.batch[self.written - 1] == b'\n' {
            return;
        }
        let rest = self.batch[self.written..].iter().position(|&byte| byte == b'\n');
        self.written = rest.map_or(self.batch.len(), |at| self.written + at + 1);
        self.lose(1);
    }

    /// How many lines were dropped since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        mem::take(&mut self.dropped)
    }
}

impl AccessLog {
    /// Writes what is left if the reader takes it soon; the rest is lost.
    pub fn finish(&mut self) {
        self.flush();
        if let (true, Some(output)) = (self.blocked, &mut self.output) {
            let rest = &self.batch[self.written..];
            let (written, error) = output.write_patiently(rest, LAST_FLUSH);
            let lost = rest[written..].iter().filter(|&&byte| byte == b'\n').count();
            if lost > 0 {
                self.lose(lost as u64);
                match error {
                    Some(error) => self.failed(&error),
                    None => self.failed(&"its reader is too slow"),
                }
            }
        }
        (self.written, self.blocked) = (0, false);
        self.batch.clear();
    }
}

/// Writes what is left, if the reader takes it soon.
impl Drop for AccessLog {
    fn drop(&mut self) {
        self.finish();
    }
}
