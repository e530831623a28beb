//! A load that verifies: clients that compare every response with the expected one, byte for byte,
//! and that behave as RFC 9112 §9.3.1 and §9.6 require of a client whose server closes connections.
//!
//! ```text
//! requests ─► connection ─► answer is right ─────────► next
//!                 │         says "Connection: close" ─► what was sent behind it goes to a new one
//!                 │ closed before an answer's first byte ─► repeat on a new one     (repeats)
//!                 │ closed within an answer                                         (truncated)
//!                 │ a wrong or no answer                                            (failed)
//!                 └ the connection is refused                                       (refused)
//! ```
//!
//! Uses the standard library alone: the tests and an example (`servers/examples/verify.rs`) share
//! it.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a response may take: far more than on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a request is tried before it has failed.
const ATTEMPTS_MAX: u32 = 100;
/// The most requests sent at once.
const PIPELINED_MAX: u64 = 3;
/// One request in this many asks for the connection's end, so that there are always new ones.
const CLOSE_ONE_IN: u64 = 50;
/// The largest file and the largest echo that are requested.
const BYTES_MAX: u64 = 200_000;
const ECHO_MAX: u64 = 3_000;

/// The result of a load.
#[derive(Clone, Default, Debug)]
pub struct Counters {
    /// Requests that got the right answer.
    pub answered: u64,
    /// Connections made.
    pub connections: u64,
    /// Connections whose server announced their end when the client had not asked for it.
    pub announced: u64,
    /// Requests sent again.
    pub repeats: u64,
    /// Connections that were refused.
    pub refused: u64,
    /// Responses that were wrong, or never came.
    pub failed: u64,
    /// Responses that came in part.
    pub truncated: u64,
    /// The client ports of connections that ended unannounced with requests in flight.
    pub cut: Vec<u16>,
    /// Descriptions of the failures.
    pub troubles: Vec<String>,
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Counters) {
        self.answered += other.answered;
        self.connections += other.connections;
        self.announced += other.announced;
        self.repeats += other.repeats;
        self.refused += other.refused;
        self.failed += other.failed;
        self.truncated += other.truncated;
        self.cut.extend(other.cut);
        self.troubles.extend(other.troubles);
    }
}

/// Clients at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Counters>>,
}

impl Load {
    /// Starts this many clients, each with one connection at a time.
    pub fn start(server: SocketAddr, clients: u64) -> Load {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let start = |number: u64| {
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            thread::spawn(move || Client::new(server, number).run(&stop, &answered))
        };
        let clients = (0..clients).map(start).collect();
        Load { stop, answered, clients }
    }

    /// Requests answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    /// Lets every client finish what it has in hand.
    pub fn finish(self) -> Counters {
        self.stop.store(true, Relaxed);
        let mut sum = Counters::default();
        for client in self.clients {
            sum += client.join().expect("a client that does not panic");
        }
        sum
    }
}

/// A request, and the content of its response.
struct Request {
    bytes: Vec<u8>,
    expected: Vec<u8>,
    closes: bool,
}

impl Request {
    /// One of several kinds, chosen by `random`; no two echoes are the same.
    fn choose(random: &mut Random) -> Request {
        let closes = random.below(CLOSE_ONE_IN) == 0;
        let (kind, size, nonce) = (random.below(8), random.below(ECHO_MAX), random.next());
        let end = if closes { "Connection: close\r\n\r\n" } else { "\r\n" };
        let head = |line: &str| format!("{line} HTTP/1.1\r\nHost: verify\r\n{end}").into_bytes();
        let (bytes, expected) = match kind {
            0..4 => (head("GET /plaintext"), b"Hello, World!".to_vec()),
            4 => {
                let count = random.below(BYTES_MAX);
                (head(&format!("GET /bytes?n={count}")), numbered_lines(count as usize))
            }
            5 => {
                let line = format!("POST /echo?{nonce:x} HTTP/1.1\r\nHost: verify");
                let mut echo = format!("{line}\r\nContent-Length: {size}\r\n{end}").into_bytes();
                echo.extend((0..size).map(|_| random.next() as u8));
                (echo.clone(), echo)
            }
            _ => {
                let echo = head(&format!("GET /echo?{nonce:x}"));
                (echo.clone(), echo)
            }
        };
        Request { bytes, expected, closes }
    }
}

/// The content of `/bytes?n=COUNT`: lines of 64 bytes that begin with their offset.
fn numbered_lines(count: usize) -> Vec<u8> {
    const REST: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX";
    let line = |place: usize| format!("{place:012} {REST}\n").into_bytes();
    let mut bytes: Vec<u8> = (0..count).step_by(64).flat_map(line).collect();
    bytes.truncate(count);
    bytes
}

/// A connection, and the bytes received on it and not yet read.
struct Connection {
    stream: TcpStream,
    port: u16,
    received: Vec<u8>,
}

