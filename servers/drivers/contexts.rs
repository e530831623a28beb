//! A few contexts for many threads.
//!
//! A [`Context`] has an application's local part, a cache of files among it, and a slot of counters
//! that one thread at a time may write to. There is no point in having more of them than threads
//! that can run at once, and no harm in having a few more. A thread borrows one for a step, which
//! takes microseconds and waits for nothing:
//!
//! ```text
//!  thread ──► its home ── taken? ──► the next … ── all taken? ──► waits for its home
//! ```
//!
//! What is *not* guaranteed: that two steps of a conversation have the same context.

use std::io;
use std::ops::{Deref, DerefMut, Range};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Instant;

use reactor::Waker;
use reactor::shared::{SharedSlot, SharedTable};

use crate::access_log::Log;
use crate::app::App;
use crate::metrics::{Counters, Metrics};
use crate::options::Options;
use crate::session::{BodyMemory, Context};

reactor::shared_struct! {
    /// What changes while a server runs; child processes read it, too.
    #[repr(C, align(64))]
    struct Flags {
        draining: AtomicBool,
        /// How often the log was to be reopened.
        reopenings: AtomicU32,
    }
}

/// The contexts of a server whose threads share them.
pub struct Contexts<A: App> {
    app: Arc<A>,
    list: Box<[Mutex<Context<A>>]>,
    /// The main thread's slot of counters, and the contexts'.
    slots: Slots,
    /// When their clocks began.
    epoch: Instant,
    flags: SharedSlot<Flags>,
    /// How often this process has reopened the log.
    reopenings_known: AtomicU32,
    log: Log,
    memory: BodyMemory,
    /// The main thread's counters, of which one gauge is written here.
    shown: Counters,
    /// The loop that writes the log when its time has come, unless each process writes its own.
    waker: Option<Waker>,
}

/// The slots of counters of a process: some for contexts, and its main thread's, which may be one
/// of these if that thread serves, too.
#[derive(Clone, Debug)]
pub struct Slots {
    /// The main thread's.
    pub main: usize,
    /// The contexts'.
    pub contexts: Range<usize>,
}

/// A context, borrowed for a step.
pub struct Borrowed<'c, A: App> {
    context: MutexGuard<'c, Context<A>>,
    contexts: &'c Contexts<A>,
}

