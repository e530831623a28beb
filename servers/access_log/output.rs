//! The log's destination, written without ever blocking.
//!
//! A named file is opened non-blocking, which a regular file ignores and a named pipe needs.
//! Standard output is shared: `O_NONBLOCK` would also apply to the shell, which has the same open
//! file description. So each write to it is made one that does not wait ([`write_now`]), of at most
//! `PIPE_BUF` bytes, which a pipe takes whole (pipe(7)); cut at a line's end, they do not mix with
//! the lines of other processes.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reactor::Errno;
use reactor::fs::{OpenFlags, PIPE_BUF, wait_writable, write_now};

use crate::options::LogTarget;

/// An open output.
#[derive(Debug)]
pub(super) struct Output {
    file: File,
    /// Its name, if it can be reopened.
    path: Option<PathBuf>,
    /// A plain write might wait.
    may_wait: bool,
}

impl Output {
    /// Opens the target.
    pub fn open(target: &LogTarget) -> io::Result<Self> {
        match target {
            LogTarget::Stdout => {
                let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
                Ok(Output::over(file))
            }
            LogTarget::File(path) => {
                let file = open_file(path)?;
                // Even for a device: O_NONBLOCK applies only to this open file description.
                Ok(Output { file, path: Some(path.clone()), may_wait: false })
            }
        }
    }

    /// An output that may be shared with other processes.
    pub fn over(file: File) -> Self {
        // A regular file never blocks a writer.
        let may_wait = !file.metadata().is_ok_and(|found| found.is_file());
        Output { file, path: None, may_wait }
    }

    #[cfg(test)]
    pub fn file_for_tests(&self) -> &File {
        &self.file
    }

    /// Reopens the file by name; returns whether it has one.
    pub fn reopen(&mut self) -> io::Result<bool> {
        let Some(path) = &self.path else {
            return Ok(false);
        };
        let kept = |error: io::Error| {
            io::Error::new(error.kind(), format!("{error}; lines still go to the old file"))
        };
        self.file = open_file(path).map_err(kept)?;
        Ok(true)
    }

    /// Writes as much as there is room for; returns how much, and what kept it from the rest if
    /// that is more than a lack of room (a full disk, no reader). It may be retried later.
    pub fn write(&mut self, bytes: &[u8]) -> (usize, Option<io::Error>) {
        let mut written = 0;
        while written < bytes.len() {
            let portion = self.portion(&bytes[written..]);
            let result = match self.may_wait {
                true => write_now(&self.file, portion),
                false => self.file.write(portion),
            };
            match result {
                Ok(0) => break,
                Ok(n) => written += n,
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => break,
                    _ => return (written, Some(error)),
                },
            }
        }
        (written, None)
    }

    /// The same, waiting for room up to `patience` in total.
    pub fn write_patiently(
        &mut self,
        bytes: &[u8],
        patience: Duration,
    ) -> (usize, Option<io::Error>) {
        let end = Instant::now() + patience;
        let (mut written, mut error) = self.write(bytes);
        while written < bytes.len() && error.is_none() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.has_room(left) {
                break;
            }
            let more = self.write(&bytes[written..]);
            if more.0 == 0 {
                return (written, more.1);
            }
            (written, error) = (written + more.0, more.1);
        }
        (written, error)
    }

    /// The part of `bytes` for one write.
    fn portion<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        if !self.may_wait || bytes.len() <= PIPE_BUF {
            return bytes;
        }
        let fitting = &bytes[..PIPE_BUF];
        let lines = fitting.iter().rposition(|&byte| byte == b'\n');
        lines.map_or(fitting, |end| &fitting[..=end])
    }

    /// Whether the output has room within `patience`. An error condition such as a hang-up
    /// counts as room: the write fails with it.
    fn has_room(&self, patience: Duration) -> bool {
        wait_writable(&self.file, patience).unwrap_or(false)
    }
}

/// Its name, for a message.
impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}", path.display()),
            None => f.write_str("on standard output"),
        }
    }
}

/// Whose permission is missing, and what would help.
fn not_permitted(path: &Path) -> String {
    let (user, _) = reactor::process::identity();
    match path.exists() {
        true => format!("; let user {user} write it (chown, chmod)"),
        false => format!("; make it for user {user}, or let that user write to its folder"),
    }
}

/// Opens a log file for appending, creating it if missing.
fn open_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640) // addresses and user agents are personal data
        .custom_flags((OpenFlags::NONBLOCK | OpenFlags::NOCTTY).bits())
        .open(path);
    let named = |error: io::Error| {
        let hint = match (Errno::of(&error), std::fs::metadata(path)) {
            (Some(Errno::ENXIO), Ok(found)) if found.file_type().is_fifo() => {
                "; a named pipe needs a reader first".to_owned()
            }
            _ if error.kind() == io::ErrorKind::PermissionDenied => not_permitted(path),
            _ if error.kind() == io::ErrorKind::NotFound => "; make its folder first".to_owned(),
            _ => String::new(),
        };
        let text = format!("cannot open the log file {}: {error}{hint}", path.display());
        io::Error::new(error.kind(), text)
    };
    file.map_err(named)
}
