//! One loop's numbers: what is counted, and the slot that a loop counts in.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use reactor::event_loop::LoopStats;
use reactor::shared::SharedSlot;

use super::Metrics;

reactor::shared_struct! {
    /// One number that a single writer moves and anyone may read.
    #[derive(Default)]
    #[repr(transparent)]
    pub struct Counter {
        number: AtomicU64,
    }
}

impl Counter {
    /// Adds `n`. For the slot's one writer only: two writers would lose counts.
    #[inline]
    pub fn add(&self, n: u64) {
        self.number.store(self.number.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Takes `n` away, for gauges.
    #[inline]
    pub fn sub(&self, n: u64) {
        self.number.store(self.number.load(Relaxed).wrapping_sub(n), Relaxed);
    }

    /// Sets a gauge.
    #[inline]
    pub fn set(&self, n: u64) {
        self.number.store(n, Relaxed);
    }

    /// Raises a high-water mark.
    #[inline]
    pub fn raise_to(&self, n: u64) {
        if n > self.number.load(Relaxed) {
            self.number.store(n, Relaxed);
        }
    }

    /// The present value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.number.load(Relaxed)
    }
}

/// How a number behaves over time, in Prometheus's terms.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only ever rises.
    Counter,
    /// Rises and falls; slots are added up.
    Gauge,
    /// A high-water mark; of the slots the highest counts.
    Max,
}

/// A counter's name, kind and meaning, for the metrics page.
pub struct Description {
    /// Prometheus-style name without the `stampede_` prefix.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
}

