//! The list of options, which drives arguments, environment and `--help`.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use super::caching::{CACHE_CONTROL, ETAG};
use super::children::CONNECTION_CHILDREN;
use super::error::Fault;
use super::fibers::FIBERS;
use super::operation::OPERATION;
use super::pool::POOL;
use super::sockets::SOCKETS;
use super::stages::STAGES;
use super::table::{DAY, Entry, Group, Model, OptionGroup, Setter, Takes, number, time, utf8};
use super::threads::CONNECTION_THREADS;
use super::value::{name_of, path_or_none, value_of};
use super::workers::{PROCESSES, THREADS};
use super::{ListenAddr, LogFormat, LogTarget, Options, value};

/// A larger count of connections, buffers or files is a typing error.
const COUNT_MAX: u64 = 10_000_000;
const TIB: u64 = 1 << 40;
/// Bounded by the address space of a 32-bit machine.
const MEMORY_MAX: u64 = if usize::BITS == 32 { 1 << 30 } else { TIB };
/// Offsets into a head are 16 bits wide.
const HEAD_MAX: u64 = u16::MAX as u64;

pub(super) const GROUPS: &[Group] = &[
    Group { title: "Content", group: None, entries: SERVED },
    Group { title: "Listening", group: None, entries: LISTENS },
    Group { title: "Limits", group: None, entries: LIMITS },
    Group { title: "Timeouts (0 or off: no limit)", group: None, entries: TIMEOUTS },
    Group { title: "Memory, per loop", group: None, entries: MEMORY },
    Group { title: "Sockets", group: None, entries: SOCKETS },
    Group { title: "Access log", group: None, entries: LOG },
    Group { title: "Operation", group: None, entries: OPERATION },
    Group { title: "Workers", group: Some(OptionGroup::Threads), entries: THREADS },
    Group { title: "Workers", group: Some(OptionGroup::Processes), entries: PROCESSES },
    Group {
        title: "Threads",
        group: Some(OptionGroup::PerConnection),
        entries: CONNECTION_THREADS,
    },
    Group {
        title: "Processes",
        group: Some(OptionGroup::ChildPerConnection),
        entries: CONNECTION_CHILDREN,
    },
    Group { title: "Workers", group: Some(OptionGroup::Pool), entries: POOL },
    Group { title: "Stages", group: Some(OptionGroup::Stages), entries: STAGES },
    Group { title: "Fibers", group: Some(OptionGroup::Fibers), entries: FIBERS },
];

/// A model's entries, in the order of the help.
pub(super) fn entries(model: Model<'_>) -> impl Iterator<Item = &'static Entry> {
    GROUPS.iter().filter(move |group| model.takes(group)).flat_map(|group| group.entries)
}

/// The models of `all` that have this flag; empty if every model has it, or none.
pub(super) fn models_with(flag: &str, all: &[Takes]) -> Vec<&'static str> {
    let has = |group: &&Group| group.entries.iter().any(|entry| entry.flag == flag);
    let groups: Vec<_> = GROUPS.iter().filter(has).filter_map(|group| group.group).collect();
    let takes = |(_, theirs): &&Takes| theirs.iter().any(|group| groups.contains(group));
    all.iter().filter(takes).map(|(name, _)| *name).collect()
}

