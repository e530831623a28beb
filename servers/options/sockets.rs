//! Options of the sockets: set on listeners, and inherited by the connections they accept.

use std::ffi::OsStr;
use std::time::Duration;

use reactor::net::HAS_NOTSENT_LOWAT;

use super::error::Fault;
use super::table::{Entry, Setter, utf8};
use super::{Options, value};

/// `SO_LINGER` counts seconds in 16 bits on the BSDs.
const LINGER_LONGEST: Duration = Duration::from_secs(32_767);

/// Default for `--notsent-lowat`. Measured with 16 clients that read 1 MiB as fast as they can, and
/// 4 that read 64 MiB (loopback, MTU 65,536 and 1,500), relative to none: the CPU time of both ends
/// is 0.9 to 1.0 and 0.5 to 0.7 with 16 and 32 KiB, and up to 2.7 with 64 to 512 KiB, where server
/// and client wake each other by turns. Less leaves less to send while the loop serves others: at a
/// gigabit a second, 32 KiB last for a quarter of a millisecond.
const NOTSENT_LOWAT: u32 = 32 << 10;
/// Fewer would send a response in pieces of a few segments; more is beyond any send buffer.
const NOTSENT_LOWAT_LEAST: u64 = 4 << 10;
const NOTSENT_LOWAT_MOST: u64 = 1 << 30;

/// Socket options of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// `TCP_NODELAY`: a response is not held back until an earlier one is acknowledged.
    pub nodelay: bool,
    /// `TCP_DEFER_ACCEPT` (accept filter `dataready` on FreeBSD): accept when data has arrived.
    pub defer_accept: Option<Duration>,
    /// `SO_LINGER`: how `close(2)` treats unsent data; zero resets the connection.
    pub linger: Option<Duration>,
    /// `TCP_FASTOPEN`: length of the queue of connections with data in their SYN.
    pub fastopen: Option<u32>,
    /// `TCP_CONGESTION`: the algorithm's name.
    pub congestion: Option<String>,
    /// `TCP_NOTSENT_LOWAT`: bytes that may wait in the kernel to be sent for the first time.
    pub notsent_lowat: Option<u32>,
}

impl Default for TcpOptions {
    fn default() -> Self {
        TcpOptions {
            nodelay: true,
            defer_accept: None,
            linger: None,
            fastopen: None,
            congestion: None,
            notsent_lowat: HAS_NOTSENT_LOWAT.then_some(NOTSENT_LOWAT),
        }
    }
}

pub(super) const SOCKETS: &[Entry] = &[
    Entry {
        flag: "nodelay",
        value: "",
        help: "keep Nagle's algorithm on",
        setter: Setter::Switch(|options| &mut options.tcp.nodelay),
    },
    Entry {
        flag: "defer-accept",
        value: "TIME",
        help: "accept a connection when its request has arrived, or after this time",
        setter: Setter::Time {
            longest: Duration::from_secs(3600),
            get: |options| options.tcp.defer_accept,
            set: |options, time| options.tcp.defer_accept = time.filter(|time| !time.is_zero()),
        },
    },
    Entry {
        flag: "linger",
        value: "TIME",
        help: "SO_LINGER, in whole seconds: 0 resets the connection on close; more \
               only where a thread may block in close(2), which an event loop may not",
        setter: Setter::Time {
            longest: LINGER_LONGEST,
            get: |options| options.tcp.linger,
            set: |options, time| options.tcp.linger = time,
        },
    },
    Entry {
        flag: "fastopen",
        value: "N",
        help: "TCP Fast Open: length of the queue of connections with data in their SYN",
        setter: Setter::Other {
            get: |options| options.tcp.fastopen.map_or("off".to_owned(), |n| n.to_string()),
            set: set_fastopen,
        },
    },
    Entry {
        flag: "congestion",
        value: "NAME",
        help: "congestion control algorithm, by the kernel's name (bbr)",
        setter: Setter::Other {
            get: |options| options.tcp.congestion.clone().unwrap_or("system default".to_owned()),
            set: |options, text| {
                options.tcp.congestion = Some(utf8(text)?.to_owned());
                Ok(())
            },
        },
    },
    Entry {
        flag: "notsent-lowat",
        value: "SIZE",
        help: "TCP_NOTSENT_LOWAT (Linux, macOS): bytes that a client which reads slowly makes the \
               kernel keep for it; off: as many as fit its send buffer",
        setter: Setter::Other {
            get: |options| options.tcp.notsent_lowat.map_or("off".to_owned(), show_lowat),
            set: set_notsent_lowat,
        },
    },
];

fn set_fastopen(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    options.tcp.fastopen = match utf8(text)? {
        "off" | "0" => None,
        text => match text.parse() {
            Ok(queue) if queue <= 65_535 => Some(queue),
            _ => return Err(Fault::invalid("1 to 65535, or off")),
        },
    };
    Ok(())
}

fn show_lowat(bytes: u32) -> String {
    value::show_size(bytes.into())
}

fn set_notsent_lowat(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    options.tcp.notsent_lowat = match utf8(text)? {
        "off" | "0" => None,
        text => match value::size(text)? {
            bytes @ NOTSENT_LOWAT_LEAST..=NOTSENT_LOWAT_MOST => Some(bytes as u32),
            _ => return Err(Fault::invalid("4K to 1G, or off")),
        },
    };
    Ok(())
}
