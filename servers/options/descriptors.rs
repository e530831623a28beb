//! How many descriptors this process may have, and so how many connections.
//!
//! The soft limit is by tradition 1,024, for the sake of programs that use `select(2)`; a program
//! that does not may raise it to the hard limit, and is meant to.

use std::io;

use reactor::process::DescriptorLimit;

/// Descriptors kept for everything that is not a connection, as a sum: 256 cached open files, 128
/// files that responses in flight hold beyond the cache, 128 for listeners, pollers, logs, signals
/// and whatever the C library opens in passing.
const RESERVE: u64 = 256 + 128 + 128;

/// The default stops here however many descriptors there may be: containers are often given a
/// billion, and a table for all of them is memory that nobody asked for. `--max-connections` may
/// say more.
const CONNECTIONS_DEFAULT_MAX: u64 = 100_000;

/// The limit to reckon with where the system names none: macOS says "infinity" and means
/// `OPEN_MAX`.
const UNLIMITED: u64 = 10_240;

/// How many connections the hard limit allows beside everything else; at least half of it.
pub fn connections_max() -> u32 {
    let hard = DescriptorLimit::get().map_or(1024, |limit| known(limit.hard));
    let connections = hard.saturating_sub(RESERVE).max(hard / 2);
    u32::try_from(connections.min(CONNECTIONS_DEFAULT_MAX)).unwrap_or(u32::MAX)
}

/// Raises the soft limit to the hard limit; returns how many descriptors there may be now.
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
