//! What the floors share: their command line, the response, and counting the ends of heads.
//!
//! A floor is the least that an HTTP/1.1 server can do under one model; it is the yardstick for the
//! servers of that model. It understands nothing of HTTP but the blank line that ends a head, and
//! answers each one with a constant. No timeouts, no limits, no parsing, no true Date. Built on
//! libc alone, so that it measures nothing of ours.
//!
//! All responses are the same bytes, so that the stream of responses is periodic, and a
//! connection's pending output is two numbers: the offset within a response, and the bytes left to
//! send.
//!
//! ```text
//! floor PORT [--body N]          a body of N bytes instead of "Hello, World!"
//!            [--answer FILE]     head and body of each answer are what is in FILE
//!            [--sendfile FILE]   the body is FILE, sent with sendfile(2)
//!            [--defer-accept]    accept when the request is there (TCP_DEFER_ACCEPT)
//!            [--close]           close after the first answer
//!            [--processes N]     of floor_prefork: this many (64)
//! ```

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::{env, fs, mem, net, ptr};

const BLANK_LINE: &[u8] = b"\r\n\r\n";
/// The part of a blank line that may be missing, and so is kept for the next read.
const TAIL_MAX: usize = BLANK_LINE.len() - 1;
/// Bytes that are searched at once.
const BLOCK: usize = 16;
/// Answers are kept side by side up to this size, to answer pipelined requests with one send.
const BATCH_BYTES: usize = 64 * 1024;

/// The bytes that an input of `read_bytes` needs: the last read's tail before, a block after.
pub const fn input_bytes(read_bytes: usize) -> usize {
    TAIL_MAX + read_bytes + BLOCK
}

/// The response, the listener, and the options.
pub struct Floor {
    pub listener: net::TcpListener,
    /// Close after the first answer.
    pub close: bool,
    /// How many serve, where the floor is a pool of processes.
    #[allow(dead_code)] // the other floors are one process
    pub processes: u32,
    /// As many answers as fit into a batch, at least one; or, with a file, the head.
    batch: Vec<u8>,
    /// One answer: head and body.
    answer_len: usize,
    file: Option<fs::File>,
}

impl Floor {
    /// Listens as the command line says; accepting waits, or not.
    pub fn new(nonblocking: bool) -> io::Result<Floor> {
        let mut arguments = env::args().skip(1);
        let (mut batch, mut file, mut close) = (head(13), None, false);
        let (mut port, mut defer, mut body) = (8080, false, b"Hello, World!".to_vec());
        let mut processes = 64;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().unwrap_or_else(|| usage());
            match &argument[..] {
                "--body" => body = vec![b'x'; value().parse().unwrap_or_else(|_| usage())],
                "--answer" => (batch, body) = (fs::read(value())?, Vec::new()),
                "--sendfile" => file = Some(fs::File::open(value())?),
                "--defer-accept" => defer = true,
                "--close" => close = true,
                "--processes" => processes = value().parse().unwrap_or_else(|_| usage()),
                number => port = number.parse().unwrap_or_else(|_| usage()),
            }
        }
        let answer_len;
        if let Some(file) = &file {
            let file_len = file.metadata()?.len() as usize;
            batch = head(file_len);
            answer_len = batch.len() + file_len;
        } else {
            if !body.is_empty() {
                batch = head(body.len());
            }
            batch.extend(body);
            answer_len = batch.len();
            batch = batch.repeat((BATCH_BYTES / answer_len).max(1));
        }
        let listener = listen(port, defer)?;
        listener.set_nonblocking(nonblocking)?;
        Ok(Floor { listener, close, processes, batch, answer_len, file })
    }
}

fn usage() -> ! {
    eprintln!("PORT [--body N | --answer FILE | --sendfile FILE] [--defer-accept] [--close]");
    std::process::exit(2)
}

fn head(body_len: usize) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {body_len}\r\n\
         Date: Sun, 22 Nov 2026 05:00:00 GMT\r\n\r\n"
    )
    .into_bytes()
}

/// An error of a call that only fails when something is wrong with the program or the machine.
pub fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn listen(port: u16, defer: bool) -> io::Result<net::TcpListener> {
    let listener = net::TcpListener::bind(("127.0.0.1", port))?;
    let fd = listener.as_raw_fd();
    let option = |name, value: i32| {
        let (value, len) = ((&raw const value).cast(), mem::size_of::<i32>() as u32);
        // SAFETY: the value lives during the call and has the length passed.
        check(unsafe { libc::setsockopt(fd, libc::IPPROTO_TCP, name, value, len) })
    };
    option(libc::TCP_NODELAY, 1)?; // accepted connections inherit it
    if defer {
        option(libc::TCP_DEFER_ACCEPT, 1)?;
    }
    // SAFETY: takes no pointer. Again, for a longer backlog than std's.
    check(unsafe { libc::listen(fd, 4096) })?;
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {}", listener.local_addr()?)?;
    stdout.flush()?;
    Ok(listener)
}

/// A connection's progress through requests and answers.
#[derive(Clone, Copy, Default)]
pub struct Progress {
    /// Bytes of responses still to be sent; nothing is read before that.
    owed: usize,
    /// Offset of the first of them within the response.
    at: usize,
    /// There was a request: with `--close` the response is the last.
    pub answered: bool,
    /// The end of the last read, if a blank line may begin there.
    tail: [u8; TAIL_MAX],
    tail_len: usize,
}

