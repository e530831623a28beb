//! Receiving (Task 2, the reading half).
//!
//! All connections of a loop receive into one buffer, which is warm in the cache and belongs to nobody
//! between turns. What a connection held over (an unfinished head, pipelined requests behind a large
//! response) is put in front of the new bytes, and what is left afterwards moves out again:
//!
//! ```text
//! scratch  [held over][received          ]
//!           └ requests ... ┘└ unfinished ┘──► connection.input: small buffer, or large
//! ```
//!
//! Edges: a receive that does not fill the buffer has drained the socket, and the next byte brings a
//! new edge; only after the peer's FIN is the end still to be read (`epoll(7)`, question 9).

use std::io;

use bytes::BufMut;
use reactor::{Buffer, EventLoop, Token};

use super::connection::{Phase, flag};
use super::{Driver, SMALL_BYTES, Step, class};
use crate::app::App;

impl<A: App> Driver<A> {
    /// Receives once and serves what came.
    #[inline]
    pub(super) fn read(&mut self, ev: &mut EventLoop, token: Token) -> Step {
        let Some(connection) = self.connection(token) else { return Step::Blocked };
        if !connection.is(flag::READABLE | flag::PENDING) {
            return Step::Blocked;
        }
        if !self.has_buffers() {
            self.starve(token);
            return Step::Blocked;
        }
        let Some(mut scratch) = self.service.scratch.take() else { return Step::Blocked };
        let step = self.read_into(ev, token, &mut scratch);
        scratch.clear();
        self.service.scratch = Some(scratch);
        step
    }

    fn read_into(&mut self, ev: &mut EventLoop, token: Token, scratch: &mut Buffer) -> Step {
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else {
            return Step::Blocked;
        };
        let held = connection.input.take();
        if let Some(held) = &held {
            scratch.put_slice(held);
        }
        if connection.is(flag::PENDING) {
            connection.unset(flag::PENDING);
        } else {
            let room = scratch.spare_mut();
            let room_len = room.len();
            match connection.stream.recv(room) {
                Ok(0) => {
                    connection.input = held;
                    return self.input_ended(ev, token);
                }
                Ok(received) => {
                    scratch.filled(received);
                    if received < room_len && !connection.is(flag::PEER_FIN) {
                        connection.unset(flag::READABLE);
                    }
                    self.tally.bytes_received.add(received as u64);
                    self.last_arrival_ms = ev.now_ms();
                    if held.is_none() && !connection.is(flag::HEAD_TIMED) {
                        connection.started_ms = ev.now_ms() as u32;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    connection.unset(flag::READABLE);
                    connection.input = held;
                    return Step::Blocked;
                }
                Err(_) => {
                    self.tally.connections_reset.add(1);
                    return Step::Close;
                }
            }
        }
        let consumed = self.serve(ev, token, scratch);
        self.keep_rest(ev, token, &scratch[consumed..], held);
        self.flush(ev, token)
    }

    /// Moves what was not consumed into a buffer of the connection's own.
    #[inline]
    fn keep_rest(&mut self, ev: &EventLoop, token: Token, rest: &[u8], held: Option<Buffer>) {
        if rest.is_empty() {
            return;
        }
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else { return };
        // A head has begun: from now on the time for the whole of it runs.
        if connection.phase == Phase::Head && !connection.is(flag::HEAD_TIMED) {
            connection.set(flag::HEAD_TIMED);
            connection.started_ms = ev.now_ms() as u32;
        }
        let mut own = held.filter(|held| held.capacity() >= rest.len());
        if own.is_none() && rest.len() <= SMALL_BYTES {
            own = self.pool.take(class::SMALL);
        }
        // `has_buffers` has seen to it that there is one.
        let Some(mut own) = own.or_else(|| self.pool.take(class::LARGE)) else {
            connection.set(flag::LAST | flag::UNREAD);
            return;
        };
        own.clear();
        own.put_slice(rest);
        connection.input = Some(own);
    }

    /// The peer has sent FIN and everything before it has been read.
    fn input_ended(&mut self, ev: &mut EventLoop, token: Token) -> Step {
        let Some(connection) = self.connection(token) else { return Step::Blocked };
        connection.unset(flag::READABLE);
        connection.set(flag::LAST);
        match connection.http.eof() {
            // Between requests, or before the first: a goodbye.
            Ok(()) if connection.input.is_none() => Step::Close,
            Ok(()) => {
                connection.http.close();
                self.flush(ev, token)
            }
            Err(error) => {
                self.refuse(ev, token, error.status(), None);
                self.flush(ev, token)
            }
        }
    }
}
