//! A green thread: a fiber, and what the scheduler and its home core know of it.
//!
//! Its fields are written by three: the thread itself while it runs (what it is to be woken for),
//! its home core (what it is registered for), and the threads that unpark it. All are atomic, and
//! but for the timer's none orders anything: what orders is [`Park`], by which the thread runs.

use super::deadline::Deadline;
use super::park::Park;
use super::{NEVER, Shared};
use crate::fiber::{Fiber, Stack, Suspender};
use crate::poller::Readiness;
use crate::token::Token;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering};

use Ordering::Relaxed;

/// Something arrived since the thread last asked.
pub(super) const READABLE: u32 = 1;
/// There was room to send.
pub(super) const WRITABLE: u32 = 2;
/// The peer has finished sending; stays.
pub(super) const READ_CLOSED: u32 = 4;
/// The descriptor has failed; stays.
pub(super) const FAILED: u32 = 8;

/// How far a descriptor's registration has come.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Watch {
    /// The thread has waited for none yet.
    None,
    /// Its home core is to register it.
    Wanted,
    Done,
    Failed,
}

const NOT_WATCHED: u8 = Watch::None as u8;
const NOT_WATCHABLE: u8 = Watch::Failed as u8;

/// The reasons for which an event unparks.
#[inline]
pub(super) fn reasons(readiness: Readiness) -> u32 {
    let bit = |bit, on| if on { bit } else { 0 };
    bit(READABLE, readiness.is_readable())
        | bit(WRITABLE, readiness.is_writable())
        | bit(READ_CLOSED, readiness.is_read_closed())
        | bit(FAILED, readiness.is_error() || readiness.is_hangup())
}

/// See the module's head.
pub(super) struct Green {
    /// `None` once it has ended: the stack is back in its pool.
    pub park: Park<Option<Fiber>>,
    /// The core whose loop has its descriptor and its timer; never changes.
    pub home: usize,
    /// The core that runs it, or ran it last.
    pub core: AtomicU32,
    /// Its source in the home core's loop; `NO_TOKEN` before and after.
    token: AtomicU64,
    /// What has happened to its descriptor. Of the thread and its carrier alone.
    ready: AtomicU32,
    /// When it wants to be woken at the latest.
    pub deadline: Deadline,
    fd: AtomicI32,
    watch: AtomicU8,
    /// It is in its home core's inbox.
    pub told: AtomicBool,
    /// Its home core has not seen it yet.
    is_new: AtomicBool,
    /// Its home core counts it.
    at_home: AtomicBool,
    /// The number of its core's run that it is, or was last.
    pub run: AtomicU64,
}

/// The bits of a token that no loop hands out.
const NO_TOKEN: u64 = u64::MAX;

impl Green {
    /// A thread that counts as queued: the caller puts it into its home core's inbox.
    pub fn new(
        shared: &Arc<Shared>,
        home: usize,
        stack: Stack,
        entry: impl FnOnce(&Running<'_>) + Send + 'static,
    ) -> Arc<Self> {
        let shared = Arc::clone(shared);
        Arc::new_cyclic(|green| {
            let green = std::sync::Weak::clone(green);
            let fiber = Fiber::new(stack, move |suspender| {
                // The carrier that runs it has it.
                let Some(green) = green.upgrade() else { return };
                entry(&Running { suspender, green: &green, shared: &shared });
            });
            Green {
                park: Park::new(Some(fiber)),
                home,
                core: AtomicU32::new(home as u32),
                token: AtomicU64::new(NO_TOKEN),
                ready: AtomicU32::new(0),
                deadline: Deadline::never(),
                fd: AtomicI32::new(-1),
                watch: AtomicU8::new(Watch::None as u8),
                told: AtomicBool::new(true),
                is_new: AtomicBool::new(true),
                at_home: AtomicBool::new(true),
                run: AtomicU64::new(0),
            }
        })
    }

    // For its home core

    pub fn token(&self) -> Option<Token> {
        let bits = self.token.load(Relaxed);
        (bits != NO_TOKEN).then(|| Token::from_u64(bits))
    }

    pub fn set_token(&self, token: Option<Token>) {
        self.token.store(token.map_or(NO_TOKEN, Token::to_u64), Relaxed);
    }

    /// Whether its home core sees it for the first time.
    pub fn take_new(&self) -> bool {
        self.is_new.swap(false, Relaxed)
    }

    /// Once: it has ended. Its carrier and its home may both find that.
    pub fn leave_home(&self) -> bool {
        self.at_home.swap(false, Relaxed)
    }

    /// What has come since its last run. For the carrier that runs it.
    #[inline]
    pub fn note(&self, reasons: u32) {
        self.set_ready(self.ready.load(Relaxed) | reasons);
    }

    fn set_ready(&self, ready: u32) {
        self.ready.store(ready, Relaxed);
    }

    /// What is to be watched, if it has not been yet.
    #[inline]
    pub fn watch_wanted(&self) -> Option<RawFd> {
        (self.watch.load(Relaxed) == Watch::Wanted as u8).then(|| self.fd.load(Relaxed))
    }

    pub fn watched(&self, watch: Watch) {
        self.watch.store(watch as u8, Relaxed);
    }

    /// Whether its home core has to do something for it, of a thread that another core has run.
    pub fn needs_home(&self) -> bool {
        self.watch_wanted().is_some() || self.deadline.needs_home()
    }
}

/// What a green thread asks of its scheduler, while it runs.
///
/// Belongs to its stack: a reference that is kept over a wait is as good afterwards, on whichever
/// carrier the thread goes on.
pub struct Running<'f> {
    suspender: &'f Suspender,
    green: &'f Arc<Green>,
    shared: &'f Arc<Shared>,
}