impl Connection {
    fn to(server: SocketAddr) -> io::Result<Connection> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection { port: stream.local_addr()?.port(), stream, received: Vec::new() })
    }

    /// Reads until `len` bytes have been received.
    fn fill(&mut self, len: usize) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        while self.received.len() < len {
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.received.extend_from_slice(&piece[..read]),
                // A receive with a timeout is not restarted (signal(7)).
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next response: status, content, and whether the server closes after it.
    fn answer(&mut self) -> io::Result<(u16, Vec<u8>, bool)> {
        let end = loop {
            match self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None => self.fill(self.received.len() + 1)?,
            }
        };
        let head = String::from_utf8_lossy(&self.received[..end]).to_ascii_lowercase();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
        let length = field("content-length: ").and_then(|length| length.parse().ok());
        let closes = field("connection: ").is_some_and(|value| value == "close");
        let whole = end + length.unwrap_or(0);
        self.fill(whole)?;
        let body = self.received[end..whole].to_vec();
        self.received.drain(..whole);
        Ok((status, body, closes))
    }
}

/// The state of a connection after some requests.
enum After {
    Kept,
    /// Its end was announced.
    Closed,
    /// It ended unannounced.
    Cut,
}

struct Client {
    server: SocketAddr,
    random: Random,
    connection: Option<Connection>,
    tally: Counters,
}

impl Client {
    fn new(server: SocketAddr, number: u64) -> Client {
        Client {
            server,
            random: Random(number * 2 + 1),
            connection: None,
            tally: Counters::default(),
        }
    }

    fn run(mut self, stop: &AtomicBool, answered: &AtomicU64) -> Counters {
        while !stop.load(Relaxed) {
            let before = self.tally.answered;
            let count = 1 + self.random.below(PIPELINED_MAX);
            let requests = (0..count).map(|_| Request::choose(&mut self.random)).collect();
            self.satisfy(requests);
            answered.fetch_add(self.tally.answered - before, Relaxed);
        }
        self.tally
    }

    /// Sends requests until all are answered.
    fn satisfy(&mut self, mut requests: Vec<Request>) {
        for _ in 0..ATTEMPTS_MAX {
            let Some(mut connection) = self.connection.take().or_else(|| self.connect()) else {
                continue;
            };
            // A request that ends the connection is the last one on it.
            let last = requests.iter().position(|request| request.closes);
            let sent = last.map_or(requests.len(), |last| last + 1);
            let unsent = requests.len() - sent;
            match self.exchange(&mut connection, &mut requests, sent) {
                After::Kept => self.connection = Some(connection),
                After::Closed => {}
                After::Cut => self.tally.cut.push(connection.port),
            }
            if requests.is_empty() {
                return;
            }
            self.tally.repeats += (requests.len() - unsent) as u64;
        }
        self.fail(format!("not answered in {ATTEMPTS_MAX} attempts"));
    }

    fn connect(&mut self) -> Option<Connection> {
        match Connection::to(self.server) {
            Ok(connection) => {
                self.tally.connections += 1;
                Some(connection)
            }
            Err(error) => {
                self.tally.refused += 1;
                self.tally.troubles.push(format!("connecting: {error}"));
                None
            }
        }
    }

    /// Sends the first `count` requests on a connection, and removes the completed ones.
    fn exchange(
        &mut self,
        connection: &mut Connection,
        requests: &mut Vec<Request>,
        count: usize,
    ) -> After {
        let bytes: Vec<u8> = requests[..count].iter().flat_map(|r| r.bytes.clone()).collect();
        // Responses may be there even if not everything could be sent.
        let _ = connection.stream.write_all(&bytes);
        for _ in 0..count {
            let (status, body, closes) = match connection.answer() {
                Ok(answer) => answer,
                Err(error) => return self.broken(connection, requests, &error),
            };
            let request = requests.remove(0);
            match status == 200 && body == request.expected {
                true => self.tally.answered += 1,
                false => self.fail(format!(
                    "status {status}, {} bytes, for {:?}",
                    body.len(),
                    String::from_utf8_lossy(&request.bytes[..request.bytes.len().min(100)])
                )),
            }
            if closes || request.closes {
                self.tally.announced += u64::from(!request.closes);
                return After::Closed;
            }
        }
        After::Kept
    }

    /// No response, or not all of it.
    fn broken(
        &mut self,
        connection: &Connection,
        requests: &mut Vec<Request>,
        error: &io::Error,
    ) -> After {
        if !connection.received.is_empty() {
            let got = connection.received.len();
            requests.remove(0);
            self.tally.truncated += 1;
            self.tally.troubles.push(format!("an answer ended after {got} bytes: {error}"));
        } else if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            requests.remove(0);
            self.fail(format!("no answer within {PATIENCE:?}"));
        }
        After::Cut
    }

    fn fail(&mut self, what: String) {
        self.tally.failed += 1;
        self.tally.troubles.push(what);
    }
}

/// xorshift64* (Vigna 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
