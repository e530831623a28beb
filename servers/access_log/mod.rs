//! The access log: a line for each response, written in batches, never at the price of the loop.
//!
//! ```text
//! record() ──► one line ──► batch (≤ 1 MiB) ──► output: file, pipe, terminal, socket
//!                             │ turn_ended(): when 32 KiB are there, or 200 ms old
//!                             └ full: the line is dropped and counted
//! ```
//!
//! A file takes a batch in one `write(2)`. A pipe or a terminal that nobody reads would block the
//! whole server there; it is asked first whether it has room, and is given no more than what then
//! fits (see `output.rs`). What it does not take waits, up to a bound.
//!
//! *Not* guaranteed: that a line survives a reader who is too slow (see
//! [`AccessLog::take_dropped`]); that a file's contents are on the disk (nothing is synced); the
//! order of lines that are completed later ([`AccessLog::hold`]).

use std::io;
use std::mem;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use crate::options::{LogFormat, LogOptions};

mod line;
mod output;
mod stamp;
#[cfg(test)]
mod tests;

use output::Output;
use stamp::Stamps;

/// A batch this large is written at the turn's end: many lines a system call, few pages of memory.
const BATCH_BYTES: usize = 32 * 1024;
/// A line waits at most this long: a person who watches the log sees it at once.
const BATCH_MS: u64 = 200;
/// What waits for a slow reader; beyond it lines are dropped.
const PENDING_BYTES_MAX: usize = 1024 * 1024;
/// How soon to ask again an output that had no room.
const RETRY_MS: u64 = 20;
/// What a server that ends gives a slow reader.
const LAST_FLUSH: Duration = Duration::from_millis(500);

const _: () = assert!(BATCH_BYTES < PENDING_BYTES_MAX);
const _: () = assert!(RETRY_MS < BATCH_MS);

/// A response, for the log.
pub struct Record<'a> {
    /// The client; `None` for a Unix socket.
    pub peer: Option<IpAddr>,
    /// The request; `None` when its head could not be read.
    pub request: Option<http::Request<'a>>,
    /// The response's status.
    pub status: u16,
    /// Bytes of the response's body that were sent.
    pub body_bytes: u64,
    /// From the request's first byte to the response's last, as exactly as turns are timed.
    pub duration_us: u64,
    /// When the response was made.
    pub time: SystemTime,
}

/// The line of a response that is still being sent: complete but for its length and its duration.
#[derive(Debug)]
pub struct HeldRecord {
    text: Vec<u8>,
    /// Where in `text` the length and the duration belong.
    split: usize,
}

/// The access log of one loop.
#[derive(Debug)]
pub struct AccessLog {
    on: bool,
    format: LogFormat,
    stamps: Stamps,
    /// Lines to write; those before `written` are out already.
    batch: Vec<u8>,
    written: usize,
    /// When the batch must go out, on the loop's clock.
    due_ms: Option<u64>,
    /// The output had no room: nothing is tried before `due_ms`.
    blocked: bool,
    dropped: u64,
    output: Option<Output>,
}

impl AccessLog {
    /// Opens the log. An access log that is off costs nothing but itself.
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
        })
    }

    /// Whether there is a log at all: ask before a [`Record`] is put together.
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

    /// Keeps the line of a response whose end is not known yet; its request need not live on.
    pub fn hold(&self, record: &Record<'_>) -> Box<HeldRecord> {
        let mut text = Vec::with_capacity(256);
        if !self.on {
            return Box::new(HeldRecord { text, split: 0 });
        }
        // The stamps' cache is not touched: the line is rare, and `self` need not be ours alone.
        let mut stamps = Stamps::new();
        line::before(&mut text, self.format, record, stamps.of(record.time));
        let split = text.len();
        line::after(&mut text, self.format, record);
        Box::new(HeldRecord { text, split })
    }

    /// Logs a line that was held, now that its response is over.
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

    /// Ends the line that begins at `begin`, or takes it back when too much is waiting.
    fn line_ended(&mut self, begin: usize) {
        self.batch.push(b'\n');
        if self.batch.len() - self.written > PENDING_BYTES_MAX {
            self.batch.truncate(begin);
            self.dropped += 1;
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

    /// Writes what the output takes without waiting.
    pub fn flush(&mut self) {
        let Some(output) = &mut self.output else {
            return;
        };
        self.written += output.write(&self.batch[self.written..]);
        self.blocked = self.written < self.batch.len();
        if !self.blocked {
            self.due_ms = None;
            self.written = 0;
            self.batch.clear();
            self.batch.shrink_to(2 * BATCH_BYTES);
        } else if self.written >= BATCH_BYTES {
            self.batch.drain(..mem::take(&mut self.written));
        }
    }

    /// Opens the file again under its name, after somebody moved the old one away. On an error the
    /// old one is kept.
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

    /// The first half of the line is in the old file: the new one shall not begin with the second.
    fn drop_half_line(&mut self) {
        if self.written == 0 || self.batch[self.written - 1] == b'\n' {
            return;
        }
        let rest = self.batch[self.written..].iter().position(|&byte| byte == b'\n');
        self.written = rest.map_or(self.batch.len(), |at| self.written + at + 1);
        self.dropped += 1;
    }

    /// How many lines were dropped since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        mem::take(&mut self.dropped)
    }
}

/// What is left goes out, if the reader takes it soon.
impl Drop for AccessLog {
    fn drop(&mut self) {
        self.flush();
        if let (true, Some(output)) = (self.blocked, &mut self.output) {
            output.write_patiently(&self.batch[self.written..], LAST_FLUSH);
        }
    }
}
