//! Options for running a server in earnest, under every model: who speaks for whom, and as whom it
//! runs.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use reactor::process::{User, group_by_name, user_by_name, user_by_number};

use super::Options;
use super::error::Fault;
use super::list::path_or_none;
use super::table::{Entry, Setter, utf8};
use crate::operation::proxy_protocol::{NotANetwork, Trusted};

/// What a person decided about running it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Who may send it.
    pub trusted: Trusted,
    /// As whom it serves.
    pub user: Option<Account>,
    /// In which group alone; else in the user's.
    pub group: Option<Account>,
    /// Where its process number is written.
    pub pid_file: Option<PathBuf>,
    /// Whether it gives up what it does not need.
    pub sandbox: bool,
}

/// A user or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// As it was given: a name or a number.
    pub name: String,
    /// Its number.
    pub number: u32,
    /// The groups of a user, its own first; none, if the system does not know it.
    pub groups: Vec<u32>,
}

pub(super) const OPERATION: &[Entry] = &[
    Entry {
        flag: "proxy-protocol",
        value: "",
        help: "connections begin with a PROXY protocol header (version 1 or 2), from those who are \
               trusted; all others are refused",
        setter: Setter::Switch(|options| &mut options.operation.proxy_protocol),
    },
    Entry {
        flag: "trusted",
        value: "NET",
        help: "who may send it: an IP address, a network (10.0.0.0/8), or unix for Unix sockets; \
               repeatable",
        setter: Setter::List {
            get: |options| options.operation.trusted.to_string(),
            clear: |options| options.operation.trusted = Trusted::default(),
            add: add_trusted,
        },
    },
    Entry {
        flag: "user",
        value: "NAME",
        help: "become this user, by name or number, in all its groups, before serving (a master \
               stays what it is)",
        setter: Setter::Other {
            get: |options| show(options.operation.user.as_ref()),
            set: set_user,
        },
    },
    Entry {
        flag: "group",
        value: "NAME",
        help: "be in this group only, instead of the user's",
        setter: Setter::Other {
            get: |options| show(options.operation.group.as_ref()),
            set: set_group,
        },
    },
    Entry {
        flag: "pid-file",
        value: "PATH",
        help: "write the process's number there while it serves, for one server at a time",
        setter: Setter::Other {
            get: |options| path_or_none(options.operation.pid_file.as_ref()),
            set: set_pid_file,
        },
    },
    Entry {
        flag: "sandbox",
        value: "",
        help: "give up what serving does not need (Linux): files but for the root and the log, new \
               connections, privileges; without processes also SIGUSR2",
        setter: Setter::Switch(|options| &mut options.operation.sandbox),
    },
];

impl Operation {
    /// Checks what several of them together must satisfy; gives the flag with the fault.
    pub(super) fn check(&self) -> Result<(), (&'static str, Fault)> {
        if self.proxy_protocol && self.trusted.is_empty() {
            let hint = "Add --trusted and the balancer's address or network";
            return Err(("--proxy-protocol", Fault::new("nobody is trusted to send it", hint)));
        }
        // It would stay in the present one: root's, as a rule.
        if self.user.as_ref().is_some_and(|user| user.groups.is_empty()) && self.group.is_none() {
            let fault = Fault::new("this system knows of no group for that number", "Add --group");
            return Err(("--user", fault));
        }
        if self.sandbox && cfg!(not(target_os = "linux")) {
            let fault = Fault::new("this system has no Landlock", "Leave it out");
            return Err(("--sandbox", fault));
        }
        Ok(())
    }
}

fn show(account: Option<&Account>) -> String {
    account.map_or("unchanged".to_owned(), |account| account.name.clone())
}

fn set_pid_file(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    let path = PathBuf::from(text);
    if path.file_name().is_none() {
        return Err(Fault::new("this names no file", "Name one: /run/stampede/pid"));
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

/// Who is called so, or has this number; a number may be nobody's.
fn account(
    text: &str,
    what: &str,
    by_name: impl Fn(&str) -> io::Result<Option<(u32, Vec<u32>)>>,
    by_number: impl Fn(u32) -> io::Result<Option<(u32, Vec<u32>)>>,
) -> Result<Account, Fault> {
    let hint = || format!("Name a {what} of this system, or write its number");
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
        Ok(None) => Err(Fault::new(format!("there is no such {what}"), hint())),
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
            Fault::new("this is no IP address", "Write 10.0.0.1, 10.0.0.0/8, ::1 or unix")
        }
        NotANetwork::Bits => {
            Fault::new("this is no number of bits", "Write 0 to 32 for IPv4, to 128 for IPv6")
        }
        NotANetwork::Host => {
            Fault::new("the address has bits beyond the network's", "Write them as zeros")
        }
    })?;
    trusted.networks.push(network);
    Ok(())
}
