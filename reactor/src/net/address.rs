//! Socket addresses: the kernel's, std's, and the twenty bytes that a connection keeps.

use std::fmt;
use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use libc::{sockaddr, sockaddr_in, sockaddr_in6, sockaddr_storage, sockaddr_un, socklen_t};

use crate::sys::check;

/// The peer of a connection: small, so that every connection can keep it.
///
/// A link-local IPv6 address loses its scope here.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// IPv4 address and port.
    V4(Ipv4Addr, u16),
    /// IPv6 address and port.
    V6(Ipv6Addr, u16),
    /// A process of this machine, over a Unix socket.
    Unix,
}

const _: () = assert!(size_of::<Peer>() <= 20, "kept by every connection");

impl Peer {
    /// The address, if it has one.
    pub fn ip(self) -> Option<IpAddr> {
        Option::<SocketAddr>::from(self).map(|addr| addr.ip())
    }
}

impl From<Peer> for Option<SocketAddr> {
    fn from(peer: Peer) -> Option<SocketAddr> {
        match peer {
            Peer::V4(ip, port) => Some((ip, port).into()),
            Peer::V6(ip, port) => Some((ip, port).into()),
            Peer::Unix => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Option::<SocketAddr>::from(*self) {
            Some(addr) => addr.fmt(f),
            None => f.write_str("unix:"),
        }
    }
}

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP.
    Inet(SocketAddr),
    /// A Unix socket; without a path, one that has no name in the file system.
    Unix(Option<PathBuf>),
}

impl Address {
    /// The TCP address, if it is one.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Address::Inet(addr) => Some(*addr),
            Address::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(addr) => addr.fmt(f),
            Address::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Address::Unix(None) => f.write_str("unix:"),
        }
    }
}

/// An address as system calls take and give it.
///
/// Invariant: the first `len` bytes of `storage` are initialised.
pub(super) struct RawAddress {
    storage: MaybeUninit<sockaddr_storage>,
    len: socklen_t,
}

impl RawAddress {
    /// Room for the kernel to write an address into. Not zeroed: it would be on the path of accept.
    pub fn empty() -> RawAddress {
        RawAddress { storage: MaybeUninit::uninit(), len: 0 }
    }

    pub fn inet(addr: SocketAddr) -> RawAddress {
        let mut raw = RawAddress::zeroed();
        match addr {
            SocketAddr::V4(addr) => {
                // SAFETY: the storage is zeroed, large enough and aligned for every address.
                let to = unsafe { &mut *raw.storage.as_mut_ptr().cast::<sockaddr_in>() };
                to.sin_family = libc::AF_INET as libc::sa_family_t;
                to.sin_port = addr.port().to_be();
                to.sin_addr.s_addr = u32::from_ne_bytes(addr.ip().octets());
                raw.len = size_of::<sockaddr_in>() as socklen_t;
            }
            SocketAddr::V6(addr) => {
                // SAFETY: as above.
                let to = unsafe { &mut *raw.storage.as_mut_ptr().cast::<sockaddr_in6>() };
                to.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                to.sin6_port = addr.port().to_be();
                to.sin6_addr.s6_addr = addr.ip().octets();
                to.sin6_flowinfo = addr.flowinfo();
                to.sin6_scope_id = addr.scope_id();
                raw.len = size_of::<sockaddr_in6>() as socklen_t;
            }
        }
        raw
    }

