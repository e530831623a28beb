//! The list of options: the one that arguments, environment and `--help` are driven by.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::error::Fault;
use super::operation::OPERATION;
use super::processes::PROCESSES;
use super::table::{Entry, Group, Number, Setter, utf8};
use super::{ListenAddr, LogFormat, LogTarget, Offload, Options, Overload, value};

/// A number's setter: its range was checked before it is narrowed.
macro_rules! number {
    ($allowed:expr, $($field:ident).+ : $type:ty) => {
        Number {
            allowed: $allowed,
            get: |options| options.$($field).+ as u64,
            set: |options, n| options.$($field).+ = n as $type,
        }
    };
}

/// A time whose zero means "without limit", or "at once".
macro_rules! time {
    ($longest:expr, $($field:ident).+) => {
        Setter::Time {
            longest: $longest,
            get: |options| Some(options.$($field).+),
            set: |options, time| options.$($field).+ = time.unwrap_or_default(),
        }
    };
}

const DAY: Duration = Duration::from_secs(86_400);
/// `SO_LINGER` counts seconds in 16 bits on the BSDs.
const LINGER_LONGEST: Duration = Duration::from_secs(32_767);
/// A count of connections, buffers or files beyond this is a slip of the finger.
const COUNT_MAX: u64 = 10_000_000;
/// More workers than any machine has processors.
const WORKERS_MAX: u64 = 1024;
/// A job takes two buffers of address space and, once used, as much memory.
const RING_MAX: u64 = 1 << 16;
const TIB: u64 = 1 << 40;
/// `usize` of the smallest machine that this is built for.
const MEMORY_MAX: u64 = if usize::BITS == 32 { 1 << 30 } else { TIB };
/// Offsets into a head are 16 bits wide.
const HEAD_MAX: u64 = u16::MAX as u64;

/// Models that an option is for: every one.
const ALL: &[&str] = &[];

pub(super) const GROUPS: &[Group] = &[
    Group { title: "What is served", models: ALL, entries: SERVED },
    Group { title: "Where it listens", models: ALL, entries: LISTENS },
    Group { title: "Limits", models: ALL, entries: LIMITS },
    Group { title: "Timeouts (0 or off: without limit)", models: ALL, entries: TIMEOUTS },
    Group { title: "Memory, per loop", models: ALL, entries: MEMORY },
    Group { title: "Sockets", models: ALL, entries: SOCKETS },
    Group { title: "Access log", models: ALL, entries: LOG },
    Group { title: "Operation", models: ALL, entries: OPERATION },
    Group { title: "Workers", models: &["amped"], entries: WORKERS },
    Group { title: "Workers", models: &["symped"], entries: PROCESSES },
];

const SERVED: &[Entry] = &[
    Entry {
        flag: "root",
        value: "DIR",
        help: "serve the files of this directory, and nothing outside it",
        setter: Setter::Other { get: |options| path_or_none(options.root.as_ref()), set: set_root },
    },
    Entry {
        flag: "demo",
        value: "",
        help: "demonstration routes: /plaintext /json /echo /work /sleep /bytes \
               (on by itself without --root)",
        setter: Setter::Switch(|options| &mut options.demo),
    },
    Entry {
        flag: "status",
        value: "",
        help: "no /status, /status.json and /metrics",
        setter: Setter::Switch(|options| &mut options.status),
    },
    Entry {
        flag: "index",
        value: "NAME",
        help: "file that stands for its directory; repeat it for a second choice",
        setter: Setter::List {
            get: |options| options.index.join(","),
            clear: |options| options.index.clear(),
            add: add_index,
        },
    },
    Entry {
        flag: "autoindex",
        value: "",
        help: "list directories that have no such file",
        setter: Setter::Switch(|options| &mut options.autoindex),
    },
    Entry {
        flag: "dotfiles",
        value: "",
        help: "serve files whose name begins with a dot",
        setter: Setter::Switch(|options| &mut options.dotfiles),
    },
    Entry {
        flag: "precompressed",
        value: "",
        help: "do not look for x.br, x.zst and x.gz beside x",
        setter: Setter::Switch(|options| &mut options.precompressed),
    },
    Entry {
        flag: "sendfile",
        value: "",
        help: "read and send large files instead of sendfile(2)",
        setter: Setter::Switch(|options| &mut options.sendfile),
    },
    Entry {
        flag: "cache-ttl",
        value: "TIME",
        help: "how long a cached file is believed unchanged",
        setter: time!(DAY, cache_ttl),
    },
];

