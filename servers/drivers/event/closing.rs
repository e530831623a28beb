//! How a connection ends.
//!
//! A connection that is closed while the peer's bytes lie unread makes the kernel answer with RST,
//! which can overtake the response and destroy it at the client. So after a refusal the server
//! sends FIN, reads what still comes for a bounded time, and only then closes (RFC 9112, section
//! 9.6).

use http::{Method, Status, Version};
use reactor::{Buffer, EventLoop, Token};

use super::connection::{Body, Connection, NO_EXCHANGE, Phase, flag};
use super::{Driver, Engine, Step};
use crate::app::App;
use crate::app::response::{Frame, Response};

/// How long a connection may linger after FIN.
pub(super) const LINGER_MS: u64 = 2_000;
/// Receives per turn while lingering.
const LINGER_READS: u32 = 8;

impl<A: App> Engine<A> {
    /// Answers with a status and ends the connection. Where a response is on its way already and
    /// only its request's body turns out broken: only the end.
    #[cold]
    pub(super) fn refuse(
        &mut self,
        ev: &EventLoop,
        connection: &mut Connection,
        status: Status,
        head_bytes: Option<&[u8]>,
    ) {
        let answered = self.forget_body(connection);
        connection.http.close();
        connection.set(flag::LAST | flag::UNREAD);
        connection.unset(flag::HEAD_TIMED);
        connection.input = None;
        connection.phase = Phase::Head;
        if answered {
            return;
        }
        let frame = Frame {
            method: head_bytes.map_or(Method::Get, |_| self.head.method()),
            version: Version::Http11,
            connection_line: connection.http.connection_line(),
        };
        let mut response = Response::new(&mut self.out, &mut self.pieces, &self.clock, frame);
        response.close();
        if status == Status::SERVICE_UNAVAILABLE {
            response.start(status).field("Retry-After", "1").empty();
        } else {
            response.error(status);
        }
        let finished = response.outcome();
        self.finished(ev, connection, finished, head_bytes);
    }

    /// Drops the body that is being read; `true` when its request has been answered already.
    fn forget_body(&mut self, connection: &mut Connection) -> bool {
        let Some(exchange) = self.exchanges.get_mut(connection.exchange as usize) else {
            return false;
        };
        let in_hand = exchange.errand.take().is_some() || connection.phase == Phase::Work;
        let answered = matches!(exchange.body, Body::Discard) && !in_hand;
        exchange.body = Body::None;
        let held = std::mem::take(&mut exchange.held);
        self.body_bytes_held -= held.bytes.len();
        if exchange.wait_until_ms != 0 {
            exchange.wait_until_ms = 0;
            self.tally.waits.sub(1);
        }
        answered
    }

    /// The last response is with the kernel.
    #[inline]
    pub(super) fn end(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        let at_end = connection.is(flag::PEER_FIN) && !connection.is(flag::READABLE);
        let unread = connection.is(flag::UNREAD | flag::READABLE) || connection.input.is_some();
        if at_end || !unread {
            return Step::Close;
        }
        self.begin_linger(ev, connection)
    }

    fn begin_linger(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        self.drop_exchange(connection);
        connection.phase = Phase::Linger;
        connection.input = None;
        connection.set(flag::READABLE);
        if connection.stream.shutdown_write().is_err() {
            return Step::Close;
        }
        ev.set_deadline(connection.token, ev.now_ms() + LINGER_MS);
        Step::Again
    }

    /// Reads what still comes, to no purpose but that it is read.
    pub(super) fn linger(&mut self, connection: &mut Connection, scratch: &mut Buffer) -> Step {
        scratch.clear();
        for _ in 0..LINGER_READS {
            match connection.stream.recv(scratch.spare_mut()) {
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

    fn drop_exchange(&mut self, connection: &mut Connection) {
        self.forget_body(connection);
        if connection.exchange != NO_EXCHANGE {
            self.exchanges.remove(connection.exchange as usize);
            connection.exchange = NO_EXCHANGE;
        }
    }

    /// Writes the log line of a response that was streamed, complete or not.
    pub(super) fn log_held(&mut self, ev: &EventLoop, connection: &Connection) {
        let Some(exchange) = self.exchanges.get_mut(connection.exchange as usize) else { return };
        if let Some(held) = exchange.log.take() {
            let age_ms = (ev.now_ms() as u32).wrapping_sub(connection.started_ms);
            let sent = exchange.sent.max(0) as u64;
            self.log.record_held(&held, sent, u64::from(age_ms) * 1000);
        }
    }
}

impl<A: App> Driver<A> {
    /// Gives everything back that the connection holds.
    pub(super) fn close(&mut self, ev: &mut EventLoop, token: Token) {
        let slot = token.slot() as usize;
        let Some(mut connection) = self.connections.get_mut(slot).and_then(Option::take) else {
            return;
        };
        self.engine.log_held(ev, &connection);
        self.engine.drop_exchange(&mut connection);
        self.engine.tally.connections_open.sub(1);
        drop(connection);
        ev.release(token);
        if self.acceptors.iter().any(|acceptor| acceptor.paused) {
            self.resume_accepting(ev);
        }
    }
}
