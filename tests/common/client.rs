//! A client that sends exactly the given bytes, and reads responses by their framing.
//!
//! It is deliberately rude: it can stop in the middle, close one direction, and reset (RST).

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{PATIENCE, os};

/// Bytes requested from the kernel at a time.
const READ_BYTES: usize = 64 * 1024;

/// A connection.
pub struct Client {
    stream: TcpStream,
    /// Received; those before `at` have been handed out.
    received: Vec<u8>,
    at: usize,
}

/// An answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// Status line and fields as received, with the blank line.
    pub head: String,
    /// Its status.
    pub status: u16,
    /// Its content; dechunked.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects; reading gives up after [`PATIENCE`].
    pub fn connect(to: SocketAddr) -> Self {
        Client::try_connect(to).expect("connecting to the server")
    }

    /// Connects, where that may fail.
    pub fn try_connect(to: SocketAddr) -> io::Result<Self> {
        Client::over(TcpStream::connect(to)?)
    }

    /// Connects with a receive buffer so small that the kernel takes little in advance.
    pub fn connect_with_window(to: SocketAddr, receive_bytes: i32) -> Self {
        let stream = os::connect_with_window(to, receive_bytes).expect("connecting to the server");
        Client::over(stream).expect("a connected socket")
    }

    /// Connects to a Unix socket.
    pub fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("connecting to the server's socket");
        // Reading, writing and shutting down are the same calls for both families.
        let stream = TcpStream::from(OwnedFd::from(stream));
        Client { stream, received: Vec::new(), at: 0 }.patient(PATIENCE)
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        // Else Nagle's algorithm would join the pieces that a test sends apart.
        stream.set_nodelay(true)?;
        Ok(Client { stream, received: Vec::new(), at: 0 }.patient(PATIENCE))
    }

    fn patient(self, time: Duration) -> Self {
        self.stream.set_read_timeout(Some(time)).expect("SO_RCVTIMEO");
        self.stream.set_write_timeout(Some(time)).expect("SO_SNDTIMEO");
        self
    }

    /// The socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends all of `bytes`.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("sending to the server");
    }

    /// Sends all of `bytes`, where the server may have closed.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends FIN; answers can still be read.
    pub fn half_close(&mut self) {
        self.stream.shutdown(Shutdown::Write).expect("shutdown");
    }

    /// Ends with RST.
    pub fn reset(self) {
        os::reset_on_close(&self.stream);
    }

    /// Receives once; the number of bytes, 0 at the end.
    fn receive(&mut self) -> io::Result<usize> {
        if self.at > 0 && self.at == self.received.len() {
            self.received.clear();
            self.at = 0;
        } else if self.at > READ_BYTES {
            self.received.drain(..self.at);
            self.at = 0;
        }
        let len = self.received.len();
        self.received.resize(len + READ_BYTES, 0);
        // A receive with a timeout is not restarted (signal(7)): a child that exits while another
        // thread has its signals blocked, to start one, ends it.
        let result = loop {
            match self.stream.read(&mut self.received[len..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.received.truncate(len + result.as_ref().copied().unwrap_or(0));
        result
    }

    /// Received and not yet handed out.
    fn pending(&self) -> &[u8] {
        &self.received[self.at..]
    }

    /// Reads until `len` bytes are pending.
    fn fill(&mut self, len: usize) -> io::Result<()> {
        while self.pending().len() < len {
            if self.receive()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Hands out `len` bytes.
    fn take(&mut self, len: usize) -> io::Result<Vec<u8>> {
        self.fill(len)?;
        let bytes = self.pending()[..len].to_vec();
        self.at += len;
        Ok(bytes)
    }

    /// Hands out bytes up to and including `end`.
    fn take_through(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut from = 0;
        loop {
            let found = self.pending()[from..].windows(end.len()).position(|window| window == end);
            if let Some(found) = found {
                return self.take(from + found + end.len());
            }
            from = self.pending().len().saturating_sub(end.len() - 1);
            self.fill(self.pending().len() + 1)?;
        }
    }

    /// Exactly this many bytes.
    #[track_caller]
    pub fn read_bytes(&mut self, len: usize) -> Vec<u8> {
        self.take(len).expect("more bytes of the answer")
    }

    /// The response to anything but HEAD.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.try_response().expect("an answer")
    }

    /// The response to a HEAD: no content, whatever its fields say.
    #[track_caller]
    pub fn response_to_head(&mut self) -> Response {
        self.read_head().expect("an answer")
    }

    /// The response's head, its content left to be read.
    pub fn read_head(&mut self) -> io::Result<Response> {
        let head = self.take_through(b"\r\n\r\n")?;
        let head = String::from_utf8(head).expect("a head of ASCII characters");
        assert!(head.starts_with("HTTP/1.1 "), "no status line: {head:?}");
        let status = head[9..12].parse().expect("a status of three digits");
        Ok(Response { head, status, body: Vec::new() })
    }

    /// The response to anything but HEAD, where there may be none.
    pub fn try_response(&mut self) -> io::Result<Response> {
        let mut response = self.read_head()?;
        if response.status < 200 || matches!(response.status, 204 | 304) {
            return Ok(response);
        }
        response.body = if let Some(length) = response.field("Content-Length") {
            self.take(length.parse().expect("a length in digits"))?
        } else if response.field("Transfer-Encoding").is_some_and(|coding| coding == "chunked") {
            self.chunks()?
        } else {
            self.read_to_end()?
        };
        Ok(response)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8(self.take_through(b"\r\n")?).expect("a chunk's size line");
            let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk's size");
            if size == 0 {
                let end = self.take(2)?;
                assert_eq!(end, b"\r\n", "no trailers were announced");
                return Ok(body);
            }
            body.extend_from_slice(&self.take(size)?);
            assert_eq!(self.take(2)?, b"\r\n", "the end of a chunk");
        }
    }

    /// Sends a request and reads its response.
    #[track_caller]
    pub fn exchange(&mut self, request: &[u8]) -> Response {
        self.send(request);
        self.response()
    }

    /// A GET and its response.
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.exchange(&super::get(target))
    }

    /// Everything until the server's FIN.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        while self.receive()? > 0 {}
        let rest = self.pending().to_vec();
        self.at = self.received.len();
        Ok(rest)
    }

    /// The server closes with FIN, and sends nothing before it.
    #[track_caller]
    pub fn expect_close(&mut self) {
        let rest = self.read_to_end().expect("FIN, no reset");
        assert!(rest.is_empty(), "bytes before the end: {:?}", String::from_utf8_lossy(&rest));
    }

    /// The server ends the connection, by FIN or by RST; anything that still comes is dropped.
    #[track_caller]
    pub fn expect_end(&mut self) {
        if let Err(error) = self.read_to_end() {
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
        }
    }

    /// Nothing comes within `time`: neither bytes nor an end.
    pub fn is_silent_for(&self, time: Duration) -> bool {
        self.pending().is_empty() && !os::readable_within(&self.stream, time)
    }

    /// Whether there is something to read already.
    pub fn has_answer(&self) -> bool {
        !self.is_silent_for(Duration::ZERO)
    }

    /// Whether the connection still answers.
    pub fn is_alive(&mut self) -> bool {
        self.try_send(&super::get("/plaintext")).is_ok() && self.try_response().is_ok()
    }
}

impl Response {
    /// A field's value; `None` when it is not there.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields(name).next()
    }

    /// All values of a field.
    pub fn fields<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.head.lines().skip(1).filter_map(move |line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// Its content as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("content of UTF-8 text")
    }

    /// The server has announced that it will close.
    pub fn closes(&self) -> bool {
        self.field("Connection") == Some("close")
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.body[..self.body.len().min(200)];
        write!(f, "{}{} bytes: {:?}", self.head, self.body.len(), String::from_utf8_lossy(shown))
    }
}

/// `stream` with every Date the same, so that responses of different seconds compare.
pub fn undated(stream: &[u8]) -> Vec<u8> {
    const FIELD: &[u8] = b"\r\nDate: ";
    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    const DATE_BYTES: usize = 29;
    let mut stream = stream.to_vec();
    let mut at = 0;
    while let Some(found) = stream[at..].windows(FIELD.len()).position(|window| window == FIELD) {
        at += found + FIELD.len();
        let end = (at + DATE_BYTES).min(stream.len());
        stream[at..end].fill(b'-');
    }
    stream
}
