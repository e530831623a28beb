//! Options for production use, under every model: trusted proxies, privileges, pid file and
//! sandbox.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use reactor::process::{User, group_by_name, user_by_name, user_by_number};

use super::Options;
use super::error::Fault;
use super::table::{Entry, Setter, utf8};
use super::trusted::{NotANetwork, Trusted};
use super::value::path_or_none;

/// Settings for production use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Which peers may send it.
    pub trusted: Trusted,
    /// The user to switch to.
    pub user: Option<Account>,
    /// The only group to be in; `None`: the user's groups.
    pub group: Option<Account>,
    /// Where the PID is written.
    pub pid_file: Option<PathBuf>,
    /// Whether to confine the serving process.
    pub sandbox: bool,
    /// Whether another process must not take over (SIGUSR2).
    pub no_upgrade: bool,
}

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// As it was given: a name or a number.
    pub name: String,
    /// Its number.
    pub number: u32,
    /// A user's groups, the primary one first; empty if the system does not know the user.
    pub groups: Vec<u32>,
}

pub(super) const OPERATION: &[Entry] = &[
    Entry {
        flag: "proxy-protocol",
        value: "",
        help: "require a PROXY protocol header (version 1 or 2) on every connection, from trusted \
               peers only",
        setter: Setter::Switch(|options| &mut options.operation.proxy_protocol),
    },
    Entry {
        flag: "trusted",
        value: "NET",
        help: "peers that may send it: an IP address, a network (10.0.0.0/8), or unix for Unix \
               sockets; repeatable",
        setter: Setter::List {
            get: |options| options.operation.trusted.to_string(),
            clear: |options| options.operation.trusted = Trusted::default(),
            add: add_trusted,
        },
    },
    Entry {
        flag: "user",
        value: "NAME",
        help: "drop privileges to this user (name or number) and its supplementary groups before \
               serving (a master of worker processes keeps its own)",
        setter: Setter::Other {
            get: |options| show(options.operation.user.as_ref(), "current user"),
            set: set_user,
        },
    },
    Entry {
        flag: "group",
        value: "NAME",
        help: "switch to this group only, without the user's groups",
        setter: Setter::Other {
            get: |options| show(options.operation.group.as_ref(), "user's groups"),
            set: set_group,
        },
    },
    Entry {
        flag: "pid-file",
        value: "PATH",
        help: "write the PID to this file, and lock it against a second server",
        setter: Setter::Other {
            get: |options| path_or_none(options.operation.pid_file.as_ref()),
            set: set_pid_file,
        },
    },
    Entry {
        flag: "sandbox",
        value: "",
        help: "confine the serving process (Landlock, no_new_privs): only the root and the log \
               stay reachable; SIGUSR2 then needs worker processes",
        setter: Setter::Switch(|options| &mut options.operation.sandbox),
    },
    Entry {
        // Not "upgrade": the variable of that name describes what a successor inherits.
        flag: "no-upgrade",
        value: "",
        help: "refuse SIGUSR2: for supervisors that end a service with the process that they have \
               started (runit, systemd without Type=notify); process 1 always refuses it",
        setter: Setter::Switch(|options| &mut options.operation.no_upgrade),
    },
];

impl Operation {
    /// Checks constraints between several options; returns the flag with the fault.
    pub(super) fn check(&self) -> Result<(), (&'static str, Fault)> {
        if self.proxy_protocol && self.trusted.is_empty() {
            let hint = "add --trusted with the balancer's address or network";
            return Err(("--proxy-protocol", Fault::new("no trusted peers", hint)));
        }
        // The process would keep its current group, usually root's.
        if self.user.as_ref().is_some_and(|user| user.groups.is_empty()) && self.group.is_none() {
            let fault = Fault::new("the system has no group for that number", "add --group");
            return Err(("--user", fault));
        }
        if self.sandbox && cfg!(not(target_os = "linux")) {
            let fault = Fault::without_hint("needs Landlock, which only Linux has");
            return Err(("--sandbox", fault));
        }
        Ok(())
    }
}

fn show(account: Option<&Account>, default: &str) -> String {
    account.map_or(default.to_owned(), |account| account.name.clone())
}

fn set_pid_file(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    let path = PathBuf::from(text);
    if path.file_name().is_none() {
        return Err(Fault::new("missing file name", "expected a path such as /run/stampede/pid"));
    }
    options.operation.pid_file = Some(path);
    Ok(())
}

fn set_user(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    let of_user = |user: User| (user.number, user.groups);
    let by_name = |name: &str| Ok(user_by_name(name)?.map(of_user));
    let by_number = |number| Ok(user_by_number(number)?.map(of_user));
    options.operation.user = Some(account(utf8(text)?, "user", by_name, by_number)?);
    Ok(())
}

fn set_group(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    let by_name = |name: &str| Ok(group_by_name(name)?.map(|number| (number, Vec::new())));
    options.operation.group = Some(account(utf8(text)?, "group", by_name, |_| Ok(None))?);
    Ok(())
}

/// Finds an account by name or number; a number need not belong to an account.
fn account(
    text: &str,
    what: &str,
    by_name: impl Fn(&str) -> io::Result<Option<(u32, Vec<u32>)>>,
    by_number: impl Fn(u32) -> io::Result<Option<(u32, Vec<u32>)>>,
) -> Result<Account, Fault> {
    let hint = || format!("expected the name or number of a {what}");
    let find = || -> io::Result<_> {
        // The highest one means "unchanged" (setresuid(2)).
        let number = text.parse().ok().filter(|number| *number != u32::MAX);
        match (by_name(text)?, number) {
            (None, Some(number)) => Ok(by_number(number)?.or(Some((number, Vec::new())))),
            (found, _) => Ok(found),
        }
    };
    match find() {
        Ok(Some((number, groups))) => Ok(Account { name: text.to_owned(), number, groups }),
        Ok(None) => Err(Fault::new(format!("no such {what}"), hint())),
        Err(error) => Err(Fault::new(error.to_string(), hint())),
    }
}

fn add_trusted(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    let text = utf8(text)?;
    let trusted = &mut options.operation.trusted;
    if text == "unix" {
        trusted.unix = true;
        return Ok(());
    }
    let network = text.parse().map_err(|why| match why {
        NotANetwork::Address => {
            Fault::invalid("an address (10.0.0.1, ::1), a network (10.0.0.0/8) or unix")
        }
        NotANetwork::Bits => {
            Fault::new("invalid prefix length", "expected 0 to 32 for IPv4, 0 to 128 for IPv6")
        }
        NotANetwork::Host => Fault::new("the address has host bits set", "write them as zeros"),
    })?;
    trusted.networks.push(network);
    Ok(())
}
