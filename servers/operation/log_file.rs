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

use std::fs::{self, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use super::privileges::Identity;
use crate::options::{LogFormat, LogTarget, Options};

/// Addresses and user agents are personal data.
const MODE: u32 = 0o640;

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
        let (Ok(named), Ok(real)) = (std::path::absolute(folder), fs::canonicalize(folder)) else {
            return true;
        };
        let may_write = |folder: &Path| {
            fs::metadata(folder).map_or(true, |found| may_replace(&self.writer, &found))
        };
        // Its own folder is no way to it: whoever may write there makes the file by itself.
        named.ancestors().skip(1).chain(real.ancestors().skip(1)).any(may_write)
    }
}

/// Whether a user can rename or remove what is in a folder.
fn may_replace(who: &Identity, folder: &Metadata) -> bool {
    let mode = folder.mode();
    let is_sticky = mode & 0o1000 != 0;
    folder.uid() == who.user
        || (mode & 0o020 != 0 && who.groups.contains(&folder.gid()) && !is_sticky)
        || (mode & 0o002 != 0 && !is_sticky)
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
    use std::os::unix::fs::{PermissionsExt as _, symlink};

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
        fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(!redirected(open.join("sub/log")), "the sticky bit protects what is in it");
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
