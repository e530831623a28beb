//! What has happened: counts, and latencies in a histogram.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use hdrhistogram::Histogram;

/// The shortest and the longest latency that is told apart from others, in nanoseconds: 64 ns and
/// 100 s. What is outside counts as the nearest.
const LATENCY_NS: (u64, u64) = (64, 100_000_000_000);
/// Significant decimal digits: every latency is right to a tenth of a percent.
const DIGITS: u8 = 3;

/// Counts of one kind of event each.
#[derive(Copy, Clone, Default, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Responses that were complete, and right as far as was asked to look.
    pub answered: u64,
    /// Bytes received: heads and bodies.
    pub bytes: u64,
    /// Connections that came about.
    pub connections: u64,
    /// Responses with a status of 400 or above, or another one than expected.
    pub wrong_status: u64,
    /// Responses with another length or content than expected.
    pub wrong_content: u64,
    /// Responses that break the protocol.
    pub invalid: u64,
    /// Connections that ended within a response.
    pub truncated: u64,
    /// Requests sent again, for the server closed a connection before it answered them (RFC 9112,
    /// section 9.3.1). No error, if the method may be repeated.
    pub repeated: u64,
    /// Connections that were refused, or not accepted in time.
    pub refused: u64,
    /// Responses that took longer than the limit.
    pub timed_out: u64,
    /// Connections of slow clients that the server ended.
    pub slow_ended: u64,
    /// Requests that had no answer yet when the load ended.
    pub unfinished: u64,
}

impl Counts {
    /// All of them, with their names.
    pub fn named(&self) -> [(&'static str, u64); 12] {
        [
            ("answered", self.answered),
            ("bytes", self.bytes),
            ("connections", self.connections),
            ("wrong status", self.wrong_status),
            ("wrong content", self.wrong_content),
            ("invalid responses", self.invalid),
            ("truncated", self.truncated),
            ("repeated", self.repeated),
            ("refused", self.refused),
            ("timed out", self.timed_out),
            ("slow clients ended", self.slow_ended),
            ("unfinished", self.unfinished),
        ]
    }

    /// What must not happen.
    pub fn errors(&self) -> u64 {
        self.wrong_status
            + self.wrong_content
            + self.invalid
            + self.truncated
            + self.refused
            + self.timed_out
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.answered += other.answered;
        self.bytes += other.bytes;
        self.connections += other.connections;
        self.wrong_status += other.wrong_status;
        self.wrong_content += other.wrong_content;
        self.invalid += other.invalid;
        self.truncated += other.truncated;
        self.repeated += other.repeated;
        self.refused += other.refused;
        self.timed_out += other.timed_out;
        self.slow_ended += other.slow_ended;
        self.unfinished += other.unfinished;
    }
}

/// Counts, and the latencies of what was answered.
#[derive(Clone)]
pub struct Record {
    /// The counts.
    pub counts: Counts,
    latencies_ns: Histogram<u64>,
}

impl Record {
    /// An empty one.
    pub fn new() -> Record {
        let (low, high) = LATENCY_NS;
        let latencies_ns = Histogram::new_with_bounds(low, high, DIGITS).expect("valid bounds");
        Record { counts: Counts::default(), latencies_ns }
    }

    /// A response is complete.
    #[inline]
    pub(super) fn answered(&mut self, latency_ns: u64) {
        self.counts.answered += 1;
        self.latencies_ns.saturating_record(latency_ns);
    }

    /// The load has ended before a response came. `waited_ns` counts as its latency: it would be at
    /// least that.
    pub(super) fn unfinished(&mut self, waited_ns: Option<u64>) {
        self.counts.unfinished += 1;
        if let Some(waited_ns) = waited_ns {
            self.latencies_ns.saturating_record(waited_ns);
        }
    }

    /// Adds what another one has, which is empty afterwards.
    pub(super) fn take_from(&mut self, other: &mut Record) {
        self.counts += std::mem::take(&mut other.counts);
        self.latencies_ns.add(&other.latencies_ns).expect("the same bounds");
        other.latencies_ns.reset();
    }

    /// Adds what another one has.
    pub fn add(&mut self, other: &Record) {
        self.counts += other.counts;
        self.latencies_ns.add(&other.latencies_ns).expect("the same bounds");
    }

    /// The latency that `percent` of the responses did not exceed.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_nanos(self.latencies_ns.value_at_percentile(percent))
    }

    /// The longest latency.
    pub fn max(&self) -> Duration {
        match self.latencies_ns.is_empty() {
            true => Duration::ZERO,
            false => Duration::from_nanos(self.latencies_ns.max()),
        }
    }

    /// The mean of the latencies.
    pub fn mean(&self) -> Duration {
        Duration::from_nanos(self.latencies_ns.mean() as u64)
    }

    /// Their standard deviation.
    pub fn deviation(&self) -> Duration {
        Duration::from_nanos(self.latencies_ns.stdev() as u64)
    }

    /// The histogram, in nanoseconds.
    pub fn latencies_ns(&self) -> &Histogram<u64> {
        &self.latencies_ns
    }
}

impl Default for Record {
    fn default() -> Self {
        Record::new()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("counts", &self.counts).finish_non_exhaustive()
    }
}
