//! Permanently denies a thread, and everything that it starts from then on, what it does not need
//! (Linux: `landlock(7)`).
//!
//! ```text
//! Landlock::new() ─► allow(path, Access) … ─► no_new_privileges() ─► enter()
//!        │ what this kernel knows is handled: denied, unless a rule allows it beneath a directory
//!        └─ what it does not know yet stays as it was: missing()
//! ```
//!
//! Rules are about the files themselves and not about their names: what is beneath a directory when
//! it is accessed, whatever its path is by then. Files that are open already are not affected, nor
//! is `stat(2)`. The rules hold after `execve(2)`, too.
//!
//! C has no names for this (glibc 2.41): the numbers are those of `linux/landlock.h`.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::BitOr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::ptr;

use libc::c_long;

/// What may be done with files beneath a directory, or with one file.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Access(u64);

impl Access {
    /// Reading files, and directories.
    pub const READ: Access = Access(1 << 2 | 1 << 3);
    /// Opening files to write.
    pub const WRITE: Access = Access(1 << 1);
    /// Creating files; writing them is separate.
    pub const MAKE: Access = Access(1 << 8);
    /// Removing files.
    pub const REMOVE: Access = Access(1 << 5);

    /// The rights that apply to a file that is not a directory.
    const OF_FILES: u64 = 1 << 0 | 1 << 1 | 1 << 2 | FS_TRUNCATE | FS_IOCTL_DEVICE;
}

impl BitOr for Access {
    type Output = Access;

    fn bitor(self, other: Access) -> Access {
        Access(self.0 | other.0)
    }
}

/// Execute, write, read, list, remove (2), make (7 kinds): the rights of the first version.
const FS_FIRST: u64 = (1 << 13) - 1;
/// Moving a file to another directory.
const FS_REFER: u64 = 1 << 13;
const FS_TRUNCATE: u64 = 1 << 14;
const FS_IOCTL_DEVICE: u64 = 1 << 15;
/// `bind(2)` and `connect(2)` of TCP sockets.
const NET_TCP: u64 = 1 << 0 | 1 << 1;
/// Abstract Unix sockets, and signals, to processes outside these rules.
const SCOPE_OUTSIDE: u64 = 1 << 0 | 1 << 1;

/// Asks for the version instead of creating anything.
const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;

/// `struct landlock_ruleset_attr`. Old kernels know its beginning, and accept the rest if it is
/// zero.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneathAttr {
    allowed_access: u64,
    parent_fd: i32,
}

/// Rules, not in force yet.
#[derive(Debug)]
pub struct Landlock {
    ruleset: OwnedFd,
    version: u32,
    handled_access_fs: u64,
}

impl Landlock {
    /// Rules that allow nothing of what this kernel can deny: files, TCP's bind and connect, and
    /// signals to processes outside.
    ///
    /// # Errors
    /// [`Unsupported`](io::ErrorKind::Unsupported): the kernel was built or started without it.
    pub fn new() -> io::Result<Landlock> {
        let none = ptr::null::<RulesetAttr>();
        // SAFETY: with this flag, and only with it, no attribute is read.
        let version = unsafe { create_ruleset(none, 0, CREATE_RULESET_VERSION) }?;
        let version = version as u32; // a positive number
        let attr = handled(version);
        // SAFETY: `attr` lives through the call and has the length passed.
        let ruleset = unsafe { create_ruleset(&raw const attr, size_of::<RulesetAttr>(), 0) }?;
        // SAFETY: a descriptor that the call has just made, for us alone; closed on exec.
        let ruleset = unsafe { OwnedFd::from_raw_fd(ruleset as i32) };
        Ok(Landlock { ruleset, version, handled_access_fs: attr.handled_access_fs })
    }

    /// Allows access to a file, or to everything beneath a directory.
    ///
    /// # Errors
    /// It cannot be found.
    pub fn allow(&self, path: &Path, access: Access) -> io::Result<()> {
        let parent = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)?;
        let allowed_access = self.handled_access_fs & of_kind(access, &parent)?;
        let attr = PathBeneathAttr { allowed_access, parent_fd: parent.as_raw_fd() };
        let (ruleset, no_flags) = (self.ruleset.as_raw_fd(), 0_u32);
        // SAFETY: `attr` and both descriptors live through the call.
        checked(unsafe {
            let (call, attr) = (libc::SYS_landlock_add_rule, &raw const attr);
            libc::syscall(call, ruleset, RULE_PATH_BENEATH, attr, no_flags)
        })?;
        Ok(())
    }

    /// What this kernel's version cannot deny, in words; `None`: it can deny all that was
    /// requested.
    pub fn missing(&self) -> Option<&'static str> {
        missing(self.version)
    }

    /// Puts the rules in force for this thread and for everything it starts, after
    /// [`no_new_privileges`].
    ///
    /// # Errors
    /// Without that; or more than 16 times in a row.
    pub fn enter(&self) -> io::Result<()> {
        let (ruleset, no_flags) = (self.ruleset.as_raw_fd(), 0_u32);
        // SAFETY: takes no pointer.
        checked(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, no_flags) })?;
        Ok(())
    }
}

