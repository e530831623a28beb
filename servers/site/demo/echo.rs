//! `/echo`: the request as it was received, its head byte for byte and its body decoded.
//!
//! A small echo is copied behind its head and gone. A large one stays in memory until its client
//! has read it, and a client may take its time; so all of these together have a bound, above which
//! the answer is 503 rather than more memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use http::Status;

use super::TEXT;
use crate::app::response::COPY_BYTES_MAX;
use crate::app::{Request, Response};

/// The route and its memory.
pub(super) struct Echo {
    body_max: u64,
    memory_max: usize,
    /// Bytes of echoes on their way, those only that outlive the call that made them.
    memory: Arc<AtomicUsize>,
}

impl Echo {
    pub(super) fn new(body_max: u64, memory_max: usize) -> Self {
        Echo { body_max, memory_max, memory: Arc::default() }
    }

    /// The largest body that is echoed.
    pub(super) fn body_max(&self) -> u64 {
        self.body_max
    }

    pub(super) fn answer(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let (head, body) = (request.head_bytes(), request.body());
        let Some(echo) = self.join(head, body) else {
            response.start(Status::SERVICE_UNAVAILABLE).field("Retry-After", "1").empty();
            return;
        };
        let [kind, nosniff] = TEXT;
        response
            .start(Status::OK)
            .field(kind.0, kind.1)
            .field(nosniff.0, nosniff.1)
            .field("Cache-Control", "no-store")
            .shared(echo);
    }

    /// Head and body as one; `None` when there are too many large ones about.
    fn join(&self, head: &[u8], body: &[u8]) -> Option<Bytes> {
        let len = head.len() + body.len();
        if len <= COPY_BYTES_MAX {
            return Some([head, body].concat().into());
        }
        let share = Share::of(&self.memory, len, self.memory_max)?;
        Some(Bytes::from_owner(Held { text: [head, body].concat(), _share: share }))
    }
}

/// An echo that waits for its client.
struct Held {
    text: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

/// A part of the memory that all echoes share; given back when dropped.
struct Share {
    of: Arc<AtomicUsize>,
    len: usize,
}

impl Share {
    /// Takes `len` bytes, if no more than `max` are then taken.
    fn of(memory: &Arc<AtomicUsize>, len: usize, max: usize) -> Option<Self> {
        // Relaxed: a number that guards no other memory.
        memory
            .fetch_update(Relaxed, Relaxed, |taken| {
                taken.checked_add(len).filter(|&sum| sum <= max)
            })
            .ok()?;
        Some(Share { of: Arc::clone(memory), len })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.fetch_sub(self.len, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_the_head_and_the_body() {
        let echo = Echo::new(1 << 20, 1 << 20);
        assert_eq!(echo.join(b"head", b"body").unwrap(), "headbody");
        assert_eq!(echo.memory.load(Relaxed), 0, "a small one is not held");
    }

    #[test]
    fn large_echoes_share_a_bound_and_give_their_part_back() {
        let echo = Echo::new(1 << 20, 12_000);
        let first = echo.join(b"head", &[b'x'; 8_000]).unwrap();
        assert_eq!(first.len(), 8_004);
        assert!(echo.join(b"head", &[b'x'; 8_000]).is_none());
        drop(first);
        assert_eq!(echo.memory.load(Relaxed), 0);
        assert!(echo.join(b"head", &[b'x'; 8_000]).is_some());
    }
}
