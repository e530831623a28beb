//! Opening relative to a directory: `openat(2)`, `openat2(2)`, `readlinkat(2)`; and `fstatat(2)`, to
//! know beforehand what would be opened.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::{FileType, OpenFlags, Resolve};
use crate::Errno;
use crate::sys::{check, retry};

/// Opens what `path` leads to from `directory`, for reading, closed on exec (`openat(2)`); retried
/// when a signal interrupts it.
///
/// # Errors
/// Those of `open(2)`.
pub fn openat(directory: impl AsFd, path: &CStr, flags: OpenFlags) -> io::Result<OwnedFd> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | flags.bits();
    let directory = directory.as_fd().as_raw_fd();
    loop {
        // SAFETY: the path ends in NUL and outlives the call; OpenFlags has no flag by which a mode
        // would be read.
        match owned(unsafe { libc::openat(directory, path.as_ptr(), flags) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// The same, but refuses a path that leads through anything `resolve` forbids (`openat2(2)`, Linux
/// 5.6). One system call, never retried.
///
/// # Errors
/// Those of `open(2)`; `EXDEV` and `ELOOP` for what is forbidden; `EAGAIN`, besides
/// [`Resolve::CACHED`]'s, when a rename met a `..`: try again. `ENOSYS` or, from a seccomp filter,
/// `EPERM` where the kernel lacks the call; [`io::ErrorKind::Unsupported`] on other systems.
#[cfg(target_os = "linux")]
pub fn openat2(
    directory: impl AsFd,
    path: &CStr,
    flags: OpenFlags,
    resolve: Resolve,
) -> io::Result<OwnedFd> {
    /// `struct open_how`, first version; libc's cannot be constructed outside the crate.
    #[repr(C)]
    struct OpenHow {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    let flags = (libc::O_RDONLY | libc::O_CLOEXEC | flags.bits()) as u64;
    let how = OpenHow { flags, mode: 0, resolve: resolve.bits() };
    let directory = directory.as_fd().as_raw_fd();
    // SAFETY: the path ends in NUL, `how` is a `struct open_how` of the size given, and both
    // outlive the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            directory,
            path.as_ptr(),
            &raw const how,
            size_of::<OpenHow>(),
        )
    };
    owned(fd as RawFd)
}

/// The same where there is no such call.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`].
#[cfg(not(target_os = "linux"))]
pub fn openat2(_: impl AsFd, _: &CStr, _: OpenFlags, _: Resolve) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Takes ownership of the descriptor that an open returned, or its error.
fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    let fd = check(fd)?;
    // SAFETY: an open has just returned it, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The text of the symlink `path`, shorter than `len_max` bytes (`readlinkat(2)`).
///
/// # Errors
/// `EINVAL` when it is no symlink, `ENAMETOOLONG` when its text may have been cut off.
pub fn readlinkat(directory: impl AsFd, path: &CStr, len_max: usize) -> io::Result<Vec<u8>> {
    let mut text = vec![0u8; len_max];
    let (directory, to) = (directory.as_fd().as_raw_fd(), text.as_mut_ptr().cast());
    // SAFETY: the path ends in NUL, and `to` has room for `len_max` bytes.
    let len = retry(|| unsafe { libc::readlinkat(directory, path.as_ptr(), to, len_max) })?;
    if len >= len_max {
        return Err(Errno::ENAMETOOLONG.into());
    }
    text.truncate(len);
    Ok(text)
}

/// The type of what `name` stands for in `directory`, without opening it or following a symlink
/// (`fstatat(2)`).
///
/// # Errors
/// Those of `stat(2)`.
pub fn type_at(directory: impl AsFd, name: &CStr) -> io::Result<FileType> {
    let mut found = MaybeUninit::<libc::stat>::uninit();
    let (directory, to) = (directory.as_fd().as_raw_fd(), found.as_mut_ptr());
    // SAFETY: the name ends in NUL, and `to` has room for a `struct stat`.
    check(unsafe { libc::fstatat(directory, name.as_ptr(), to, libc::AT_SYMLINK_NOFOLLOW) })?;
    // SAFETY: fstatat has succeeded, so it has filled it.
    let mode = unsafe { found.assume_init() }.st_mode;
    Ok(match mode & libc::S_IFMT {
        libc::S_IFREG => FileType::File,
        libc::S_IFDIR => FileType::Directory,
        libc::S_IFLNK => FileType::Link,
        _ => FileType::Special,
    })
}

/// Whether an open with [`OpenFlags::NOFOLLOW`] may have failed because of a symlink: `ELOOP` by
/// POSIX, `EMLINK` on FreeBSD, `EFTYPE` on NetBSD, `ENOTDIR` where a directory was asked for.
pub fn may_be_link(error: &io::Error) -> bool {
    #[cfg(target_os = "netbsd")]
    if error.raw_os_error() == Some(libc::EFTYPE) {
        return true;
    }
    matches!(error.raw_os_error(), Some(libc::ELOOP | libc::EMLINK | libc::ENOTDIR))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    /// A directory `in` with a file, a directory and two links, and a file beside it.
    fn world() -> (tempfile::TempDir, File) {
        let world = tempfile::tempdir().unwrap();
        let inside = world.path().join("in");
        fs::create_dir_all(inside.join("sub")).unwrap();
        fs::write(inside.join("file"), "inside").unwrap();
        fs::write(world.path().join("file"), "outside").unwrap();
        symlink("file", inside.join("link")).unwrap();
        symlink("../file", inside.join("out")).unwrap();
        let directory = File::open(inside).unwrap();
        (world, directory)
    }

    fn text(file: io::Result<OwnedFd>) -> io::Result<String> {
        io::read_to_string(File::from(file?))
    }

    #[test]
    fn files_are_opened_relative_to_a_directory() {
        let (_world, directory) = world();
        let open = |path, flags| text(openat(&directory, path, flags));
        assert_eq!(open(c"file", OpenFlags::default()).unwrap(), "inside");
        assert_eq!(open(c"link", OpenFlags::NONBLOCK).unwrap(), "inside");
        assert_eq!(open(c"../file", OpenFlags::default()).unwrap(), "outside");
        let search = openat(&directory, c"sub", OpenFlags::SEARCH | OpenFlags::NOFOLLOW).unwrap();
        assert_eq!(text(openat(search, c"../file", OpenFlags::NOCTTY)).unwrap(), "inside");
    }

    #[test]
    fn a_link_that_is_not_followed_is_recognised_and_can_be_read() {
        let (_world, directory) = world();
        for flags in [OpenFlags::NOFOLLOW, OpenFlags::NOFOLLOW | OpenFlags::SEARCH] {
            let error = openat(&directory, c"link", flags).unwrap_err();
            assert!(may_be_link(&error), "{error}");
        }
        assert!(!may_be_link(&openat(&directory, c"no", OpenFlags::NOFOLLOW).unwrap_err()));
        assert_eq!(readlinkat(&directory, c"out", 100).unwrap(), b"../file");
        let cut = readlinkat(&directory, c"out", 7).unwrap_err();
        assert_eq!(Errno::of(&cut), Some(Errno::ENAMETOOLONG));
        assert!(readlinkat(&directory, c"file", 100).is_err());
    }

    #[test]
    fn the_kernel_keeps_a_path_beneath_its_directory() {
        let (_world, directory) = world();
        let beneath = Resolve::BENEATH | Resolve::NO_MAGICLINKS;
        let open = |path| text(openat2(&directory, path, OpenFlags::default(), beneath));
        match open(c"link") {
            Ok(found) => assert_eq!(found, "inside"),
            Err(_) => return, // not a system that has it
        }
        for path in [c"out", c"../file", c"/etc/passwd", c"sub/../../file"] {
            assert_eq!(Errno::of(&open(path).unwrap_err()), Some(Errno::EXDEV), "{path:?}");
        }
    }

    #[test]
    fn what_a_name_stands_for_is_known_without_opening_it() {
        let (world, directory) = world();
        let socket = world.path().join("in/socket");
        let _listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        for (name, expected) in [
            (c"file", FileType::File),
            (c"sub", FileType::Directory),
            (c"link", FileType::Link),
            (c"socket", FileType::Special),
        ] {
            assert_eq!(type_at(&directory, name).unwrap(), expected, "{name:?}");
        }
        assert!(type_at(&directory, c"none").is_err());
        // A socket can be looked at, and not be opened.
        let looked = openat(&directory, c"socket", OpenFlags::LOOK);
        assert_eq!(looked.is_ok(), cfg!(any(target_os = "linux", target_os = "freebsd")));
        assert!(openat(&directory, c"socket", OpenFlags::NONBLOCK).is_err());
    }

    #[test]
    fn opened_files_are_closed_on_exec() {
        let (_world, directory) = world();
        let is_closed = |fd: OwnedFd| {
            // SAFETY: takes no pointer.
            let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFD) };
            flags == libc::FD_CLOEXEC
        };
        assert!(is_closed(openat(&directory, c"file", OpenFlags::default()).unwrap()));
        let beneath = openat2(&directory, c"file", OpenFlags::default(), Resolve::BENEATH);
        assert!(beneath.map_or(true, is_closed));
    }
}
