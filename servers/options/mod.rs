//! What a person may decide about a server, with defaults that serve well.
//!
//! Everything here has a flag (`--head-timeout 10s`) and an environment variable
//! (`STAMPEDE_HEAD_TIMEOUT=10s`); an argument wins over a variable, a variable over the default.
//!
//! ```text
//! list.rs   the options: flag, help, field ──► parse.rs  arguments, environment → Options
//! table.rs  what an option is              ──► help.rs   --help
//! value.rs  "16K", "500ms", "unix:PATH"        descriptors.rs  RLIMIT_NOFILE
//! ```
//!
//! What is *not* checked here: whether an address can be bound or a log file written. Whoever opens
//! it knows better, and says so.

use std::ffi::OsString;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use reactor::process::Priority;

pub mod descriptors;
mod error;
mod help;
mod list;
mod operation;
mod parse;
mod processes;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub use error::OptionsError;
pub use operation::Operation;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a person decided, or the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where to listen.
    pub listen: Vec<ListenAddr>,
    /// Sockets that systemd has passed, and that `listen` does not name.
    pub unused: Vec<ListenAddr>,
    /// The directory to serve.
    pub root: Option<PathBuf>,
    /// Whether the demonstration routes answer. Parsing turns it on when there is no root.
    pub demo: bool,
    /// Whether `/status`, `/status.json` and `/metrics` answer.
    pub status: bool,
    /// Names of the files that stand for their directory, in order of preference.
    pub index: Vec<String>,
    /// Whether a directory without an index file is listed.
    pub autoindex: bool,
    /// Whether files whose name begins with a dot are served.
    pub dotfiles: bool,
    /// Whether `x.br`, `x.zst` and `x.gz` beside `x` are served to clients that take them.
    pub precompressed: bool,
    /// How old a cached file may be before it is looked at again; zero: every time.
    pub cache_ttl: Duration,
    /// Bytes of small files kept in memory, per loop.
    pub cache_bytes: usize,
    /// Files kept open, per loop.
    pub cache_files: usize,
    /// How large and how many.
    pub limits: Limits,
    /// How long.
    pub timeouts: Timeouts,
    /// Connections that the kernel keeps for a listener until they are accepted.
    pub backlog: u32,
    /// The buffer pool, per loop.
    pub buffers: Buffers,
    /// Socket options.
    pub tcp: TcpOptions,
    /// Whether large files go out by `sendfile(2)`; otherwise they are read and sent.
    pub sendfile: bool,
    /// The access log.
    pub log: LogOptions,
    /// How long a stopping server answers what it has in hand; zero: not at all.
    pub drain_timeout: Duration,
    /// Threads or processes beside the first, in models that have them.
    pub workers: Workers,
    /// How it is run: behind whom, and as whom.
    pub operation: Operation,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddr {
    /// A TCP address. `[::]` takes IPv4 too, unless another address of the list does.
    Tcp(SocketAddr),
    /// A Unix socket, made at this path.
    Unix(PathBuf),
    /// An inherited descriptor that is listening already.
    Fd(RawFd),
}

/// How large and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's head; above: 431.
    pub head: usize,
    /// Fields of a head; above: 431.
    pub fields: usize,
    /// Bytes of a request target; above: 414.
    pub target: usize,
    /// Bytes of a request's body; above: 413.
    pub body: u64,
    /// Connections open at once.
    pub connections: u32,
    /// Requests that one connection may send; 0: any number, since an old connection costs us
    /// nothing.
    pub requests: u32,
    /// Bytes of memory that all collected bodies together may hold.
    pub body_memory: usize,
}

/// How long to wait for a client. A zero means: without limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From a head's first byte to its last.
    pub head: Duration,
    /// Between two pieces of a body; also the window over which `body_rate` is taken.
    pub body: Duration,
    /// Bytes per second that a body must bring over any window; 0: no matter how slow.
    pub body_rate: u64,
    /// Between two requests.
    pub idle: Duration,
    /// Between two pieces of a response that the client takes.
    pub write: Duration,
    /// From a request's first byte to the last of its response.
    pub request: Option<Duration>,
}

/// A pool of large buffers; its memory is touched when it is first used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buffers {
    /// How many.
    pub count: usize,
    /// Bytes of each: it must hold a head or a target with something to spare, see
    /// [`Options::check`].
    pub size: usize,
}

/// Socket options of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// `TCP_NODELAY`: a response is not held back until an earlier one is acknowledged.
    pub nodelay: bool,
    /// `TCP_DEFER_ACCEPT` (accept filter `dataready` on FreeBSD): accept when the request is there.
    pub defer_accept: Option<Duration>,
    /// `SO_LINGER`: how `close(2)` treats what was not sent; zero resets the connection.
    pub linger: Option<Duration>,
    /// `TCP_FASTOPEN`: so many connections may bring data in their SYN.
    pub fastopen: Option<u32>,
    /// `TCP_CONGESTION`: the algorithm's name.
    pub congestion: Option<String>,
}