const LISTENS: &[Entry] = &[
    Entry {
        flag: "listen",
        value: "ADDR",
        help: "IP:PORT, [IPv6]:PORT, PORT for this machine only, :PORT for every address, \
               unix:PATH, or fd:N for an inherited socket; repeatable. Sockets passed by systemd \
               (LISTEN_FDS) are used when it is not given",
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
        flag: "backlog",
        value: "N",
        help: "connections that wait in the kernel to be accepted",
        setter: Setter::Count(number!(1..=65_535, backlog: u32)),
    },
];

const LIMITS: &[Entry] = &[
    Entry {
        flag: "max-head",
        value: "SIZE",
        help: "a request's head",
        setter: Setter::Size(number!(256..=HEAD_MAX, limits.head: usize)),
    },
    Entry {
        flag: "max-fields",
        value: "N",
        help: "its fields",
        setter: Setter::Count(number!(1..=10_000, limits.fields: usize)),
    },
    Entry {
        flag: "max-target",
        value: "SIZE",
        help: "its target (the path and what follows)",
        setter: Setter::Size(number!(64..=HEAD_MAX, limits.target: usize)),
    },
    Entry {
        flag: "max-body",
        value: "SIZE",
        help: "a request's body",
        setter: Setter::Size(number!(0..=TIB, limits.body: u64)),
    },
    Entry {
        flag: "max-connections",
        value: "N",
        help: "connections open at once; by default what the limit on open files (ulimit -Hn) allows",
        setter: Setter::Count(number!(1..=COUNT_MAX, limits.connections: u32)),
    },
    Entry {
        flag: "max-requests",
        value: "N",
        help: "requests a connection may send; 0: any number",
        setter: Setter::Count(number!(0..=u32::MAX as u64, limits.requests: u32)),
    },
];

const TIMEOUTS: &[Entry] = &[
    Entry {
        flag: "head-timeout",
        value: "TIME",
        help: "from a head's first byte to its last",
        setter: time!(DAY, timeouts.head),
    },
    Entry {
        flag: "body-timeout",
        value: "TIME",
        help: "between two pieces of a body",
        setter: time!(DAY, timeouts.body),
    },
    Entry {
        flag: "body-rate",
        value: "SIZE",
        help: "bytes a second that a body must bring over any such time; 0: however slow",
        setter: Setter::Size(number!(0..=1 << 30, timeouts.body_rate: u64)),
    },
    Entry {
        flag: "idle-timeout",
        value: "TIME",
        help: "between two requests of a connection",
        setter: time!(DAY, timeouts.idle),
    },
    Entry {
        flag: "write-timeout",
        value: "TIME",
        help: "between two pieces of a response that the client takes",
        setter: time!(DAY, timeouts.write),
    },
    Entry {
        flag: "request-timeout",
        value: "TIME",
        help: "a whole request, from its first byte to the last of its response",
        setter: Setter::Time {
            longest: DAY,
            get: |options| options.timeouts.request,
            set: |options, time| options.timeouts.request = time.filter(|time| !time.is_zero()),
        },
    },
    Entry {
        flag: "drain-timeout",
        value: "TIME",
        help: "what a server that was told to stop gives its clients; 0: nothing",
        setter: time!(DAY, drain_timeout),
    },
];

const MEMORY: &[Entry] = &[
    Entry {
        flag: "buffers",
        value: "N",
        help: "buffers for requests and responses in hand; an idle connection has none",
        setter: Setter::Count(number!(4..=COUNT_MAX, buffers.count: usize)),
    },
    Entry {
        flag: "buffer-size",
        value: "SIZE",
        help: "size of each; untouched ones take no memory",
        setter: Setter::Size(number!(1024..=16 << 20, buffers.size: usize)),
    },
    Entry {
        flag: "body-memory",
        value: "SIZE",
        help: "bodies being collected, all together",
        setter: Setter::Size(number!(0..=MEMORY_MAX, limits.body_memory: usize)),
    },
    Entry {
        flag: "cache-size",
        value: "SIZE",
        help: "small files kept in memory",
        setter: Setter::Size(number!(0..=MEMORY_MAX, cache_bytes: usize)),
    },
    Entry {
        flag: "cache-files",
        value: "N",
        help: "larger files kept open",
        setter: Setter::Count(number!(0..=1_000_000, cache_files: usize)),
    },
];

