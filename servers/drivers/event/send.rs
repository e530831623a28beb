//! What happens to the loop's output after a turn, and to a connection once everything is sent.
//!
//! ```text
//! out buffer + pieces ──send_all──► Done   → the next request, the wait, the body, or the end
//!                                  Full   → both move into the exchange; the next edge goes on
//!                                  Budget → the same, and the ready list goes on
//!                                  Cold   → the same, and a worker reads what comes next
//! ```

use std::mem;

use reactor::{Buffer, EventLoop, Readiness};

use super::connection::{Body, Connection, NO_EXCHANGE, Phase, flag};
use super::output::{Progress, send_all, taken};
use super::{Engine, Step, class};
use crate::app::App;
use crate::app::response::Piece;

/// The pool is dry.
struct NoBuffer;

impl<A: App> Engine<A> {
    /// Sends what the turn has put into the loop's output buffer.
    #[inline(always)]
    pub(super) fn flush(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        if self.pieces.is_empty() && connection.exchange == NO_EXCHANGE {
            return self.flush_buffer(ev, connection);
        }
        self.flush_pieces(ev, connection)
    }

    /// [`Engine::flush`] for a response that is more than bytes in the buffer.
    fn flush_pieces(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        let stream = &connection.stream;
        match send_all(stream, &mut self.out, &mut self.pieces, self.files) {
            Ok((Progress::Done, sent)) => {
                self.tally.bytes_sent.add(sent);
                if connection.exchange != NO_EXCHANGE {
                    self.exchanges[connection.exchange as usize].sent += sent as i64;
                }
                self.sent(ev, connection)
            }
            Ok((progress, sent)) => {
                self.tally.bytes_sent.add(sent);
                if !self.park_output(ev, connection, sent) {
                    return self.send_failed();
                }
                self.unfinished(ev, connection, progress)
            }
            Err(_) => self.send_failed(),
        }
    }

    /// The usual case: heads and small bodies, in one `send`.
    #[inline(always)]
    fn flush_buffer(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        let len = self.out.len();
        if len > 0 {
            let Ok(sent) = taken(connection.stream.send(&self.out)) else {
                return self.send_failed();
            };
            self.tally.bytes_sent.add(sent as u64);
            if sent < len {
                self.out.advance(sent);
                if !self.park_output(ev, connection, 0) {
                    return self.send_failed();
                }
                return self.unfinished(ev, connection, Progress::Full);
            }
            self.out.clear();
        }
        if connection.is(flag::LAST) {
            return self.end(ev, connection);
        }
        connection.more_input()
    }

    /// The loop's output becomes the connection's own. `false`: there is no buffer for it, which
    /// `has_buffers` should have seen; the connection must end then.
    #[cold]
    fn park_output(&mut self, ev: &mut EventLoop, connection: &mut Connection, sent: u64) -> bool {
        let Ok(out) = self.take_output() else {
            return false;
        };
        let pieces = mem::take(&mut self.pieces);
        let exchange = self.exchange(connection, ev.now_ms());
        exchange.output = out;
        exchange.pieces = pieces;
        exchange.sent += sent as i64;
        exchange.moved_ms = ev.now_ms() as u32;
        connection.phase = Phase::Send;
        connection.watch_room(ev);
        true
    }

    /// Takes what is in the loop's output buffer out of it, by putting another in its place.
    fn take_output(&mut self) -> Result<Option<Buffer>, NoBuffer> {
        if self.out.is_empty() {
            return Ok(None);
        }
        let fresh = self.take_buffer(class::LARGE).ok_or(NoBuffer)?;
        Ok(Some(mem::replace(&mut self.out, fresh)))
    }

