//! The transport of a green thread: where a thread blocks in the kernel, a fiber parks.
//!
//! ```text
//! drivers::blocking ── recv ──► nothing there? ──► Running::wait ──► the carrier runs other fibers
//!                       ▲                                              │
//!                       └── the connection is readable, or it is late ◄┘ (perhaps on another one)
//! ```
//!
//! A short receive has drained the socket: the next one waits for the edge without trying. So a
//! request costs one receive and one send, as in an event loop.

use std::io;
use std::mem;
use std::os::fd::AsFd as _;

use reactor::net::Stream;
use reactor::scheduler::{Awaited, Running};

use super::transport::Transport;

/// Receives in a row that fill all the room, before other fibers have their turn.
const EAGER_MAX: u32 = 16;

/// A connection that a green thread serves. Deadlines are on the scheduler's clock.
pub struct Parking<'f> {
    stream: &'f Stream,
    running: &'f Running<'f>,
    /// There may be something to receive.
    more: bool,
    /// Receives in a row without a wait.
    eager: u32,
}

impl<'f> Parking<'f> {
    /// Takes over a non-blocking stream.
    pub fn new(stream: &'f Stream, running: &'f Running<'f>) -> Self {
        // The first request often comes with the connection.
        Parking { stream, running, more: true, eager: 0 }
    }

    #[inline]
    fn wait(&self, awaited: Awaited, deadline_ms: u64) -> io::Result<bool> {
        self.running.wait(self.stream.as_fd(), awaited, deadline_ms)
    }
}

impl Transport for Parking<'_> {
    fn stream(&self) -> &Stream {
        self.stream
    }

    #[inline]
    fn recv(
        &mut self,
        room: &mut [u8],
        now_ms: u64,
        deadline_ms: u64,
    ) -> io::Result<Option<usize>> {
        if now_ms >= deadline_ms {
            return Ok(None);
        }
        loop {
            if !mem::take(&mut self.more) {
                self.eager = 0;
                if !self.wait(Awaited::Readable, deadline_ms)? {
                    return Ok(None);
                }
            }
            match self.stream.recv(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    self.more = count == room.len();
                    self.eager += 1;
                    if self.more && self.eager >= EAGER_MAX {
                        self.let_others_run()?;
                    }
                    return Ok(Some(count));
                }
            }
        }
    }

    const WAITS_WITHOUT_BUFFERS: bool = true;

    #[inline]
    fn wait_readable(&mut self, deadline_ms: u64) -> io::Result<bool> {
        if !self.more {
            self.eager = 0;
            self.more = self.wait(Awaited::Readable, deadline_ms)?;
        }
        Ok(self.more)
    }

    fn wait_writable(&mut self, deadline_ms: u64) -> io::Result<bool> {
        self.wait(Awaited::Writable, deadline_ms)
    }

    fn sleep(&mut self, deadline_ms: u64) -> io::Result<bool> {
        Ok(!self.wait(Awaited::Failure, deadline_ms)?)
    }

    fn let_others_run(&mut self) -> io::Result<()> {
        self.eager = 0;
        self.running.yield_now();
        Ok(())
    }

    /// Should the stack overflow, this is what it was for.
    #[inline]
    fn serves(&mut self, head: &[u8]) {
        self.running.set_label(head);
    }

    fn will_block(&mut self) {
        self.running.will_block();
    }

    #[inline]
    fn context(&self, _connection: usize) -> usize {
        self.running.core()
    }
}