const SERVED: &[Entry] = &[
    Entry {
        flag: "root",
        value: "DIR",
        help: "serve the files in this directory, and nothing outside it",
        setter: Setter::Other {
            get: |options| path_or_none(options.content.root.as_ref()),
            set: set_root,
        },
    },
    Entry {
        flag: "demo",
        value: "",
        help: "demonstration routes such as /plaintext and /work?us=N (the default without --root)",
        setter: Setter::Switch(|options| &mut options.content.demo),
    },
    Entry {
        flag: "status",
        value: "",
        help: "turn off /status, /status.json and /metrics",
        setter: Setter::Switch(|options| &mut options.content.status),
    },
    Entry {
        flag: "index",
        value: "NAME",
        help: "file to serve for a directory; repeatable, in order of preference",
        setter: Setter::List {
            get: |options| options.content.index.join(","),
            clear: |options| options.content.index.clear(),
            add: add_index,
        },
    },
    Entry {
        flag: "autoindex",
        value: "",
        help: "list directories that have no index file",
        setter: Setter::Switch(|options| &mut options.content.autoindex),
    },
    Entry {
        flag: "dotfiles",
        value: "",
        help: "serve files whose name begins with a dot; /.well-known/ is served without it",
        setter: Setter::Switch(|options| &mut options.content.dotfiles),
    },
    Entry {
        flag: "precompressed",
        value: "",
        help: "do not look for x.br, x.zst and x.gz beside x",
        setter: Setter::Switch(|options| &mut options.content.precompressed),
    },
    Entry {
        flag: "sendfile",
        value: "",
        help: "send large files with read and send instead of sendfile(2)",
        setter: Setter::Switch(|options| &mut options.sendfile),
    },
    Entry {
        flag: "cache-ttl",
        value: "TIME",
        help: "how long a cached file is served without checking for changes",
        setter: time!(DAY, content.cache_ttl),
    },
    CACHE_CONTROL,
    ETAG,
];

const LISTENS: &[Entry] = &[
    Entry {
        flag: "listen",
        value: "ADDR",
        help: "IP:PORT, [IPv6]:PORT, PORT for this machine only, :PORT for all addresses, \
               unix:PATH, or fd:N for an inherited socket; repeatable. Without it, sockets passed \
               by systemd (LISTEN_FDS) are used",
        setter: Setter::List {
            get: |options| join(&options.listen),
            clear: |options| options.listen.clear(),
            add: |options, text| {
                options.listen.push(value::listen(utf8(text)?)?);
                Ok(())
            },
        },
    },
    Entry {
        flag: "unix-mode",
        value: "MODE",
        help: "permissions of Unix sockets, in octal; connecting needs write permission",
        setter: Setter::Other {
            get: |options| format!("{:04o}", options.unix_mode),
            set: |options, text| {
                options.unix_mode = value::mode(utf8(text)?)?;
                Ok(())
            },
        },
    },
    Entry {
        flag: "backlog",
        value: "N",
        help: "length of the kernel's queue of connections to accept",
        setter: Setter::Count(number!(1..=65_535, backlog: u32)),
    },
];

const LIMITS: &[Entry] = &[
    Entry {
        flag: "max-head",
        value: "SIZE",
        help: "size of a request's head",
        setter: Setter::Size(number!(256..=HEAD_MAX, limits.head: usize)),
    },
    Entry {
        flag: "max-fields",
        value: "N",
        help: "header fields of a request",
        setter: Setter::Count(number!(1..=10_000, limits.fields: usize)),
    },
    Entry {
        flag: "max-target",
        value: "SIZE",
        help: "size of a request target (path and query)",
        setter: Setter::Size(number!(64..=HEAD_MAX, limits.target: usize)),
    },
    Entry {
        flag: "max-body",
        value: "SIZE",
        help: "size of a request body",
        setter: Setter::Size(number!(0..=TIB, limits.body: u64)),
    },
    Entry {
        flag: "max-connections",
        value: "N",
        help: "connections open at once; the default follows the limit on open files (ulimit -Hn)",
        setter: Setter::Count(number!(1..=COUNT_MAX, limits.connections: u32)),
    },
    Entry {
        flag: "keepalive-requests",
        value: "N",
        help: "requests per connection; 0: no limit",
        setter: Setter::Count(number!(0..=u32::MAX as u64, limits.requests: u32)),
    },
];

