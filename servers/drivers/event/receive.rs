//! Receiving (Task 2, the reading half).
//!
//! All connections of a loop receive into one buffer, which is warm in the cache and empty between
//! turns. A connection's leftovers (an unfinished head, pipelined requests behind a large response)
//! are copied in front of the new bytes, and what is left afterwards moves out again:
//!
//! ```text
//! scratch  [left over ][received          ]
//!           └ requests ... ┘└ unfinished ┘──► connection.input: small buffer, or large
//! ```
//!
//! Edges: a receive that does not fill the buffer has drained the socket, and the next byte brings
//! a new edge; only after the peer's FIN does the end remain to be read (`epoll(7)`, question 9).

use std::io;

use bytes::BufMut;
use reactor::Buffer;

use super::connection::{Connection, Flags};
use super::{Engine, SMALL_BYTES, Step};
use crate::app::App;
use crate::session::Next;
use crate::work::request::Place;

impl<A: App> Engine<A> {
    /// Receives once and serves what came.
    ///
    /// Everything up to the `send` is inlined into one function, which saves 90 instructions a
    /// request.
    #[inline(always)]
    pub(super) fn read(&mut self, connection: &mut Connection) -> Step {
        if !connection.has_input() {
            return Step::Blocked;
        }
        if !self.buffers.suffice() && !self.buffers.may_go_on(connection) {
            return Step::NoBuffer;
        }
        self.scratch.clear();
        if connection.input.is_some() {
            return self.read_on(connection);
        }
        match self.receive(connection) {
            Some(step) => step,
            None => self.serve(connection, None),
        }
    }

    /// The same, with bytes left over from an earlier receive.
    #[inline(never)]
    fn read_on(&mut self, connection: &mut Connection) -> Step {
        let left = connection.input.take();
        if let Some(left) = &left {
            self.scratch.put_slice(left);
        }
        if !connection.session.has_pending()
            && let Some(step) = self.receive(connection)
        {
            // Unless the connection ends: then its leftovers are no longer needed.
            if !connection.session.is_last() {
                connection.input = left;
            }
            return step;
        }
        self.serve(connection, left)
    }

    /// One `recv(2)`. `None`: there are new bytes in the scratch buffer.
    #[inline(always)]
    pub(super) fn receive(&mut self, connection: &mut Connection) -> Option<Step> {
        let room = self.scratch.spare_mut();
        let room_len = room.len();
        match connection.stream.recv(room) {
            Ok(received) if received > 0 => {
                self.scratch.filled(received);
                if received < room_len && !connection.is(Flags::PEER_FIN) {
                    connection.unset(Flags::READABLE);
                }
                self.cx.counters.bytes_received.add(received as u64);
                self.last_arrival_ms = self.cx.clock.now_ms();
                None
            }
            Ok(_) => Some(self.input_ended(connection)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                connection.unset(Flags::READABLE);
                Some(Step::Blocked)
            }
            Err(_) => {
                self.cx.counters.connections_reset.add(1);
                Some(Step::Close)
            }
        }
    }

    /// Serves the input, keeps what is left of it, sends the answers.
    #[inline(always)]
    fn serve(&mut self, connection: &mut Connection, left: Option<Buffer>) -> Step {
        let (consumed, next) = connection.session.feed(&mut self.cx, &self.scratch, &mut self.out);
        if consumed < self.scratch.len() {
            // One that lies there is taken out first, with what comes behind it.
            if let Next::Work(request) = next
                && request.place != Place::Saved
            {
                return Step::Work(consumed, request);
            }
            self.keep_rest(connection, consumed, left);
        }
        match next {
            Next::Write => self.flush(connection),
            Next::Read => connection.more_input(),
            next => self.follow(connection, next),
        }
    }

    /// Moves unconsumed input into a buffer of the connection's own: back into `left` if it fits.
    pub(super) fn keep_rest(
        &mut self,
        connection: &mut Connection,
        consumed: usize,
        left: Option<Buffer>,
    ) {
        let rest = &self.scratch[consumed..];
        // A few bytes go into a small buffer even if there is a large one, which others may need.
        let small = rest.len() <= SMALL_BYTES;
        let fits = |left: &Buffer| match small {
            true => left.capacity() <= SMALL_BYTES,
            false => left.capacity() >= rest.len(),
        };
        let mut own = left.filter(fits);
        if own.is_none() && small {
            own = self.buffers.take_small();
        }
        // `Buffers::suffice` has made sure that there is one.
        let Some(mut own) = own.or_else(|| self.buffers.take_large()) else {
            return connection.session.abandon_input();
        };
        own.clear();
        own.put_slice(rest);
        connection.input = Some(own);
    }

    /// The peer has sent FIN and everything before it has been read.
    #[cold]
    fn input_ended(&mut self, connection: &mut Connection) -> Step {
        connection.unset(Flags::READABLE);
        // Nothing but what was left over from earlier is there.
        let next = connection.session.eof(&mut self.cx, &self.scratch, &mut self.out);
        self.follow(connection, next)
    }
}
