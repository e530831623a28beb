//! Opening connections, and what becomes of those that end.

use std::collections::VecDeque;

use reactor::{EventLoop, Interest, Token, Trigger};

use super::{Driver, Member, Role};
use crate::lab::load::client::{Client, End, Pending};
use crate::lab::load::connect::connect;
use crate::lab::load::slow::SlowClient;

/// Before a server that has refused is tried again, in milliseconds.
const RETRY_MS: u64 = 10;
/// Connections begun at a time: a server's accept queue has room for some hundred.
const OPENED_AT_ONCE: u32 = 64;

impl Driver<'_> {
    /// Begins the next few connections.
    pub(super) fn open_some(&mut self, ev: &mut EventLoop) {
        for _ in 0..OPENED_AT_ONCE {
            let Some(role) = self.unopened.pop() else { return };
            self.open(ev, role, VecDeque::new());
        }
    }

    /// Begins a connection, on which `pending` is to be sent again.
    pub(super) fn open(&mut self, ev: &mut EventLoop, role: Role, pending: VecDeque<Pending>) {
        // One source for each connection, and one is released before the next is reserved.
        let Ok(token) = ev.reserve() else { return };
        let slot = token.slot() as usize;
        if self.members.len() <= slot {
            self.members.resize_with(slot + 1, || Member::None);
        }
        let plan = self.plan;
        let stream = connect(plan.address, plan.source, token.slot()).and_then(|stream| {
            ev.watch(token, &stream, Interest::BOTH, Trigger::Edge)?;
            Ok(stream)
        });
        self.members[slot] = match (stream, role) {
            (Ok(stream), Role::Asks) => {
                let left = match self.plan.requests_per_connection {
                    0 => u32::MAX,
                    count => count,
                };
                Member::Asks(Client::new(stream, pending, left))
            }
            (Ok(stream), Role::Slow(slow)) => Member::Slow(SlowClient::new(stream, slow)),
            (Err(_), _) => {
                self.cx.record.counts.refused += 1;
                ev.set_deadline(token, ev.now_ms() + RETRY_MS);
                Member::Waiting(role, pending)
            }
        };
        if !matches!(self.members[slot], Member::Waiting(..)) {
            ev.set_deadline(token, ev.now_ms() + self.timeout_ms());
        }
    }

    /// A connection cannot be had, or is over before it has brought anything: another is tried, a
    /// little later.
    pub(super) fn wait_to_open(
        &mut self,
        ev: &mut EventLoop,
        role: Role,
        pending: VecDeque<Pending>,
    ) {
        let Ok(token) = ev.reserve() else { return };
        ev.set_deadline(token, ev.now_ms() + RETRY_MS);
        let slot = token.slot() as usize;
        if self.members.len() <= slot {
            self.members.resize_with(slot + 1, || Member::None);
        }
        self.members[slot] = Member::Waiting(role, pending);
    }

    pub(super) fn timeout_ms(&self) -> u64 {
        self.plan.timeout.as_millis() as u64
    }

    pub(super) fn take(&mut self, ev: &mut EventLoop, token: Token) -> Member {
        ev.release(token);
        std::mem::replace(&mut self.members[token.slot() as usize], Member::None)
    }

    /// A connection that asks is over; another takes its place, and its pending requests.
    #[cold]
    pub(super) fn over(&mut self, ev: &mut EventLoop, token: Token, end: End) {
        let Member::Asks(mut client) = self.take(ev, token) else { return };
        let counts = &mut self.cx.record.counts;
        let began = !client.may_repeat();
        match end {
            End::Refused => counts.refused += 1,
            End::TimedOut => counts.timed_out += 1,
            End::Invalid => counts.invalid += 1,
            End::Closed | End::Broken if began => counts.truncated += 1,
            End::Closed | End::Broken => {}
        }
        // The one that failed is not sent again; those behind it are.
        if matches!(end, End::TimedOut | End::Invalid) || (began && end != End::Refused) {
            client.pending.pop_front();
        }
        counts.repeated += if end == End::Refused { 0 } else { client.pending.len() as u64 };
        let pending = std::mem::take(&mut client.pending);
        match client.has_answered() {
            true => self.open(ev, Role::Asks, pending),
            false => self.wait_to_open(ev, Role::Asks, pending),
        }
    }
}
