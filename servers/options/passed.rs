//! Sockets passed to this process at startup, by systemd or by the process it replaces. This module
//! only reads their addresses; [`crate::operation::inherited`] takes ownership of them.

use std::ffi::OsString;
use std::ops::Range;
use std::os::fd::RawFd;

use super::ListenAddr;

/// Describes what a process inherits from the one it replaces: a pipe's descriptor, then a line for
/// each listener with its descriptor and the address as configured.
pub const VARIABLE: &str = "STAMPEDE_UPGRADE";

/// The inherited listeners configured as descriptors (`fd:N`), according to `env`: systemd's
/// sockets, in a process started by an upgrade rather than by systemd.
pub fn numbered(env: &impl Fn(&str) -> Option<OsString>) -> Vec<ListenAddr> {
    let Some(text) = env(VARIABLE) else { return Vec::new() };
    let text = text.to_string_lossy();
    let lines = text.lines().skip(1).filter_map(listener);
    let fds = lines.filter_map(|(_, addr)| addr.strip_prefix("fd:")?.parse().ok());
    fds.map(ListenAddr::Fd).collect()
}

/// A line about a listener: `7 127.0.0.1:8080`.
pub fn listener(line: &str) -> Option<(RawFd, &str)> {
    let (fd, addr) = line.split_once(' ')?;
    Some((descriptor(fd)?, addr))
}

/// A descriptor's number.
pub fn descriptor(text: &str) -> Option<RawFd> {
    text.parse().ok().filter(|fd| *fd >= 0)
}

/// The first descriptor that systemd passes; see `sd_listen_fds(3)`.
const LISTEN_FDS_START: RawFd = 3;
/// More sockets than any unit passes: a larger value is not a valid count.
const LISTEN_FDS_MAX: RawFd = 1024;

/// The descriptors of systemd's socket activation, if they are meant for this process.
pub fn listen_fds(env: &impl Fn(&str) -> Option<OsString>) -> Range<RawFd> {
    let number = |name| env(name)?.to_str()?.parse::<RawFd>().ok();
    let ours = number("LISTEN_PID").is_some_and(|pid| u32::try_from(pid) == Ok(std::process::id()));
    let count = number("LISTEN_FDS").filter(|count| ours && (0..=LISTEN_FDS_MAX).contains(count));
    LISTEN_FDS_START..LISTEN_FDS_START + count.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_given_by_number_are_found_by_number() {
        let env = |name: &str| (name == VARIABLE).then(|| "9\n3 fd:3\n5 unix:/x\n4 fd:4".into());
        assert_eq!(numbered(&env), [ListenAddr::Fd(3), ListenAddr::Fd(4)]);
        assert!(numbered(&|_| None).is_empty());
    }
}
