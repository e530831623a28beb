//! The sleep of an event loop.

use super::Sleeper;
use crate::sync::Arc;
use crate::waker::Waker;
use std::fmt;
use std::io;

/// Tells an event loop, from any thread, that a ring holds something for it. Clones are the same
/// bell.
///
/// A loop that has one ([`EventLoop::doorbell`](crate::EventLoop::doorbell)) asks its handler in
/// every turn whether it [has work](crate::Handler::has_work), so that no thread needs to ring
/// while it is awake.
#[derive(Clone)]
pub struct Doorbell {
    shared: Arc<Shared>,
}

struct Shared {
    sleeper: Sleeper,
    waker: Waker,
}

impl Doorbell {
    pub(crate) fn new(waker: Waker) -> Self {
        Doorbell { shared: Arc::new(Shared { sleeper: Sleeper::new(), waker }) }
    }

    /// Call after the push. A fence and a load while the loop is awake; a system call when it waits
    /// in its poller, and only for the first thread that rings.
    #[inline]
    pub fn ring(&self) -> io::Result<()> {
        if !self.shared.sleeper.must_call() {
            return Ok(());
        }
        self.call()
    }

    #[cold]
    fn call(&self) -> io::Result<()> {
        // Not by the waker's own flag: a thread that has set it, but not yet made its system call,
        // may be off its core for long, and the loop would have to wait for it.
        self.shared.waker.wake_now().inspect_err(|_| self.shared.sleeper.call_failed())
    }

    /// The loop's half: `wait` gets `true` to wait, or `false` if there is work already.
    #[inline]
    pub(crate) fn sleep<R>(
        &self,
        has_work: impl FnOnce() -> bool,
        wait: impl FnOnce(bool) -> R,
    ) -> R {
        self.shared.sleeper.sleep(has_work, wait)
    }
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbell").field("sleeper", &self.shared.sleeper).finish()
    }
}
