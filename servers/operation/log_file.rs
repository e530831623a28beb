//! The log file, made for the user that writes it (`--user`).
//!
//! Who may only write a file cannot make one in a folder of root's. So root makes it, missing as it
//! is at the first start and after each rotation, and gives it to that user, who then opens it:
//!
//! ```text
//!  start, HUP, USR1, a worker's replacement ─► missing? made, mode 0640, the user's ─► opened
//! ```
//!
//! A single process can do so at its start only: it has no privileges left when the log is rotated.
//!
//! An existing file is left as it is, for its name may be a link. Nor is one made where that user
//! could have replaced a folder on the way to it: the log would be made wherever a link leads.

use std::ffi::OsString;
use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Component, Path, PathBuf};

use super::privileges::Identity;
use crate::options::{LogFormat, LogTarget, Options};

/// Addresses and user agents are personal data.
const MODE: u32 = 0o640;
/// Links on the way to it, as many as the kernel follows (path_resolution(7)).
const LINKS_MAX: u32 = 40;

/// The log file of a server that drops privileges.
pub struct LogFile {
    path: PathBuf,
    writer: Identity,
}

impl LogFile {
    /// `None`: there is no log file, or the server writes it as the user that it is now.
    pub fn of(options: &Options) -> Option<LogFile> {
        match (&options.log.target, Identity::of(options)) {
            (LogTarget::File(path), Some(writer)) if options.log.format != LogFormat::Off => {
                Some(LogFile { path: path.clone(), writer })
            }
            _ => None,
        }
    }

    /// Makes it if it is missing. If that is not possible, opening it reports why.
    pub fn make(&self) {
        if fs::symlink_metadata(&self.path).is_err() && !self.can_be_redirected() {
            let _ = self.create();
        }
    }

    fn create(&self) -> io::Result<()> {
        // O_EXCL: follows no link.
        let new = OpenOptions::new().append(true).create_new(true).mode(MODE).open(&self.path)?;
        fchown(&new, Some(self.writer.user), self.writer.group())
    }

    /// Whether its writer can put another folder, or a link, in place of one that leads to it.
    fn can_be_redirected(&self) -> bool {
        let folder = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // Its own folder is no step on the way: whoever may write there makes the file by itself.
        std::path::absolute(folder)
            .and_then(|folder| is_way_safe(&self.writer, &folder))
            .map_or(true, |is_safe| !is_safe)
    }
}

/// Whether a user can replace none of the names that lead to a folder, those in links included.
fn is_way_safe(who: &Identity, folder: &Path) -> io::Result<bool> {
    let (mut reached, mut pending) = (PathBuf::from("/"), names(folder));
    let mut links = 0;
    while let Some(name) = pending.pop() {
        if name == ".." {
            reached.pop();
            continue;
        }
        let next = reached.join(&name);
        let found = fs::symlink_metadata(&next)?;
        if may_replace(who, &fs::metadata(&reached)?, &found) {
            return Ok(false);
        }
        if !found.is_symlink() {
            reached = next;
            continue;
        }
        links += 1;
        if links > LINKS_MAX {
            return Ok(false);
        }
        let target = fs::read_link(&next)?;
        if target.is_absolute() {
            reached = PathBuf::from("/");
        }
        pending.extend(names(&target));
    }
    Ok(true)
}

/// The names in a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let is_name =
        |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(is_name).map(|part| part.as_os_str().to_owned()).rev().collect()
}

/// Whether a user can rename or remove what was found in a folder: the sticky bit protects what is
/// another user's.
fn may_replace(who: &Identity, folder: &Metadata, found: &Metadata) -> bool {
    let mode = folder.mode();
    let may_write = mode & 0o002 != 0 || (mode & 0o020 != 0 && who.groups.contains(&folder.gid()));
    let is_protected = mode & 0o1000 != 0 && found.uid() != who.user;
    folder.uid() == who.user || (may_write && !is_protected)
}

/// Makes the log file for the user that serves, if there is one and the file is missing.
pub fn make(options: &Options) {
    if let Some(file) = LogFile::of(options) {
        file.make();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    fn log_file(path: PathBuf) -> LogFile {
        let own = fs::metadata(std::env::temp_dir()).unwrap();
        let writer = Identity { user: own.uid() + 54321, groups: vec![own.gid() + 54321] };
        LogFile { path, writer }
    }

    #[test]
    fn a_log_is_made_only_where_its_writer_cannot_have_led_it() {
        let folder = tempfile::tempdir().unwrap();
        let (safe, open) = (folder.path().join("safe"), folder.path().join("open"));
        fs::create_dir_all(open.join("sub")).unwrap();
        fs::create_dir(&safe).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        symlink(&safe, open.join("link")).unwrap();
        let redirected = |path: PathBuf| log_file(path).can_be_redirected();
        assert!(!redirected(safe.join("log")) && !redirected(open.join("log")));
        assert!(redirected(open.join("sub/log")) && redirected(open.join("link/log")));
        assert!(redirected(folder.path().join("missing/log")));
        let to_link = safe.join("to_link");
        symlink(open.join("link"), &to_link).unwrap();
        assert!(redirected(to_link.join("log")), "by the second link");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(!redirected(open.join("sub/log")), "the sticky bit protects what is in it");
        assert!(!redirected(to_link.join("log")) && !redirected(safe.join("../open/sub/log")));
        symlink("loop", safe.join("loop")).unwrap();
        assert!(redirected(safe.join("loop/log")));
    }

    #[test]
    fn the_sticky_bit_does_not_protect_from_the_owner() {
        let folder = tempfile::tempdir().unwrap();
        let sub = folder.path().join("sub");
        fs::create_dir(&sub).unwrap();
        // As root, or this user is the owner of it.
        let _ = chown(&sub, Some(54321), None);
        let of = |path: &Path| fs::symlink_metadata(path).unwrap();
        let owner = Identity { user: of(&sub).uid(), groups: vec![] };
        let other = Identity { user: of(&sub).uid() + 54321, groups: vec![] };
        let sticky = Path::new("/tmp");
        if of(sticky).mode() & 0o1002 != 0o1002 {
            return;
        }
        assert!(may_replace(&owner, &of(sticky), &of(&sub)));
        assert!(!may_replace(&other, &of(sticky), &of(&sub)));
    }

    #[test]
    fn an_existing_name_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (log, target) = (folder.path().join("log"), folder.path().join("target"));
        symlink(&target, &log).unwrap();
        log_file(log).make();
        assert!(!target.exists());
    }
}
