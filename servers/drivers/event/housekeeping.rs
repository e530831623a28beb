//! What a loop does besides serving connections: accepting them, writing its log, counting.

use reactor::net::{Peer, Stream};
use reactor::{EventLoop, Token};

use super::connection::{Connection, Stage};
use super::{Driver, Step};
use crate::app::App;
use crate::drivers::accept::Admission;
use crate::operation::listen::Listening;

impl<A: App> Driver<A> {
    /// The listeners, until a drain has begun.
    pub fn listeners(&self) -> impl Iterator<Item = &Listening> {
        self.acceptors.listeners()
    }

    /// Accepts from one more listener, until [`Driver::disown`].
    ///
    /// # Errors
    /// It cannot be watched.
    pub fn adopt(&mut self, ev: &mut EventLoop, listening: Listening) -> std::io::Result<()> {
        match self.drain {
            None => self.acceptors.adopt(ev, listening),
            Some(_) => Ok(()),
        }
    }

    /// Releases all adopted listeners.
    pub fn disown(&mut self, ev: &mut EventLoop) {
        self.acceptors.disown(ev);
    }

    pub(super) fn accept_ready(&mut self, ev: &mut EventLoop, token: Token) {
        let Some(mut turn) = self.acceptors.turn(token) else { return };
        while let Some((stream, peer)) = self.next_accepted(&mut turn) {
            self.admit(ev, stream, peer);
        }
        if self.acceptors.end_turn(ev, turn) {
            self.engine.cx.counters.accept_pauses.add(1);
        }
    }

    fn next_accepted(&mut self, turn: &mut crate::drivers::accept::Turn) -> Option<(Stream, Peer)> {
        let has_place = self.has_place();
        self.acceptors.next(turn, has_place)
    }

    /// Drains the accept queues, before the listeners close.
    pub(super) fn accept_rest(&mut self, ev: &mut EventLoop) {
        for index in 0..self.acceptors.len() {
            let mut turn = self.acceptors.whole_queue(index);
            while let Some((stream, peer)) = self.next_accepted(&mut turn) {
                self.admit(ev, stream, peer);
            }
        }
    }

    fn has_place(&self) -> bool {
        let open = self.engine.cx.counters.connections_open.get();
        open < u64::from(self.acceptors.connections_max())
    }

    /// Takes over a connection that was accepted elsewhere.
    pub fn receive(&mut self, ev: &mut EventLoop, stream: Stream) {
        self.engine.cx.clock.update(ev.now_ms());
        match stream.peer() {
            Ok(peer) => self.admit(ev, stream, peer),
            // It was reset in the meantime.
            Err(_) => self.engine.cx.counters.connections_reset.add(1),
        }
    }

    /// A new connection: read at once, because its request is often there already.
    fn admit(&mut self, ev: &mut EventLoop, stream: Stream, peer: Peer) {
        let stage = match self.acceptors.admission(&stream, peer) {
            Admission::Serve => Some(Stage::Serving),
            Admission::ProxyHeader => Some(Stage::ProxyHeader),
            Admission::Refuse => None,
        };
        let (Some(stage), Ok(token)) = (stage, ev.reserve()) else {
            self.engine.cx.counters.connections_refused.add(1);
            return;
        };
        self.engine.cx.counters.connections_accepted.add(1);
        self.engine.cx.counters.connections_open.add(1);
        self.engine.last_arrival_ms = ev.now_ms();
        let slot = token.slot() as usize;
        if self.engine.cx.log.is_on() {
            if self.peers.len() <= slot {
                self.peers.resize(slot + 1, None);
            }
            self.peers[slot] = Some(peer);
        }
        if self.connections.len() <= slot {
            self.connections.resize_with(slot + 1, || None);
        }
        self.connections[slot] = Some(Connection::new(stream, stage, ev.now_ms()));
        self.engine.enter(&self.peers, token);
        self.run(ev, token, Step::Again);
    }

    /// Resumes paused listeners, unless there is still no room for a connection.
    pub(super) fn resume_accepting(&mut self, ev: &mut EventLoop) {
        let has_place = self.has_place();
        self.acceptors.resume(ev, has_place);
    }

    pub(super) fn log_turn_ended(&mut self, ev: &mut EventLoop) {
        let now_ms = ev.now_ms();
        let cx = &mut self.engine.cx;
        let next = cx.log.turn_ended(now_ms);
        cx.counters.log_lines_dropped.add(cx.log.take_dropped());
        if let Some(at) = next
            && self.drain.is_none()
        {
            ev.set_deadline(self.housekeeping, at.max(now_ms + 1));
        }
    }

    #[inline]
    pub(super) fn count_turn(&mut self, ev: &EventLoop) {
        let (stats, earlier) = (ev.stats(), &self.earlier);
        let counters = &self.engine.cx.counters;
        counters.loop_turns.set(earlier.turns + stats.turns);
        counters.loop_events.set(earlier.events + stats.events);
        counters.loop_events_turn_max.raise_to(u64::from(stats.events_turn_max));
        counters.loop_events_stale.set(earlier.stale_events + stats.stale_events);
        counters.loop_timers.set(earlier.timeouts + stats.timeouts);
        let (small, large) = self.engine.buffers.in_use();
        let of_jobs = self.engine.offload.as_ref().map_or(0, |offload| offload.buffers());
        counters.buffers_small_used.set(small as u64);
        counters.buffers_large_used.set((large - of_jobs) as u64);
        counters.body_bytes_held.set(self.engine.cx.memory.held() as u64);
    }
}
