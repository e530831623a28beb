//! How a driver that goes through a conversation step by step waits for its client.
//!
//! ```text
//! drivers::blocking ── recv, wait_writable, sleep ──► Transport
//!                                                        ├ Blocking: the thread waits in the kernel
//!                                                        ├ Polled: for the client and an event loop
//!                                                        └ Parking: a fiber (see `parking`)
//! ```
//!
//! Each wait has a deadline, on the clock of the conversation's deadlines, and may let others run
//! on the same thread: nothing of a [`Context`](crate::session::Context) is borrowed meanwhile.
//! Sending does not wait here: [`send_all`](super::send::send_all) sends what there is room for, and
//! where that is not all the driver waits until there is more. A connection whose requests arrive
//! with it and whose responses fit into its socket costs no system call for any timeout.

use std::io;
use std::mem;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use reactor::net::{self, Stream};
use reactor::{EventLoop, Handler, Interest, Readiness};

use crate::session::NEVER;

/// How long a send of a blocking stream waits for room in the kernel; what takes longer is waited
/// for by poll(2), which keeps deadlines exactly. `sendfile(2)` waits so long for each 64 KiB.
const SEND_MS: u64 = 20;
/// How long a thread with a loop of its own waits for its client alone: a signal is noticed so late.
/// Waiting for both costs a busy client a poll(2) for each request, 450 ns.
const SLICE_MS: u64 = 100;

/// A connection that can be waited for.
pub trait Transport {
    /// The connection.
    fn stream(&self) -> &Stream;

    /// Receives what there is, waiting for it until `deadline_ms`; 0 bytes: the client has finished
    /// sending. `None`: the deadline has passed, whatever there is to receive: a client that never
    /// stops sending must not outlive it. `now_ms` was the time a moment ago.
    ///
    /// # Errors
    /// The socket's.
    fn recv(&mut self, room: &mut [u8], now_ms: u64, deadline_ms: u64)
    -> io::Result<Option<usize>>;

    /// Whether it can wait for something to receive without the room for it.
    const WAITS_WITHOUT_BUFFERS: bool = false;

    /// Waits until there is something to receive; `false`: the deadline has passed. Only where it
    /// [waits without buffers](Transport::WAITS_WITHOUT_BUFFERS).
    ///
    /// # Errors
    /// Out of memory.
    fn wait_readable(&mut self, _deadline_ms: u64) -> io::Result<bool> {
        Ok(true)
    }

    /// From now on no send waits for long where there is no room.
    ///
    /// # Errors
    /// The socket's.
    fn prepare_to_send(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Waits until there is room to send, or the connection has failed; `false`: the deadline has
    /// passed.
    ///
    /// # Errors
    /// Out of memory.
    fn wait_writable(&mut self, deadline_ms: u64) -> io::Result<bool>;

    /// Lets the time pass until `deadline_ms`; `false`: the connection has failed before.
    ///
    /// # Errors
    /// Out of memory.
    fn sleep(&mut self, deadline_ms: u64) -> io::Result<bool>;

    /// The connection has done much without waiting: others on the same thread go first.
    ///
    /// # Errors
    /// It must end.
    fn let_others_run(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// What is served next begins with these bytes: for a report, should it end the process.
    fn serves(&mut self, _head: &[u8]) {}

    /// The application is about to block or to compute: what else the thread has to do can be done
    /// by another one.
    fn will_block(&mut self) {}

    /// Which context to look at first for a step of the `connection` of that number.
    fn context(&self, connection: usize) -> usize {
        connection
    }
}

/// For a thread that has nothing else to do: it waits in `recv(2)` itself.
///
/// `SO_RCVTIMEO` is set again only when the wait must be shorter than what is set, by more than a
/// sixty-fourth; one that ends early by the clock is taken up once more for the rest. A keep-alive
/// connection costs a system call for it now and then, not for each request.
pub struct Blocking<'s> {
    stream: &'s Stream,
    epoch: Instant,
    /// The receive timeout that is set.
    receive_ms: u64,
    /// Nothing has been received: the first request often comes with the connection.
    is_new: bool,
    /// The send timeout is set.
    bounds_sends: bool,
}

impl<'s> Blocking<'s> {
    /// Takes over a blocking stream. Deadlines count from `epoch`.
    pub fn new(stream: &'s Stream, epoch: Instant) -> Self {
        Blocking { stream, epoch, receive_ms: NEVER, is_new: true, bounds_sends: false }
    }

    fn now_ms(&self) -> u64 {
        self.epoch.elapsed().as_millis() as u64
    }

    fn set_receive_ms(&mut self, wait_ms: u64) -> io::Result<()> {
        self.stream.set_receive_timeout(duration(wait_ms))?;
        self.receive_ms = wait_ms;
        Ok(())
    }