/// Threads or processes beside the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    /// How many; `None`: as many as suit the model and the processors.
    pub count: Option<usize>,
    /// Whether each stays on a processor of its own.
    pub pin: bool,
    /// Jobs that wait for each worker at most.
    pub ring: usize,
    /// Which requests go to workers.
    pub offload: Offload,
    /// What happens when all rings are full.
    pub overload: Overload,
    /// How long a job may take before its worker counts as stuck; zero: any time.
    pub timeout: Duration,
    /// How they share their core with the loop.
    pub priority: Priority,
    /// How connections come to worker processes.
    pub accept: Accept,
}

/// How connections come to worker processes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Each worker has a listener on the port, and the kernel spreads connections over them.
    ReusePort,
    /// All workers wait at one listener; the kernel wakes one of them.
    Shared,
    /// The master accepts, and passes each connection to the worker that has the fewest.
    Pass,
}

/// Which requests go to workers.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Offload {
    /// What the application marks as work.
    Blocking,
    /// Every one: the model as in textbooks.
    All,
}

/// What happens to a request when all rings are full.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Overload {
    /// It waits, and nothing more is read from its connection.
    Wait,
    /// It is answered 503 with Retry-After.
    Reject,
}

/// The access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// What a line looks like.
    pub format: LogFormat,
    /// Where lines go.
    pub target: LogTarget,
}

/// What a line of the access log looks like.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// There is no access log.
    Off,
    /// NCSA common log format.
    Common,
    /// The same with referrer and user agent.
    Combined,
    /// One JSON object a line.
    Json,
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file that is appended to, and opened again on SIGHUP.
    File(PathBuf),
}

/// What to do after parsing.
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    /// Serve.
    Run(Box<Options>),
    /// Print this on standard output and end: `--help`.
    Help(String),
    /// Print this on standard output and end: `--version`.
    Version(String),
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: vec![ListenAddr::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)))],
            unused: Vec::new(),
            root: None,
            demo: true,
            status: true,
            index: vec!["index.html".to_owned()],
            autoindex: false,
            dotfiles: false,
            precompressed: true,
            cache_ttl: Duration::from_secs(1),
            cache_bytes: 64 * MIB,
            cache_files: 256,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            backlog: 4096, // Linux's own net.core.somaxconn; a kernel that allows fewer takes fewer
            buffers: Buffers::default(),
            tcp: TcpOptions::default(),
            sendfile: true,
            log: LogOptions::default(),
            drain_timeout: Duration::from_secs(10),
            workers: Workers::default(),
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
            // Of jobs of 5 ms more than a second's worth: who waits longer has gone.
            ring: 256,
            offload: Offload::Blocking,
            overload: Overload::Wait,
            timeout: Duration::from_secs(30),
            // At 80 % of one core (latency.py priority), the 99th percentile of light requests in
            // ms: normal 0.9, batch 0.9, slice:500us 0.5, nice:5 0.35, idle 0.2, nice:19 0.1. The
            // last two leave a worker next to nothing where another program is busy; with this
            // it has a third of the other's share.
            priority: Priority::Nice(5),
            accept: Accept::default(),
        }
    }
}

/// Where listeners on one port get a share of the connections each (`SO_REUSEPORT` on Linux,
/// `SO_REUSEPORT_LB` on FreeBSD), that: see `models/symped.rs` for why.
impl Default for Accept {
    fn default() -> Self {
        match cfg!(any(target_os = "linux", target_os = "freebsd")) {
            true => Accept::ReusePort,
            false => Accept::Shared,
        }
    }
}

impl Default for TcpOptions {
    fn default() -> Self {
        TcpOptions {
            nodelay: true,
            defer_accept: None,
            linger: None,
            fastopen: None,
            congestion: None,
        }
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions { format: LogFormat::Off, target: LogTarget::Stdout }
    }
}

/// As the access log's line and `--listen` name it: `127.0.0.1:8080`, `unix:PATH`, `fd:3`.
impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddr::Tcp(addr) => write!(f, "{addr}"),
            ListenAddr::Unix(path) => write!(f, "unix:{}", path.display()),
            ListenAddr::Fd(fd) => write!(f, "fd:{fd}"),
        }
    }
}

/// The first descriptor that systemd passes; see `sd_listen_fds(3)`.
const LISTEN_FDS_START: RawFd = 3;
/// More sockets than anybody passes: what says otherwise is not a count.
const LISTEN_FDS_MAX: RawFd = 1024;

/// The descriptors of systemd's socket activation, when they are meant for this process.
fn listen_fds(env: &impl Fn(&str) -> Option<OsString>) -> Range<RawFd> {
    let number = |name| env(name)?.to_str()?.parse::<RawFd>().ok();
    let ours = number("LISTEN_PID").is_some_and(|pid| u32::try_from(pid) == Ok(std::process::id()));
    let count = number("LISTEN_FDS").filter(|count| ours && (0..=LISTEN_FDS_MAX).contains(count));
    LISTEN_FDS_START..LISTEN_FDS_START + count.unwrap_or(0)
}
