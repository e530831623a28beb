//! Dropping privileges (`--user`, `--group`): a server started as root for the sake of port 80 and
//! its log need not stay root.
//!
//! ```text
//! arguments ─► listeners, application ─► drop() ─► threads, loops ─► serving
//!                                     └─► (SYMPED) master ─► fork ─► drop() ─► loop ─► serving
//! ```
//!
//! This is the only possible point: everything is bound, and no client data has been read. SYMPED's
//! master keeps its privileges, for it forks workers that need them, and never handles client data.
//!
//! The process joins all of the user's groups, as at login, so that files readable through a group
//! can be served. With `--group` it joins only that one.
//!
//! The log file is opened afterwards, so that reopening it (HUP) works just as well. A missing log
//! file is created before, and given to the user; an existing one is left as it is, for its name
//! may be a link planted by another user.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, fchown};

use reactor::process::{become_user, identity};

use crate::options::{LogFormat, LogTarget, Options};

/// Permanently switches to the configured user and group, if any.
///
/// # Errors
/// Permission denied; the text names the fix.
pub fn drop(options: &Options) -> io::Result<()> {
    let operation = &options.operation;
    if operation.user.is_none() && operation.group.is_none() {
        return Ok(());
    }
    let (own_user, own_group) = identity();
    let user = operation.user.as_ref().map_or(own_user, |user| user.number);
    let groups = match (&operation.group, &operation.user) {
        (Some(group), _) => vec![group.number],
        (None, Some(user)) => user.groups.clone(),
        (None, None) => vec![own_group],
    };
    let group = groups.first().copied().unwrap_or(own_group);
    make_log(options, user, group);
    become_user(user, &groups).map_err(|error| {
        let text = format!(
            "cannot switch to user {user}, group {group}: {error}; \
             start as root, or omit --user and --group"
        );
        io::Error::new(error.kind(), text)
    })
}

/// Creates the log file. If that fails, opening it reports why.
fn make_log(options: &Options, user: u32, group: u32) {
    let (LogTarget::File(path), true) = (&options.log.target, options.log.format != LogFormat::Off)
    else {
        return;
    };
    // O_EXCL: follows no link.
    let made = OpenOptions::new().append(true).create_new(true).mode(0o640).open(path);
    if let Ok(file) = made {
        let _ = fchown(&file, Some(user), Some(group));
    }
}
