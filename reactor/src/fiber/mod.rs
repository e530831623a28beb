//! Green threads, their core: a stack, and a switch to it and back. No scheduler, no event loop.
//!
//! ```
//! use stampede_reactor::fiber::{Fiber, Resumed, StackPool};
//!
//! let pool = StackPool::new(64 * 1024, 1)?;
//! let mut fiber = Fiber::new(pool.take().expect("one stack"), |suspender| {
//!     let seven = suspender.suspend(1);
//!     assert_eq!(seven, 7);
//! });
//! assert!(matches!(fiber.resume(0), Resumed::Suspended(1)));
//! assert!(matches!(fiber.resume(7), Resumed::Finished));
//! # std::io::Result::Ok(())
//! ```

mod stack;
mod switch;
#[cfg(test)]
mod tests;

pub use stack::{STACK_BYTES_MIN, Stack, StackPool};

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use switch::Context;

/// Bytes of a label; what is longer is cut.
const LABEL_BYTES_MAX: usize = 103;

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
        let (context, suspender) = lay_out(&stack, entry);
        Fiber { context: Some(context), suspender, stack }
    }

    /// Runs it on this thread until it suspends or ends.
    ///
    /// # Panics
    ///
    /// If it has ended before.
    pub fn resume(&mut self, value: usize) -> Resumed {
        let context = self.context.take().expect("a fiber that has ended is not resumed");
        // SAFETY: it is the fiber's last context, taken so that it is continued once; the fiber
        // owns the stack.
        let arrival = unsafe { switch::switch(value, context) };
        self.context = arrival.from;
        match (arrival.from, arrival.value) {
            (Some(_), request) => Resumed::Suspended(request),
            (None, 0) => Resumed::Finished,
            // SAFETY: where a fiber ends, it passes 0 or the address of such a box.
            (None, panic) => Resumed::Panicked(*unsafe { Box::from_raw(panic as *mut Payload) }),
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
    /// Who has resumed it; set while it runs.
    caller: Cell<Option<Context>>,
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
            cancelled: Cell::new(false),
            label_len: Cell::new(0),
            label: Cell::new([0; LABEL_BYTES_MAX]),
            _not_send: PhantomData,
        }
    }

    /// Returns from the [`resume`](Fiber::resume) that runs this fiber, with `request`; and here,
    /// with the next one's value.
    pub fn suspend(&self, request: usize) -> usize {
        self.unwind_if_cancelled();
        let caller = self.caller.get().expect("a fiber that runs has been resumed");
        // SAFETY: the caller waits in `resume`, and has not been continued since.
        let arrival = unsafe { switch::switch(request, caller) };
        self.caller.set(arrival.from);
        self.unwind_if_cancelled();
        arrival.value
    }

    /// What a report of an overflow is to call this fiber: the request that it serves, say. Cut
    /// at 103 bytes.
    pub fn set_label(&self, text: &[u8]) {
        let mut label = [0; LABEL_BYTES_MAX];
        let len = text.len().min(LABEL_BYTES_MAX);
        label[..len].copy_from_slice(&text[..len]);
        self.label.set(label);
        self.label_len.set(len as u8);
    }

    fn unwind_if_cancelled(&self) {
        if self.cancelled.get() {
            resume_unwind(Box::new(Cancelled));
        }
    }
}

/// Puts the suspender and the entry on the stack, and below them what the first switch expects.
fn lay_out<F: FnOnce(&Suspender) + Send + 'static>(
    stack: &Stack,
    entry: F,
) -> (Context, NonNull<Suspender>) {
    assert!(size_of::<Start<F>>() + align_of::<Start<F>>() <= stack.bytes() / 4);
    let top = stack.top().as_ptr();
    let room = size_of::<Start<F>>().next_multiple_of(align_of::<Start<F>>().max(64));
    // SAFETY: it fits below the top (just asserted), and no one else has this stack. The top is
    // aligned to a page; an entry with a larger alignment than that is not one.
    unsafe {
        let start = top.sub(room).cast::<Start<F>>();
        start.write(Start { suspender: Suspender::new(), entry });
        let context = switch::prepare(start.cast(), run::<F>, start.cast());
        (context, NonNull::new_unchecked(start).cast())
    }
}

/// What is at the top of a fiber's stack before it begins.
#[repr(C)]
struct Start<F> {
    suspender: Suspender,
    entry: F,
}

/// The first function on a fiber's stack.
///
/// # Safety
///
/// `data` points to a `Start<F>` whose entry no one else takes.
unsafe extern "C" fn run<F: FnOnce(&Suspender)>(_: usize, from: Context, data: *mut u8) -> ! {
    // SAFETY: see `lay_out`.
    let (suspender, entry) = unsafe {
        let start = data.cast::<Start<F>>();
        (&*(&raw const (*start).suspender), (&raw const (*start).entry).read())
    };
    suspender.caller.set(Some(from));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        suspender.unwind_if_cancelled();
        entry(suspender);
    }));
    let value = match outcome {
        Ok(()) => 0,
        Err(payload) => Box::into_raw(Box::new(payload)) as usize,
    };
    let caller = suspender.caller.get().expect("set above");
    // SAFETY: as in `suspend`; nothing is left here to be dropped.
    unsafe { switch::finish(value, caller) }
}