const SOCKETS: &[Entry] = &[
    Entry {
        flag: "nodelay",
        value: "",
        help: "leave Nagle's algorithm on",
        setter: Setter::Switch(|options| &mut options.tcp.nodelay),
    },
    Entry {
        flag: "defer-accept",
        value: "TIME",
        help: "accept a connection when its request is there, or after this time",
        setter: Setter::Time {
            longest: Duration::from_secs(3600),
            get: |options| options.tcp.defer_accept,
            set: |options, time| options.tcp.defer_accept = time.filter(|time| !time.is_zero()),
        },
    },
    Entry {
        flag: "linger",
        value: "TIME",
        help: "SO_LINGER, in whole seconds: 0 resets a connection that is closed; more \
               only where a thread may wait in close(2), which a loop may not",
        setter: Setter::Time {
            longest: LINGER_LONGEST,
            get: |options| options.tcp.linger,
            set: |options, time| options.tcp.linger = time,
        },
    },
    Entry {
        flag: "fastopen",
        value: "N",
        help: "TCP Fast Open: connections that may bring data in their SYN",
        setter: Setter::Other {
            get: |options| options.tcp.fastopen.map_or("off".to_owned(), |n| n.to_string()),
            set: set_fastopen,
        },
    },
    Entry {
        flag: "congestion",
        value: "NAME",
        help: "congestion control, by the name that the kernel knows it by (bbr)",
        setter: Setter::Other {
            get: |options| options.tcp.congestion.clone().unwrap_or("the system's".to_owned()),
            set: |options, text| {
                options.tcp.congestion = Some(utf8(text)?.to_owned());
                Ok(())
            },
        },
    },
];

const LOG: &[Entry] = &[
    Entry {
        flag: "access-log",
        value: "FORMAT",
        help: "off, common, combined or json",
        setter: Setter::Other {
            get: |options| format_name(options.log.format).to_owned(),
            set: set_format,
        },
    },
    Entry {
        flag: "log-file",
        value: "FILE",
        help: "where its lines go; SIGHUP opens it again",
        setter: Setter::Other {
            get: |options| match &options.log.target {
                LogTarget::Stdout => "stdout".to_owned(),
                LogTarget::File(path) => path.display().to_string(),
            },
            set: set_log_file,
        },
    },
];

/// Of a model whose workers are threads behind rings.
const WORKERS: &[Entry] = &[
    Entry {
        flag: "workers",
        value: "N",
        help: "threads that work; auto: one for each processor but the loop's, at least one",
        setter: Setter::Other { get: worker_count, set: set_worker_count },
    },
    Entry {
        flag: "ring",
        value: "N",
        help: "jobs that may wait for each, rounded up to a power of two",
        setter: Setter::Count(number!(1..=RING_MAX, workers.ring: usize)),
    },
    Entry {
        flag: "offload",
        value: "WHAT",
        help: "what goes to them: blocking (what the application marks as work) or all",
        setter: Setter::Other {
            get: |options| name_of(&OFFLOADS, options.workers.offload).to_owned(),
            set: |options, text| {
                options.workers.offload = value_of(&OFFLOADS, text)?;
                Ok(())
            },
        },
    },
    Entry {
        flag: "overload",
        value: "WHAT",
        help: "when all rings are full: wait (its connection is not read from) or reject (503)",
        setter: Setter::Other {
            get: |options| name_of(&OVERLOADS, options.workers.overload).to_owned(),
            set: |options, text| {
                options.workers.overload = value_of(&OVERLOADS, text)?;
                Ok(())
            },
        },
    },
    Entry {
        flag: "work-timeout",
        value: "TIME",
        help: "a job that takes longer is answered 503 and its worker substituted; 0: never",
        setter: time!(DAY, workers.timeout),
    },
    Entry {
        flag: "worker-priority",
        value: "P",
        help: "normal, nice:1 to nice:19, batch, idle, or slice:TIME (turns of 100us to 100ms): a \
               worker that shares the loop's core gives way to it",
        setter: Setter::Other {
            get: |options| value::show_priority(options.workers.priority),
            set: |options, text| {
                options.workers.priority = value::priority(utf8(text)?)?;
                Ok(())
            },
        },
    },
    Entry {
        flag: "pin",
        value: "",
        help: "keep the loop and each worker on a processor of its own",
        setter: Setter::Switch(|options| &mut options.workers.pin),
    },
];

