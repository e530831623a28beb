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
//! What the server opens later (the log, files beneath the root), it opens as that user: see
//! `log_file` and `trial`.

use std::io;

use reactor::process::{become_user, identity};

use crate::options::Options;

/// The user that serves, and its groups, the primary one first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Its UID.
    pub user: u32,
    /// Their GIDs.
    pub groups: Vec<u32>,
}

impl Identity {
    /// As configured; `None`: the server stays what it is.
    pub fn of(options: &Options) -> Option<Identity> {
        let operation = &options.operation;
        let (own_user, own_group) = identity();
        let groups = match (&operation.group, &operation.user) {
            (Some(group), _) => vec![group.number],
            (None, Some(user)) => user.groups.clone(),
            (None, None) => return None,
        };
        let user = operation.user.as_ref().map_or(own_user, |user| user.number);
        let groups = if groups.is_empty() { vec![own_group] } else { groups };
        Some(Identity { user, groups })
    }

    /// The primary group.
    pub fn group(&self) -> Option<u32> {
        self.groups.first().copied()
    }
}

/// Permanently switches to the configured user and group, if any.
///
/// # Errors
/// Permission denied; the text names the fix.
pub fn drop(options: &Options) -> io::Result<()> {
    let Some(Identity { user, groups }) = Identity::of(options) else { return Ok(()) };
    become_user(user, &groups).map_err(|error| {
        let group = groups.first().copied().unwrap_or_default();
        let text = format!(
            "cannot switch to user {user}, group {group}: {error}; \
             start as root, or omit --user and --group"
        );
        io::Error::new(error.kind(), text)
    })
}
