//! Several ranges as one body: multipart/byteranges (RFC 9110, section 14.6), generated as it is
//! sent.
//!
//! ```text
//! text   --B CRLF Content-Type … Content-Range … CRLF CRLF
//! data   the range
//! text   CRLF --B CRLF …
//! data   …
//! text   CRLF --B-- CRLF
//! ```
//!
//! The length is known in advance, and is kept: if the file has become shorter, the source fails
//! and the connection ends.

use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use crate::app::SharedFile;

/// Where the ranges are read from.
pub enum Source {
    /// Contents in memory.
    Bytes(Bytes),
    /// An open file.
    File(SharedFile),
}

enum Segment {
    Text(Vec<u8>),
    Data(Range<u64>),
}

/// The body, as a source of bytes.
pub struct Multipart {
    source: Source,
    segments: Vec<Segment>,
    /// The segment being read, and the position in it.
    index: usize,
    done: u64,
}

impl Multipart {
    /// The body for these `parts` of a representation of type `media` and `size` bytes.
    pub fn new(
        source: Source,
        parts: &[Range<u64>],
        media: &str,
        size: u64,
        boundary: &str,
    ) -> Self {
        let mut segments = Vec::with_capacity(parts.len() * 2 + 1);
        let mut before = "";
        for part in parts {
            let (first, last) = (part.start, part.end.saturating_sub(1));
            let head = format!(
                "{before}--{boundary}\r\nContent-Type: {media}\r\n\
                 Content-Range: bytes {first}-{last}/{size}\r\n\r\n"
            );
            segments.push(Segment::Text(head.into_bytes()));
            segments.push(Segment::Data(part.clone()));
            before = "\r\n";
        }
        segments.push(Segment::Text(format!("{before}--{boundary}--\r\n").into_bytes()));
        Multipart { source, segments, index: 0, done: 0 }
    }

    /// The body's length in bytes.
    pub fn len(&self) -> u64 {
        let lens = self.segments.iter().map(|segment| match segment {
            Segment::Text(text) => text.len() as u64,
            Segment::Data(range) => range.end - range.start,
        });
        lens.sum()
    }

    /// Reads from the current segment; 0 at its end.
    fn read_segment(&self, out: &mut [u8]) -> io::Result<usize> {
        match &self.segments[self.index] {
            Segment::Text(text) => (&text[self.done as usize..]).read(out),
            Segment::Data(range) => {
                let begin = range.start + self.done;
                let wanted =
                    out.len().min(usize::try_from(range.end - begin).unwrap_or(usize::MAX));
                self.source.read_at(&mut out[..wanted], begin)
            }
        }
    }
}

impl Source {
    /// Some of the bytes at `offset`; an error when there are none.
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let count = match self {
            Source::Bytes(bytes) => {
                let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                (&bytes[begin..]).read(out)?
            }
            Source::File(file) => file.read_at(out, offset)?,
        };
        if count == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(count) }
    }
}

impl Read for Multipart {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < out.len() && self.index < self.segments.len() {
            match self.read_segment(&mut out[filled..])? {
                0 => {
                    self.index += 1;
                    self.done = 0;
                }
                count => {
                    filled += count;
                    self.done += count as u64;
                }
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Arc;

    const BODY: &str = "--B\r\nContent-Type: text/x\r\nContent-Range: bytes 0-1/10\r\n\r\nab\r\n\
        --B\r\nContent-Type: text/x\r\nContent-Range: bytes 7-9/10\r\n\r\nhij\r\n--B--\r\n";

    fn multipart(source: Source) -> Multipart {
        Multipart::new(source, &[0..2, 7..10], "text/x", 10, "B")
    }

    fn file(contents: &[u8]) -> Source {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(contents).unwrap();
        Source::File(Arc::new(file))
    }

    #[test]
    fn the_parts_come_out_framed_and_as_long_as_announced() {
        for source in [Source::Bytes(Bytes::from_static(b"abcdefghij")), file(b"abcdefghij")] {
            let mut body = multipart(source);
            let len = body.len();
            let mut text = String::new();
            body.read_to_string(&mut text).unwrap();
            assert_eq!(text, BODY);
            assert_eq!(len, BODY.len() as u64);
        }
    }

    #[test]
    fn whatever_the_buffer_the_bytes_are_the_same() {
        for size in 1..40 {
            let mut body = multipart(file(b"abcdefghij"));
            let (mut text, mut buffer) = (Vec::new(), vec![0; size]);
            loop {
                match body.read(&mut buffer).unwrap() {
                    0 => break,
                    count => text.extend_from_slice(&buffer[..count]),
                }
            }
            assert_eq!(text, BODY.as_bytes());
        }
    }

    #[test]
    fn a_file_cut_short_is_an_error_and_not_an_end() {
        let mut text = Vec::new();
        let error = multipart(file(b"abcdefgh")).read_to_end(&mut text).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
