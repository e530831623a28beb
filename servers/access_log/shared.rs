//! A handle on an access log: an event loop has its own, threads share one.
//!
//! Whether the log is on never changes, so checking it costs a load. Everything else takes the
//! lock, uncontended in an event loop; threads wait for each other while a line is formatted, and
//! occasionally during a `write(2)` to a file.
//!
//! Lines appear in the order in which the lock was taken: those of a connection in the order of its
//! requests.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{AccessLog, HeldRecord, Record};
use crate::options::LogOptions;

/// A shared access log, see the module.
#[derive(Clone, Debug)]
pub struct Log {
    on: bool,
    log: Arc<Mutex<AccessLog>>,
}

impl Log {
    /// Opens the log.
    ///
    /// # Errors
    /// The file's, with its name.
    pub fn open(options: &LogOptions) -> io::Result<Self> {
        let log = AccessLog::open(options)?;
        Ok(Log { on: log.is_on(), log: Arc::new(Mutex::new(log)) })
    }

    /// Whether the log is on: check before building a [`Record`].
    #[inline(always)]
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// [`AccessLog::record`]
    pub fn record(&self, record: &Record<'_>) {
        self.lock().record(record);
    }

    /// [`AccessLog::hold`]
    pub fn hold(&self, record: &Record<'_>) -> Box<HeldRecord> {
        self.lock().hold(record)
    }

    /// [`AccessLog::record_held`]
    pub fn record_held(&self, held: &HeldRecord, body_bytes: u64, duration_us: u64) {
        self.lock().record_held(held, body_bytes, duration_us);
    }

    /// [`AccessLog::turn_ended`]; returns when to call it next.
    pub fn turn_ended(&self, now_ms: u64) -> Option<u64> {
        let mut log = self.lock();
        log.turn_ended(now_ms);
        log.next_flush_ms()
    }

    /// The same after a thread's step, where another thread flushes the batch later: returns `true`
    /// if that thread must be notified of a new batch.
    pub fn step_ended(&self, now_ms: u64) -> bool {
        let mut log = self.lock();
        let was_due = log.next_flush_ms().is_some();
        log.turn_ended(now_ms);
        !was_due && log.next_flush_ms().is_some()
    }

    /// [`AccessLog::flush`]
    pub fn flush(&self) {
        self.lock().flush();
    }

    /// [`AccessLog::finish`]
    pub fn finish(&self) {
        self.lock().finish();
    }

    /// [`AccessLog::reopen`]
    ///
    /// # Errors
    /// The file's, with its name.
    pub fn reopen(&self) -> io::Result<()> {
        self.lock().reopen()
    }

    /// [`AccessLog::take_dropped`]
    pub fn take_dropped(&self) -> u64 {
        self.lock().take_dropped()
    }

    /// A poisoned lock is fine: at worst, a thread that panicked left part of a line.
    fn lock(&self) -> MutexGuard<'_, AccessLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