    /// The first request often comes with the connection.
    #[cold]
    fn recv_first(&self, room: &mut [u8]) -> Option<io::Result<usize>> {
        match self.stream.recv_now(room) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            other => Some(other),
        }
    }

    /// The timeout that was set is over, and the deadline may be later.
    #[cold]
    fn recv_until(&mut self, room: &mut [u8], deadline_ms: u64) -> io::Result<Option<usize>> {
        loop {
            match left(self.now_ms(), deadline_ms) {
                0 => return Ok(None),
                rest_ms => self.set_receive_ms(rest_ms)?,
            }
            match self.stream.recv(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other.map(Some),
            }
        }
    }

    fn wait(&self, interest: Interest, deadline_ms: u64) -> io::Result<Readiness> {
        loop {
            let left_ms = left(self.now_ms(), deadline_ms);
            let found = net::wait(self.stream, interest, duration(left_ms))?;
            if !found.is_none() || left_ms == 0 {
                return Ok(found);
            }
        }
    }
}

impl Transport for Blocking<'_> {
    fn stream(&self) -> &Stream {
        self.stream
    }

    // Into its caller: of what a process does between two waits, each page of code is a miss of the
    // TLB.
    #[inline(always)]
    fn recv(
        &mut self,
        room: &mut [u8],
        now_ms: u64,
        deadline_ms: u64,
    ) -> io::Result<Option<usize>> {
        if mem::take(&mut self.is_new)
            && let Some(received) = self.recv_first(room)
        {
            return received.map(Some);
        }
        if now_ms >= deadline_ms {
            return Ok(None);
        }
        let wait_ms = left(now_ms, deadline_ms);
        if wait_ms.saturating_add(wait_ms / 64) < self.receive_ms {
            self.set_receive_ms(wait_ms.max(1))?;
        }
        match self.stream.recv(room) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.recv_until(room, deadline_ms)
            }
            other => other.map(Some),
        }
    }

    fn prepare_to_send(&mut self) -> io::Result<()> {
        if !mem::replace(&mut self.bounds_sends, true) {
            self.stream.set_send_timeout(Some(Duration::from_millis(SEND_MS)))?;
        }
        Ok(())
    }

    fn wait_writable(&mut self, deadline_ms: u64) -> io::Result<bool> {
        Ok(!self.wait(Interest::WRITABLE, deadline_ms)?.is_none())
    }

    fn sleep(&mut self, deadline_ms: u64) -> io::Result<bool> {
        Ok(self.wait(net::FAILURE, deadline_ms)?.is_none())
    }
}

/// A handler that may be done while a connection is being served.
pub trait Stop: Handler {
    /// Nothing more is to be served.
    fn is_stopped(&self) -> bool;
}

/// For the only thread there is, which has an event loop to see to as well.
///
/// A client that keeps sending is received from as by [`Blocking`], without another system call,
/// and the loop has a turn every 100 ms (`SLICE_MS`). When the client has been silent for that long, both
/// are waited for together, by poll(2); so a signal is noticed at once, or within a slice.
///
/// The listeners must not be in the loop's poller meanwhile: nothing would take from their queues,
/// and no wait would wait.
pub struct Polled<'s, H> {
    io: Blocking<'s>,
    ev: &'s mut EventLoop,
    handler: &'s mut H,
    /// When the loop has its next turn, at the latest.
    turn_ms: u64,
}

impl<'s, H: Stop> Polled<'s, H> {
    /// Takes over a blocking stream. Deadlines count from `epoch`, when the loop's clock began.
    pub fn new(
        stream: &'s Stream,
        ev: &'s mut EventLoop,
        handler: &'s mut H,
        epoch: Instant,
    ) -> Self {
        Polled { io: Blocking::new(stream, epoch), ev, handler, turn_ms: 0 }
    }

    /// Waits for the client, and lets the loop take its turns; nothing, when the deadline has passed.
    fn wait(&mut self, interest: Interest, deadline_ms: u64) -> io::Result<Readiness> {
        loop {
            let now_ms = self.io.now_ms();
            let turn_ms = self.ev.next_deadline_ms().unwrap_or(NEVER);
            let wait_ms = left(now_ms, deadline_ms.min(turn_ms));
            let poller = (self.ev.poller().as_fd(), Interest::READABLE);
            let sources = [(self.io.stream.as_fd(), interest), poller];
            let [client, events] = net::wait_any(sources, duration(wait_ms))?;
            if !events.is_none() || self.io.now_ms() >= turn_ms {
                self.take_turn()?;
            }
            if !client.is_none() || now_ms >= deadline_ms {
                return Ok(client);
            }
        }
    }

