//! What goes wrong with files on the server's side: file systems without `sendfile(2)`, and files
//! that cannot be read. Neither is the client's doing, and the operator has to know of both.
//!
//! ```text
//! sendfile ── EINVAL, ENOSYS … ──► its file system is noted, once ──► read and send instead
//!          ── EPIPE, ECONNRESET … ─► the client's
//!          ── EIO, ESTALE … ───────► the disk's: counted, reported, the response cut short
//! ```
//!
//! What is noted is shared by all processes of a server if it was made before they were forked
//! ([`prepare`]): each line is reported once, not once for each child.
//!
//! What is *not* guaranteed: that every failed read has a line of its own. A failing disk fails for
//! many clients, so there is one line a second at most; the metric counts them all.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use reactor::Errno;
use reactor::shared::{SharedSlot, SharedTable};

use crate::report::report;

/// File systems that are told apart. Were there more, sendfile(2) would not be tried any more.
const DEVICES_MAX: usize = 16;

reactor::shared_struct! {
    struct Noted {
        /// Any at all: without one, no file has to be asked where it is.
        any: AtomicBool,
        /// More than there is room for.
        all: AtomicBool,
        /// The devices of file systems that refuse sendfile(2), plus one; the rest are 0.
        devices: [AtomicU64; DEVICES_MAX],
        /// The second of the last line about a failed read.
        reported_s: AtomicU64,
    }
}

static NOTED: OnceLock<Option<SharedSlot<Noted>>> = OnceLock::new();

fn noted() -> Option<&'static Noted> {
    let make = || SharedTable::new(1).ok()?.slot(0);
    NOTED.get_or_init(make).as_deref()
}

/// To be called before processes are forked that are to share what they find out.
pub fn prepare() {
    noted();
}

/// Whether this file may be sent with sendfile(2).
#[inline]
pub fn takes_sendfile(file: &File) -> bool {
    noted().is_some_and(|noted| !noted.any.load(Relaxed) || !noted.refuses(file))
}

/// Whether sendfile(2) itself was refused, rather than the connection or the disk having failed.
/// (EPERM: by a seccomp filter.)
pub fn is_refusal(error: &io::Error) -> bool {
    let refusals = [Errno::EINVAL, Errno::ENOSYS, Errno::EOPNOTSUPP, Errno::EPERM];
    Errno::of(error).is_some_and(|errno| refusals.contains(&errno))
}

/// Whether an error of sendfile(2) is the connection's. Some are also those of a network file system,
/// or of a FUSE server that is gone: then the connection still has a peer.
pub fn is_of_connection(error: &io::Error, has_peer: impl FnOnce() -> bool) -> bool {
    use ErrorKind as Is;
    match error.kind() {
        Is::BrokenPipe | Is::ConnectionReset | Is::ConnectionAborted | Is::OutOfMemory => true,
        Is::NotConnected | Is::TimedOut => !has_peer(),
        Is::HostUnreachable | Is::NetworkUnreachable | Is::NetworkDown => !has_peer(),
        _ => Errno::of(error) == Some(Errno::ENOBUFS),
    }
}

/// From now on files of this file system are read and sent.
#[cold]
pub fn sendfile_refused(file: &File, error: &io::Error) {
    let is_new = match (noted(), file.metadata()) {
        (Some(noted), Ok(metadata)) => noted.note(metadata.dev()),
        _ => false,
    };
    if is_new {
        report!(
            "sendfile(2) does not work for {}: {error}; files of its file system are read and sent \
             instead",
            Name(file)
        );
    }
}

/// A file could not be read: reports it, with the name where the system tells it.
#[cold]
pub fn read_failed(file: Option<&File>, error: &io::Error) {
    if !may_report() {
        return;
    }
    match file {
        Some(file) => report!("cannot read {}: {error}; its response was cut short", Name(file)),
        None => report!("cannot read a file: {error}; its response was cut short"),
    }
}

/// A file beneath the root could not be opened, read or looked at, for no fault of the request.
#[cold]
pub fn open_failed(error: &io::Error) {
    if may_report() {
        report!("cannot open or read a file beneath --root: {error}");
    }
}

/// Whether this second has not had a line yet.
fn may_report() -> bool {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    noted().is_none_or(|noted| noted.reported_s.swap(now_s, Relaxed) != now_s)
}

impl Noted {
    #[cold]
    fn refuses(&self, file: &File) -> bool {
        let device = || file.metadata().map_or(0, |metadata| metadata.dev().wrapping_add(1));
        self.all.load(Relaxed) || {
            let device = device();
            self.devices.iter().any(|noted| noted.load(Relaxed) == device)
        }
    }

    /// Notes a device; `false`: it has been noted before.
    fn note(&self, device: u64) -> bool {
        let device = device.wrapping_add(1);
        let is_new = self.devices.iter().find_map(|noted| {
            match noted.compare_exchange(0, device, Relaxed, Relaxed) {
                Ok(_) => Some(true),
                Err(other) => (other == device).then_some(false),
            }
        });
        let is_new = is_new.unwrap_or_else(|| !self.all.swap(true, Relaxed));
        self.any.store(true, Relaxed);
        is_new
    }
}

/// The path of an open file, escaped, as far as the system tells it.
struct Name<'f>(&'f File);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        match (std::fs::read_link(link), self.0.metadata()) {
            (Ok(path), _) => write!(f, "{path:?}"),
            (Err(_), Ok(found)) => write!(f, "inode {} of device {}", found.ino(), found.dev()),
            (Err(_), Err(_)) => f.write_str("a file"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_noted_once_and_the_others_are_not() {
        let noted = SharedTable::<Noted>::new(1).unwrap().slot(0).unwrap();
        let file = tempfile::tempfile().unwrap();
        assert!(noted.note(file.metadata().unwrap().dev() + 7));
        assert!(!noted.refuses(&file));
        assert!(noted.note(file.metadata().unwrap().dev()));
        assert!(!noted.note(file.metadata().unwrap().dev()));
        assert!(noted.refuses(&file));
    }

    #[test]
    fn more_file_systems_than_there_is_room_for_are_all_refused() {
        let noted = SharedTable::<Noted>::new(1).unwrap().slot(0).unwrap();
        let file = tempfile::tempfile().unwrap();
        let other = file.metadata().unwrap().dev() + 1;
        assert!((0..DEVICES_MAX as u64 + 1).all(|more| noted.note(other + more)));
        assert!(noted.refuses(&file));
        assert!(!noted.note(other + 100));
    }

    #[test]
    fn each_error_is_the_connections_the_disks_or_a_refusal() {
        for errno in [Errno::EINVAL, Errno::ENOSYS, Errno::EOPNOTSUPP, Errno::EPERM] {
            let error = io::Error::from(errno);
            assert!(is_refusal(&error) && !is_of_connection(&error, || false), "{error}");
        }
        for errno in [Errno::EIO, Errno::ESTALE] {
            let error = io::Error::from(errno);
            assert!(!is_refusal(&error) && !is_of_connection(&error, || false), "{error}");
        }
        for kind in [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset] {
            assert!(is_of_connection(&kind.into(), || true) && !is_refusal(&kind.into()));
        }
        for kind in [ErrorKind::TimedOut, ErrorKind::NotConnected] {
            assert!(is_of_connection(&kind.into(), || false) && !is_refusal(&kind.into()));
            assert!(!is_of_connection(&kind.into(), || true), "the connection is as it was");
        }
    }
}
