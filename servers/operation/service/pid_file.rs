//! The pid file (`--pid-file`): which process to signal, for scripts and service managers.
//!
//! ```text
//! PATH.123 ── written, locked ──► link(2) to PATH ── EEXIST ─► whose lock is on it?
//!                                    │                           │ nobody's: a dead server's;
//!                                    ▼                           │ rename(2) over it
//!                                 it is ours ◄───────────────────┘ somebody's: refused, with its pid
//! ```
//!
//! It appears with its content, and nobody ever reads half of one. What says that its server lives is
//! not the number, which another process may have by now, but a lock (`flock(2)`) that ends with
//! the server however it ends. That one belongs to the open file, not to the process (as `fcntl`'s
//! would), so that a successor (USR2) gets it together with the descriptor, and there is no moment
//! in which nobody has it.
//!
//! Over an upgrade the file names the old process until the new one serves, and then the new one:
//! an upgrade that fails has changed nothing. There is no second file for the old process (nginx's
//! `.oldbin`), which needs no further signal to end.
//!
//! *Not* guaranteed: that the file goes away when the server's user may not remove it (`--user`):
//! then it stays behind, empty.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process;

use reactor::fs::OpenFlags;

/// Everybody may know.
const MODE: u32 = 0o644;
/// More than any process number and its newline need: a file with more in it is no pid file.
const CONTENT_BYTES_MAX: usize = 32;
/// Somebody else's file comes or goes between looking and acting; not so often by chance.
const ATTEMPTS_MAX: u32 = 100;

/// The file, locked. Removed on drop if it still is the one at its path and names this process.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Makes the file at `path`, or goes on with the one that is `inherited` from the process that
    /// this one is about to replace: that still names the other one, see [`PidFile::take_over`].
    ///
    /// # Errors
    /// A living server has it; it is no pid file; it cannot be made. Names file, cause and mend.
    pub fn open(path: &Path, inherited: Option<OwnedFd>) -> io::Result<PidFile> {
        if let Some(file) = inherited.map(File::from)
            && is_at(&file, path)
        {
            return Ok(PidFile { path: path.to_owned(), file });
        }
        let file = create(path).map_err(|(why, hint)| {
            let text = format!("--pid-file {:?}: {why}; {hint}", path.display().to_string());
            io::Error::other(text)
        })?;
        Ok(PidFile { path: path.to_owned(), file })
    }

    /// Names this process from now on, if it does not yet. Where the directory is not ours to write
    /// any more, the number is changed in place.
    ///
    /// # Errors
    /// Neither is possible: it goes on naming the other process.
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

/// A forked worker's copy names its master, and a replaced server's its successor: those stay.
impl Drop for PidFile {
    fn drop(&mut self) {
        if !self.is_ours() {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            let _ = rewrite(&self.file, "");
            let path = self.path.display();
            eprintln!(
                "stampede: the pid file {path} stays behind, empty: {error}; \
                 its directory should be the server's user's"
            );
        }
    }
}

fn line() -> String {
    format!("{}\n", process::id())
}

