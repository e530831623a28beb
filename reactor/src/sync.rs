//! The primitives that [`ring`](crate::ring) and [`sleep`](crate::sleep) share between threads: the
//! standard library's, or, in a model, the `loom` crate's.
//!
//! loom runs a model of two threads through every interleaving and every value that the memory
//! model lets a load return. For that it has to see each access, and an [`UnsafeCell`] is accessed
//! by closures, so that it sees where an access begins and ends. Models are the tests named
//! `loom_*`; the command is in the workspace's README.

#[cfg(not(all(loom, test)))]
pub(crate) use standard::*;

#[cfg(all(loom, test))]
pub(crate) use loom::{cell::UnsafeCell, hint::spin_loop, sync::Arc, sync::atomic, thread};

#[cfg(not(all(loom, test)))]
mod standard {
    pub(crate) use std::{hint::spin_loop, sync::Arc, sync::atomic, thread};

    /// The standard library's cell with loom's interface.
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) fn new(value: T) -> Self {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        /// The pointer may be read through until `access` returns.
        #[inline(always)]
        pub(crate) fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
            access(self.0.get())
        }

        /// The pointer may be read and written through until `access` returns.
        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            access(self.0.get())
        }
    }
}
