//! The pid file (`--pid-file`): which process to signal, for scripts and service managers.
//!
//! ```text
//! PATH.123 ── written, locked ──► link(2) to PATH ── EEXIST ─► is it locked?
//!                                    │                           │ no, its server is dead:
//!                                    ▼                           │ rename(2) over it
//!                                 it is ours ◄───────────────────┘ yes: refused, with the PID
//! ```
//!
//! The file appears complete, so it is never read half-written. The proof that its server lives is
//! not the PID, which may have been reused, but a lock (`flock(2)`), which ends with the server
//! however that ends. The lock belongs to the open file, not to the process (as with `fcntl`), so a
//! successor (USR2) inherits it with the descriptor, and it is never released in between.
//!
//! During an upgrade the file names the old process until the new one serves: a failed upgrade
//! changes nothing. There is no second file for the old process (nginx's `.oldbin`), which needs no
//! further signal to exit.
//!
//! *Not* guaranteed: that the file is removed if the server's user (`--user`) lacks the permission:
//! then it is left behind, empty.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process;

use reactor::fs::OpenFlags;

use crate::report::report;

/// Readable by all users.
const MODE: u32 = 0o644;
/// More than any PID and newline: a longer file is not a pid file.
const CONTENT_BYTES_MAX: usize = 32;
/// Another process's file may come or go between check and use, but not this often by chance.
const ATTEMPTS_MAX: u32 = 100;

/// The file, locked. Removed on drop if it still is the one at its path and names this process.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Creates the file at `path`, or continues with the one `inherited` from the process that this
    /// one is about to replace: it still names the old process, see [`PidFile::take_over`].
    ///
    /// # Errors
    /// A running server holds it, it is not a pid file, or it cannot be created; the text names the
    /// file, the cause and the fix.
    pub fn open(path: &Path, inherited: Option<OwnedFd>) -> io::Result<PidFile> {
        if let Some(file) = inherited.map(File::from)
            && is_at(&file, path)
        {
            return Ok(PidFile { path: path.to_owned(), file });
        }
        let file = create(path).map_err(|(why, hint)| {
            let text = format!("--pid-file {}: {why}; {hint}", path.display());
            io::Error::other(text)
        })?;
        Ok(PidFile { path: path.to_owned(), file })
    }

    /// Makes the file name this process. If the directory is no longer writable, the PID is changed
    /// in place.
    ///
    /// # Errors
    /// Neither is possible: the file still names the other process.
    pub fn take_over(&mut self) -> io::Result<()> {
        if number(&self.file) == Some(process::id()) {
            return Ok(());
        }
        match replace(&self.path) {
            Ok(file) => self.file = file,
            Err(_) => rewrite(&self.file, &line())?,
        }
        Ok(())
    }

    fn is_ours(&self) -> bool {
        number(&self.file) == Some(process::id()) && is_at(&self.file, &self.path)
    }
}

/// Its descriptor, for a successor.
impl AsFd for PidFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Not in a forked worker, whose copy names the master, nor in a replaced server.
impl Drop for PidFile {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            let _ = rewrite(&self.file, "");
            let path = self.path.display();
            report!(
                "left the pid file {path} behind, empty: {error}; \
                 its directory should belong to the server's user"
            );
        }
    }
}

fn line() -> String {
    format!("{}\n", process::id())
}

/// Creates the file, or replaces a dead server's; otherwise returns the cause and the fix.
fn create(path: &Path) -> Result<File, (String, &'static str)> {
    for _ in 0..ATTEMPTS_MAX {
        let error = match link(path) {
            Ok(file) => return Ok(file),
            Err(error) => error,
        };
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err((error.to_string(), "its directory must exist and be writable"));
        }
        let no_link = OpenFlags::NOFOLLOW.bits();
        match OpenOptions::new().read(true).write(true).custom_flags(no_link).open(path) {
            Ok(stale) => {
                if let Some(file) = supersede(stale, path)? {
                    return Ok(file);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // it was just removed
            Err(error) => return Err((error.to_string(), "remove it, or name another file")),
        }
    }
    Err(("other processes keep creating and removing it".to_owned(), "name another file"))
}

/// Replaces a dead server's file; `None`: it was replaced or removed in the meantime.
fn supersede(stale: File, path: &Path) -> Result<Option<File>, (String, &'static str)> {
    let failed = |error: io::Error| (error.to_string(), "remove it, or name another file");
    match stale.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder =
                number(&stale).map_or("another process".to_owned(), |n| format!("process {n}"));
            let hint = "stop that server first, or name another file";
            return Err((format!("{holder} holds it"), hint));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    if !is_at(&stale, path) {
        return Ok(None);
    }
    let metadata = stale.metadata().map_err(failed)?;
    if !metadata.is_file() || (metadata.len() > 0 && number(&stale).is_none()) {
        return Err(("not a pid file".to_owned(), "name another file"));
    }
    replace(path).map(Some).map_err(failed)
}

/// Creates the file under an unused name.
fn link(path: &Path) -> io::Result<File> {
    let (file, temporary) = prepare(path)?;
    let linked = fs::hard_link(&temporary, path);
    let _ = fs::remove_file(&temporary);
    linked.map(|()| file)
}

/// Replaces the existing file, whose lock this process must hold.
fn replace(path: &Path) -> io::Result<File> {
    let (file, temporary) = prepare(path)?;
    let renamed = fs::rename(&temporary, path);
    if renamed.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    renamed.map(|()| file)
}

/// A file beside `path`, complete and locked.
fn prepare(path: &Path) -> io::Result<(File, PathBuf)> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", process::id()));
    let temporary = PathBuf::from(temporary);
    // A leftover from a dead process with the same PID.
    let _ = fs::remove_file(&temporary);
    let file =
        OpenOptions::new().read(true).write(true).create_new(true).mode(MODE).open(&temporary)?;
    let fill = || {
        file.set_permissions(Permissions::from_mode(MODE))?; // regardless of the umask
        file.try_lock()?;
        rewrite(&file, &line())
    };
    match fill() {
        Ok(()) => Ok((file, temporary)),
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            Err(error)
        }
    }
}

