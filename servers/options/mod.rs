//! A server's settings, with defaults for production.
//!
//! Everything here has a flag (`--head-timeout 10s`) and an environment variable
//! (`STAMPEDE_HEAD_TIMEOUT=10s`); an argument overrides a variable, a variable the default.
//!
//! ```text
//! list.rs   the options: flag, help, field ──► parse.rs  arguments, environment → Options
//! table.rs  what an option is              ──► help.rs   --help
//! value.rs  "16K", "500ms", "unix:PATH"        descriptors.rs  RLIMIT_NOFILE
//! ```
//!
//! *Not* checked here: whether an address can be bound or a log file written. The code that opens
//! it reports that.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use reactor::process::Priority;

mod caching;
mod children;
mod content;
pub mod descriptors;
mod error;
mod fibers;
mod help;
mod list;
mod operation;
mod parse;
pub(crate) mod passed;
mod pool;
mod sockets;
mod stages;
mod table;
#[cfg(test)]
mod tests;
mod threads;
mod trusted;
mod value;
mod workers;

pub use caching::{CacheControl, Caching, EtagMode};
pub use children::Children;
pub use content::Content;
pub use error::OptionsError;
pub use fibers::Fibers;
pub use operation::Operation;
pub use sockets::TcpOptions;
pub use stages::Stages;
pub use table::{OptionGroup, Takes};
pub use threads::Threads;
pub use trusted::{Network, Trusted};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// All settings, as given or by default.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where to listen.
    pub listen: Vec<ListenAddr>,
    /// Sockets passed by systemd that `listen` does not name.
    pub unused: Vec<ListenAddr>,
    /// What is served.
    pub content: Content,
    /// Sizes and counts.
    pub limits: Limits,
    /// How long to wait for a client.
    pub timeouts: Timeouts,
    /// Permissions of the Unix sockets in `listen`.
    pub unix_mode: u32,
    /// Length of the kernel's queue of connections to accept, per listener.
    pub backlog: u32,
    /// The buffer pool, per loop.
    pub buffers: Buffers,
    /// Socket options.
    pub tcp: TcpOptions,
    /// Whether large files are sent with `sendfile(2)` rather than read and sent.
    pub sendfile: bool,
    /// The access log.
    pub log: LogOptions,
    /// How long a graceful shutdown waits for requests in flight; zero: not at all.
    pub drain_timeout: Duration,
    /// Worker threads or processes, in models that have them.
    pub workers: Workers,
    /// One thread per connection served, in models that have them.
    pub threads: Threads,
    /// One child process per connection, in models that have them.
    pub children: Children,
    /// Stages, in the model that has them.
    pub stages: Stages,
    /// Green threads, in models that have them.
    pub fibers: Fibers,
    /// Settings for production: proxies, privileges, confinement.
    pub operation: Operation,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddr {
    /// A TCP address. `[::]` accepts IPv4 too, unless `0.0.0.0` is in the list with its port.
    Tcp(SocketAddr),
    /// A Unix socket, created at this path.
    Unix(PathBuf),
    /// An inherited descriptor that is already listening.
    Fd(RawFd),
}

/// Sizes and counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's head; beyond: 431.
    pub head: usize,
    /// Fields of a head; beyond: 431.
    pub fields: usize,
    /// Bytes of a request target; beyond: 414.
    pub target: usize,
    /// Bytes of a request's body; beyond: 413.
    pub body: u64,
    /// Connections open at once.
    pub connections: u32,
    /// Requests per connection; 0: no limit, since an old connection costs nothing.
    pub requests: u32,
    /// Bytes of all request bodies being collected.
    pub body_memory: usize,
}

/// How long to wait for a client; zero means no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From a head's first byte to its last.
    pub head: Duration,
    /// Between two reads of a body; also the window over which `body_rate` is averaged.
    pub body: Duration,
    /// Minimum rate of a body in bytes per second, over any window; 0: no minimum.
    pub body_rate: u64,
    /// Between two requests.
    pub idle: Duration,
    /// Between two writes of a response that make progress.
    pub write: Duration,
    /// From a request's first byte to the last of its response.
    pub request: Option<Duration>,
}

/// A pool of large buffers; untouched ones take no memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// How many.
    pub count: usize,
    /// Bytes of each: enough for a head or a target with space to spare, see
    /// [`Options::check`].
    pub size: usize,
}

