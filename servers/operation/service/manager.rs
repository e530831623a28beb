//! The service manager that has started this server (systemd), told how it is: `sd_notify(3)`.
//!
//! A datagram to the Unix socket that `NOTIFY_SOCKET` names, a line for each thing that has changed:
//!
//! | when | what |
//! |---|---|
//! | it serves | `READY=1`, `STATUS=listening on …` |
//! | HUP | `RELOADING=1`, `MONOTONIC_USEC=…`; when all is done, `READY=1` |
//! | TERM, INT, QUIT | `STOPPING=1` |
//! | its successor serves (USR2) | `MAINPID=…`, and nothing after that |
//! | twice in the time that `WATCHDOG_USEC` gives | `WATCHDOG=1`, from the loop: not if that is stuck |
//!
//! A server does not depend on being heard: what goes wrong is said in one line, once, until it goes
//! well again. The socket is connected at the start, for from inside a sandbox it could not be.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::time::Duration;

/// The variables that are meant for one process, and not for the one that it starts.
pub const VARIABLES_OF_ONE: [&str; 5] =
    ["LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID", "LISTEN_PIDFDID", "WATCHDOG_PID"];

/// The way to the service manager.
#[derive(Debug)]
pub struct Manager {
    name: &'static str,
    address: OsString,
    socket: UnixDatagram,
    /// The last message was not heard, and that has been said.
    failing: bool,
    /// How often it wants to hear that the loop turns.
    watchdog: Option<Duration>,
}

impl Manager {
    /// The one that the environment names, if it names one that is there.
    pub fn from_env(name: &'static str) -> Option<Manager> {
        let address = env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty())?;
        match connect(&address) {
            Ok(socket) => {
                let watchdog = watchdog(|name| env::var(name).ok());
                Some(Manager { name, address, socket, failing: false, watchdog })
            }
            Err(error) => {
                say(name, &address, &error);
                None
            }
        }
    }

    /// How often to call [`Manager::send`] with `WATCHDOG=1`.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Tells it something. Does not wait.
    pub fn send(&mut self, message: &str) {
        match self.socket.send(message.as_bytes()) {
            Ok(_) => self.failing = false,
            Err(_) if self.failing => {}
            Err(error) => {
                self.failing = true;
                say(self.name, &self.address, &error);
            }
        }
    }
}

fn say(name: &str, address: &OsStr, error: &io::Error) {
    eprintln!("{name}: NOTIFY_SOCKET {address:?}: the service manager cannot be told: {error}");
}

/// A path, or a name that begins with `@` in place of a NUL byte (`unix(7)`, abstract).
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let to = match address.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(address)?,
        [b'@', name @ ..] => abstract_address(name)?,
        _ => {
            let text = "neither a path nor an abstract name; other kinds are not spoken";
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
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no abstract names"))
}

/// Half of what `WATCHDOG_USEC` allows, if it is meant for this process (`sd_watchdog_enabled(3)`).
fn watchdog(variable: impl Fn(&str) -> Option<String>) -> Option<Duration> {
    let ours = variable("WATCHDOG_PID").is_none_or(|pid| pid == process::id().to_string());
    let allowed_us: u64 = variable("WATCHDOG_USEC")?.parse().ok().filter(|us| ours && *us > 0)?;
    Some(Duration::from_micros(allowed_us / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_for_the_process_that_it_names() {
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
    fn what_is_no_address_is_an_error() {
        for address in ["relative", "vsock:2:1", "/nowhere/to/be/found", "@nobody-listens-here"] {
            assert!(connect(OsStr::new(address)).is_err(), "{address}");
        }
    }
}
