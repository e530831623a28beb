//! The floor: as little as a server of HTTP/1.1 can do. The yardstick others are measured against.
//!
//! One thread, epoll(7) by edges, one recv(2) and one send(2) a request. It understands nothing of
//! HTTP but the blank line that ends a head: for each one it answers a constant. No timeouts, no
//! limits, no parsing, no Date that is true. Built on libc alone, so that it measures nothing of
//! ours.
//!
//! All answers are the same bytes, so that the stream of answers is periodic, and what a connection
//! is owed is two numbers: where it is within an answer, and how many bytes are left to send.
//!
//! ```text
//! floor PORT [--body N]          a body of N bytes instead of "Hello, World!"
//!            [--answer FILE]     head and body of each answer are what is in FILE
//!            [--sendfile FILE]   the body is FILE, sent with sendfile(2)
//!            [--defer-accept]    accept when the request is there (TCP_DEFER_ACCEPT)
//!            [--close]           close after the first answer
//! ```

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the floor is made of epoll(7), which this system does not have");
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    floor::main()
}

#[cfg(target_os = "linux")]
mod floor {
    use std::io::{self, Write};
    use std::os::fd::AsRawFd;
    use std::{env, fs, mem, net, ptr};

    const BLANK_LINE: &[u8] = b"\r\n\r\n";
    /// What of a blank line may be missing, and so is kept for the next read.
    const TAIL_MAX: usize = BLANK_LINE.len() - 1;
    const READ_BYTES: usize = 64 * 1024;
    /// Bytes that are searched at once.
    const BLOCK: usize = 16;
    /// Answers are kept side by side up to this size, to answer pipelined requests with one send.
    const BATCH_BYTES: usize = 64 * 1024;
    const EVENTS: usize = 256;
    const PEER_CLOSED: i32 = libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR;

    /// A connection, found by its descriptor.
    #[derive(Clone, Copy, Default)]
    struct Connection {
        /// Bytes of answers that are still to be sent; no more is read before that.
        owed: usize,
        /// Where in the answer the first of them is.
        at: usize,
        /// There was a request: with `--close` the answer is the end.
        answered: bool,
        /// The end of the last read, if a blank line may begin there.
        tail: [u8; TAIL_MAX],
        tail_len: usize,
    }

    struct Floor {
        connections: Vec<Connection>,
        /// As many answers as fit into a batch, at least one; or, with a file, the head.
        batch: Vec<u8>,
        /// One answer: head and body.
        answer_len: usize,
        file: Option<fs::File>,
        close: bool,
        input: Vec<u8>,
    }