macro_rules! counters {
    ($($(#[doc = $help:literal])+ $kind:ident $name:ident,)*) => {
        reactor::shared_struct! {
            /// One slot: the numbers of one loop. Two cache lines' alignment keeps slots apart.
            #[derive(Default)]
            #[repr(C, align(128))]
            pub struct CounterSlot { $($(#[doc = $help])+ pub $name: Counter,)* }
        }

        impl CounterSlot {
            /// The numbers' descriptions, in the order of [`CounterSlot::values`].
            pub const DESCRIPTIONS: &'static [Description] = &[$(Description {
                name: stringify!($name), kind: Kind::$kind, help: concat!($($help),+),
            },)*];

            /// All counters, in the order of [`CounterSlot::DESCRIPTIONS`].
            fn all(&self) -> impl Iterator<Item = &Counter> {
                [$(&self.$name,)*].into_iter()
            }

            /// All values, in the order of [`CounterSlot::DESCRIPTIONS`].
            pub fn values(&self) -> [u64; Self::DESCRIPTIONS.len()] {
                [$(self.$name.get(),)*]
            }
        }
    };
}

counters! {
    /// Connections accepted.
    Counter connections_accepted,
    /// Connections open now.
    Gauge connections_open,
    /// Connections refused or closed because a limit was reached.
    Counter connections_refused,
    /// Connections that the peer reset.
    Counter connections_reset,
    /// Times that accepting was paused because the system had run out of descriptors or memory.
    Counter accept_pauses,
    /// Requests whose head was read.
    Counter requests,
    /// Responses with a 1xx or 2xx status.
    Counter responses_2xx,
    /// Responses with a 3xx status.
    Counter responses_3xx,
    /// Responses with a 4xx status.
    Counter responses_4xx,
    /// Responses with a 5xx status.
    Counter responses_5xx,
    /// Bytes received.
    Counter bytes_received,
    /// Bytes sent.
    Counter bytes_sent,
    /// Requests refused because they were not HTTP/1.1 or ambiguous.
    Counter requests_malformed,
    /// Heads that did not arrive in time.
    Counter timeouts_head,
    /// Bodies that stalled or came too slowly.
    Counter timeouts_body,
    /// Idle connections closed.
    Counter timeouts_idle,
    /// Clients that stopped reading their response.
    Counter timeouts_write,
    /// Requests that took longer than a whole request may.
    Counter timeouts_request,
    /// Responses cut short: the file shrank, or its generator failed.
    Counter responses_aborted,
    /// Requests waiting for a time, as another service's answer.
    Gauge waits,
    /// Requests whose work ran.
    Counter works,
    /// Microseconds spent in work.
    Counter work_us,
    /// Requests that had to wait for room in a worker's ring.
    Counter jobs_delayed,
    /// Requests answered 503 because there was none.
    Counter jobs_rejected,
    /// Jobs that panicked: each cost its client a 500, and a worker.
    Counter worker_panics,
    /// Jobs that took longer than a job may.
    Counter work_timeouts,
    /// Stuck workers that were replaced.
    Counter workers_substituted,
    /// Threads that are stuck with such a job now.
    Gauge workers_stuck,
    /// Turns of the event loop.
    Counter loop_turns,
    /// Events that the poller reported.
    Counter loop_events,
    /// Most events in one turn.
    Max loop_events_turn_max,
    /// Events dropped because their source was gone.
    Counter loop_events_stale,
    /// Timers that fired.
    Counter loop_timers,
    /// Small buffers in use.
    Gauge buffers_small_used,
    /// Large buffers in use.
    Gauge buffers_large_used,
    /// Times that a connection had to wait for a buffer.
    Counter buffers_starved,
    /// Bytes of request bodies held outside the buffers.
    Gauge body_bytes_held,
    /// Files answered from memory.
    Counter file_cache_hits,
    /// Files that had to be opened or looked at again.
    Counter file_cache_misses,
    /// Requests for files that a worker opened: a name or the contents were not in memory.
    Counter file_cold_opens,
    /// Parts of files that a worker read before the loop sent them: they were not in memory.
    Counter file_fills,
    /// Bytes of them.
    Counter file_fill_bytes,
    /// Files that could not be read or opened because of an error of the disk or file system.
    Counter file_read_errors,
    /// Access log lines dropped because they could not be written in time.
    Counter log_lines_dropped,
}

impl CounterSlot {
    /// What the loop of this slot has counted; or the one before it, of a process that has ended.
    pub fn loop_stats(&self) -> LoopStats {
        LoopStats {
            turns: self.loop_turns.get(),
            events: self.loop_events.get(),
            stale_events: self.loop_events_stale.get(),
            timeouts: self.loop_timers.get(),
            ..LoopStats::default()
        }
    }

    /// Its writer has died: gauges go back to zero, counters remain.
    pub fn reset_gauges(&self) {
        for (counter, description) in self.all().zip(Self::DESCRIPTIONS) {
            if description.kind == Kind::Gauge {
                counter.set(0);
            }
        }
    }

    /// Counts a response by its status.
    #[inline]
    pub fn response(&self, status: u16) {
        match status {
            100..300 => self.responses_2xx.add(1),
            300..400 => self.responses_3xx.add(1),
            400..500 => self.responses_4xx.add(1),
            _ => self.responses_5xx.add(1),
        }
    }
}

/// One loop's handle on its slot: derefs to [`CounterSlot`].
pub struct Counters(SharedSlot<CounterSlot>);

impl Counters {
    /// The handle of loop `index`; `None` when there is no such slot.
    pub fn new(metrics: &Metrics, index: usize) -> Option<Self> {
        metrics.slots.slot(index).map(Counters)
    }
}

impl std::ops::Deref for Counters {
    type Target = CounterSlot;

    #[inline]
    fn deref(&self) -> &CounterSlot {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_slot_whose_writer_died_the_totals_remain() {
        let metrics = Metrics::new(1).unwrap();
        let slot = metrics.slot(0).unwrap();
        slot.requests.add(3);
        slot.connections_open.add(4);
        slot.body_bytes_held.set(5);
        slot.reset_gauges();
        assert_eq!((slot.requests.get(), slot.connections_open.get()), (3, 0));
        assert_eq!(slot.body_bytes_held.get(), 0);
    }
}