    fn take_turn(&mut self) -> io::Result<()> {
        self.turn_ms = self.io.now_ms() + SLICE_MS;
        self.ev.turn(self.handler, Some(Duration::ZERO))?;
        if self.handler.is_stopped() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

impl<H: Stop> Transport for Polled<'_, H> {
    fn stream(&self) -> &Stream {
        self.io.stream
    }

    #[inline]
    fn recv(
        &mut self,
        room: &mut [u8],
        now_ms: u64,
        deadline_ms: u64,
    ) -> io::Result<Option<usize>> {
        if now_ms >= self.turn_ms {
            self.take_turn()?;
        }
        if let Some(count) = self.io.recv(room, now_ms, deadline_ms.min(now_ms + SLICE_MS))? {
            return Ok(Some(count));
        }
        while !self.wait(Interest::READABLE, deadline_ms)?.is_none() {
            match self.io.stream.recv_now(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other.map(Some),
            }
        }
        Ok(None)
    }

    fn prepare_to_send(&mut self) -> io::Result<()> {
        self.io.prepare_to_send()
    }

    fn wait_writable(&mut self, deadline_ms: u64) -> io::Result<bool> {
        Ok(!self.wait(Interest::WRITABLE, deadline_ms)?.is_none())
    }

    fn sleep(&mut self, deadline_ms: u64) -> io::Result<bool> {
        Ok(self.wait(net::FAILURE, deadline_ms)?.is_none())
    }

    fn let_others_run(&mut self) -> io::Result<()> {
        self.take_turn()
    }
}

/// What is left until a deadline.
fn left(now_ms: u64, deadline_ms: u64) -> u64 {
    if deadline_ms == NEVER { NEVER } else { deadline_ms.saturating_sub(now_ms) }
}

/// A time to wait, in the system's terms.
fn duration(ms: u64) -> Option<Duration> {
    (ms != NEVER).then(|| Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    fn pair() -> (Stream, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        (OwnedFd::from(here).into(), there)
    }

    #[test]
    fn receives_until_the_deadline_and_not_beyond() {
        let (stream, mut there) = pair();
        let epoch = Instant::now();
        let mut io = Blocking::new(&stream, epoch);
        let mut room = [0; 8];
        there.write_all(b"abc").unwrap();
        assert_eq!(io.recv(&mut room, 0, NEVER).unwrap(), Some(3));
        assert_eq!(io.receive_ms, NEVER, "nothing was set for a wait without limit");
        let now_ms = io.now_ms();
        assert_eq!(io.recv(&mut room, now_ms, now_ms + 30).unwrap(), None);
        assert!(io.now_ms() >= now_ms + 30);
        drop(there);
        assert_eq!(io.recv(&mut room, 0, NEVER).unwrap(), Some(0));
    }

    #[test]
    fn a_timeout_is_kept_for_waits_that_are_hardly_shorter() {
        let (stream, mut there) = pair();
        let mut io = Blocking::new(&stream, Instant::now());
        let mut room = [0; 1];
        there.write_all(b"abcde").unwrap();
        io.recv(&mut room, 0, 10).unwrap();
        assert_eq!(io.receive_ms, NEVER, "what comes with the connection is not waited for");
        for (wait_ms, set_ms) in [(6400, 6400), (6350, 6400), (60_000, 6400), (1000, 1000)] {
            io.recv(&mut room, 0, wait_ms).unwrap();
            assert_eq!(io.receive_ms, set_ms);
        }
    }

    #[test]
    fn a_wait_longer_than_what_is_set_is_taken_up_again() {
        let (stream, _there) = pair();
        let mut io = Blocking::new(&stream, Instant::now());
        let mut room = [0; 1];
        assert_eq!(io.recv(&mut room, 0, 10).unwrap(), None);
        let now_ms = io.now_ms();
        assert_eq!(io.recv(&mut room, now_ms, now_ms + 40).unwrap(), None);
        assert!(io.now_ms() >= now_ms + 40);
    }

    #[test]
    fn sleeping_ends_at_the_deadline_or_with_the_connection() {
        let (stream, mut there) = pair();
        let mut io = Blocking::new(&stream, Instant::now());
        // What arrives meanwhile does not end it.
        there.write_all(b"pipelined").unwrap();
        assert!(io.sleep(15).unwrap());
        assert!(io.now_ms() >= 15);
        drop(there);
        assert!(!io.sleep(NEVER).unwrap());
    }

    #[test]
    fn room_to_send_is_waited_for_until_the_deadline() {
        let (stream, _there) = pair();
        let mut io = Blocking::new(&stream, Instant::now());
        assert!(io.wait_writable(NEVER).unwrap());
        io.prepare_to_send().unwrap();
        while stream.send(&[0; 65_536]).is_ok_and(|sent| sent == 65_536) {}
        let deadline_ms = io.now_ms() + 20;
        assert!(!io.wait_writable(deadline_ms).unwrap());
    }
}