    pub fn main() -> io::Result<()> {
        let mut arguments = env::args().skip(1);
        let mut floor = Floor {
            connections: vec![Connection::default(); 1024],
            batch: head(13),
            answer_len: 0,
            file: None,
            close: false,
            input: vec![0; TAIL_MAX + READ_BYTES + BLOCK],
        };
        let (mut port, mut defer, mut body) = (8080, false, b"Hello, World!".to_vec());
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().unwrap_or_else(|| usage());
            match &argument[..] {
                "--body" => body = vec![b'x'; value().parse().unwrap_or_else(|_| usage())],
                "--answer" => (floor.batch, body) = (fs::read(value())?, Vec::new()),
                "--sendfile" => floor.file = Some(fs::File::open(value())?),
                "--defer-accept" => defer = true,
                "--close" => floor.close = true,
                number => port = number.parse().unwrap_or_else(|_| usage()),
            }
        }
        if let Some(file) = &floor.file {
            let file_len = file.metadata()?.len() as usize;
            floor.batch = head(file_len);
            floor.answer_len = floor.batch.len() + file_len;
        } else {
            if !body.is_empty() {
                floor.batch = head(body.len());
            }
            floor.batch.extend(body);
            floor.answer_len = floor.batch.len();
            floor.batch = floor.batch.repeat((BATCH_BYTES / floor.answer_len).max(1));
        }
        floor.run(&listen(port, defer)?)
    }

    fn usage() -> ! {
        eprintln!(
            "floor PORT [--body N | --answer FILE | --sendfile FILE] [--defer-accept] [--close]"
        );
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
    fn check(result: i32) -> io::Result<i32> {
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
    }

    fn listen(port: u16, defer: bool) -> io::Result<net::TcpListener> {
        let listener = net::TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        let fd = listener.as_raw_fd();
        let option = |name, value: i32| {
            let (value, len) = ((&raw const value).cast(), mem::size_of::<i32>() as u32);
            // SAFETY: the value lives during the call and has the length that is said.
            check(unsafe { libc::setsockopt(fd, libc::IPPROTO_TCP, name, value, len) })
        };
        option(libc::TCP_NODELAY, 1)?; // accepted connections inherit it
        if defer {
            option(libc::TCP_DEFER_ACCEPT, 1)?;
        }
        // SAFETY: takes no pointer. Again, for a longer queue than std asks for.
        check(unsafe { libc::listen(fd, 4096) })?;
        let mut stdout = io::stdout();
        writeln!(stdout, "listening on {}", listener.local_addr()?)?;
        stdout.flush()?;
        Ok(listener)
    }

    fn watch(epoll: i32, fd: i32, events: i32) -> io::Result<i32> {
        let mut event = libc::epoll_event { events: events as u32, u64: fd as u64 };
        // SAFETY: the event lives during the call.
        check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) })
    }

    impl Floor {
        fn run(&mut self, listener: &net::TcpListener) -> io::Result<()> {
            // SAFETY: takes no pointer.
            let epoll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
            let listener = listener.as_raw_fd();
            watch(epoll, listener, libc::EPOLLIN)?;
            let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS];
            loop {
                let (list, room) = (events.as_mut_ptr(), EVENTS as i32);
                // SAFETY: the list has that much room. It only fails when it is interrupted.
                let count = unsafe { libc::epoll_wait(epoll, list, room, -1) }.max(0);
                for event in &events[..count as usize] {
                    let fd = event.u64 as i32;
                    if fd == listener {
                        self.accept(epoll, listener)?;
                    } else if !self.serve(fd, event.events as i32 & PEER_CLOSED != 0) {
                        close(fd);
                    }
                }
            }
        }

        /// One a turn: the listener is watched by level and reported again if there are more, while
        /// an accept that finds nothing costs as much as a dozen waits.
        fn accept(&mut self, epoll: i32, listener: i32) -> io::Result<()> {
            let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            // SAFETY: null pointers: the address is not wanted.
            let fd = unsafe { libc::accept4(listener, ptr::null_mut(), ptr::null_mut(), flags) };
            if fd < 0 {
                return Ok(()); // gone again, or no descriptors left
            }
            if fd as usize >= self.connections.len() {
                self.connections.resize(2 * fd as usize, Connection::default());
            }
            self.connections[fd as usize] = Connection::default();
            // The request is often there already; a connection that is done needs no watching.
            if !self.serve(fd, false) {
                close(fd);
                return Ok(());
            }
            let both = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
            watch(epoll, fd, both).map(drop)
        }

        /// Sends what is owed, then reads and answers; false: the connection is to be closed.
        fn serve(&mut self, fd: i32, peer_closed: bool) -> bool {
            let mut drained = false;
            loop {
                match self.send(fd) {
                    Some(0) if self.close && self.connections[fd as usize].answered => {
                        return false;
                    }
                    Some(0) if drained => return true,
                    Some(0) => {}
                    Some(_) => return true, // an edge comes when there is room again
                    None => return false,
                }
                let room = self.input[TAIL_MAX..].as_mut_ptr().cast();
                // SAFETY: behind the tail there is room for READ_BYTES.
                let count = match unsafe { libc::recv(fd, room, READ_BYTES, 0) } {
                    0 => return false,
                    count @ 1.. => count as usize,
                    _ => return would_block(),
                };
                let heads = self.count_heads(fd as usize, count);
                let connection = &mut self.connections[fd as usize];
                connection.owed += heads * self.answer_len;
                connection.answered |= heads > 0;
                // A short read has emptied the socket, unless its end is yet to be read.
                drained = count < READ_BYTES && !peer_closed;
            }
        }

        /// The bytes still owed when the socket is full or all is sent; `None`: the peer is gone.
        fn send(&mut self, fd: i32) -> Option<usize> {
            let connection = &mut self.connections[fd as usize];
            while connection.owed > 0 {
                let sent =
                    if let (Some(file), true) = (&self.file, connection.at >= self.batch.len()) {
                        let mut offset = (connection.at - self.batch.len()) as i64;
                        let count = self.answer_len - connection.at;
                        // SAFETY: the offset lives during the call.
                        unsafe { libc::sendfile(fd, file.as_raw_fd(), &mut offset, count) }
                    } else {
                        let more = if self.file.is_some() { libc::MSG_MORE } else { 0 };
                        let bytes = &self.batch[connection.at..];
                        let bytes = &bytes[..bytes.len().min(connection.owed)];
                        let flags = libc::MSG_NOSIGNAL | more;
                        // SAFETY: pointer and length are those of a slice.
                        unsafe { libc::send(fd, bytes.as_ptr().cast(), bytes.len(), flags) }
                    };
                if sent <= 0 {
                    return (sent < 0 && would_block()).then_some(connection.owed);
                }
                connection.owed -= sent as usize;
                connection.at += sent as usize;
                while connection.at >= self.answer_len {
                    connection.at -= self.answer_len;
                }
            }
            Some(0)
        }

        /// Counts the blank lines in what was read, one that began in the last read included.
        fn count_heads(&mut self, fd: usize, count: usize) -> usize {
            let connection = &mut self.connections[fd];
            let begin = TAIL_MAX - connection.tail_len;
            if connection.tail_len > 0 {
                let tail = &connection.tail[..connection.tail_len];
                self.input[begin..TAIL_MAX].copy_from_slice(tail);
            }
            let len = connection.tail_len + count;
            let input = &self.input[begin..];
            let (mut heads, mut after_last, mut before) = (0, 0, 0);
            for (index, block) in
                input[..len.next_multiple_of(BLOCK)].chunks_exact(BLOCK).enumerate()
            {
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
            connection.tail_len = (input.len() - after_last).min(TAIL_MAX);
            if connection.tail_len > 0 {
                let tail = &input[input.len() - connection.tail_len..];
                connection.tail[..tail.len()].copy_from_slice(tail);
            }
            heads
        }
    }

    /// A bit for every newline, by SSE2, which every x86-64 has.
    #[cfg(target_arch = "x86_64")]
    fn newlines(block: &[u8; BLOCK]) -> u32 {
        use std::arch::x86_64::{
            _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8,
        };
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

    fn would_block() -> bool {
        io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock
    }

    fn close(fd: i32) {
        // SAFETY: a descriptor of an accepted connection, which is forgotten now.
        unsafe { libc::close(fd) };
    }
}