impl Progress {
    /// One recv(2) into `input`, which has [`input_bytes`]: returns their number, after counting
    /// the heads that end in them. As in recv, 0 is the end and less is an error.
    #[inline(always)]
    pub fn recv(&mut self, floor: &Floor, fd: i32, input: &mut [u8]) -> isize {
        let room = input.len() - TAIL_MAX - BLOCK;
        // SAFETY: after the tail there is that much room.
        let count = unsafe { libc::recv(fd, input[TAIL_MAX..].as_mut_ptr().cast(), room, 0) };
        if count > 0 {
            let heads = self.count_heads(input, count as usize);
            self.owed += heads * floor.answer_len;
            self.answered |= heads > 0;
        }
        count
    }

    /// The bytes still pending when the socket is full or all is sent; `None`: the peer is gone.
    #[inline(always)]
    pub fn send(&mut self, floor: &Floor, fd: i32) -> Option<usize> {
        while self.owed > 0 {
            let sent = if let (Some(file), true) = (&floor.file, self.at >= floor.batch.len()) {
                let mut offset = (self.at - floor.batch.len()) as i64;
                let count = floor.answer_len - self.at;
                // SAFETY: the offset lives during the call.
                unsafe { libc::sendfile(fd, file.as_raw_fd(), &mut offset, count) }
            } else {
                let more = if floor.file.is_some() { libc::MSG_MORE } else { 0 };
                let bytes = &floor.batch[self.at..];
                let bytes = &bytes[..bytes.len().min(self.owed)];
                let flags = libc::MSG_NOSIGNAL | more;
                // SAFETY: pointer and length are those of a slice.
                unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) }
            };
            if sent <= 0 {
                return (sent < 0 && would_block()).then_some(self.owed);
            }
            self.owed -= sent as usize;
            self.at += sent as usize;
            while self.at >= floor.answer_len {
                self.at -= floor.answer_len;
            }
        }
        Some(0)
    }

    /// Counts the blank lines in the last read, including one that began in the read before.
    fn count_heads(&mut self, input: &mut [u8], count: usize) -> usize {
        let begin = TAIL_MAX - self.tail_len;
        if self.tail_len > 0 {
            let tail = &self.tail[..self.tail_len];
            input[begin..TAIL_MAX].copy_from_slice(tail);
        }
        let len = self.tail_len + count;
        let input = &input[begin..];
        let (mut heads, mut after_last, mut before) = (0, 0, 0);
        for (index, block) in input[..len.next_multiple_of(BLOCK)].chunks_exact(BLOCK).enumerate() {
            let newlines = newlines(block.try_into().expect("a block"));
            // Only a blank line has newlines two bytes apart (or an odd field: look again).
            let mut pairs = newlines & (newlines << 2 | before);
            before = newlines >> (BLOCK - 2);
            while pairs != 0 {
                let end = BLOCK * index + pairs.trailing_zeros() as usize + 1;
                pairs &= pairs - 1;
                // The last block may reach beyond what was read.
                if end <= len && input[after_last..end].ends_with(BLANK_LINE) {
                    heads += 1;
                    after_last = end;
                }
            }
        }
        let input = &input[..len];
        self.tail_len = (input.len() - after_last).min(TAIL_MAX);
        if self.tail_len > 0 {
            let tail = &input[input.len() - self.tail_len..];
            self.tail[..tail.len()].copy_from_slice(tail);
        }
        heads
    }
}

/// A bit for every newline, by SSE2, which every x86-64 has.
#[cfg(target_arch = "x86_64")]
fn newlines(block: &[u8; BLOCK]) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    // SAFETY: a block has the 16 bytes that are loaded, from any address.
    unsafe {
        let bytes = _mm_loadu_si128(block.as_ptr().cast());
        _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\n' as i8))) as u32
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn newlines(block: &[u8; BLOCK]) -> u32 {
    let bits = block.iter().enumerate();
    bits.map(|(bit, byte)| u32::from(*byte == b'\n') << bit).sum()
}

pub fn would_block() -> bool {
    io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock
}

/// A connection, or nothing: gone again, or no descriptors left.
pub fn accept(floor: &Floor, flags: i32) -> Option<i32> {
    let (listener, flags) = (floor.listener.as_raw_fd(), flags | libc::SOCK_CLOEXEC);
    // SAFETY: null pointers: the address is not wanted.
    let fd = unsafe { libc::accept4(listener, ptr::null_mut(), ptr::null_mut(), flags) };
    (fd >= 0).then_some(fd)
}

pub fn close(fd: i32) {
    // SAFETY: a descriptor of an accepted connection, which is not used after this.
    unsafe { libc::close(fd) };
}

/// Serves a blocking connection until it ends, and closes it.
#[allow(dead_code)] // the floor with an event loop does not wait
pub fn serve_blocking(floor: &Floor, fd: i32, input: &mut [u8]) {
    let mut progress = Progress::default();
    while progress.recv(floor, fd, input) > 0 {
        let gone = progress.send(floor, fd).is_none();
        if gone || floor.close && progress.answered {
            break;
        }
    }
    close(fd);
}
