//! Socket options: those a listener is created with, and the two calls that set and read any of
//! them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use libc::{c_int, socklen_t};

use super::os;
use crate::sys::check;

/// How a TCP listener is created. Set on the listener, `nodelay`, `linger`, `congestion` and
/// `notsent_lowat` are inherited by the connections it accepts, so that none of them costs a system
/// call of its own.
///
/// ```
/// use std::time::Duration;
/// use stampede_reactor::net::{ListenOptions, Listener};
///
/// # fn main() -> std::io::Result<()> {
/// let options = ListenOptions { linger: Some(Duration::from_secs(5)), ..Default::default() };
/// let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), &options)?;
/// println!("listening on {}", listener.local_addr()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// How many connections may wait to be accepted; the system has its own upper bound.
    pub backlog: u32,
    /// Let other listeners share the port, the kernel spreading connections between them.
    pub reuse_port: bool,
    /// An IPv6 listener does not take IPv4 connections too.
    pub v6only: bool,
    /// Report a connection only once its first bytes are there, or after about this time.
    pub defer_accept: Option<Duration>,
    /// Accept data in the first packet (RFC 7413), with at most this many such half-open
    /// connections (where the system lets one choose).
    pub fastopen: Option<u32>,
    /// Send small segments at once instead of waiting for an acknowledgement (RFC 896).
    pub nodelay: bool,
    /// What happens to unsent bytes on close: see
    /// [`Stream::set_linger`](super::Stream::set_linger).
    pub linger: Option<Duration>,
    /// The congestion control algorithm, by the system's name for it.
    pub congestion: Option<String>,
    /// `TCP_NOTSENT_LOWAT`, where the system has it ([`HAS_NOTSENT_LOWAT`]): a connection is
    /// writable only while fewer bytes than this wait in the kernel to be sent for the first time.
    /// Linux also lets a send put no more than this there, and reports room when less than half is
    /// left. `None`: the system's default (Linux: the sysctl net.ipv4.tcp_notsent_lowat).
    ///
    /// It bounds what a client that does not read makes the kernel hold; without it, that is the
    /// whole send buffer: 4 MiB on Linux. Bytes in flight do not count, so a fast client is sent as
    /// much as its window allows (`SO_SNDBUF` would bound that, too).
    pub notsent_lowat: Option<u32>,
}

/// Whether this system has `TCP_NOTSENT_LOWAT`: Linux and macOS do, FreeBSD and NetBSD do not.
pub const HAS_NOTSENT_LOWAT: bool = os::NOTSENT_LOWAT.is_some();

/// 4,096 connections may wait (Linux's own bound since 5.4), `nodelay` and `v6only` are on: a
/// server gathers its small writes itself, and `[::]` beside `0.0.0.0` should not collide.
impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions {
            backlog: 4_096,
            reuse_port: false,
            v6only: true,
            defer_accept: None,
            fastopen: None,
            nodelay: true,
            linger: None,
            congestion: None,
            notsent_lowat: None,
        }
    }
}

/// What must be set before `bind(2)`.
pub(super) fn before_bind(
    socket: BorrowedFd<'_>,
    is_v6: bool,
    options: &ListenOptions,
) -> io::Result<()> {
    // Without it a restarted server waits a minute for its predecessor's connections to leave
    // TIME_WAIT.
    named("SO_REUSEADDR", set_flag(socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, true))?;
    if is_v6 {
        let set = set_flag(socket, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, options.v6only);
        named("IPV6_V6ONLY", set)?;
    }
    if options.reuse_port {
        named("SO_REUSEPORT", os::set_reuse_port(socket))?;
    }
    Ok(())
}

/// What can be set on a socket that listens; accept filters can be set on no other.
pub(super) fn after_listen(socket: BorrowedFd<'_>, options: &ListenOptions) -> io::Result<()> {
    if options.nodelay {
        named("TCP_NODELAY", set_nodelay(socket, true))?;
    }
    if options.linger.is_some() {
        named("SO_LINGER", set_linger(socket, options.linger))?;
    }
    if let Some(algorithm) = &options.congestion {
        let what = format!("TCP_CONGESTION ({algorithm})");
        named(&what, os::set_congestion(socket, algorithm))?;
    }
    // Also the default: a listener that is taken over may have another value.
    if HAS_NOTSENT_LOWAT || options.notsent_lowat.is_some() {
        let set = set_notsent_lowat(socket, options.notsent_lowat);
        named("TCP_NOTSENT_LOWAT", unless_unknown(options.notsent_lowat.is_none(), set))?;
    }
    if let Some(queue) = options.fastopen {
        named("TCP_FASTOPEN", os::set_fastopen(socket, queue))?;
    }
    if let Some(longest) = options.defer_accept {
        named("deferred accept", os::set_defer_accept(socket, longest))?;
    }
    Ok(())
}

