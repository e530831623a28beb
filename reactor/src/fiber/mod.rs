//! Green threads, their core: functions on stacks of their own, which stop in the middle and go on
//! later. No scheduler and no event loop: those decide which fiber to resume, and when.
//!
//! ```text
//!    carrier: a thread                            fiber
//!
//!    fiber.resume(5) ───── switch ─────────────►  entry(&suspender) begins
//!          ┌───────────── switch ──────────────── suspender.suspend(1) waits
//!    Suspended(1)
//!    fiber.resume(7) ───── switch ─────────────►  ... and returns 7
//!          ┌───────────── switch ──────────────── entry returns
//!    Finished
//! ```
//!
//! A switch stores what is alive in registers on the stack that is left, exchanges the stack
//! pointer, and jumps to where the other side went on: some nanoseconds, no system call, nothing
//! of the scheduler in the kernel. Two words tell all:
//! `resume` passes one in, `suspend` one out, and what they mean is the scheduler's affair (the
//! readiness that a fiber waits for, a token).
//!
//! ```
//! use stampede_reactor::fiber::{Fiber, Resumed, StackPool};
//!
//! let pool = StackPool::new(64 * 1024, 100)?;
//! let stack = pool.take().expect("one of a hundred");
//! let mut fiber = Fiber::new(stack, |suspender| {
//!     assert_eq!(suspender.suspend(1), 7);
//! });
//! assert!(matches!(fiber.resume(5), Resumed::Suspended(1)));
//! assert!(matches!(fiber.resume(7), Resumed::Finished));
//! # std::io::Result::Ok(())
//! ```
//!
//! # Layout of a stack
//!
//! ```text
//!         top ┬───────────────────────┐
//!             │ Suspender: the other  │  fixed place: what reports an overflow reads
//!             │ side, a label         │  the label here
//!             ├───────────────────────┤
//!             │ entry, until it is    │
//!             │ called                │
//!             ├───────────────────────┤
//!             │ frames of the entry,  │  a panic unwinds to here, is caught, and becomes
//!             │ and what it calls     │  Resumed::Panicked
//!             │          ↓            │
//!             │ two registers, and    │
//!             │ where to go on        │  ◄─ context: while it waits
//!             ├───────────────────────┤
//!             │ never touched: not    │
//!             │ in memory             │
//!             ├───────────────────────┤
//!             │ guard: a fault        │  ─► report_overflows
//!             └───────────────────────┘
//! ```
//!
//! | file | what to read it for |
//! |---|---|
//! | `switch/` | the switch of each architecture, line by line, and what other ways cost |
//! | `stack.rs`, `guard.rs` | one mapping for all stacks, their guards included |
//! | `overflow.rs` | the handler of the fault: what may be done on the alternate stack |
//!
//! # Moving between threads
//!
//! A fiber may be resumed by another thread than the last time. For the code on its stack, the
//! thread then changes within a call of `suspend`, which the type system has no notion of. A
//! scheduler that moves fibers between threads therefore makes these rules for all code that runs
//! on them; where a fiber stays on one thread they do not matter:
//!
//! - *Nothing of a thread is kept over a suspension*: no reference into a `thread_local!`, no `Rc`
//!   that the thread also holds, no guard of a lock (some systems want it released by the thread
//!   that took it; another fiber of this thread would wait for it forever). [`Fiber`] is `Send`,
//!   because its entry is; what that makes later and keeps on the stack is not checked.
//! - *The address of a thread's variable may be kept by the compiler*, in a register or the frame,
//!   as within a function it cannot change. A function that calls `suspend`, or that such a call
//!   may be inlined into, does not use `thread_local!` itself, before or after, but through a
//!   function that is `#[inline(never)]`. A switch out of line would not help: what matters is the
//!   function that has looked the address up, and it is the same in all languages with such
//!   variables. This module therefore uses none: the way back is passed by reference
//!   ([`Suspender`]).
//! - `errno` is such a variable: read an error before you suspend. `io::Error` has done so.
//!
//! # Panics and early ends
//!
//! - A panic unwinds the fiber's stack, ends the fiber, and is handed to the one that resumed it.
//!   Its message and backtrace are printed as ever; the backtrace ends at the fiber's base.
//! - A [`Fiber`] dropped while it waits is unwound: `suspend` raises a panic of its own, without a
//!   message, which drops what is on the stack. If `catch_unwind` stops it, the next `suspend`
//!   raises it again; the drop returns when the entry does.
//! - A destructor that runs because of a panic must not suspend: the standard library counts the
//!   panics of each thread, and the fiber might end on another one. `suspend` panics then, which
//!   in a destructor ends the process. (With `panic = "abort"`, so does dropping a fiber early.)
//!
//! # Not guaranteed
//!
//! That an overflow is noticed by a foreign function with large frames: it may jump over the guard.
//! Rust's touch each page in turn, and so do C's if compiled to (`-fstack-clash-protection`).

