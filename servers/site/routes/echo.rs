//! `/echo`: the request as received, its head byte for byte and its body decoded.
//!
//! A small echo is copied into the output. A large one stays in memory until its client has read
//! it, which may take long; so all of these together are bounded, and above the bound the answer is
//! 503.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use http::{Method, Status};

use super::argument::TEXT;
use crate::app::response::COPY_BYTES_MAX;
use crate::app::{Action, BodyPlan, Request, Response};
use crate::options::Options;
use crate::site::handler::Handler;

/// The route and its memory budget.
pub(super) struct Echo {
    body_max: u64,
    memory_max: usize,
    /// Bytes of echoes that are being sent, except small ones, which are copied.
    memory: Arc<AtomicUsize>,
}

impl Echo {
    /// Takes bodies of up to `--max-body`, and holds at most `--body-memory` bytes of echoes that
    /// their clients have not read yet.
    pub(super) fn new(options: &Options) -> Self {
        Echo::bounded(options.limits.body, options.limits.body_memory)
    }

    fn bounded(body_max: u64, memory_max: usize) -> Self {
        Echo { body_max, memory_max, memory: Arc::default() }
    }

    fn answer(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let (head, body) = (request.head_bytes(), request.body());
        let Some(echo) = self.join(head, body) else {
            return response.unavailable();
        };
        let [kind, nosniff] = TEXT;
        response
            .start(Status::OK)
            .field(kind.0, kind.1)
            .field(nosniff.0, nosniff.1)
            .field("Cache-Control", "no-store")
            .shared(echo);
    }

    /// Head and body as one; `None` when there are too many large ones in memory.
    fn join(&self, head: &[u8], body: &[u8]) -> Option<Bytes> {
        let len = head.len() + body.len();
        if len <= COPY_BYTES_MAX {
            return Some([head, body].concat().into());
        }
        let share = Share::of(&self.memory, len, self.memory_max)?;
        Some(Bytes::from_owner(LargeEcho { text: [head, body].concat(), _share: share }))
    }
}

impl Handler for Echo {
    /// The classic echo server answers whatever it is asked.
    fn takes(&self, _method: Method) -> bool {
        true
    }

    fn body(&self) -> BodyPlan {
        BodyPlan::Collect(self.body_max)
    }

    fn handle(&self, request: &Request<'_>, response: &mut Response<'_>) -> Action {
        self.answer(request, response);
        Action::Done
    }
}

/// An echo that stays in memory until its client has read it.
struct LargeEcho {
    text: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for LargeEcho {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

/// A share of the memory budget of all echoes; given back when dropped.
struct Share {
    of: Arc<AtomicUsize>,
    len: usize,
}

impl Share {
    /// Takes `len` bytes, unless that would exceed `max`.
    fn of(memory: &Arc<AtomicUsize>, len: usize, max: usize) -> Option<Self> {
        // Relaxed: the number guards no other memory.
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
        let echo = Echo::bounded(1 << 20, 1 << 20);
        assert_eq!(echo.join(b"head", b"body").unwrap(), "headbody");
        assert_eq!(echo.memory.load(Relaxed), 0, "a small one is not held");
    }

    #[test]
    fn large_echoes_share_a_bound_and_give_their_part_back() {
        let echo = Echo::bounded(1 << 20, 12_000);
        let first = echo.join(b"head", &[b'x'; 8_000]).unwrap();
        assert_eq!(first.len(), 8_004);
        assert!(echo.join(b"head", &[b'x'; 8_000]).is_none());
        drop(first);
        assert_eq!(echo.memory.load(Relaxed), 0);
        assert!(echo.join(b"head", &[b'x'; 8_000]).is_some());
    }
}
