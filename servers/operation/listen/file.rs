//! The file of a Unix socket, which outlives the socket unless it is removed.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::operation::inherited;
use crate::report::report;

/// A Unix socket's file, removed on drop by the process that created it, if it is still the same
/// file. A file that was taken over belongs to the predecessor until this process serves: if that
/// never happens, the file is still needed.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    maker: u32,
    taken_over: bool,
}

impl SocketFile {
    pub(super) fn at(path: &Path, taken_over: bool) -> io::Result<Self> {
        let (path, identity, maker) = (path.to_owned(), identity(path)?, std::process::id());
        Ok(SocketFile { path, identity, maker, taken_over })
    }

    /// Leaves the file in place: another process continues to use it.
    pub fn leave(&mut self) {
        self.maker = 0; // not a PID
    }
}

/// Device and inode of the socket at `path`.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    match found.file_type().is_socket() {
        true => Ok((found.dev(), found.ino())),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a socket")),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = std::process::id() == self.maker;
        let in_charge = !self.taken_over || inherited::is_in_charge();
        if ours
            && in_charge
            && identity(&self.path).is_ok_and(|found| found == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            let path = self.path.display();
            report!(
                "left the socket {path} behind: {error}; \
                 its directory should belong to the server's user"
            );
        }
    }
}