    pub fn unix(path: &Path) -> io::Result<RawAddress> {
        let bytes = path.as_os_str().as_bytes();
        let mut raw = RawAddress::zeroed();
        // SAFETY: the storage is zeroed, large enough and aligned for every address.
        let to = unsafe { &mut *raw.storage.as_mut_ptr().cast::<sockaddr_un>() };
        // One byte is reserved for the NUL; an empty or NUL-led path has another meaning on Linux.
        let longest = to.sun_path.len() - 1;
        if bytes.is_empty() || bytes.len() > longest || bytes.contains(&0) {
            let cause = format!("a socket path must have 1 to {longest} bytes, none of them NUL");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, cause));
        }
        to.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (to, from) in to.sun_path.iter_mut().zip(bytes) {
            *to = *from as libc::c_char;
        }
        raw.len = (path_offset() + bytes.len() + 1) as socklen_t;
        Ok(raw)
    }

    fn zeroed() -> RawAddress {
        RawAddress { storage: MaybeUninit::zeroed(), len: 0 }
    }

    /// For calls that read an address.
    pub fn as_ptr(&self) -> (*const sockaddr, socklen_t) {
        (self.storage.as_ptr().cast(), self.len)
    }

    /// For calls that write an address and its length; reset it after a failure.
    pub fn as_mut_ptr(&mut self) -> (*mut sockaddr, *mut socklen_t) {
        self.len = size_of::<sockaddr_storage>() as socklen_t;
        (self.storage.as_mut_ptr().cast(), &mut self.len)
    }

    /// The address a socket is bound to.
    pub fn of(socket: BorrowedFd<'_>) -> io::Result<RawAddress> {
        let mut raw = RawAddress::zeroed();
        let (to, len) = raw.as_mut_ptr();
        // SAFETY: `to` has room for the `len` bytes passed.
        check(unsafe { libc::getsockname(socket.as_raw_fd(), to, len) })?;
        Ok(raw)
    }

    /// The address of a connection's other end.
    pub fn of_peer(socket: BorrowedFd<'_>) -> io::Result<RawAddress> {
        let mut raw = RawAddress::zeroed();
        let (to, len) = raw.as_mut_ptr();
        // SAFETY: `to` has room for the `len` bytes passed.
        check(unsafe { libc::getpeername(socket.as_raw_fd(), to, len) })?;
        Ok(raw)
    }

    /// Reads it as a `T` if it is of that family and complete.
    ///
    /// # Safety
    ///
    /// The kernel has written this address, and `T` is the struct of `family`.
    unsafe fn read<T: Copy>(&self, family: libc::c_int) -> Option<T> {
        let end = mem::offset_of!(sockaddr, sa_data);
        if (self.len as usize) < end {
            return None; // unnamed: macOS gives a length of 0
        }
        // SAFETY: the family lies within the first `len` bytes, which are initialised.
        let found = unsafe { (*self.storage.as_ptr().cast::<sockaddr>()).sa_family };
        if libc::c_int::from(found) != family || (self.len as usize) < size_of::<T>() {
            return None;
        }
        // SAFETY: all of `T` lies within the first `len` bytes; T consists of plain numbers.
        Some(unsafe { self.storage.as_ptr().cast::<T>().read() })
    }

    fn v4(&self) -> Option<sockaddr_in> {
        // SAFETY: only called on addresses that the kernel wrote.
        unsafe { self.read(libc::AF_INET) }
    }

    fn v6(&self) -> Option<sockaddr_in6> {
        // SAFETY: as above.
        unsafe { self.read(libc::AF_INET6) }
    }

    /// The address that accept wrote.
    pub fn peer(&self) -> Peer {
        if let Some(v4) = self.v4() {
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            return Peer::V4(ip, u16::from_be(v4.sin_port));
        }
        if let Some(v6) = self.v6() {
            return Peer::V6(v6.sin6_addr.s6_addr.into(), u16::from_be(v6.sin6_port));
        }
        Peer::Unix
    }

    /// The address that getsockname wrote.
    pub fn address(&self) -> Address {
        if let Some(v6) = self.v6() {
            let (ip, port) = (v6.sin6_addr.s6_addr.into(), u16::from_be(v6.sin6_port));
            let addr = SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id);
            return Address::Inet(addr.into());
        }
        match self.peer().into() {
            Some(addr) => Address::Inet(addr),
            None => Address::Unix(self.path()),
        }
    }

    fn path(&self) -> Option<PathBuf> {
        let len = (self.len as usize).min(size_of::<sockaddr_un>());
        // SAFETY: `len` bytes of the storage are initialised.
        let bytes = unsafe { std::slice::from_raw_parts(self.storage.as_ptr().cast::<u8>(), len) };
        let path = bytes.get(path_offset()..)?;
        let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
        (end > 0).then(|| std::ffi::OsString::from_vec(path[..end].to_vec()).into())
    }
}

const fn path_offset() -> usize {
    mem::offset_of!(sockaddr_un, sun_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would make of it: the same bytes come back.
    fn there_and_back(addr: &str) -> Address {
        RawAddress::inet(addr.parse().unwrap()).address()
    }

    #[test]
    fn internet_addresses_survive_the_kernels_form() {
        for addr in ["127.0.0.1:8080", "255.0.1.2:65535", "[::1]:80", "[fe80::1%3]:443"] {
            assert_eq!(there_and_back(addr).to_string(), addr);
        }
    }

    #[test]
    fn paths_survive_the_kernels_form() {
        let raw = RawAddress::unix(Path::new("/run/x.sock")).unwrap();
        assert_eq!(raw.address(), Address::Unix(Some("/run/x.sock".into())));
        assert_eq!(raw.address().to_string(), "unix:/run/x.sock");
        assert_eq!(raw.peer(), Peer::Unix);
    }

    #[test]
    fn paths_that_do_not_fit_are_refused() {
        let room = size_of::<sockaddr_un>() - path_offset();
        assert!(RawAddress::unix(Path::new(&"x".repeat(room - 1))).is_ok());
        for path in [String::new(), "x".repeat(room), "a\0b".into()] {
            let refused = RawAddress::unix(Path::new(&path)).err().unwrap();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn peers_become_addresses() {
        let peer = Peer::V4(Ipv4Addr::LOCALHOST, 80);
        assert_eq!(Option::<SocketAddr>::from(peer), Some("127.0.0.1:80".parse().unwrap()));
        assert_eq!(peer.ip(), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(Peer::V6(Ipv6Addr::LOCALHOST, 80).to_string(), "[::1]:80");
        assert_eq!(Peer::Unix.ip(), None);
    }
}
