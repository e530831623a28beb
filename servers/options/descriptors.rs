//! How many descriptors, and therefore connections, this process may have.
//!
//! The soft limit is traditionally 1,024, for programs that use `select(2)`; all others are
//! expected to raise it to the hard limit.

use std::io;

use reactor::process::DescriptorLimit;

/// Descriptors kept for everything that is not a connection, as a sum: 256 cached open files, 128
/// files held by responses in flight beyond the cache, 128 for listeners, pollers, logs, signals
/// and what the C library opens.
const RESERVE: u64 = 256 + 128 + 128;

/// Upper bound of the default: containers often have a limit of a billion descriptors, and a table
/// for all of them would waste memory. `--max-connections` may exceed it.
const CONNECTIONS_DEFAULT_MAX: u64 = 100_000;

/// The limit to assume where the system reports none: macOS reports "infinity" but enforces
/// `OPEN_MAX`.
const UNLIMITED: u64 = 10_240;

/// Connections that the hard limit allows besides everything else; at least half of it.
pub fn connections_max() -> u32 {
    let hard = DescriptorLimit::get().map_or(1024, |limit| known(limit.hard));
    let connections = hard.saturating_sub(RESERVE).max(hard / 2);
    u32::try_from(connections.min(CONNECTIONS_DEFAULT_MAX)).unwrap_or(u32::MAX)
}

/// Raises the soft limit to the hard limit; returns the new limit.
///
/// # Errors
/// See `setrlimit(2)`.
pub fn raise_limit() -> io::Result<u64> {
    let limit = DescriptorLimit::get()?;
    let (soft, hard) = (known(limit.soft), known(limit.hard));
    if soft >= hard {
        return Ok(soft);
    }
    DescriptorLimit::set_soft(hard)?;
    Ok(hard)
}

fn known(limit: Option<u64>) -> u64 {
    limit.unwrap_or(UNLIMITED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_leaves_descriptors_for_everything_else() {
        let hard = known(DescriptorLimit::get().unwrap().hard);
        let connections = u64::from(connections_max());
        assert!(connections > 0 && connections <= CONNECTIONS_DEFAULT_MAX);
        assert!(connections < hard);
    }

    #[test]
    fn raising_reaches_the_hard_limit_and_may_be_repeated() {
        let hard = known(DescriptorLimit::get().unwrap().hard);
        assert!(raise_limit().unwrap() >= hard);
        assert_eq!(raise_limit().unwrap(), known(DescriptorLimit::get().unwrap().soft));
    }
}
