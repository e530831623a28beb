//! What happens to the loop's output after a turn, and to a connection once everything is sent.
//!
//! ```text
//! out buffer + pieces ──send_all──► Done   → the next request, the wait, the body, or the end
//!                                  Full   → both move into the exchange; the next edge goes on
//!                                  Budget → the same, and the ready list goes on
//! ```

use std::mem;

use reactor::{EventLoop, Readiness, Token};

use super::connection::{Body, Exchange, NO_EXCHANGE, Phase, flag};
use super::output::{Progress, send_all};
use super::{Driver, Step, class};
use crate::app::App;

impl<A: App> Driver<A> {
    /// Sends what the turn has put into the loop's output buffer.
    #[inline]
    pub(super) fn flush(&mut self, ev: &mut EventLoop, token: Token) -> Step {
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else {
            return Step::Blocked;
        };
        let service = &mut self.service;
        let Some(out) = service.out.as_mut() else { return Step::Close };
        if out.is_empty() && service.pieces.is_empty() {
            return self.sent(ev, token);
        }
        let result = send_all(&connection.stream, out, &mut service.pieces, self.use_sendfile);
        match result {
            Ok((Progress::Done, sent)) => {
                self.tally.bytes_sent.add(sent);
                if connection.exchange != NO_EXCHANGE {
                    self.exchanges[connection.exchange as usize].sent += sent as i64;
                }
                self.sent(ev, token)
            }
            Ok((progress, sent)) => {
                self.tally.bytes_sent.add(sent);
                self.park_output(ev, token, sent);
                self.unfinished(ev, token, progress)
            }
            Err(_) => self.send_failed(),
        }
    }

    /// The loop's output becomes the connection's own.
    #[cold]
    fn park_output(&mut self, ev: &EventLoop, token: Token, sent: u64) {
        let out = self.service.out.take_if(|out| !out.is_empty());
        if self.service.out.is_none() {
            self.service.out = self.pool.take(class::LARGE);
        }
        let pieces = mem::take(&mut self.service.pieces);
        let exchange = self.exchange(token, ev.now_ms());
        exchange.output = out;
        exchange.pieces = pieces;
        exchange.sent += sent as i64;
        exchange.moved_ms = ev.now_ms() as u32;
        if let Some(connection) = self.connection(token) {
            connection.phase = Phase::Send;
        }
    }

    /// Goes on sending what a full socket did not take.
    pub(super) fn send_rest(&mut self, ev: &mut EventLoop, token: Token) -> Step {
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else {
            return Step::Blocked;
        };
        let Some(exchange) = self.exchanges.get_mut(connection.exchange as usize) else {
            return Step::Close;
        };
        let own = exchange.output.take();
        // Without output of its own it borrows the loop's buffer, which is empty between turns.
        let borrowed = own.is_none();
        let out = own.or_else(|| self.service.out.take()).or_else(|| self.pool.take(class::LARGE));
        let Some(mut out) = out else {
            self.starve(token);
            return Step::Blocked;
        };
        let result =
            send_all(&connection.stream, &mut out, &mut exchange.pieces, self.use_sendfile);
        if let Ok((_, sent)) = &result
            && *sent > 0
        {
            exchange.sent += *sent as i64;
            exchange.moved_ms = ev.now_ms() as u32;
            self.tally.bytes_sent.add(*sent);
        }
        if out.is_empty() && (borrowed || self.service.out.is_none()) {
            self.service.out = Some(out);
        } else if !out.is_empty() {
            exchange.output = Some(out);
        }
        match result {
            Ok((Progress::Done, _)) => self.sent(ev, token),
            Ok((progress, _)) => self.unfinished(ev, token, progress),
            Err(_) => self.send_failed(),
        }
    }

    fn unfinished(&mut self, ev: &mut EventLoop, token: Token, progress: Progress) -> Step {
        match progress {
            Progress::Done | Progress::Full => Step::Blocked,
            Progress::Budget => {
                ev.defer(token, Readiness::WRITABLE);
                Step::Blocked
            }
            Progress::Broken => {
                self.tally.responses_aborted.add(1);
                Step::Close
            }
        }
    }

    #[cold]
    fn send_failed(&mut self) -> Step {
        self.tally.connections_reset.add(1);
        Step::Close
    }

    /// Everything is with the kernel: what comes next?
    #[inline]
    pub(super) fn sent(&mut self, ev: &mut EventLoop, token: Token) -> Step {
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else {
            return Step::Blocked;
        };
        if connection.exchange != NO_EXCHANGE {
            return self.sent_exchange(ev, token);
        }
        if connection.is(flag::LAST) {
            return self.end(ev, token);
        }
        if connection.is(flag::READABLE | flag::PENDING) { Step::Again } else { Step::Blocked }
    }

    fn sent_exchange(&mut self, ev: &mut EventLoop, token: Token) -> Step {
        self.log_held(ev, token);
        let Some(connection) = self.connections[token.slot() as usize].as_mut() else {
            return Step::Blocked;
        };
        let exchange: &mut Exchange = &mut self.exchanges[connection.exchange as usize];
        if exchange.wait_until_ms != 0 {
            connection.phase = Phase::Wait;
            return Step::Blocked;
        }
        if connection.is(flag::LAST) {
            return self.end(ev, token);
        }
        if matches!(exchange.body, Body::None) {
            connection.phase = Phase::Head;
            self.drop_idle_exchange(token);
        } else {
            connection.phase = Phase::Body;
        }
        let Some(connection) = self.connection(token) else { return Step::Blocked };
        if connection.is(flag::READABLE | flag::PENDING) { Step::Again } else { Step::Blocked }
    }

    /// Sends what a call outside of `read` has put into the output buffer, and goes on from there.
    pub(super) fn go_on(&mut self, ev: &mut EventLoop, token: Token) {
        match self.flush(ev, token) {
            Step::Again => self.progress(ev, token),
            Step::Blocked => self.settle(ev, token),
            Step::Close => self.close(ev, token),
        }
    }
}