    /// Goes on sending what a full socket did not take.
    pub(super) fn send_rest(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        let Some(exchange) = self.exchanges.get_mut(connection.exchange as usize) else {
            return Step::Close;
        };
        // Who is without a buffer, but sends what has to be read into one first, may need one of
        // its own: for what the socket does not take.
        let fills = exchange.pieces.fills_buffer(self.files.sendfile);
        if fills && exchange.output.is_none() && self.pool.available(class::LARGE) == 0 {
            return self.starve(connection);
        }
        // Without output of its own it borrows the loop's buffer, which is empty between turns.
        let out = exchange.output.as_mut().unwrap_or(&mut self.out);
        let stream = &connection.stream;
        let (progress, sent) = match send_all(stream, out, &mut exchange.pieces, self.files) {
            Ok(result) => result,
            Err(_) => return self.send_failed(),
        };
        if sent > 0 {
            exchange.sent += sent as i64;
            exchange.moved_ms = ev.now_ms() as u32;
            self.tally.bytes_sent.add(sent);
        }
        exchange.output = exchange.output.take().filter(|output| !output.is_empty());
        // What was made in the borrowed buffer and the socket did not take.
        match self.take_output() {
            Ok(None) => {}
            Ok(unsent) => self.exchange(connection, ev.now_ms()).output = unsent,
            Err(NoBuffer) => return self.send_failed(),
        }
        match progress {
            Progress::Done => self.sent(ev, connection),
            _ => self.unfinished(ev, connection, progress),
        }
    }

    /// Whether the client has taken bytes from the kernel since this was last asked. The socket
    /// says writable only when a third of its buffer is free, which may be a megabyte: a slow
    /// reader would be taken for one that does not read.
    pub(super) fn client_takes(&mut self, ev: &EventLoop, connection: &mut Connection) -> bool {
        let Some(bytes) = connection.stream.unacknowledged() else {
            return false;
        };
        let exchange = self.exchange(connection, ev.now_ms());
        let takes = bytes < exchange.unacknowledged;
        if takes {
            exchange.moved_ms = ev.now_ms() as u32;
        }
        exchange.unacknowledged = bytes;
        takes
    }

    pub(super) fn unfinished(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        progress: Progress,
    ) -> Step {
        match progress {
            Progress::Done => Step::Blocked,
            Progress::Full => {
                connection.watch_room(ev);
                self.client_takes(ev, connection);
                Step::Blocked
            }
            Progress::Budget => {
                ev.defer(connection.token, Readiness::WRITABLE);
                Step::Blocked
            }
            Progress::Cold => self.submit_fill(ev, connection),
            Progress::Broken => {
                self.tally.responses_aborted.add(1);
                let pieces = &mut self.exchange(connection, ev.now_ms()).pieces;
                if let Some(Piece::Generate { left: None, chunked: false, .. }) = pieces.front() {
                    // To this client, which speaks HTTP/1.0, FIN would say that it was complete.
                    connection.reset_on_close();
                }
                Step::Close
            }
        }
    }

    /// Nothing of this connection's may stay in the loop's own buffer.
    #[cold]
    fn send_failed(&mut self) -> Step {
        self.out.clear();
        self.pieces.clear();
        self.tally.connections_reset.add(1);
        Step::Close
    }

    /// Everything is with the kernel: what comes next?
    #[inline]
    fn sent(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        if connection.exchange != NO_EXCHANGE {
            return self.sent_exchange(ev, connection);
        }
        if connection.is(flag::LAST) {
            return self.end(ev, connection);
        }
        connection.more_input()
    }

    fn sent_exchange(&mut self, ev: &mut EventLoop, connection: &mut Connection) -> Step {
        self.log_held(ev, connection);
        let exchange = &self.exchanges[connection.exchange as usize];
        if exchange.wait_until_ms != 0 {
            connection.phase = Phase::Wait;
            return Step::Blocked;
        }
        if exchange.errand.is_some() {
            return self.submit_held(ev, connection);
        }
        if connection.is(flag::LAST) {
            return self.end(ev, connection);
        }
        if matches!(exchange.body, Body::None) {
            connection.phase = Phase::Head;
            self.drop_idle_exchange(connection);
        } else if connection.phase != Phase::Body {
            // Only now is the body read: the client's time for it begins.
            connection.phase = Phase::Body;
            self.exchange(connection, ev.now_ms()).begin_window(ev.now_ms());
        }
        connection.more_input()
    }
}
