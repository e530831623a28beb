//! What a thread is doing, for the loop to read.
//!
//! The thread owns its job while it runs it. So it first notes the job's connection and the start of
//! the request in a few words of shared memory, written without a lock. A reader may see parts of two
//! jobs, so it checks the lease before and after: only an unchanged stamp means one job.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use reactor::Token;

/// Bytes of a request that are noted: enough to know it again.
const LINE_BYTES: usize = 80;
const WORD: usize = size_of::<u64>();

/// The job that runs.
#[derive(Default)]
pub(super) struct Running {
    key: AtomicU64,
    /// The request's beginning, as far as its line goes; the rest is zero.
    line: [AtomicU64; LINE_BYTES / WORD],
}

impl Running {
    /// Notes a job for the connection `key`, of a request that begins so.
    pub fn note(&self, key: Token, head: &[u8]) {
        self.key.store(key.to_u64(), Relaxed);
        let begin = &head[..head.len().min(LINE_BYTES)];
        let mut line = [0; LINE_BYTES];
        line[..begin.len()].copy_from_slice(begin);
        let (words, _) = line.as_chunks::<WORD>();
        for (to, word) in self.line.iter().zip(words) {
            to.store(u64::from_ne_bytes(*word), Relaxed);
        }
    }

    /// The connection that it is for.
    pub fn key(&self) -> Token {
        Token::from_u64(self.key.load(Relaxed))
    }

    /// The request's line, or as much of it as is noted, with nothing in it that is not printable
    /// ASCII. Empty for a job that is no request: a part of a file.
    pub fn line(&self) -> String {
        let bytes: Vec<u8> =
            self.line.iter().flat_map(|word| word.load(Relaxed).to_ne_bytes()).collect();
        let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0));
        let line = bytes[..end.unwrap_or(LINE_BYTES)].escape_ascii().to_string();
        if end.is_none() { line + "…" } else { line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_line_is_shown_as_far_as_it_is_noted() {
        let (running, key) = (Running::default(), Token::new(3, 4));
        running.note(key, b"GET /work?us=1 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((running.key(), &*running.line()), (key, "GET /work?us=1 HTTP/1.1"));
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(200));
        running.note(key, long.as_bytes());
        assert_eq!(running.line(), format!("{}…", &long[..LINE_BYTES]));
        running.note(key, b"GET /\x1b[2J\xff HTTP/1.1\r\n\r\n");
        assert_eq!(running.line(), r"GET /\x1b[2J\xff HTTP/1.1");
        running.note(key, b"");
        assert_eq!(running.line(), "");
    }
}