const OFFLOADS: [(&str, Offload); 2] = [("blocking", Offload::Blocking), ("all", Offload::All)];

const OVERLOADS: [(&str, Overload); 2] = [("wait", Overload::Wait), ("reject", Overload::Reject)];

/// The name of a value that has one.
pub(super) fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: T) -> &'static str {
    names.iter().find(|(_, known)| *known == value).map_or("", |(name, _)| name)
}

/// The value that is called so.
pub(super) fn value_of<T: Copy>(names: &[(&'static str, T)], text: &OsStr) -> Result<T, Fault> {
    let fault = || {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        Fault::new("there is no such choice", format!("Write {}", names.join(" or ")))
    };
    names.iter().find(|(name, _)| text == *name).map(|(_, value)| *value).ok_or_else(fault)
}

pub(super) fn worker_count(options: &Options) -> String {
    options.workers.count.map_or("auto".to_owned(), |count| count.to_string())
}

pub(super) fn set_worker_count(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    options.workers.count = match utf8(text)? {
        "auto" => None,
        text => match value::count(text)? {
            count @ 1..=WORKERS_MAX => Some(count as usize),
            _ => {
                let hint = format!("Write 1 to {WORKERS_MAX}, or auto");
                return Err(Fault::new("this is no number of workers", hint));
            }
        },
    };
    Ok(())
}

const FORMATS: [(&str, LogFormat); 4] = [
    ("off", LogFormat::Off),
    ("common", LogFormat::Common),
    ("combined", LogFormat::Combined),
    ("json", LogFormat::Json),
];

fn format_name(format: LogFormat) -> &'static str {
    FORMATS.iter().find(|(_, known)| *known == format).map_or("off", |(name, _)| name)
}

fn set_format(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    let known = FORMATS.iter().find(|(name, _)| text == *name);
    let fault = || Fault::new("this is no log format", "Write off, common, combined or json");
    options.log.format = known.ok_or_else(fault)?.1;
    Ok(())
}

fn set_log_file(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    options.log.target = match text.to_str() {
        Some("stdout" | "-") => LogTarget::Stdout,
        Some("") => return Err(Fault::new("the name is missing", "Write a path, or stdout")),
        _ => LogTarget::File(PathBuf::from(text)),
    };
    Ok(())
}

fn set_root(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    let hint = "Name a directory that this user may read";
    match fs::metadata(text) {
        Ok(found) if found.is_dir() => options.root = Some(PathBuf::from(text)),
        Ok(_) => return Err(Fault::new("this is no directory", hint)),
        Err(error) => return Err(Fault::new(error.to_string(), hint)),
    }
    Ok(())
}

fn add_index(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    let name = utf8(text)?;
    if name.is_empty() || name.contains(['/', '\0']) || name == "." || name == ".." {
        return Err(Fault::new("this is no file name", "Write a name without a slash: index.html"));
    }
    options.index.push(name.to_owned());
    Ok(())
}

fn set_fastopen(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    options.tcp.fastopen = match utf8(text)? {
        "off" | "0" => None,
        text => match text.parse() {
            Ok(queue) if queue <= 65_535 => Some(queue),
            _ => {
                return Err(Fault::new("this is no such number", "Write 1 to 65535, or off"));
            }
        },
    };
    Ok(())
}

pub(super) fn path_or_none(path: Option<&PathBuf>) -> String {
    path.map_or("none".to_owned(), |path| path.display().to_string())
}

fn join(addrs: &[ListenAddr]) -> String {
    addrs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