/// Worker threads or processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    /// How many; `None`: depends on the model and the processors.
    pub count: Option<usize>,
    /// Whether each is pinned to a processor of its own.
    pub pin: bool,
    /// Jobs queued per worker at most.
    pub ring: usize,
    /// Which requests go to workers.
    pub offload: Offload,
    /// What happens when all rings are full.
    pub overload: Overload,
    /// How long a job may take before its worker counts as stuck; zero: no limit.
    pub timeout: Duration,
    /// Scheduling of workers on the loop's core.
    pub priority: Priority,
    /// How connections reach worker processes.
    pub accept: Accept,
    /// Requests after which a worker process is replaced; zero: never.
    pub requests_max: u64,
}

/// How connections reach worker processes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Each worker has a listener on the port; the kernel balances connections between them.
    ReusePort,
    /// All workers wait on one listener; the kernel wakes one of them.
    Shared,
    /// The master accepts, and passes each connection to the worker with the fewest.
    Pass,
}

/// Which requests go to workers.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Offload {
    /// Those that the application marks as blocking.
    Blocking,
    /// All of them: the textbook model.
    All,
}

/// What happens to a request when all rings are full.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Overload {
    /// It waits, and its connection is not read from.
    Wait,
    /// It is answered 503 with Retry-After.
    Reject,
}

/// The access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// Format of a line.
    pub format: LogFormat,
    /// Where lines go.
    pub target: LogTarget,
}

/// Format of the access log.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// No access log.
    Off,
    /// NCSA common log format.
    Common,
    /// The common format with referrer and user agent.
    Combined,
    /// One JSON object per line.
    Json,
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file that is appended to, and reopened on SIGHUP.
    File(PathBuf),
}

/// What to do after parsing.
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    /// Serve.
    Run(Box<Options>),
    /// Print this on standard output and exit: `--help`.
    Help(String),
    /// Print this on standard output and exit: `--version`.
    Version(String),
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: vec![ListenAddr::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))],
            unused: Vec::new(),
            content: Content::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            // Whom its directory lets through may connect, as with a port of the loopback address.
            unix_mode: 0o666,
            backlog: 4096, // Linux's default net.core.somaxconn; the kernel clamps larger values
            buffers: Buffers::default(),
            tcp: TcpOptions::default(),
            sendfile: true,
            log: LogOptions::default(),
            drain_timeout: Duration::from_secs(10),
            workers: Workers::default(),
            threads: Threads::default(),
            children: Children::default(),
            stages: Stages::default(),
            fibers: Fibers::default(),
            operation: Operation::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head: 16 * KIB,
            fields: 100,
            target: 8 * KIB,
            body: MIB as u64,
            connections: descriptors::connections_max(),
            requests: 0,
            body_memory: 64 * MIB,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            body_rate: 500,
            idle: Duration::from_secs(60),
            write: Duration::from_secs(30),
            request: None,
        }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Buffers { count: 1024, size: 32 * KIB }
    }
}

impl Default for Workers {
    fn default() -> Self {
        Workers {
            count: None,
            pin: false,
            // With jobs of 5 ms, more than a second's worth: clients rarely wait longer.
            ring: 256,
            offload: Offload::Blocking,
            overload: Overload::Wait,
            timeout: Duration::from_secs(30),
            // At 80 % of one core (latency.py priority), the 99th percentile of light requests in
            // ms: normal 0.9, batch 0.9, slice:500us 0.5, nice:5 0.35, idle 0.2, nice:19 0.1. The
            // last two all but starve a worker beside another busy program; nice:5 leaves it a
            // third of that program's share.
            priority: Priority::Nice(5),
            accept: Accept::default(),
            requests_max: 0,
        }
    }
}

/// `reuseport` where the kernel balances connections between listeners on one port (`SO_REUSEPORT`
/// on Linux, `SO_REUSEPORT_LB` on FreeBSD): see `models/symped.rs` for why.
impl Default for Accept {
    fn default() -> Self {
        match cfg!(any(target_os = "linux", target_os = "freebsd")) {
            true => Accept::ReusePort,
            false => Accept::Shared,
        }
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions { format: LogFormat::Off, target: LogTarget::Stdout }
    }
}

/// As `--listen` takes it: `127.0.0.1:8080`, `unix:PATH`, `fd:3`.
impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddr::Tcp(addr) => write!(f, "{addr}"),
            ListenAddr::Unix(path) => write!(f, "unix:{}", path.display()),
            ListenAddr::Fd(fd) => write!(f, "fd:{fd}"),
        }
    }
}