impl<A: App> Contexts<A> {
    /// A context for each slot of `slots.contexts`; their clocks count from `epoch`.
    ///
    /// # Errors
    /// As for [`Context::new`].
    pub fn new(
        app: &Arc<A>,
        options: &Options,
        metrics: &Metrics,
        slots: Slots,
        epoch: Instant,
        waker: Option<Waker>,
    ) -> io::Result<Self> {
        let log = Log::open(&options.log)?;
        let memory = BodyMemory::new(options.limits.body_memory);
        let now_ms = epoch.elapsed().as_millis() as u64;
        let context = |slot| {
            let (app, memory, log) = (Arc::clone(app), memory.clone(), log.clone());
            Context::with_log(app, options, metrics, slot, memory, now_ms, log).map(Mutex::new)
        };
        let list = slots.contexts.clone().map(context).collect::<io::Result<Box<_>>>()?;
        let none = || io::Error::other("no slot of counters left");
        let shown = Counters::new(metrics, slots.main).ok_or_else(none)?;
        let flags = SharedTable::new(1)?.slot(0).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Contexts {
            app: Arc::clone(app),
            list,
            slots,
            epoch,
            flags,
            reopenings_known: AtomicU32::new(0),
            log,
            memory,
            shown,
            waker,
        })
    }

    /// The same, where the driver has every request answered, not only work.
    pub fn offload_all(mut self) -> Self {
        for context in &mut self.list {
            match context.get_mut() {
                Ok(context) => context.offload_all = true,
                Err(poisoned) => poisoned.into_inner().offload_all = true,
            }
        }
        self
    }

    /// A context for a step, with the time and all that changes while a server runs. `home`: where
    /// to look first, any number.
    #[inline]
    pub fn borrow(&self, home: usize) -> Borrowed<'_, A> {
        // A division takes as long as the rest of this.
        let home = if home < self.list.len() { home } else { home % self.list.len() };
        let mut context = match self.list[home].try_lock() {
            Ok(context) => context,
            Err(error) => self.another(home, error),
        };
        context.clock.update(self.now_ms());
        context.draining = self.flags.draining.load(Relaxed);
        Borrowed { context, contexts: self }
    }

    #[cold]
    fn another<'c>(
        &'c self,
        home: usize,
        error: TryLockError<MutexGuard<'c, Context<A>>>,
    ) -> MutexGuard<'c, Context<A>> {
        if let TryLockError::Poisoned(poisoned) = error {
            return self.restored(home, poisoned.into_inner());
        }
        for (index, context) in self.list.iter().enumerate() {
            match context.try_lock() {
                Ok(context) => return context,
                Err(TryLockError::Poisoned(poisoned)) => {
                    return self.restored(index, poisoned.into_inner());
                }
                Err(TryLockError::WouldBlock) => {}
            }
        }
        match self.list[home].lock() {
            Ok(context) => context,
            Err(poisoned) => self.restored(home, poisoned.into_inner()),
        }
    }

    /// A thread has panicked in the application with it: its local part is made again.
    #[cold]
    fn restored<'c>(
        &self,
        index: usize,
        mut context: MutexGuard<'c, Context<A>>,
    ) -> MutexGuard<'c, Context<A>> {
        context.local = context.app.local(self.slots.contexts.start + index);
        self.list[index].clear_poison();
        context
    }

    /// The main thread's slot of counters.
    pub fn main_slot(&self) -> usize {
        self.slots.main
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The application.
    pub fn app(&self) -> &A {
        &self.app
    }

    /// Has the main thread look at what there is to do.
    pub fn wake(&self) {
        if let Some(waker) = &self.waker {
            // It fails only where the loop is gone.
            let _ = waker.wake();
        }
    }

    /// Milliseconds on the clock of deadlines.
    #[inline]
    pub fn now_ms(&self) -> u64 {
        self.epoch.elapsed().as_millis() as u64
    }

    /// When that clock began.
    pub fn epoch(&self) -> Instant {
        self.epoch
    }

    /// From now on each response is its connection's last.
    pub fn drain(&self) {
        self.flags.draining.store(true, Relaxed);
    }

    /// Reopens the log; other processes follow ([`Contexts::reopenings`]).
    ///
    /// # Errors
    /// The file's, with its name.
    pub fn reopen_log(&self) -> io::Result<()> {
        let count = self.flags.reopenings.fetch_add(1, Relaxed) + 1;
        self.reopenings_known.store(count, Relaxed);
        self.log.reopen()
    }

    /// How often this process has reopened it, or the one that it was forked by.
    pub fn reopenings_known(&self) -> u32 {
        self.reopenings_known.load(Relaxed)
    }

    /// How often the log was to be reopened, in whichever process.
    #[inline]
    pub fn reopenings(&self) -> u32 {
        self.flags.reopenings.load(Relaxed)
    }

    /// For children to be forked: a date that need not be formatted in each.
    pub fn keep_time(&self) {
        drop(self.borrow(0));
    }

    /// In a child process that serves one connection: counts in this slot from now on.
    ///
    /// # Errors
    /// There is no such slot.
    pub fn count_in(&mut self, metrics: &Metrics, slot: usize) -> io::Result<()> {
        let none = || io::Error::other("no slot of counters left");
        self.shown = Counters::new(metrics, slot).ok_or_else(none)?;
        self.slots = Slots { main: slot, contexts: slot..slot + 1 };
        for context in &mut self.list {
            let context = context.get_mut().unwrap_or_else(PoisonError::into_inner);
            context.counters = Counters::new(metrics, slot).ok_or_else(none)?;
            context.local = self.app.local(slot);
        }
        Ok(())
    }

    /// The log that all of them write.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The account of memory is shared, and so is the gauge that shows it. Several threads write to
    /// it: the one that was overtaken finds that and writes again.
    #[cold]
    fn show_memory(&self) {
        loop {
            let held = self.memory.held();
            self.shown.body_bytes_held.set(held as u64);
            if self.memory.held() == held {
                return;
            }
        }
    }
}

impl<A: App> Deref for Borrowed<'_, A> {
    type Target = Context<A>;

    #[inline(always)]
    fn deref(&self) -> &Context<A> {
        &self.context
    }
}

impl<A: App> DerefMut for Borrowed<'_, A> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Context<A> {
        &mut self.context
    }
}

impl<A: App> Drop for Borrowed<'_, A> {
    #[inline]
    fn drop(&mut self) {
        let contexts = self.contexts;
        if contexts.memory.held() as u64 != contexts.shown.body_bytes_held.get() {
            contexts.show_memory();
        }
        if contexts.log.is_on() && contexts.log.step_ended(self.context.clock.now_ms()) {
            contexts.wake();
        }
    }
}
