//! How a connection ends, and how the server does.
//!
//! A connection that is closed while the peer's bytes lie unread makes the kernel answer with RST, which
//! can overtake the response and destroy it at the client. So after a refusal the server sends FIN, reads
//! what still comes for a bounded time, and only then closes (RFC 9112, section 9.6).
//!
//! Graceful stop: the listeners close (what their queues hold is accepted first), what still arrives is
//! answered with `Connection: close`, and the loop ends when nothing is in hand and nothing has arrived
//! for a moment, or when the drain's time is over. A second signal ends it at once.

use std::time::Duration;

use http::{Method, Status, Version};
use reactor::{EventLoop, Token};

use super::connection::{Body, NO_EXCHANGE, Phase, flag};
use super::{Driver, Step};
use crate::app::App;
use crate::response::{Frame, Response};

/// How long a connection may linger after FIN.
pub(super) const LINGER_MS: u64 = 2_000;
/// Receives per turn while lingering.
const LINGER_READS: u32 = 8;
/// How long nothing must arrive before a draining server takes it that nothing will.
const QUIET_MS: u64 = 250;
/// How often a draining server looks whether it is done.
const DRAIN_LOOK_MS: u64 = 25;

/// A graceful stop under way.
pub(super) struct Drain {
    /// When whatever is left is closed.
    until_ms: u64,
}

impl<A: App> Driver<A> {
    /// Answers with a status and ends the connection. Where a response is on its way already, or the body
    /// of an answered request turns out broken, only the end.
    #[cold]
    pub(super) fn refuse(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        status: Status,
        head_bytes: Option<&[u8]>,
    ) {
        let answered = self.forget_body(token);
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else { return };
        connection.http.close();
        connection.set(flag::LAST | flag::UNREAD);
        connection.unset(flag::HEAD_TIMED);
        connection.input = None;
        connection.phase = Phase::Head;
        let service = &mut self.service;
        let Some(out) = service.out.as_mut().filter(|_| !answered) else { return };
        let frame = Frame {
            method: Method::Get,
            version: Version::Http11,
            connection_line: connection.http.connection_line(),
        };
        let mut response = Response::new(out, &mut service.pieces, &service.clock, frame);
        response.close();
        if status == Status::SERVICE_UNAVAILABLE {
            response.start(status).field("Retry-After", "1").empty();
        } else {
            response.error(status);
        }
        let finished = response.into_finished();
        self.finished(ev, token, finished, head_bytes);
    }

    /// Drops the body that is being read; `true` when its request has been answered already.
    fn forget_body(&mut self, token: Token) -> bool {
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else {
            return false;
        };
        if connection.exchange == NO_EXCHANGE {
            return false;
        }
        let exchange = &mut self.exchanges[connection.exchange as usize];
        let answered = matches!(exchange.body, Body::Discard);
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
    pub(super) fn end(&mut self, ev: &mut EventLoop, token: Token) -> Step {
        let Some(connection) = self.connection(token) else { return Step::Blocked };
        let unread = connection.is(flag::UNREAD | flag::READABLE) || connection.input.is_some();
        if !unread || connection.is(flag::PEER_FIN) && !connection.is(flag::READABLE) {
            return Step::Close;
        }
        self.begin_linger(ev, token)
    }

    fn begin_linger(&mut self, ev: &mut EventLoop, token: Token) -> Step {
        self.drop_exchange(token);
        let Some(connection) = self.connection(token) else { return Step::Blocked };
        connection.phase = Phase::Linger;
        connection.input = None;
        connection.set(flag::READABLE);
        if connection.stream.shutdown_write().is_err() {
            return Step::Close;
        }
        ev.set_deadline(token, ev.now_ms() + LINGER_MS);
        Step::Again
    }

    /// Reads what still comes, to no purpose but that it is read.
    pub(super) fn linger(&mut self, token: Token) -> Step {
        if !self.has_buffers() {
            return Step::Close;
        }
        let Some(scratch) = self.service.scratch.as_mut() else { return Step::Close };
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else {
            return Step::Blocked;
        };
        for _ in 0..LINGER_READS {
            match connection.stream.recv(scratch.spare_mut()) {
                Ok(0) => return Step::Close,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    connection.unset(flag::READABLE);
                    return Step::Blocked;
                }
                Err(_) => return Step::Close,
            }
        }
        Step::Again
    }