/// What a suspended thread tells its carrier.
pub(super) mod request {
    pub const PARK: usize = 0;
    pub const YIELD: usize = 1;
}

/// What a thread waits for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Awaited {
    /// Something to receive, or the end of it.
    Readable,
    /// Room to send.
    Writable,
    /// Nothing but that the descriptor fails, or is gone in both directions.
    Failure,
}

impl Awaited {
    /// The bits that end the wait, and those that it uses up.
    fn bits(self) -> (u32, u32) {
        match self {
            Awaited::Readable => (READABLE | READ_CLOSED | FAILED, READABLE),
            Awaited::Writable => (WRITABLE | FAILED, WRITABLE),
            Awaited::Failure => (FAILED, 0),
        }
    }
}

impl Running<'_> {
    /// Parks until `fd` is ready, or `deadline_ms` on the scheduler's clock has passed (`false`).
    ///
    /// Readiness is used up by this call: to be called when the descriptor has just been found not
    /// ready, or drained. It is a hint; one from before may end the wait early. A thread has one
    /// descriptor all its life, which is registered by the first wait.
    ///
    /// # Errors
    ///
    /// The system's, when the descriptor cannot be watched.
    pub fn wait(
        &self,
        fd: BorrowedFd<'_>,
        awaited: Awaited,
        deadline_ms: u64,
    ) -> std::io::Result<bool> {
        let green = &**self.green;
        let (wanted, used) = awaited.bits();
        let mut is_first = true;
        loop {
            if green.ready.load(Relaxed) & wanted != 0 {
                green.set_ready(green.ready.load(Relaxed) & !used);
                return Ok(true);
            }
            // The clock is not read before the first park: a deadline that is over wakes at once.
            if !std::mem::take(&mut is_first)
                && green.watch_wanted().is_none()
                && self.now_ms() >= deadline_ms
            {
                return Ok(false);
            }
            match green.watch.load(Relaxed) {
                NOT_WATCHED => {
                    green.fd.store(fd.as_raw_fd(), Relaxed);
                    green.watched(Watch::Wanted);
                }
                NOT_WATCHABLE => return Err(std::io::ErrorKind::OutOfMemory.into()),
                _ => {}
            }
            self.park_until(deadline_ms);
        }
    }

    /// Parks until it is unparked; at once, if it was while it ran. May be spurious.
    pub fn park(&self) {
        self.park_until(NEVER);
    }

    /// The same, and at the latest until `deadline_ms` on the scheduler's clock.
    #[inline]
    pub fn park_until(&self, deadline_ms: u64) {
        self.green.deadline.want(deadline_ms);
        self.suspender.suspend(request::PARK);
    }

    /// Parks until that time has come.
    pub fn sleep_until(&self, deadline_ms: u64) {
        while self.now_ms() < deadline_ms {
            self.park_until(deadline_ms);
        }
    }

    /// Lets the other threads go first.
    pub fn yield_now(&self) {
        self.suspender.suspend(request::YIELD);
    }

    /// The thread is about to block in the kernel, or to compute for long: gives its core to
    /// another carrier at once, if there is one, instead of when the monitor finds it. Costs the
    /// wake-up of a kernel thread.
    ///
    /// Nothing happens if its core has been taken over since the thread's last wait: the core is
    /// another carrier's by now.
    pub fn will_block(&self) {
        let (core, run) = (self.core(), self.green.run.load(Relaxed));
        if self.shared.cores[core].runs.load(Relaxed) == run {
            self.shared.take_over(core);
        }
    }

    /// By which any thread unparks this one.
    pub fn unparker(&self) -> Unparker {
        Unparker { green: Arc::clone(self.green), shared: Arc::clone(self.shared) }
    }

    /// What a report of an overflow calls it.
    #[inline]
    pub fn set_label(&self, text: &[u8]) {
        self.suspender.set_label(text);
    }

    /// The core that runs it: may be another one after each wait.
    #[inline]
    pub fn core(&self) -> usize {
        self.green.core.load(Relaxed) as usize
    }

    /// Milliseconds on the scheduler's clock.
    pub fn now_ms(&self) -> u64 {
        self.shared.epoch.elapsed().as_millis() as u64
    }
}

/// Has a green thread go on, from any thread.
#[derive(Clone)]
pub struct Unparker {
    green: Arc<Green>,
    shared: Arc<Shared>,
}

impl Unparker {
    /// If the thread runs, its next park returns at once. What this thread did before is seen.
    pub fn unpark(&self) {
        if self.green.park.unpark(0) {
            self.shared.queue_at(self.green.home, Arc::clone(&self.green));
        }
    }
}
