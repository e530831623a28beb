//! Connections of slow clients.

use std::collections::VecDeque;

use reactor::{EventLoop, Readiness, Token};

use super::{Driver, Member, Role};
use crate::lab::load::slow::{self, Slow};

impl Driver<'_> {
    pub(super) fn slow_ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        let Member::Slow(client) = &mut self.members[token.slot() as usize] else { return };
        if !client.is_open {
            match client.connected() {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => return self.slow_over(ev, token),
            }
            client.is_open = true;
            self.cx.record.counts.connections += 1;
            let sent = client.begin(&self.plan.routes[0].request);
            ev.set_deadline(token, ev.now_ms() + slow::PAUSE_MS);
            if sent.is_err() {
                return self.slow_over(ev, token);
            }
        }
        let ends = readiness.is_error() || readiness.is_hangup() || readiness.is_read_closed();
        // A slow reader leaves what has arrived, and takes it in its own time.
        if ends && client.slow != Slow::Read {
            self.slow_over(ev, token);
        }
    }

    pub(super) fn slow_over(&mut self, ev: &mut EventLoop, token: Token) {
        if let Member::Slow(client) = self.take(ev, token) {
            self.cx.record.counts.slow_ended += 1;
            self.wait_to_open(ev, Role::Slow(client.slow), VecDeque::new());
        }
    }
}
