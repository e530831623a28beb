//! The new process's side of an upgrade: what it was given, and whom it tells that it serves.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use reactor::process::inherited_fd;

use crate::options::ListenAddr;

/// What tells the new process what it has inherited.
pub const VARIABLE: &str = "STAMPEDE_UPGRADE";

/// What stands for an address in the pid file's line.
pub(super) const PID_FILE: &str = "pid-file";

/// The listeners of the process that this one replaces, until they are taken.
#[derive(Debug, Default)]
pub struct Inherited {
    /// By the addresses they were asked for by, as text; and the pid file.
    listeners: Vec<(String, OwnedFd)>,
    predecessor: Predecessor,
}

/// Whether this process has taken over from another one.
static IN_CHARGE: AtomicBool = AtomicBool::new(false);

/// Whether this process, which takes over from another one, serves.
pub(crate) fn is_in_charge() -> bool {
    IN_CHARGE.load(Relaxed)
}

/// The process that this one replaces, if it replaces one.
#[derive(Debug, Default)]
pub struct Predecessor(Option<File>);

impl Predecessor {
    /// Tells it that its successor serves.
    pub fn dismiss(self) {
        if let Some(mut pipe) = self.0 {
            IN_CHARGE.store(true, Relaxed);
            // If it is gone, there is nobody left to dismiss.
            let _ = pipe.write_all(b"!");
        }
    }
}

impl Inherited {
    /// What the environment names, if this process was started by [`Upgrade`](super::upgrade::Upgrade). To be called
    /// once: the descriptors become this process's own.
    ///
    /// # Errors
    /// The variable names what is not there.
    pub fn from_env() -> io::Result<Self> {
        match std::env::var(VARIABLE) {
            Ok(text) => Inherited::read(&text).map_err(|error| {
                let hint = "unset it, unless this is an upgrade";
                io::Error::new(error.kind(), format!("{VARIABLE} {text:?}: {error}; {hint}"))
            }),
            Err(_) => Ok(Inherited::default()),
        }
    }

    fn read(text: &str) -> io::Result<Self> {
        let mut lines = text.lines();
        let pipe = lines.next().and_then(number).ok_or(io::ErrorKind::InvalidData)?;
        let predecessor = Predecessor(Some(inherited_fd(pipe)?.into()));
        let mut listeners = Vec::new();
        for (fd, addr) in lines.filter_map(listener) {
            listeners.push((addr.to_owned(), inherited_fd(fd)?));
        }
        Ok(Inherited { listeners, predecessor })
    }

    /// The listeners that were asked for by this address.
    pub fn take(&mut self, addr: &ListenAddr) -> Vec<OwnedFd> {
        let name = addr.to_string();
        let of_addr = |(other, _): &mut (String, OwnedFd)| *other == name;
        self.listeners.extract_if(.., of_addr).map(|(_, socket)| socket).collect()
    }

    /// The predecessor's pid file.
    pub fn take_pid_file(&mut self) -> Option<OwnedFd> {
        let at = self.listeners.iter().position(|(name, _)| name == PID_FILE)?;
        Some(self.listeners.swap_remove(at).1)
    }

    /// Whom to tell. The listeners that nobody has taken are closed.
    pub fn into_predecessor(self) -> Predecessor {
        self.predecessor
    }

    /// What a successor of the server with these listeners would have.
    #[cfg(test)]
    pub fn of(listening: &[crate::operation::listen::Listening]) -> Self {
        use std::os::fd::AsFd as _;
        let copy = |listening: &crate::operation::listen::Listening| {
            let socket = listening.listener.as_fd().try_clone_to_owned().unwrap();
            (listening.addr.to_string(), socket)
        };
        let listeners = listening.iter().map(copy).collect();
        Inherited { listeners, predecessor: Predecessor::default() }
    }
}

/// The inherited descriptors that stand for themselves (`fd:N`), in the environment `env` gives:
/// systemd's, in a process that systemd has not started.
pub(crate) fn numbered(env: &impl Fn(&str) -> Option<OsString>) -> Vec<ListenAddr> {
    let Some(text) = env(VARIABLE) else { return Vec::new() };
    let text = text.to_string_lossy();
    let lines = text.lines().skip(1).filter_map(listener);
    let fds = lines.filter_map(|(_, addr)| addr.strip_prefix("fd:")?.parse().ok());
    fds.map(ListenAddr::Fd).collect()
}

/// A line about a listener: `7 127.0.0.1:8080`.
fn listener(line: &str) -> Option<(RawFd, &str)> {
    let (fd, addr) = line.split_once(' ')?;
    Some((number(fd)?, addr))
}

fn number(text: &str) -> Option<RawFd> {
    text.parse().ok().filter(|fd| *fd >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::net::TcpListener;

    use reactor::process::disown_fd;

    #[test]
    fn listeners_are_found_by_the_address_they_were_asked_for_by() {
        let (mut told, pipe) = io::pipe().unwrap();
        let socket = || disown_fd(TcpListener::bind("127.0.0.1:0").unwrap().into()).unwrap();
        let (one, two, other) = (socket(), socket(), socket());
        let pipe = disown_fd(pipe.into()).unwrap();
        let text = format!("{pipe}\n{one} 127.0.0.1:0\n{other} unix:/a b\n{two} 127.0.0.1:0");
        let mut inherited = Inherited::read(&text).unwrap();
        let addr = ListenAddr::Tcp(([127, 0, 0, 1], 0).into());
        assert_eq!(inherited.take(&addr).len(), 2);
        assert_eq!(inherited.take(&addr).len(), 0);
        assert_eq!(inherited.take(&ListenAddr::Unix("/a b".into())).len(), 1);
        inherited.into_predecessor().dismiss();
        let mut bytes = Vec::new();
        told.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"!");
    }

    #[test]
    fn a_variable_that_names_what_is_not_there_is_refused() {
        for text in ["", "x", "-1", "999999"] {
            assert!(Inherited::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_descriptor_that_is_named_twice_is_refused() {
        let (_told, pipe) = io::pipe().unwrap();
        let pipe = disown_fd(pipe.into()).unwrap();
        let error = Inherited::read(&format!("{pipe}\n{pipe} 127.0.0.1:0")).unwrap_err();
        assert!(error.to_string().ends_with("has been taken already"), "{error}");
    }

    #[test]
    fn descriptors_that_were_given_by_number_are_known_by_it() {
        let env = |name: &str| (name == VARIABLE).then(|| "9\n3 fd:3\n5 unix:/x\n4 fd:4".into());
        assert_eq!(numbered(&env), [ListenAddr::Fd(3), ListenAddr::Fd(4)]);
        assert!(numbered(&|_| None).is_empty());
    }
}