/// Makes a file that was not there, or that nobody has any more; else says why not, and the mend.
fn create(path: &Path) -> Result<File, (String, &'static str)> {
    for _ in 0..ATTEMPTS_MAX {
        let error = match link(path) {
            Ok(file) => return Ok(file),
            Err(error) => error,
        };
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err((error.to_string(), "its directory must be there, and writable"));
        }
        let no_link = OpenFlags::NOFOLLOW.bits();
        match OpenOptions::new().read(true).write(true).custom_flags(no_link).open(path) {
            Ok(stale) => {
                if let Some(file) = supersede(stale, path)? {
                    return Ok(file);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {} // it has just gone
            Err(error) => return Err((error.to_string(), "remove it, or name another file")),
        }
    }
    Err(("others keep making and removing it".to_owned(), "name another file"))
}

/// Replaces the file of a server that is no more; `None`: it was replaced or removed meanwhile.
fn supersede(stale: File, path: &Path) -> Result<Option<File>, (String, &'static str)> {
    let failed = |error: io::Error| (error.to_string(), "remove it, or name another file");
    match stale.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let who =
                number(&stale).map_or("another process".to_owned(), |n| format!("process {n}"));
            let hint = "stop that server first, or name another file";
            return Err((format!("{who} holds it"), hint));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    if !is_at(&stale, path) {
        return Ok(None);
    }
    let metadata = stale.metadata().map_err(failed)?;
    if !metadata.is_file() || (metadata.len() > 0 && number(&stale).is_none()) {
        return Err(("this is something else than a pid file".to_owned(), "name another file"));
    }
    replace(path).map(Some).map_err(failed)
}

/// Puts a new file in a name's place that nobody has.
fn link(path: &Path) -> io::Result<File> {
    let (file, temporary) = prepare(path)?;
    let linked = fs::hard_link(&temporary, path);
    let _ = fs::remove_file(&temporary);
    linked.map(|()| file)
}

/// Puts a new file in the present one's place, whose lock must be ours.
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
    // Whoever had this number before has not come to remove it.
    let _ = fs::remove_file(&temporary);
    let file =
        OpenOptions::new().read(true).write(true).create_new(true).mode(MODE).open(&temporary)?;
    let fill = || {
        file.set_permissions(Permissions::from_mode(MODE))?; // whatever the umask
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

/// Changes the content in one write; what is longer than that is cut off afterwards.
fn rewrite(file: &File, text: &str) -> io::Result<()> {
    file.write_all_at(text.as_bytes(), 0)?;
    file.set_len(text.len() as u64)
}

/// The process that a pid file names.
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

    fn place() -> (tempfile::TempDir, PathBuf) {
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
    fn it_names_this_process_and_goes_when_it_is_dropped() {
        let (folder, path) = place();
        let held = PidFile::open(&path, None).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), line());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        assert_eq!(names_in(folder.path()), 1, "nothing temporary is left");
        drop(held);
        assert_eq!(names_in(folder.path()), 0);
    }

    #[test]
    fn a_second_one_is_refused_with_the_holders_number() {
        let (folder, path) = place();
        let _held = PidFile::open(&path, None).unwrap();
        let text = refusal(&path);
        assert!(text.contains(&format!("process {} holds it; stop", process::id())), "{text}");
        assert_eq!(names_in(folder.path()), 1);
    }

    #[test]
    fn a_dead_servers_is_replaced_and_so_is_an_empty_one() {
        let (folder, path) = place();
        for content in ["4194999\n", "", "12"] {
            fs::write(&path, content).unwrap();
            let held = PidFile::open(&path, None).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), line());
            drop(held);
            assert_eq!(names_in(folder.path()), 0);
        }
    }

    #[test]
    fn what_is_no_pid_file_is_left_alone() {
        let (folder, path) = place();
        fs::write(&path, "root:x:0:0:root").unwrap();
        assert!(refusal(&path).contains("something else than a pid file; name another file"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "root:x:0:0:root");
        let link = folder.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(refusal(&link).contains("symbolic link"), "{}", refusal(&link));
        assert!(refusal(folder.path()).contains("directory"));
        assert!(refusal(&folder.path().join("no/pid")).contains("directory must be there"));
        assert_eq!(names_in(folder.path()), 2);
    }

    #[test]
    fn one_that_somebody_else_has_put_in_its_place_is_left_there() {
        let (folder, path) = place();
        let held = PidFile::open(&path, None).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "77\n").unwrap();
        drop(held);
        assert_eq!(fs::read_to_string(&path).unwrap(), "77\n");
        assert_eq!(names_in(folder.path()), 1);
    }

    #[test]
    fn one_that_was_inherited_names_the_predecessor_until_it_is_taken_over() {
        let (_folder, path) = place();
        let old = PidFile::open(&path, None).unwrap();
        rewrite(&old.file, "1\n").unwrap(); // as if another process had made it
        let copy = || old.as_fd().try_clone_to_owned().ok();
        drop(PidFile::open(&path, copy()).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n", "an upgrade that has failed");
        let mut new = PidFile::open(&path, copy()).unwrap();
        new.take_over().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), line());
        drop(old);
        assert!(path.exists(), "the old one's end leaves it");
        assert!(refusal(&path).contains("holds it"));
        drop(new);
        assert!(!path.exists());
    }
}
