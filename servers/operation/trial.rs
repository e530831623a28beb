//! What workers will need, tried as the user that they will be, before there are any.
//!
//! ```text
//!  master (root) ── fork ─► becomes the user ─► opens the log, searches the root ─► exits
//!       ▲                                                                     │
//!       └── the first failure, in one line: the start ends with it ◄──────────┘
//! ```
//!
//! Root's own attempt would prove nothing, and leave a log behind that the workers cannot open.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use reactor::fs::{OpenFlags, openat};
use reactor::process::{self, Fork, exit_at_once, fork};

use super::{log_file, privileges};
use crate::access_log::AccessLog;
use crate::options::{LogTarget, Options};

/// What the child reports when nothing has failed.
const SUCCESS: &str = "fine";

/// Tries what workers with these options will do first.
///
/// # Errors
/// What they would fail with; the text names the thing, the cause and the fix.
pub fn run(options: &Options) -> io::Result<()> {
    log_file::make(options);
    let try_all = || drop_privileges(options).and_then(|()| open_log(options));
    if privileges::Identity::of(options).is_none() {
        return try_all();
    }
    let (mut outcome, writer) = io::pipe()?;
    match fork()? {
        Fork::Child => {
            let text = try_all().map_or_else(|error| error.to_string(), |()| SUCCESS.to_owned());
            let _ = (&writer).write_all(text.as_bytes());
            exit_at_once(0)
        }
        Fork::Parent(mut child) => {
            drop(writer);
            let mut text = String::new();
            outcome.read_to_string(&mut text)?;
            // Its status is of no interest, and lost where SIGCHLD is ignored.
            let _ = child.wait();
            match &text[..] {
                SUCCESS => Ok(()),
                "" => Err(io::Error::other("the process that tries what workers need has died")),
                _ => Err(io::Error::other(text)),
            }
        }
    }
}

/// But not a named pipe: its reader would take our closing it for the end.
fn open_log(options: &Options) -> io::Result<()> {
    let is_pipe = |path: &Path| fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
    match &options.log.target {
        LogTarget::File(path) if is_pipe(path) => Ok(()),
        _ => AccessLog::open(&options.log).map(drop),
    }
}

/// Drops privileges as configured, and makes sure that the root can still be searched.
///
/// # Errors
/// Those of [`privileges::drop`]; or it cannot.
pub fn drop_privileges(options: &Options) -> io::Result<()> {
    // The site keeps its root open, so the way to it need not be open to the user.
    let root = options.content.root.as_deref().map(|path| open(path).map(|root| (path, root)));
    let root = root.transpose()?;
    privileges::drop(options)?;
    root.map_or(Ok(()), |(path, root)| search(path, &root))
}

fn open(root: &Path) -> io::Result<File> {
    let flags = OpenFlags::SEARCH.bits();
    let named = |error: io::Error| {
        io::Error::new(error.kind(), format!("--root {}: {error}", root.display()))
    };
    OpenOptions::new().read(true).custom_flags(flags).open(root).map_err(named)
}

fn search(path: &Path, root: &File) -> io::Result<()> {
    let named = |error: io::Error| {
        let (user, _) = process::identity();
        let text = format!(
            "--root {}: user {user} cannot search it: {error}; change its mode or owner, or --user",
            path.display()
        );
        io::Error::new(error.kind(), text)
    };
    openat(root, c".", OpenFlags::SEARCH).map(drop).map_err(named)
}
