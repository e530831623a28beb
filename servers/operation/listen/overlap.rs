//! Addresses that stand in each other's way.
//!
//! ```text
//!  --listen :80 --listen 127.0.0.1:80        refused: the first one includes the second
//!  --listen [::]:80 --listen 0.0.0.0:80      one for each family
//!  --listen fd:3 (0.0.0.0:80) --listen :80   the same
//!  --listen unix:/run/a --listen unix:a      refused in /run: it is the same file
//! ```
//!
//! The kernel would refuse most of these as in use, as if by another server; some it lets take part
//! of each other's connections. Here they are refused with both names, before anything is bound. A
//! port of 0 is another one each time.
//!
//! Two *inherited* sockets that were bound to one address were meant to be, and are both served.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use reactor::net::{Address, Listener};

use super::refused;
use crate::options::ListenAddr;

/// What a listener takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Reach {
    /// Connections to a port, of both families.
    Port { port: u16, v4: Span, v6: Span },
    /// A Unix socket: the path of its file, through no link.
    Path(PathBuf),
}

/// The addresses of a family.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Span {
    None,
    One(SocketAddr),
    All,
}

impl Span {
    fn meets(self, other: Span) -> bool {
        match (self, other) {
            (Span::None, _) | (_, Span::None) => false,
            (Span::One(ours), Span::One(theirs)) => ours == theirs,
            (Span::All, _) | (_, Span::All) => true,
        }
    }
}

impl Reach {
    /// Of a TCP address; `with_v4`: IPv4 too, if it is `[::]`.
    fn of(addr: SocketAddr, with_v4: bool) -> Reach {
        let all_or = |one| if addr.ip().is_unspecified() { Span::All } else { one };
        let span = all_or(Span::One(addr));
        let (v4, v6) = match addr.ip() {
            IpAddr::V4(_) => (span, Span::None),
            IpAddr::V6(_) if with_v4 => (all_or(Span::None), span),
            IpAddr::V6(_) => (Span::None, span),
        };
        Reach::Port { port: addr.port(), v4, v6 }
    }

    /// Whether it takes IPv4 connections to all addresses.
    pub fn takes_all_v4(&self) -> bool {
        matches!(self, Reach::Port { v4: Span::All, .. })
    }

    fn meets(&self, other: &Reach) -> bool {
        match (self, other) {
            (Reach::Path(ours), Reach::Path(theirs)) => ours == theirs,
            (Reach::Port { port, v4, v6 }, Reach::Port { port: p, v4: other4, v6: other6 }) => {
                port == p && *port != 0 && (v4.meets(*other4) || v6.meets(*other6))
            }
            _ => false,
        }
    }
}

/// The same address cannot be bound twice, and the same descriptor must not be owned twice.
///
/// # Errors
/// With its name.
pub fn refuse_repeats(listen: &[ListenAddr]) -> io::Result<()> {
    for (i, addr) in listen.iter().enumerate() {
        if listen[..i].contains(addr) {
            return Err(refused(addr, "given twice"));
        }
    }
    Ok(())
}

/// Finds out what each address is to take; `None` for an inherited socket of an unknown kind.
///
/// # Errors
/// Two of them overlap; with both names.
pub fn refuse_overlaps(
    listen: &[ListenAddr],
    adopted: &[Vec<Listener>],
) -> io::Result<Vec<Option<Reach>>> {
    let all_v4 = all_v4(listen, adopted);
    let reach = |(addr, adopted): (&ListenAddr, &Vec<Listener>)| match addr {
        ListenAddr::Tcp(addr) => Some(Reach::of(*addr, !all_v4.contains(&addr.port()))),
        ListenAddr::Unix(path) => Some(Reach::Path(without_links(path))),
        ListenAddr::Fd(_) => adopted.first().and_then(reach_of),
    };
    let reaches: Vec<Option<Reach>> = listen.iter().zip(adopted).map(reach).collect();
    for (i, second) in listen.iter().enumerate() {
        for (j, first) in listen[..i].iter().enumerate() {
            let both_inherited = matches!((first, second), (ListenAddr::Fd(_), ListenAddr::Fd(_)));
            let overlap = match (&reaches[i], &reaches[j]) {
                _ if both_inherited => is_same_socket(&adopted[i], &adopted[j]),
                (Some(ours), Some(theirs)) => ours.meets(theirs),
                _ => false,
            };
            if overlap {
                let (first, what) = (name(first, &adopted[j]), name(second, &adopted[i]));
                let why = format!("it overlaps {first}; omit one of them");
                return Err(refused(&what, &why));
            }
        }
    }
    Ok(reaches)
}

/// The ports at which another address of the list takes IPv4 connections to all addresses.
fn all_v4(listen: &[ListenAddr], adopted: &[Vec<Listener>]) -> Vec<u16> {
    let bound = |(addr, adopted): (&ListenAddr, &Vec<Listener>)| match addr {
        ListenAddr::Tcp(addr) => Some(*addr),
        ListenAddr::Fd(_) => adopted.first()?.local_addr().ok()?.socket_addr(),
        ListenAddr::Unix(_) => None,
    };
    let is_all_v4 = |addr: &SocketAddr| addr.is_ipv4() && addr.ip().is_unspecified();
    let found = listen.iter().zip(adopted).filter_map(bound).filter(is_all_v4);
    found.map(|addr| addr.port()).filter(|port| *port != 0).collect()
}

/// Of an inherited socket.
fn reach_of(listener: &Listener) -> Option<Reach> {
    match listener.local_addr().ok()? {
        Address::Inet(addr) => Some(Reach::of(addr, listener.is_v6only().is_ok_and(|only| !only))),
        Address::Unix(path) => path.map(|path| Reach::Path(without_links(&path))),
    }
}

/// The same path in its only spelling: the file itself need not exist.
fn without_links(path: &Path) -> PathBuf {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match (fs::canonicalize(directory), path.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => path.to_owned(),
    }
}

/// Whether two descriptors are of one socket.
fn is_same_socket(one: &[Listener], other: &[Listener]) -> bool {
    let identity = |listeners: &[Listener]| {
        let copy = listeners.first()?.as_fd().try_clone_to_owned().ok()?;
        let found = File::from(copy).metadata().ok()?;
        Some((found.dev(), found.ino()))
    };
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

/// `127.0.0.1:80`, `[::]:80 (all addresses)`, `fd:3 (127.0.0.1:80)`.
fn name(addr: &ListenAddr, adopted: &[Listener]) -> String {
    let bound = || adopted.first()?.local_addr().ok();
    match (addr, bound()) {
        (ListenAddr::Fd(_), Some(bound)) => format!("{addr} ({bound})"),
        (ListenAddr::Tcp(tcp), _) if tcp.ip() == IpAddr::from([0u16; 8]) => {
            format!("{addr} (all addresses)")
        }
        _ => addr.to_string(),
    }
}
