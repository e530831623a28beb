//! Architectures without a switch: everything compiles, and `StackPool::new` fails with
//! `Unsupported`, so that no fiber can be made.

use super::{Arrival, Context, Entry};
use std::ptr::NonNull;

pub(in super::super) const SUPPORTED: bool = false;

/// # Safety
///
/// Never called.
pub(in super::super) unsafe fn switch(_value: usize, _to: Context) -> Arrival {
    unreachable!("there is no stack to switch to")
}

/// # Safety
///
/// Never called.
pub(in super::super) unsafe fn finish(_value: usize, _to: Context) -> ! {
    unreachable!("there is no stack to leave")
}

/// # Safety
///
/// Never called.
pub(in super::super) unsafe fn prepare(_: NonNull<u8>, _: Entry, _: NonNull<u8>) -> Context {
    unreachable!("there is no stack to prepare")
}
