//! `/bytes`: as many bytes as asked for, generated as the socket has room.
//!
//! The bytes are text: lines of 64 bytes, each beginning with its own offset, so that any piece
//! shows where it belongs.
//!
//! ```text
//! 000000000000 abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX\n
//! 000000000064 abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX\n
//! ```

use std::io;

use http::Status;

use super::argument::Argument;
use crate::app::{Action, Request, Response};
use crate::site::handler::Handler;

/// 1 GiB: a few seconds of loopback.
pub(super) const BYTES: Argument =
    Argument { name: "n", unit: "bytes", default: 1_024, max: 1 << 30 };

/// A line's length, the line end included.
const LINE: usize = 64;
/// Digits of the offset that a line begins with.
const DIGITS: usize = 12;
/// The line of offset 0.
const FIRST: &[u8; LINE] = b"000000000000 abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX\n";

/// The route.
pub(super) struct Bytes;

impl Handler for Bytes {
    fn handle(&self, request: &Request<'_>, response: &mut Response<'_>) -> Action {
        match BYTES.of(request.query()) {
            Some(n) => response
                .start(Status::OK)
                .field("Content-Type", "application/octet-stream")
                .generate(Some(n), Box::new(Pattern { at: 0, end: n })),
            None => BYTES.refuse(response),
        }
        Action::Done
    }
}

/// The rest of the pattern, from `at` on.
struct Pattern {
    at: u64,
    end: u64,
}

impl io::Read for Pattern {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let size = out.len().min(left);
        let mut filled = 0;
        while filled < size {
            let within = (self.at % LINE as u64) as usize;
            let line = line(self.at - within as u64);
            let count = (LINE - within).min(size - filled);
            out[filled..filled + count].copy_from_slice(&line[within..within + count]);
            filled += count;
            self.at += count as u64;
        }
        Ok(size)
    }
}

/// The line that begins at `offset`.
fn line(mut offset: u64) -> [u8; LINE] {
    let mut line = *FIRST;
    for digit in line[..DIGITS].iter_mut().rev() {
        *digit = b'0' + (offset % 10) as u8;
        offset /= 10;
    }
    line
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn whole(n: u64) -> Vec<u8> {
        let mut all = Vec::new();
        Pattern { at: 0, end: n }.read_to_end(&mut all).unwrap();
        all
    }

    #[test]
    fn every_line_begins_with_its_offset() {
        let text = whole(1000);
        assert_eq!(text.len(), 1000);
        for (i, line) in text.chunks_exact(LINE).enumerate() {
            assert!(line.starts_with(format!("{:012} ab", i * LINE).as_bytes()));
            assert_eq!(line.iter().position(|&byte| byte == b'\n'), Some(LINE - 1));
        }
    }

    #[test]
    fn the_way_it_is_read_makes_no_difference() {
        let expected = whole(777);
        for size in [1, 3, 63, 64, 65, 500, 777, 1000] {
            let mut pattern = Pattern { at: 0, end: 777 };
            let (mut all, mut piece) = (Vec::new(), vec![0; size]);
            loop {
                match pattern.read(&mut piece).unwrap() {
                    0 => break,
                    n => all.extend_from_slice(&piece[..n]),
                }
            }
            assert_eq!(all, expected, "pieces of {size}");
        }
    }
}