/// Names the option that failed.
pub(super) fn named(option: &str, result: io::Result<()>) -> io::Result<()> {
    result.map_err(|error| io::Error::new(error.kind(), format!("{option}: {error}")))
}

/// For an option that this system lacks; [`named`] says which.
#[allow(dead_code)] // Linux has them all
pub(super) fn unsupported() -> io::Error {
    let text = format!("not supported on {}", std::env::consts::OS);
    io::Error::new(io::ErrorKind::Unsupported, text)
}

pub(super) fn set_nodelay(socket: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    set_flag(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, on)
}

/// A kernel that does not know an option (an old one, an emulated one) has its default already.
fn unless_unknown(is_default: bool, result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if is_default && error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(()),
        result => result,
    }
}

/// Zero is the system's default.
fn set_notsent_lowat(socket: BorrowedFd<'_>, bytes: Option<u32>) -> io::Result<()> {
    let name = os::NOTSENT_LOWAT.ok_or_else(unsupported)?;
    let bytes = bytes.map_or(0, |bytes| c_int::try_from(bytes).unwrap_or(c_int::MAX));
    set(socket, libc::IPPROTO_TCP, name, &bytes)
}

pub(super) fn set_linger(socket: BorrowedFd<'_>, time: Option<Duration>) -> io::Result<()> {
    let linger = libc::linger {
        l_onoff: time.is_some().into(),
        l_linger: time.map_or(0, seconds_rounded_up),
    };
    set(socket, libc::SOL_SOCKET, os::LINGER, &linger)
}

/// Sets a timeout of blocking calls (`SO_RCVTIMEO`, `SO_SNDTIMEO`).
pub(super) fn set_timeout(
    socket: BorrowedFd<'_>,
    name: c_int,
    timeout: Option<Duration>,
) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, name, &timeval(timeout))
}

/// Zero means no limit to the kernel: a timeout of zero is rounded up to the shortest there is.
fn timeval(timeout: Option<Duration>) -> libc::timeval {
    let micros = timeout.map_or(0, |timeout| timeout.as_nanos().div_ceil(1_000).max(1));
    // More seconds than these (68 years) are too many for some kernels.
    let seconds = (micros / 1_000_000).min(i32::MAX as u128);
    libc::timeval { tv_sec: seconds as _, tv_usec: (micros % 1_000_000) as _ }
}

/// Whole seconds, never fewer than asked for.
pub(super) fn seconds_rounded_up(time: Duration) -> c_int {
    let seconds = time.as_secs().saturating_add((time.subsec_nanos() > 0).into());
    seconds.min(c_int::MAX as u64) as c_int
}

pub(super) fn set_flag(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    on: bool,
) -> io::Result<()> {
    set(socket, level, name, &c_int::from(on))
}

/// Sets an option whose value is `T`: a C struct of plain numbers without gaps, or bytes.
pub(super) fn set<T: ?Sized>(
    socket: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    let size = size_of_val(value) as socklen_t;
    let value = (&raw const *value).cast();
    // SAFETY: `value` points at `size` bytes that live until the call returns.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value, size) })?;
    Ok(())
}

/// Reads an option whose value is a number.
pub(super) fn get_number(socket: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut size = size_of::<c_int>() as socklen_t;
    let to = (&raw mut value).cast();
    // SAFETY: `to` has room for `size` bytes.
    check(unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, to, &mut size) })?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsupported_option_is_named_in_the_error() {
        let error = named("SO_SPLENDID", Err(unsupported())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        let text = format!("SO_SPLENDID: not supported on {}", std::env::consts::OS);
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn the_default_of_an_unknown_option_is_no_error() {
        let unknown = || Err(io::Error::from_raw_os_error(libc::ENOPROTOOPT));
        assert!(unless_unknown(true, unknown()).is_ok());
        assert!(unless_unknown(false, unknown()).is_err(), "it was asked for");
        let other = Err(io::Error::from_raw_os_error(libc::EBADF));
        assert!(unless_unknown(true, other).is_err());
    }

    #[test]
    #[allow(clippy::useless_conversion)] // the sizes of the fields differ between systems
    fn only_no_timeout_means_no_limit() {
        let parts = |timeout| {
            let value = timeval(timeout);
            (i64::from(value.tv_sec), i64::from(value.tv_usec))
        };
        assert_eq!(parts(None), (0, 0));
        assert_eq!(parts(Some(Duration::ZERO)), (0, 1));
        assert_eq!(parts(Some(Duration::from_nanos(1_000_000_001))), (1, 1));
        assert_eq!(parts(Some(Duration::MAX)).0, i64::from(i32::MAX));
    }

    #[test]
    fn seconds_are_rounded_up_and_bounded() {
        assert_eq!(seconds_rounded_up(Duration::ZERO), 0);
        assert_eq!(seconds_rounded_up(Duration::from_millis(1)), 1);
        assert_eq!(seconds_rounded_up(Duration::from_secs(3)), 3);
        assert_eq!(seconds_rounded_up(Duration::MAX), c_int::MAX);
    }
}