mod guard;
mod overflow;
mod registry;
mod sanitizer;
mod stack;
mod switch;
#[cfg(test)]
mod tests;

pub use overflow::{OverflowReports, report_overflows};
pub use stack::{STACK_BYTES_MIN, STACKS_MAX, Stack, StackPool};

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};
use std::thread;
use switch::Context;

/// The stack's top and nothing else; a label must not make it reach another line.
const _: () = assert!(size_of::<Suspender>() == 128);

/// Bytes of a label; what is longer is cut.
const LABEL_BYTES_MAX: usize = 100;

/// What a [`resume`](Fiber::resume) ended with.
pub enum Resumed {
    /// The fiber called [`suspend`](Suspender::suspend) with this value, and can be resumed.
    Suspended(usize),
    /// Its entry has returned.
    Finished,
    /// Its entry has panicked, with this payload.
    Panicked(Box<dyn Any + Send>),
}

impl fmt::Debug for Resumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resumed::Suspended(request) => f.debug_tuple("Suspended").field(request).finish(),
            Resumed::Finished => f.write_str("Finished"),
            Resumed::Panicked(_) => f.write_str("Panicked"),
        }
    }
}

/// A function on a stack of its own, which runs while it is resumed.
pub struct Fiber {
    /// Where it goes on; none once it has ended.
    context: Option<Context>,
    /// At the top of its stack.
    suspender: NonNull<Suspender>,
    observed: sanitizer::Fiber,
    stack: Stack,
}

// SAFETY: a suspended fiber is memory that no thread uses: its stack is its own, and its entry was
// `Send`. What the entry makes on the way and keeps over a suspension is not checked: see the
// module's documentation.
unsafe impl Send for Fiber {}

impl Fiber {
    /// A fiber that will run `entry` when it is resumed; the first value it is resumed with is
    /// dropped.
    ///
    /// # Panics
    ///
    /// If `entry` itself, with all it has captured, takes more than a quarter of the stack.
    pub fn new(stack: Stack, entry: impl FnOnce(&Suspender) + Send + 'static) -> Fiber {
        let (context, suspender) = Start::lay_out(&stack, entry);
        Fiber { context: Some(context), suspender, observed: sanitizer::Fiber::new(), stack }
    }

    /// Runs it on this thread until it suspends or ends.
    ///
    /// # Panics
    ///
    /// If it has ended before.
    #[inline]
    pub fn resume(&mut self, value: usize) -> Resumed {
        let context = self.context.take().expect("a fiber that has ended is not resumed");
        // SAFETY: the suspender lives until the fiber ends.
        unsafe { self.suspender.as_ref() }.thread.set(self.observed.enter());
        // SAFETY: it is the fiber's last context, taken so that it is continued once; the fiber
        // owns the stack.
        let arrival = unsafe { switch::switch(value, context) };
        self.context = arrival.from;
        match (arrival.from, arrival.value) {
            (Some(_), request) => Resumed::Suspended(request),
            (None, 0) => Resumed::Finished,
            // SAFETY: where a fiber ends, it passes 0 or the address of such a box.
            (None, panic) => Resumed::Panicked(*unsafe {
                Box::from_raw(ptr::with_exposed_provenance_mut::<Payload>(panic))
            }),
        }
    }

    /// Whether its entry has returned or panicked.
    pub fn has_ended(&self) -> bool {
        self.context.is_none()
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        if self.context.is_some() {
            // SAFETY: the suspender lives until the fiber ends.
            unsafe { self.suspender.as_ref() }.cancelled.set(true);
            drop(self.resume(0));
        }
    }
}

impl fmt::Debug for Fiber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fiber").field("stack", &self.stack).finish_non_exhaustive()
    }
}

type Payload = Box<dyn Any + Send>;

/// The payload of the unwinding of a dropped fiber.
struct Cancelled;

/// The way out of a fiber, for the code that runs on it.
///
/// Lies at the top of the fiber's stack.
#[repr(C, align(64))]
pub struct Suspender {
    /// The side that has resumed it, while it runs.
    caller: Cell<Option<Context>>,
    /// The same for the thread sanitizer.
    thread: Cell<sanitizer::Thread>,
    /// Its fiber is being dropped: it must unwind.
    cancelled: Cell<bool>,
    label_len: Cell<u8>,
    label: Cell<[u8; LABEL_BYTES_MAX]>,
    /// Of use on its own stack only.
    _not_send: PhantomData<*const ()>,
}

