//! Reading an open directory: `readdir(3)`, which the standard library has only for paths.

use std::ffi::CStr;
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::ptr::NonNull;

/// An open directory whose names are read one after the other.
#[derive(Debug)]
pub struct Directory(NonNull<libc::DIR>);

/// A name in a directory; valid until the next one is read.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// The name; `.` and `..` are among them.
    pub name: &'a [u8],
    /// Its type, as far as the directory tells.
    pub file_type: FileType,
}

/// The type of an entry.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symlink.
    Link,
    /// A FIFO, a socket or a device: opening one may have an effect at its other end.
    Special,
    /// The file system does not tell: ask `fstat(2)`.
    Unknown,
}

impl Directory {
    /// Reads from `directory`, which must be open for reading (`fdopendir(3)`).
    ///
    /// # Errors
    /// `ENOTDIR` if it is not a directory; out of memory.
    pub fn new(directory: OwnedFd) -> io::Result<Self> {
        let fd = directory.into_raw_fd();
        // SAFETY: `fd` is open and ours; on success the stream owns it.
        match NonNull::new(unsafe { libc::fdopendir(fd) }) {
            Some(stream) => Ok(Directory(stream)),
            None => {
                let error = io::Error::last_os_error();
                // SAFETY: fdopendir has failed, so `fd` is still open and ours.
                unsafe { libc::close(fd) };
                Err(error)
            }
        }
    }

    /// The next name, in no order; `None` at the end, and when reading fails: the names read until
    /// then are valid.
    // Not an iterator: an entry is only lent.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<Entry<'_>> {
        // SAFETY: the stream is open, and only this thread reads from it.
        let entry = NonNull::new(unsafe { libc::readdir(self.0.as_ptr()) })?.as_ptr();
        // SAFETY: readdir returned an entry, valid until the next call, which the borrow of `self`
        // rules out; its name ends in NUL. No reference to the whole entry is made: it may be
        // shorter than its type.
        let name = unsafe { CStr::from_ptr((&raw const (*entry).d_name).cast()) };
        // SAFETY: as above; every entry has this field.
        let kind = unsafe { (*entry).d_type };
        Some(Entry { name: name.to_bytes(), file_type: FileType::of(kind) })
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: the stream is open and this is its last use.
        unsafe { libc::closedir(self.0.as_ptr()) };
    }
}

impl FileType {
    fn of(kind: u8) -> FileType {
        match kind {
            libc::DT_REG => FileType::File,
            libc::DT_DIR => FileType::Directory,
            libc::DT_LNK => FileType::Link,
            libc::DT_FIFO | libc::DT_SOCK | libc::DT_CHR | libc::DT_BLK => FileType::Special,
            _ => FileType::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn every_name_is_read_once_with_its_type() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        symlink("file", folder.path().join("link")).unwrap();
        let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
        let mut directory = Directory::new(File::open(folder.path()).unwrap().into()).unwrap();
        let mut found = Vec::new();
        while let Some(Entry { name, file_type }) = directory.next() {
            found.push((String::from_utf8(name.to_vec()).unwrap(), file_type));
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let names: Vec<&str> = found.iter().map(|(name, _)| &name[..]).collect();
        assert_eq!(names, [".", "..", "file", "link", "socket", "sub"]);
        let expected = [
            FileType::Directory,
            FileType::Directory,
            FileType::File,
            FileType::Link,
            FileType::Special,
            FileType::Directory,
        ];
        for ((name, found), expected) in found.iter().zip(expected) {
            assert!(*found == expected || *found == FileType::Unknown, "{name}: {found:?}");
        }
        assert_eq!(directory.next(), None);
    }

    #[test]
    fn a_file_is_refused_and_closed() {
        let (reader, writer) = io::pipe().unwrap();
        assert!(Directory::new(writer.into()).is_err());
        assert_eq!(io::read_to_string(reader).unwrap(), "", "the writing end is closed");
    }
}
