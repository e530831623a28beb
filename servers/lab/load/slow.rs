//! Clients that hold a connection and stall: what slowloris and its relatives do.
//!
//! | kind | what it sends | what it reads |
//! |---|---|---|
//! | idle | nothing | everything |
//! | head | a byte of a field every second, never the end of the head | everything |
//! | body | a head that promises a megabyte, then a byte every second | everything |
//! | read | a request for something large | a few bytes every second |
//!
//! When the server ends the connection, the client opens another.

use std::fmt;
use std::io;
use std::str::FromStr;

use reactor::Stream;

/// What a slow client is slow at.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Slow {
    /// It connects.
    Idle,
    /// Sending a request's head.
    Head,
    /// Sending its body.
    Body,
    /// Reading the response.
    Read,
}

impl Slow {
    /// All of them.
    pub const ALL: [Slow; 4] = [Slow::Idle, Slow::Head, Slow::Body, Slow::Read];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Slow::Idle => "idle",
            Slow::Head => "head",
            Slow::Body => "body",
            Slow::Read => "read",
        }
    }
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Slow {
    type Err = String;

    fn from_str(text: &str) -> Result<Slow, String> {
        let found = Slow::ALL.into_iter().find(|slow| slow.name() == text);
        found.ok_or_else(|| format!("{text:?}: expected idle, head, body or read"))
    }
}

/// Between two bytes, in milliseconds.
pub(super) const PAUSE_MS: u64 = 1_000;
/// What a slow reader takes at a time.
const READ_BYTES: usize = 64;
const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: slow\r\nX-Slow: ";
const BODY_HEAD: &[u8] = b"POST /echo HTTP/1.1\r\nHost: slow\r\nContent-Length: 1000000\r\n\r\n";

/// One of them, with its connection.
pub(super) struct SlowClient {
    stream: Stream,
    pub(super) slow: Slow,
    pub(super) is_open: bool,
}

impl SlowClient {
    pub(super) fn new(stream: Stream, slow: Slow) -> SlowClient {
        SlowClient { stream, slow, is_open: false }
    }

    /// Whether the connection has come about.
    ///
    /// # Errors
    /// It has failed.
    pub(super) fn connected(&self) -> io::Result<bool> {
        self.stream.connected()
    }

    /// What it does once it is connected. `large`: the request of a slow reader.
    pub(super) fn begin(&self, large: &[u8]) -> io::Result<()> {
        let bytes = match self.slow {
            Slow::Idle => return Ok(()),
            Slow::Head => HEAD,
            Slow::Body => BODY_HEAD,
            Slow::Read => large,
        };
        self.stream.send_now(bytes).map(drop)
    }

    /// What it does when the pause is over.
    ///
    /// # Errors
    /// The connection has ended.
    pub(super) fn go_on(&self) -> io::Result<()> {
        match self.slow {
            Slow::Idle => Ok(()),
            Slow::Head | Slow::Body => self.stream.send_now(b"x").map(drop),
            Slow::Read => match self.stream.recv_now(&mut [0; READ_BYTES]) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                Err(error) => Err(error),
            },
        }
    }
}