impl Suspender {
    fn new() -> Suspender {
        Suspender {
            caller: Cell::new(None),
            thread: Cell::new(sanitizer::Thread::NONE),
            cancelled: Cell::new(false),
            label_len: Cell::new(0),
            label: Cell::new([0; LABEL_BYTES_MAX]),
            _not_send: PhantomData,
        }
    }

    /// Returns from the [`resume`](Fiber::resume) that runs this fiber, with `request`; and here,
    /// with the next one's value.
    ///
    /// # Panics
    ///
    /// When the fiber is dropped, to unwind its stack. And while the thread is panicking.
    #[inline]
    pub fn suspend(&self, request: usize) -> usize {
        self.unwind_if_cancelled();
        assert!(!thread::panicking(), "a destructor that runs because of a panic cannot suspend");
        let caller = self.caller.get().expect("a fiber that runs has been resumed");
        self.thread.get().return_to();
        // SAFETY: the caller waits in `resume`, and has not been continued since.
        let arrival = unsafe { switch::switch(request, caller) };
        self.caller.set(arrival.from);
        self.unwind_if_cancelled();
        arrival.value
    }

    /// What a report of an overflow is to call this fiber: the first line of the request that it
    /// serves, say. Cut at 100 bytes, and at a CR when it is shown: finding that here would cost
    /// more than the copy.
    #[inline]
    pub fn set_label(&self, text: &[u8]) {
        let len = text.len().min(LABEL_BYTES_MAX);
        // SAFETY: it has room for that many bytes, and no reference to them is ever made.
        unsafe { self.label.as_ptr().cast::<u8>().copy_from(text.as_ptr(), len) };
        self.label_len.set(len as u8);
    }

    #[inline]
    fn unwind_if_cancelled(&self) {
        if self.cancelled.get() {
            resume_unwind(Box::new(Cancelled));
        }
    }
}

/// The suspender takes the top of a stack, where the handler of overflows finds it; the entry lies
/// below it until it is called, and the first frames lie below that.
struct Start<F>(PhantomData<F>);

impl<F: FnOnce(&Suspender) + Send + 'static> Start<F> {
    /// From the suspender down to the entry.
    const ENTRY_BYTES: usize = {
        // The stack pointer's alignment, which is the suspender's and its offset's too.
        assert!(align_of::<F>() <= 16, "an entry with such an alignment belongs into a box");
        size_of::<F>().next_multiple_of(16)
    };

    /// Writes both, and what the first switch expects.
    fn lay_out(stack: &Stack, entry: F) -> (Context, NonNull<Suspender>) {
        let fits = Self::ENTRY_BYTES <= stack.bytes() / 4;
        assert!(fits, "an entry of {} bytes belongs into a box", Self::ENTRY_BYTES);
        // SAFETY: the stack is the caller's alone; its top is aligned to a page, and three
        // quarters of the smallest stack are more than the suspender and a context.
        unsafe {
            let suspender = stack.top().cast::<Suspender>().sub(1);
            suspender.write(Suspender::new());
            let place = suspender.byte_sub(Self::ENTRY_BYTES);
            place.cast::<F>().write(entry);
            let context = switch::prepare(place.cast(), Self::run, suspender.cast());
            (context, suspender)
        }
    }

    /// The first function on the stack.
    ///
    /// # Safety
    ///
    /// `data` is a suspender that was laid out with its entry, which has not been taken yet.
    unsafe extern "C" fn run(_value: usize, from: Context, data: NonNull<u8>) -> ! {
        // SAFETY: as `lay_out` has written it; it is there until the stack is taken again.
        let suspender = unsafe { data.cast::<Suspender>().as_ref() };
        suspender.caller.set(Some(from));
        let entry = AssertUnwindSafe(|| {
            // SAFETY: where `lay_out` has written it. It is read here, past catch_unwind, so that
            // a large one is not moved from frame to frame.
            let entry = unsafe { data.byte_sub(Self::ENTRY_BYTES).cast::<F>().read() };
            suspender.unwind_if_cancelled();
            entry(suspender);
        });
        // What `resume` expects: 0, or the address of a panic's payload in a box.
        let panic = |payload: Payload| Box::into_raw(Box::new(payload)).expose_provenance();
        let value = catch_unwind(entry).map_or_else(panic, |()| 0);
        let caller = suspender.caller.get().expect("it has been resumed");
        suspender.thread.get().return_to();
        // SAFETY: as in `suspend`; nothing is left here that must be dropped.
        unsafe { switch::finish(value, caller) }
    }
}
