//! Giving up privileges (`--user`, `--group`): a server that was started by root to have port 80 and
//! its log need not stay root.
//!
//! ```text
//! arguments ─► listeners, application ─► drop() ─► threads, loops ─► serving
//!                                     └─► (SYMPED) master ─► fork ─► drop() ─► loop ─► serving
//! ```
//!
//! This is the one point: everything is bound, and no byte of a client has been read. SYMPED's
//! master keeps what it has, for it forks workers that need it, and touches no client's byte.
//!
//! A user is in all its groups, as when it logs in: what is shared with it by a group is so that it can
//! be served. With `--group` it is in that one alone.
//!
//! The log file is opened afterwards, so that opening it again (HUP) works as well as the first
//! time. Where there is none yet it is made before, and given to the user; one that is there is left
//! as it is, for its name may be a link that somebody else has put there.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, fchown};

use reactor::process::{become_user, identity};

use crate::options::{LogFormat, LogTarget, Options};

/// Becomes the user and group that the options name, if they do, for good.
///
/// # Errors
/// It is not allowed; the text names the mend.
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
            "cannot become user {user} in group {group}: {error}; \
             start it as root, or leave --user and --group out"
        );
        io::Error::new(error.kind(), text)
    })
}

/// Makes the log file. Where that fails, opening it says why.
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