/// Overwrites the content in one write, then truncates the rest.
fn rewrite(file: &File, text: &str) -> io::Result<()> {
    file.write_all_at(text.as_bytes(), 0)?;
    file.set_len(text.len() as u64)
}

/// The PID in a pid file.
fn number(file: &File) -> Option<u32> {
    let mut bytes = [0; CONTENT_BYTES_MAX];
    let len = file.read_at(&mut bytes, 0).ok()?;
    str::from_utf8(&bytes[..len]).ok()?.trim_end().parse().ok()
}

/// Whether this file is the one at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(found)) => identity(ours) == identity(found),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn temporary() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        (folder, path)
    }

    fn refusal(path: &Path) -> String {
        PidFile::open(path, None).unwrap_err().to_string()
    }

    fn names_in(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn it_names_this_process_and_is_removed_on_drop() {
        let (folder, path) = temporary();
        let held = PidFile::open(&path, None).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), line());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        assert_eq!(names_in(folder.path()), 1, "nothing temporary is left");
        drop(held);
        assert_eq!(names_in(folder.path()), 0);
    }

    #[test]
    fn a_second_one_is_refused_with_the_holders_number() {
        let (folder, path) = temporary();
        let _held = PidFile::open(&path, None).unwrap();
        let text = refusal(&path);
        assert!(text.contains(&format!("process {} holds it; stop", process::id())), "{text}");
        assert_eq!(names_in(folder.path()), 1);
    }

    #[test]
    fn a_dead_servers_file_is_replaced_and_so_is_an_empty_one() {
        let (folder, path) = temporary();
        for content in ["4194999\n", "", "12"] {
            fs::write(&path, content).unwrap();
            let held = PidFile::open(&path, None).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), line());
            drop(held);
            assert_eq!(names_in(folder.path()), 0);
        }
    }

    #[test]
    fn a_file_that_is_not_a_pid_file_is_left_alone() {
        let (folder, path) = temporary();
        fs::write(&path, "root:x:0:0:root").unwrap();
        assert!(refusal(&path).contains("not a pid file; name another file"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "root:x:0:0:root");
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(refusal(&link).contains("symbolic link"), "{}", refusal(&link));
        assert!(refusal(folder.path()).contains("directory"));
        assert!(refusal(&folder.path().join("no/pid")).contains("directory must exist"));
        assert_eq!(names_in(folder.path()), 2);
    }

    #[test]
    fn a_file_put_in_its_place_by_another_process_is_left_alone() {
        let (folder, path) = temporary();
        let held = PidFile::open(&path, None).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "77\n").unwrap();
        drop(held);
        assert_eq!(fs::read_to_string(&path).unwrap(), "77\n");
        assert_eq!(names_in(folder.path()), 1);
    }

    #[test]
    fn an_inherited_file_names_the_predecessor_until_it_is_taken_over() {
        let (_folder, path) = temporary();
        let old = PidFile::open(&path, None).unwrap();
        rewrite(&old.file, "1\n").unwrap(); // as if made by another process
        let copy = || old.as_fd().try_clone_to_owned().ok();
        drop(PidFile::open(&path, copy()).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n", "after a failed upgrade");
        let mut new = PidFile::open(&path, copy()).unwrap();
        new.take_over().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), line());
        drop(old);
        assert!(path.exists(), "dropping the old one leaves it");
        assert!(refusal(&path).contains("holds it"));
        drop(new);
        assert!(!path.exists());
    }
}
