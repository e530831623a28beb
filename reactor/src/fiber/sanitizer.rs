//! The thread sanitizer follows calls, and what happens before what, by thread; a switch has to be
//! announced to it. With `--cfg thread_sanitizer` each fiber is a thread of its own to it;
//! otherwise nothing here is left after compilation.
//!
//! A switch is an order of events: what a thread did before it resumes a fiber happened before what
//! the fiber does then, and the reverse. What it reports are fibers that use the same memory while
//! they run on two threads.

#[cfg(not(thread_sanitizer))]
pub(super) use without::{Fiber, Thread};

#[cfg(thread_sanitizer)]
pub(super) use with::{Fiber, Thread};

#[cfg(not(thread_sanitizer))]
mod without {
    /// A fiber, as the sanitizer knows it.
    pub(in super::super) struct Fiber;

    impl Fiber {
        #[inline(always)]
        pub(in super::super) fn new() -> Fiber {
            Fiber
        }

        /// The calling thread is about to switch to it.
        #[inline(always)]
        pub(in super::super) fn enter(&self) -> Thread {
            Thread
        }
    }

    /// What a fiber was resumed by: a thread, or another fiber.
    #[derive(Copy, Clone)]
    pub(in super::super) struct Thread;

    impl Thread {
        /// Before the first time.
        pub(in super::super) const NONE: Thread = Thread;

        /// The fiber is about to switch to it.
        #[inline(always)]
        pub(in super::super) fn return_to(self) {}
    }
}

#[cfg(thread_sanitizer)]
mod with {
    use std::ffi::{c_uint, c_void};
    use std::ptr;

    unsafe extern "C" {
        fn __tsan_get_current_fiber() -> *mut c_void;
        fn __tsan_create_fiber(flags: c_uint) -> *mut c_void;
        fn __tsan_destroy_fiber(fiber: *mut c_void);
        fn __tsan_switch_to_fiber(fiber: *mut c_void, flags: c_uint);
    }

    pub(in super::super) struct Fiber(*mut c_void);

    impl Fiber {
        pub(in super::super) fn new() -> Fiber {
            // SAFETY: it has no requirement.
            Fiber(unsafe { __tsan_create_fiber(0) })
        }

        #[inline(always)]
        pub(in super::super) fn enter(&self) -> Thread {
            // SAFETY: the fiber lives until this is dropped, and does not run.
            unsafe {
                let thread = Thread(__tsan_get_current_fiber());
                __tsan_switch_to_fiber(self.0, 0);
                thread
            }
        }
    }

    impl Drop for Fiber {
        fn drop(&mut self) {
            // SAFETY: it does not run any more.
            unsafe { __tsan_destroy_fiber(self.0) };
        }
    }

    #[derive(Copy, Clone)]
    pub(in super::super) struct Thread(*mut c_void);

    impl Thread {
        pub(in super::super) const NONE: Thread = Thread(ptr::null_mut());

        #[inline(always)]
        pub(in super::super) fn return_to(self) {
            // SAFETY: it waits in `resume` for the fiber that runs.
            unsafe { __tsan_switch_to_fiber(self.0, 0) };
        }
    }
}
