//! Connections that ask: sending what is due, receiving what comes.

use std::io;

use reactor::{EventLoop, Readiness, Token};

use super::{Driver, Member};
use crate::lab::load::client::{End, Pending};
use crate::lab::load::pace::Schedule;

impl Driver<'_> {
    /// The connection has come about: sends again what another has left, then what is due.
    pub(super) fn opened(&mut self, ev: &mut EventLoop, token: Token) {
        let Member::Asks(client) = &mut self.members[token.slot() as usize] else { return };
        client.is_open = true;
        self.cx.record.counts.connections += 1;
        ev.clear_deadline(token);
        let again = std::mem::take(&mut client.pending);
        let places = u32::from(self.plan.pipeline).saturating_sub(again.len() as u32);
        self.scratch.clear();
        for pending in &again {
            let route = &self.cx.routes[usize::from(pending.route)];
            client.asked(route, *pending);
            self.scratch.extend_from_slice(&route.request);
        }
        if !again.is_empty() {
            ev.set_deadline(token, ev.now_ms() + self.plan.timeout.as_millis() as u64);
            if client.send(&self.scratch).is_err() {
                return self.over(ev, token, End::Broken);
            }
        }
        let now_ns = self.now_ns();
        self.has_places(ev, token, places, now_ns);
    }

    /// A connection can take this many requests more.
    #[inline]
    pub(super) fn has_places(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        places: u32,
        now_ns: u64,
    ) {
        if self.schedule.is_open() {
            let Member::Asks(client) = &self.members[token.slot() as usize] else { return };
            if client.pending.is_empty() {
                ev.clear_deadline(token);
            }
            self.idle.extend(std::iter::repeat_n(token, places as usize));
        } else {
            self.ask(ev, token, places, |_| Some(now_ns));
        }
    }

    /// Sends up to `count` requests, whose times are `since`'s.
    #[inline]
    pub(super) fn ask(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        count: u32,
        mut since: impl FnMut(&mut Schedule) -> Option<u64>,
    ) {
        let Member::Asks(client) = &mut self.members[token.slot() as usize] else { return };
        self.scratch.clear();
        for _ in 0..count.min(client.left) {
            let Some(since_ns) = since(&mut self.schedule) else { break };
            let number = self.mix.next();
            let route = &self.cx.routes[number];
            client.asked(route, Pending { since_ns, route: number as u16 });
            self.scratch.extend_from_slice(&route.request);
        }
        if self.scratch.is_empty() {
            return;
        }
        ev.set_deadline(token, ev.now_ms() + self.plan.timeout.as_millis() as u64);
        if client.send(&self.scratch).is_err() {
            self.over(ev, token, End::Broken);
        }
    }

    /// In an open loop: sends what is due, as far as connections can take it.
    pub(super) fn send_due(&mut self, ev: &mut EventLoop) {
        let now_ns = self.now_ns();
        while self.schedule.next_ns().is_some_and(|due| due <= now_ns) {
            let Some(token) = self.idle.pop_front() else { return };
            if ev.contains(token) {
                self.ask(ev, token, 1, |schedule| schedule.take_due(now_ns));
            }
        }
    }

    #[inline]
    pub(super) fn asks_ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        let Member::Asks(client) = &mut self.members[token.slot() as usize] else { return };
        if !client.is_open {
            match client.stream.connected() {
                Ok(true) => self.opened(ev, token),
                Ok(false) => {}
                Err(_) => self.over(ev, token, End::Refused),
            }
            return;
        }
        if readiness.is_writable() && client.flush().is_err() {
            return self.over(ev, token, End::Broken);
        }
        if readiness != Readiness::WRITABLE {
            self.receive(ev, token, readiness);
        }
    }

    #[inline]
    pub(super) fn receive(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        let Driver { members, cx, buffer, begin, .. } = self;
        let Member::Asks(client) = &mut members[token.slot() as usize] else { return };
        let (mut answered, mut now_ns, mut end) = (0, 0, None);
        while end.is_none() {
            let received = client.stream.recv(buffer);
            now_ns = begin.elapsed().as_nanos() as u64;
            match received {
                Ok(0) => {
                    answered += client.finished(cx, now_ns);
                    end = Some(End::Closed);
                }
                Ok(count) => match client.received(cx, &buffer[..count], now_ns) {
                    Ok(more) => answered += more,
                    Err(reason) => end = Some(reason),
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => end = Some(End::Broken),
            }
            // Less than there was room for: that was all, but for the end that was announced.
            let was_all = received.is_ok_and(|count| count < buffer.len());
            if was_all && !readiness.is_read_closed() {
                break;
            }
        }
        match end {
            Some(end) => self.over(ev, token, end),
            None if answered > 0 => self.answered(ev, token, answered, now_ns),
            None => {}
        }
    }

    /// The connection has brought this many responses.
    #[inline]
    pub(super) fn answered(&mut self, ev: &mut EventLoop, token: Token, count: u32, now_ns: u64) {
        let Member::Asks(client) = &self.members[token.slot() as usize] else { return };
        let is_used_up = client.left == 0 && client.pending.is_empty();
        if is_used_up || !client.persists() {
            return self.over(ev, token, End::Closed);
        }
        self.has_places(ev, token, count, now_ns);
    }
}