    /// The poller reports an error on a connection that is not reading.
    #[cold]
    pub(super) fn reset_by_peer(&mut self, ev: &mut EventLoop, token: Token) {
        self.tally.connections_reset.add(1);
        self.close(ev, token);
    }

    /// Closes with RST: what the client has not taken is not worth the kernel's memory.
    pub(super) fn close_hard(&mut self, ev: &mut EventLoop, token: Token) {
        if let Some(connection) = self.connection(token) {
            let _ = connection.stream.set_linger(Some(Duration::ZERO));
        }
        self.close(ev, token);
    }

    /// Gives everything back that the connection holds.
    pub(super) fn close(&mut self, ev: &mut EventLoop, token: Token) {
        if self.connection(token).is_none() {
            return;
        }
        self.log_held(ev, token);
        self.drop_exchange(token);
        let connection = self.connections[token.slot() as usize].take();
        drop(connection);
        ev.release(token);
        self.tally.connections_open.sub(1);
        if self.acceptors.iter().any(|acceptor| acceptor.paused) {
            self.resume_accepting(ev);
        }
    }

    fn drop_exchange(&mut self, token: Token) {
        self.forget_body(token);
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else { return };
        if connection.exchange != NO_EXCHANGE {
            self.exchanges.remove(connection.exchange as usize);
            connection.exchange = NO_EXCHANGE;
        }
    }

    /// Writes the log line of a response that was streamed, complete or not.
    pub(super) fn log_held(&mut self, ev: &EventLoop, token: Token) {
        let Some(connection) = self.connections[token.slot() as usize].as_ref() else { return };
        let Some(exchange) = self.exchanges.get_mut(connection.exchange as usize) else { return };
        if let Some(held) = exchange.log.take() {
            let age_ms = (ev.now_ms() as u32).wrapping_sub(connection.started_ms);
            let sent = exchange.sent.max(0) as u64;
            self.service.log.record_held(&held, sent, u64::from(age_ms) * 1000);
        }
    }

    /// First signal: stop gracefully. Second: at once.
    pub(super) fn begin_drain(&mut self, ev: &mut EventLoop) {
        if self.drain.is_some() {
            self.service.log.flush();
            return ev.stop();
        }
        let until_ms = ev.now_ms() + self.drain_ms;
        self.drain = Some(Drain { until_ms });
        // What the queues hold has been promised an answer by the kernel's SYN-ACK.
        self.service.draining = true;
        self.accept_rest(ev);
        for acceptor in self.acceptors.drain(..) {
            if !acceptor.paused {
                let _ = ev.unwatch(acceptor.token, &acceptor.bound.listener);
            }
            ev.release(acceptor.token);
        }
        self.last_arrival_ms = ev.now_ms();
        ev.set_deadline(self.chores, ev.now_ms() + DRAIN_LOOK_MS);
    }

    /// Housekeeping: looks whether a drain is complete.
    pub(super) fn do_chores(&mut self, ev: &mut EventLoop) {
        let now_ms = ev.now_ms();
        let Some(drain) = &self.drain else { return };
        let quiet = now_ms >= self.last_arrival_ms + QUIET_MS;
        let done = quiet && self.connections.iter().flatten().all(|c| c.is_idle());
        if done || now_ms >= drain.until_ms {
            self.close_all(ev);
            self.service.log.flush();
            return ev.stop();
        }
        ev.set_deadline(self.chores, now_ms + DRAIN_LOOK_MS);
    }

    fn close_all(&mut self, ev: &mut EventLoop) {
        for slot in 0..self.connections.len() {
            if let Some(connection) = &self.connections[slot] {
                self.close(ev, connection.token);
            }
        }
    }
}
