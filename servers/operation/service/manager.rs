//! Notifying the service manager that started this server (systemd): `sd_notify(3)`.
//!
//! A datagram to the Unix socket in `NOTIFY_SOCKET`, with a line for each change:
//!
//! | when | message |
//! |---|---|
//! | ready to serve | `READY=1`, `STATUS=listening on …` |
//! | HUP | `RELOADING=1`, `MONOTONIC_USEC=…`; when done, `READY=1` |
//! | TERM, INT, QUIT | `STOPPING=1` |
//! | the successor serves (USR2) | `MAINPID=…`, the last message |
//! | twice per `WATCHDOG_USEC` | `WATCHDOG=1`, from the loop: not if that is stuck |
//!
//! A failure to notify is logged once, until a message gets through again, and otherwise ignored.
//! The socket is connected at startup, since the sandbox would prevent it later.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

use crate::report::report;

/// Variables meant for this process alone, not for its successor.
pub const VARIABLES_OF_ONE: [&str; 5] =
    ["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "LISTEN_PIDFDID", "WATCHDOG_PID"];

/// A connection to the service manager.
#[derive(Debug)]
pub struct Manager {
    address: OsString,
    socket: UnixDatagram,
    /// The last message failed, which has been reported.
    failing: bool,
    /// Interval of watchdog messages.
    watchdog: Option<Duration>,
}

impl Manager {
    /// Connects to the service manager named in the environment, if any.
    pub fn from_env() -> Option<Manager> {
        let address = env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty())?;
        match connect(&address) {
            Ok(socket) => {
                let watchdog = watchdog(|name| env::var(name).ok());
                Some(Manager { address, socket, failing: false, watchdog })
            }
            Err(error) => {
                report_failure(&address, &error);
                None
            }
        }
    }

    /// How often to call [`Manager::send`] with `WATCHDOG=1`.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Sends a message, without waiting.
    pub fn send(&mut self, message: &str) {
        match self.socket.send(message.as_bytes()) {
            Ok(_) => self.failing = false,
            Err(_) if self.failing => {}
            Err(error) => {
                self.failing = true;
                report_failure(&self.address, &error);
            }
        }
    }
}

fn report_failure(address: &OsStr, error: &io::Error) {
    report!("NOTIFY_SOCKET {address:?}: cannot notify the service manager: {error}");
}

/// A path, or a name that begins with `@` in place of a NUL byte (`unix(7)`, abstract).
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let to = match address.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(address)?,
        [b'@', name @ ..] => abstract_address(name)?,
        _ => {
            let text = "neither a path nor an abstract name; other kinds are not supported";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect_addr(&to)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "abstract socket names are not supported on this system",
    ))
}

/// Half of `WATCHDOG_USEC`, if it is meant for this process (`sd_watchdog_enabled(3)`).
fn watchdog(variable: impl Fn(&str) -> Option<String>) -> Option<Duration> {
    let ours = variable("WATCHDOG_PID").is_none_or(|pid| pid == process::id().to_string());
    let allowed_us: u64 = variable("WATCHDOG_USEC")?.parse().ok().filter(|us| ours && *us > 0)?;
    Some(Duration::from_micros(allowed_us / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_applies_to_the_named_process_only() {
        let with = |us: &'static str, pid: Option<String>| {
            watchdog(move |name| match name {
                "WATCHDOG_USEC" => Some(us.to_owned()),
                _ => pid.clone(),
            })
        };
        let own = process::id().to_string();
        assert_eq!(with("3000000", Some(own)), Some(Duration::from_millis(1500)));
        assert_eq!(with("3000000", None), Some(Duration::from_millis(1500)));
        assert_eq!(with("3000000", Some("1".to_owned())), None);
        for us in ["", "0", "soon", "-1"] {
            assert_eq!(with(us, None), None, "{us:?}");
        }
        assert_eq!(watchdog(|_| None), None);
    }

    #[test]
    fn an_invalid_address_is_an_error() {
        for address in ["relative", "vsock:2:1", "/nowhere/to/be/found", "@no-such-socket"] {
            assert!(connect(OsStr::new(address)).is_err(), "{address}");
        }
    }
}