const TIMEOUTS: &[Entry] = &[
    Entry {
        flag: "head-timeout",
        value: "TIME",
        help: "from the first byte of a request's head to the last",
        setter: time!(DAY, timeouts.head),
    },
    Entry {
        flag: "body-timeout",
        value: "TIME",
        help: "between two reads of a request body",
        setter: time!(DAY, timeouts.body),
    },
    Entry {
        flag: "body-rate",
        value: "SIZE",
        help: "minimum body rate in bytes per second, averaged over --body-timeout; 0: no minimum",
        setter: Setter::Size(number!(0..=1 << 30, timeouts.body_rate: u64)),
    },
    Entry {
        flag: "idle-timeout",
        value: "TIME",
        help: "between two requests on a connection",
        setter: time!(DAY, timeouts.idle),
    },
    Entry {
        flag: "write-timeout",
        value: "TIME",
        help: "between two writes of a response that make progress",
        setter: time!(DAY, timeouts.write),
    },
    Entry {
        flag: "request-timeout",
        value: "TIME",
        help: "from the first byte of a request to the last of its response",
        setter: Setter::Time {
            longest: DAY,
            get: |options| options.timeouts.request,
            set: |options, time| options.timeouts.request = time.filter(|time| !time.is_zero()),
        },
    },
    Entry {
        flag: "drain-timeout",
        value: "TIME",
        help: "how long a graceful shutdown waits for requests in flight; 0: not at all",
        setter: time!(DAY, drain_timeout),
    },
];

const MEMORY: &[Entry] = &[
    Entry {
        flag: "buffers",
        value: "N",
        help: "buffers for requests and responses in flight; an idle connection has none",
        setter: Setter::Count(number!(4..=COUNT_MAX, buffers.count: usize)),
    },
    Entry {
        flag: "buffer-size",
        value: "SIZE",
        help: "size of each buffer; untouched ones take no memory",
        setter: Setter::Size(number!(1024..=16 << 20, buffers.size: usize)),
    },
    Entry {
        flag: "body-memory",
        value: "SIZE",
        help: "total size of request bodies being collected",
        setter: Setter::Size(number!(0..=MEMORY_MAX, limits.body_memory: usize)),
    },
    Entry {
        flag: "cache-size",
        value: "SIZE",
        help: "small files kept in memory",
        setter: Setter::Size(number!(0..=MEMORY_MAX, content.cache_bytes: usize)),
    },
    Entry {
        flag: "cache-files",
        value: "N",
        help: "larger files kept open",
        setter: Setter::Count(number!(0..=1_000_000, content.cache_files: usize)),
    },
];

const LOG: &[Entry] = &[
    Entry {
        flag: "access-log",
        value: "FORMAT",
        help: "off, common, combined or json",
        setter: Setter::Other {
            get: |options| name_of(&FORMATS, options.log.format).to_owned(),
            set: |options, text| {
                options.log.format = value_of(&FORMATS, text)?;
                Ok(())
            },
        },
    },
    Entry {
        flag: "log-file",
        value: "FILE",
        help: "where the access log goes; SIGHUP reopens it",
        setter: Setter::Other {
            get: |options| match &options.log.target {
                LogTarget::Stdout => "stdout".to_owned(),
                LogTarget::File(path) => path.display().to_string(),
            },
            set: set_log_file,
        },
    },
];

const FORMATS: [(&str, LogFormat); 4] = [
    ("off", LogFormat::Off),
    ("common", LogFormat::Common),
    ("combined", LogFormat::Combined),
    ("json", LogFormat::Json),
];

fn set_log_file(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    options.log.target = match text.to_str() {
        // By this name it could not be opened again by another user (--user).
        Some("stdout" | "-" | "/dev/stdout") => LogTarget::Stdout,
        Some("") => return Err(Fault::new("missing file name", "expected a path, or stdout")),
        _ => LogTarget::File(PathBuf::from(text)),
    };
    Ok(())
}

fn set_root(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    let hint = "expected a directory that this user may read";
    match fs::metadata(text) {
        Ok(found) if found.is_dir() => options.content.root = Some(PathBuf::from(text)),
        Ok(_) => return Err(Fault::new("not a directory", hint)),
        Err(error) => return Err(Fault::new(error.to_string(), hint)),
    }
    Ok(())
}

fn add_index(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    let name = utf8(text)?;
    if name.is_empty() || name.contains(['/', '\0']) || name == "." || name == ".." {
        return Err(Fault::invalid("a file name without a slash, such as index.html"));
    }
    options.content.index.push(name.to_owned());
    Ok(())
}

fn join(addrs: &[ListenAddr]) -> String {
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
