//! How a connection ends: at once, or by a lingering close.
//!
//! Closing a connection with unread input makes the kernel send RST, which can overtake the
//! response and destroy it at the client. So after a refusal the server sends FIN, reads and
//! discards input for a bounded time, and only then closes (RFC 9112, section 9.6; nginx calls it
//! `lingering_close`; it has nothing to do with SO_LINGER).

use reactor::{EventLoop, Token};

use super::connection::{Connection, Flags, Stage};
use super::{Driver, Engine, Step};
use crate::app::App;
use crate::session::{Next, Phase};

/// Receives per turn during a lingering close.
const LINGER_READS: u32 = 8;

impl<A: App> Engine<A> {
    /// The kernel has the last response. `unread`: the session left bytes unread.
    pub(super) fn finish(&mut self, connection: &mut Connection, unread: bool) -> Step {
        let at_end = connection.is(Flags::PEER_FIN) && !connection.is(Flags::READABLE);
        let unread = unread || connection.is(Flags::READABLE) || connection.input.is_some();
        if at_end || !unread || connection.session.phase() == Phase::Linger {
            return Step::Close;
        }
        connection.session.linger(&mut self.cx);
        connection.stage = Stage::Serving;
        connection.input = None;
        connection.set(Flags::READABLE);
        match connection.stream.shutdown_write() {
            Ok(()) => Step::Again,
            Err(_) => Step::Close,
        }
    }

    /// Reads and discards what still comes.
    pub(super) fn linger(&mut self, connection: &mut Connection) -> Step {
        self.scratch.clear();
        for _ in 0..LINGER_READS {
            match connection.stream.recv(self.scratch.spare_mut()) {
                Ok(0) => return Step::Close,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return Step::Blocked;
                }
                Err(_) => return Step::Close,
            }
        }
        Step::Again
    }
}

impl<A: App> Driver<A> {
    /// A connection's deadline has passed.
    pub(super) fn expired(&mut self, ev: &mut EventLoop, token: Token) {
        let slot = token.slot() as usize;
        let Some(Some(connection)) = self.connections.get_mut(slot) else { return };
        let engine = &mut self.engine;
        engine.enter(&self.peers, token);
        let phase = connection.session.phase();
        if phase == Phase::Wait && engine.must_wait_on(connection) {
            // The wait is over, but its answer may need a buffer first.
            return ev.set_deadline(token, ev.now_ms() + 1);
        }
        if phase == Phase::Send {
            engine.note_unacknowledged(connection);
        }
        let input = connection.input.as_deref().unwrap_or_default();
        // Behind a request that is being answered, the input is another one's.
        let seen = if phase == Phase::Work { &[] } else { input };
        let next = connection.session.expired(&mut engine.cx, seen, &mut engine.out);
        if connection.session.is_last() {
            connection.input = None;
        }
        // An idle connection has nothing unread, and a reset one is not waited for.
        let step = match next {
            Next::Close => Step::Close,
            next => engine.resume(connection, next),
        };
        self.run(ev, token, step);
    }

    /// Releases everything that the connection holds.
    pub(super) fn close(&mut self, ev: &mut EventLoop, token: Token) {
        let slot = token.slot() as usize;
        let Some(mut connection) = self.connections.get_mut(slot).and_then(Option::take) else {
            return;
        };
        self.engine.enter(&self.peers, token);
        connection.session.end(&mut self.engine.cx);
        self.engine.cx.counters.connections_open.sub(1);
        drop(connection);
        ev.release(token);
        if self.acceptors.are_paused() {
            self.resume_accepting(ev);
        }
    }
}

impl<A: App> Engine<A> {
    /// There is no buffer for the answer of a wait that is over, and the request may still wait.
    fn must_wait_on(&mut self, connection: &Connection) -> bool {
        !self.buffers.suffice()
            && !self.buffers.may_go_on(connection)
            && self.cx.clock.now_ms() < connection.session.request_deadline_ms(&self.cx)
    }

    /// Goes on after a deadline.
    fn resume(&mut self, connection: &mut Connection, next: Next) -> Step {
        match next {
            // There is output that the socket did not take.
            Next::Write if connection.session.phase() == Phase::Send => Step::Again,
            // 408: the request no longer waits for anything.
            Next::Write => {
                connection.stage = Stage::Serving;
                self.flush(connection)
            }
            next => self.follow(connection, next),
        }
    }
}
