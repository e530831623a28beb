//! Receiving (Task 2, the reading half).
//!
//! All connections of a loop receive into one buffer, which is warm in the cache and belongs to
//! nobody between turns. What a connection held over (an unfinished head, pipelined requests behind
//! a large response) is put in front of the new bytes, and what is left afterwards moves out again:
//!
//! ```text
//! scratch  [held over][received          ]
//!           └ requests ... ┘└ unfinished ┘──► connection.input: small buffer, or large
//! ```
//!
//! Edges: a receive that does not fill the buffer has drained the socket, and the next byte brings
//! a new edge; only after the peer's FIN is the end still to be read (`epoll(7)`, question 9).

use std::io;

use bytes::BufMut;
use reactor::{Buffer, EventLoop, Readiness};

use super::connection::{Connection, Phase, flag};
use super::{Engine, SMALL_BYTES, Step, class};
use crate::app::App;

impl<A: App> Engine<A> {
    /// Receives once and serves what came.
    ///
    /// From here to the `send` all is one function: a few calls fewer save 90 instructions a
    /// request.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        scratch: &mut Buffer,
    ) -> Step {
        if !connection.is(flag::READABLE | flag::PENDING) {
            return Step::Blocked;
        }
        if !self.has_buffers() && !self.may_go_on(connection) {
            return self.starve(connection);
        }
        scratch.clear();
        if connection.phase == Phase::Head && !connection.is(flag::HEAD_TIMED) {
            connection.started_ms = ev.now_ms() as u32;
        }
        if connection.input.is_some() {
            return self.read_on(ev, connection, scratch);
        }
        match self.receive(ev, connection, scratch) {
            Some(step) => step,
            None => self.serve_all(ev, connection, scratch, None),
        }
    }

    /// The same with bytes held over from an earlier receive.
    #[inline(never)]
    fn read_on(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        scratch: &mut Buffer,
    ) -> Step {
        if connection.is(flag::WORKED) {
            connection.unset(flag::WORKED);
            ev.defer(connection.token, Readiness::default());
            return Step::Blocked;
        }
        let held = connection.input.take();
        if let Some(held) = &held {
            scratch.put_slice(held);
        }
        if connection.is(flag::PENDING) {
            connection.unset(flag::PENDING);
        } else if let Some(step) = self.receive(ev, connection, scratch) {
            // Unless the connection ended: then what it held is of no more use.
            if !connection.is(flag::LAST) {
                connection.input = held;
            }
            return step;
        }
        self.serve_all(ev, connection, scratch, held)
    }

    /// One `recv(2)`. `None`: there are new bytes in `scratch`.
    #[inline(always)]
    pub(super) fn receive(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        scratch: &mut Buffer,
    ) -> Option<Step> {
        let room = scratch.spare_mut();
        let room_len = room.len();
        match connection.stream.recv(room) {
            Ok(received) if received > 0 => {
                scratch.filled(received);
                if received < room_len && !connection.is(flag::PEER_FIN) {
                    connection.unset(flag::READABLE);
                }
                self.tally.bytes_received.add(received as u64);
                self.last_arrival_ms = ev.now_ms();
                None
            }
            Ok(_) => Some(self.input_ended(ev, connection)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                connection.unset(flag::READABLE);
                Some(Step::Blocked)
            }
            Err(_) => {
                self.tally.connections_reset.add(1);
                Some(Step::Close)
            }
        }
    }

    /// Serves the input, keeps what is left of it, sends the answers.
    #[inline(always)]
    fn serve_all(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        scratch: &mut Buffer,
        held: Option<Buffer>,
    ) -> Step {
        let consumed = self.serve(ev, connection, scratch);
        if consumed < scratch.len() {
            if let Some(handover) = self.handover.take() {
                return self.hand_over(ev, connection, scratch, handover, held);
            }
            self.keep_rest(ev, connection, &scratch[consumed..], held);
        }
        self.flush(ev, connection)
    }

    /// Moves what was not consumed into a buffer of the connection's own.
    pub(super) fn keep_rest(
        &mut self,
        ev: &EventLoop,
        connection: &mut Connection,
        rest: &[u8],
        held: Option<Buffer>,
    ) {
        // A head has begun: from now on the time for the whole of it runs. Not for requests that
        // are there and wait for an earlier one's response.
        if connection.phase == Phase::Head && !connection.is(flag::HEAD_TIMED | flag::PENDING) {
            connection.set(flag::HEAD_TIMED);
            connection.started_ms = ev.now_ms() as u32;
        }
        // A few bytes go into a small buffer also when there is a large one: others may need that.
        let small = rest.len() <= SMALL_BYTES;
        let fits = |held: &Buffer| match small {
            true => held.capacity() <= SMALL_BYTES,
            false => held.capacity() >= rest.len(),
        };
        let mut own = held.filter(fits);
        if own.is_none() && small {
            own = self.pool.take(class::SMALL);
        }
        // `has_buffers` has seen to it that there is one.
        let Some(mut own) = own.or_else(|| self.take_buffer(class::LARGE)) else {
            connection.set(flag::LAST | flag::UNREAD);
            return;
        };
        own.clear();
        own.put_slice(rest);
        connection.input = Some(own);
    }

    /// The peer has sent FIN and everything before it has been read.
    #[cold]
    fn input_ended(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        connection.unset(flag::READABLE);
        connection.set(flag::LAST);
        match connection.http.eof() {
            Ok(()) => self.flush(ev, connection),
            Err(error) => {
                self.refuse(ev, connection, error.status(), None);
                self.flush(ev, connection)
            }
        }
    }
}
