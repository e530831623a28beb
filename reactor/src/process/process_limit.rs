//! How many processes this user may have: `RLIMIT_NPROC` of `getrlimit(2)`.

use crate::sys::check;

/// The limit that applies now; `None`: there is none, or it is not known.
#[allow(clippy::useless_conversion, reason = "`rlim_t` is signed on FreeBSD")]
pub fn process_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid `rlimit` that the call writes.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NPROC, &raw mut limit) }).ok()?;
    if limit.rlim_cur == libc::RLIM_INFINITY { None } else { u64::try_from(limit.rlim_cur).ok() }
}