/// This thread, and everything it starts, never gains privileges, not even by running a set-user-ID
/// program (`PR_SET_NO_NEW_PRIVS`).
///
/// # Errors
/// A kernel before Linux 3.5.
pub fn no_new_privileges() -> io::Result<()> {
    // SAFETY: takes no pointer.
    checked(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into())?;
    Ok(())
}

/// Everything that a version can deny and that serving does not need.
fn handled(version: u32) -> RulesetAttr {
    let since = |first: u32, bits: u64| if version >= first { bits } else { 0 };
    RulesetAttr {
        handled_access_fs: FS_FIRST
            | since(2, FS_REFER)
            | since(3, FS_TRUNCATE)
            | since(5, FS_IOCTL_DEVICE),
        handled_access_net: since(4, NET_TCP),
        scoped: since(6, SCOPE_OUTSIDE),
    }
}

fn missing(version: u32) -> Option<&'static str> {
    match version {
        ..=2 => Some("truncating files, TCP connections, devices and signals"),
        3 => Some("TCP connections, devices and signals"),
        4 => Some("devices and signals"),
        5 => Some("signals"),
        _ => None,
    }
}

/// A rule about a file must not include rights that only directories have.
fn of_kind(access: Access, file: &File) -> io::Result<u64> {
    match file.metadata()?.is_dir() {
        true => Ok(access.0),
        false => Ok(access.0 & Access::OF_FILES),
    }
}

/// # Safety
/// `attr` points to `size` bytes, or `flags` says that it is not used.
unsafe fn create_ruleset(attr: *const RulesetAttr, size: usize, flags: u32) -> io::Result<c_long> {
    // SAFETY: as the caller guarantees.
    checked(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, attr, size, flags) })
}

fn checked(result: c_long) -> io::Result<c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::ErrorKind::PermissionDenied;

    #[test]
    fn each_version_denies_what_it_knows() {
        assert_eq!(handled(1).handled_access_fs, 0x1fff);
        assert_eq!(handled(3).handled_access_fs, 0x7fff);
        assert_eq!((handled(3).handled_access_net, handled(4).handled_access_net), (0, 3));
        assert_eq!((handled(5).scoped, handled(6).scoped), (0, 3));
        assert_eq!(missing(6), None);
        assert!(
            (1..6).all(|version| missing(version).is_some_and(|text| text.contains("signals")))
        );
    }

    /// In a thread of its own, because it applies to that one only.
    #[test]
    fn only_what_was_allowed_remains() {
        let rules = match Landlock::new() {
            Ok(rules) => rules,
            Err(error) => return println!("skipped: Landlock ({error})"),
        };
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        for name in ["read", "write"] {
            fs::create_dir(place(name)).unwrap();
            fs::write(place(name).join("file"), "text").unwrap();
        }
        rules.allow(&place("read"), Access::READ).unwrap();
        rules.allow(&place("write"), Access::WRITE | Access::MAKE).unwrap();
        rules.allow(&place("write/file"), Access::READ).unwrap();
        assert!(rules.allow(&place("none"), Access::READ).is_err());
        std::os::unix::fs::symlink("../secret", place("read/link")).unwrap();
        fs::write(place("secret"), "text").unwrap();
        let inside = std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                no_new_privileges()?;
                rules.enter()?;
                let kind = |result: io::Result<()>| result.err().map(|error| error.kind());
                io::Result::Ok([
                    kind(fs::read(place("read/file")).map(drop)),
                    kind(fs::read_dir(place("read")).map(drop)),
                    kind(fs::write(place("write/new"), "").map(drop)),
                    kind(fs::read(place("write/file")).map(drop)),
                    kind(fs::read(place("read/link")).map(drop)),
                    kind(fs::write(place("read/file"), "")),
                    kind(fs::remove_file(place("write/file"))),
                    kind(fs::read(place("write/new")).map(drop)),
                ])
            });
            inside.join().unwrap().unwrap()
        });
        let denied = Some(PermissionDenied);
        assert_eq!(inside, [None, None, None, None, denied, denied, denied, denied]);
        fs::read(place("secret")).expect("other threads are not inside");
    }
}
