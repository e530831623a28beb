//! The new process's side of an upgrade: inherited descriptors, and notifying the predecessor.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use reactor::process::inherited_fd;

use crate::options::ListenAddr;
use crate::options::passed::{VARIABLE, descriptor, listener};

/// Stands in place of an address in the pid file's line.
pub(super) const PID_FILE: &str = "pid-file";

/// The listeners of the process that this one replaces, until they are used.
#[derive(Debug, Default)]
pub struct Inherited {
    /// By configured address, as text; and the pid file.
    listeners: Vec<(String, OwnedFd)>,
    predecessor: Predecessor,
}

/// Whether this process serves in place of its predecessor.
static IN_CHARGE: AtomicBool = AtomicBool::new(false);

/// Whether this process serves in place of its predecessor.
pub(crate) fn is_in_charge() -> bool {
    IN_CHARGE.load(Relaxed)
}

/// The process that this one replaces, if any.
#[derive(Debug, Default)]
pub struct Predecessor(Option<File>);

impl Predecessor {
    /// Notifies it that its successor serves.
    pub fn dismiss(self) {
        if let Some(mut pipe) = self.0 {
            IN_CHARGE.store(true, Relaxed);
            // A failure means that it is gone already.
            let _ = pipe.write_all(b"!");
        }
    }
}

impl Inherited {
    /// Takes the descriptors listed in the environment, if this process was started by
    /// [`Upgrade`](super::upgrade::Upgrade). To be called once.
    ///
    /// # Errors
    /// The variable is malformed, or names a descriptor that is not open.
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
        let pipe = lines.next().and_then(descriptor).ok_or(io::ErrorKind::InvalidData)?;
        let predecessor = Predecessor(Some(inherited_fd(pipe)?.into()));
        let mut listeners = Vec::new();
        for (fd, addr) in lines.filter_map(listener) {
            listeners.push((addr.to_owned(), inherited_fd(fd)?));
        }
        Ok(Inherited { listeners, predecessor })
    }

    /// The listeners of this address.
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

    /// The process to notify. Unused listeners are closed.
    pub fn into_predecessor(self) -> Predecessor {
        self.predecessor
    }

    /// With these sockets, by configured address.
    #[cfg(test)]
    pub fn of(listeners: Vec<(String, OwnedFd)>) -> Self {
        Inherited { listeners, predecessor: Predecessor::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::net::TcpListener;

    use reactor::process::disown_fd;

    #[test]
    fn listeners_are_found_by_their_configured_address() {
        let (mut reader, pipe) = io::pipe().unwrap();
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
        reader.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"!");
    }

    #[test]
    fn a_malformed_variable_is_refused() {
        for text in ["", "x", "-1", "999999"] {
            assert!(Inherited::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_descriptor_given_twice_is_refused() {
        let (_told, pipe) = io::pipe().unwrap();
        let pipe = disown_fd(pipe.into()).unwrap();
        let error = Inherited::read(&format!("{pipe}\n{pipe} 127.0.0.1:0")).unwrap_err();
        assert!(error.to_string().ends_with("has been taken already"), "{error}");
    }
}
