//! How many descriptors this process may have: `RLIMIT_NOFILE` of `getrlimit(2)`.

use std::io;

use crate::sys::check;

/// The limit's two numbers; `None`: there is none.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct DescriptorLimit {
    /// What applies now; the process may raise it to `hard`.
    pub soft: Option<u64>,
    /// The ceiling of the soft limit; without privilege it can only be lowered.
    pub hard: Option<u64>,
}

impl DescriptorLimit {
    /// The current limit.
    ///
    /// # Errors
    /// Those of `getrlimit(2)`.
    pub fn get() -> io::Result<Self> {
        let limit = get()?;
        Ok(DescriptorLimit { soft: number(limit.rlim_cur), hard: number(limit.rlim_max) })
    }

    /// Sets the soft limit.
    ///
    /// # Errors
    /// Those of `setrlimit(2)`: it is above the hard limit, or above macOS's "no limit".
    #[allow(clippy::useless_conversion, reason = "`rlim_t` is signed on FreeBSD")]
    pub fn set_soft(soft: u64) -> io::Result<()> {
        let mut limit = get()?;
        limit.rlim_cur = soft.try_into().unwrap_or(libc::RLIM_INFINITY);
        // SAFETY: `limit` is a valid `rlimit` that the call only reads.
        check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
        Ok(())
    }
}

fn get() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid `rlimit` that the call writes.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    Ok(limit)
}

#[allow(clippy::useless_conversion, reason = "`rlim_t` is signed on FreeBSD")]
fn number(limit: libc::rlim_t) -> Option<u64> {
    if limit == libc::RLIM_INFINITY { None } else { u64::try_from(limit).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_moves_below_the_hard_one_and_not_beyond() {
        let before = DescriptorLimit::get().unwrap();
        let Some(hard) = before.hard else { return };
        let soft = before.soft.unwrap();
        assert!(soft <= hard);
        DescriptorLimit::set_soft(soft - 1).unwrap();
        assert_eq!(DescriptorLimit::get().unwrap().soft, Some(soft - 1));
        DescriptorLimit::set_soft(soft).unwrap();
        assert!(DescriptorLimit::set_soft(hard + 1).is_err());
        assert_eq!(DescriptorLimit::get().unwrap(), before);
    }

    #[test]
    fn infinity_is_no_number() {
        assert_eq!(number(libc::RLIM_INFINITY), None);
        assert_eq!(number(1024), Some(1024));
    }
}
