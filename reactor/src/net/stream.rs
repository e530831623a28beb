//! A connection: bytes in, bytes out.

use std::io::{self, IoSlice};
use std::mem;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use libc::c_int;

use super::address::RawAddress;
use super::{Peer, options, os};
use crate::sys::{check, retry};

/// The most pieces that one call takes (`IOV_MAX` of every system here).
const PIECES_MAX: usize = 1_024;

/// A stream socket: a descriptor and nothing else.
///
/// Methods take `&self`: the kernel serialises. An accepted one is non-blocking; an inherited one
/// keeps its mode ([`set_nonblocking`](Stream::set_nonblocking)).
#[derive(Debug)]
pub struct Stream {
    fd: OwnedFd,
}

const _: () = assert!(size_of::<Option<Stream>>() == 4, "kept by every connection");

impl Stream {
    /// Receives what is there, at most `buffer.len()` bytes; 0 when the peer has finished. A
    /// blocking stream waits for the first byte.
    #[inline(always)]
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (fd, to, room) = (self.raw(), buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: `buffer` has room for `room` bytes.
        retry(|| unsafe { os::recv(fd, to, room, 0) })
    }

    /// The same, but returns `WouldBlock` instead of waiting even if the stream is blocking.
    #[inline(always)]
    pub fn recv_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (fd, to, room) = (self.raw(), buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: `buffer` has room for `room` bytes.
        retry(|| unsafe { os::recv(fd, to, room, libc::MSG_DONTWAIT) })
    }

    /// Sends as much as there is room for, and returns how much that was. A blocking stream waits
    /// for room until all is sent.
    #[inline(always)]
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.send_with(bytes, os::SEND_FLAGS)
    }

    /// The same, when more follows at once: the last, partly filled segment may wait for it.
    ///
    /// A hint, and only on Linux (`MSG_MORE`); elsewhere see [`set_cork`](Stream::set_cork).
    pub fn send_more(&self, bytes: &[u8]) -> io::Result<usize> {
        self.send_with(bytes, os::SEND_FLAGS | os::MORE)
    }

    /// Sends what there is room for now, even if the stream is blocking.
    #[inline(always)]
    pub fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        self.send_with(bytes, os::SEND_FLAGS | libc::MSG_DONTWAIT)
    }

    /// Sends several pieces in one go, as far as there is room.
    pub fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send_pieces(pieces, os::SEND_FLAGS)
    }

    /// The same, when more follows at once: see [`send_more`](Stream::send_more).
    pub fn write_vectored_more(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send_pieces(pieces, os::SEND_FLAGS | os::MORE)
    }

    #[inline(always)]
    fn send_with(&self, bytes: &[u8], flags: c_int) -> io::Result<usize> {
        let (fd, from, len) = (self.raw(), bytes.as_ptr().cast(), bytes.len());
        // SAFETY: `from` points at `len` bytes.
        retry(|| unsafe { os::send(fd, from, len, flags) })
    }

    fn send_pieces(&self, pieces: &[IoSlice<'_>], flags: c_int) -> io::Result<usize> {
        // SAFETY: all zeros is a valid msghdr: no address, no pieces, no control data.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_iov = pieces.as_ptr().cast_mut().cast(); // IoSlice has iovec's layout
        message.msg_iovlen = pieces.len().min(PIECES_MAX) as _;
        // SAFETY: `message` describes slices that live until the call returns; none is written to.
        retry(|| unsafe { libc::sendmsg(self.raw(), &message, flags) })
    }

    /// Sends at most `count` bytes of `file` from `offset`, which moves on by what was sent.
    ///
    /// 0 means that the file ends at `offset` (it may have been truncated), if `count` was not 0.
    /// Except on macOS a peer that is gone raises `SIGPIPE`, which no flag prevents; Rust programs
    /// ignore it from the start, others call [`ignore_sigpipe`](crate::signal::ignore_sigpipe).
    pub fn sendfile(
        &self,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> io::Result<usize> {
        let sent = os::sendfile(self.as_fd(), file, *offset, count)?;
        *offset += sent as u64;
        Ok(sent)
    }

    /// Shuts the sending direction down; receiving goes on.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }

    /// Ends one direction or both (`shutdown(2)`).
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let how = match how {
            Shutdown::Read => libc::SHUT_RD,
            Shutdown::Write => libc::SHUT_WR,
            Shutdown::Both => libc::SHUT_RDWR,
        };
        // SAFETY: takes no pointer.
        check(unsafe { libc::shutdown(self.raw(), how) })?;
        Ok(())
    }

    /// Sends small segments at once (TCP). Accepted streams have it from their listener.
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        options::set_nodelay(self.as_fd(), on)
    }

    /// Bytes that were sent but not yet acknowledged by the peer's kernel (`SIOCOUTQ`, `tcp(7)`):
    /// shows whether a slow reader takes anything long before the socket is writable again. `None`
    /// where the system does not tell.
    pub fn unacknowledged(&self) -> Option<u32> {
        #[cfg(target_os = "linux")]
        {
            let mut bytes: libc::c_int = 0;
            // SAFETY: TIOCOUTQ, which is SIOCOUTQ, writes one number, which lives until the call
            // returns.
            check(unsafe { libc::ioctl(self.raw(), libc::TIOCOUTQ, &raw mut bytes) }).ok()?;
            u32::try_from(bytes).ok()
        }
        #[cfg(not(target_os = "linux"))]
        None
    }

    /// What happens to unsent bytes when the stream is closed.
    ///
    /// `None`: the kernel goes on sending. A time: it does so for that long (whole seconds, rounded
    /// up), and on Linux close waits meanwhile, even a non-blocking socket's. Zero: they are
    /// dropped and the peer gets a reset.
    pub fn set_linger(&self, time: Option<Duration>) -> io::Result<()> {
        options::set_linger(self.as_fd(), time)
    }

    /// Holds partly filled segments back until it is taken off again (`TCP_CORK`, `TCP_NOPUSH`).
    ///
    /// Linux releases the cork by itself after 200 ms; macOS only with the next bytes or the close.
    pub fn set_cork(&self, on: bool) -> io::Result<()> {
        os::set_cork(self.as_fd(), on)
    }

    /// Whether calls wait instead of returning `WouldBlock`.
    pub fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        super::set_nonblocking(self.as_fd(), on)
    }

    /// How long a blocking receive waits for the first byte before it returns `WouldBlock`; `None`
    /// means no limit. Rounded up to the kernel's clock tick, and never down to zero.
    ///
    /// Costs a system call, so set it again only when a wait must be shorter than the current
    /// value, and resume a receive that ends early by the caller's clock. Has no effect on a
    /// non-blocking stream.
    pub fn set_receive_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        options::set_timeout(self.as_fd(), libc::SO_RCVTIMEO, timeout)
    }

    /// How long a blocking send waits for room in total before it returns how much it has sent so
    /// far, or `WouldBlock` if that is nothing.
    ///
    /// [`sendfile`](Stream::sendfile) waits that long on Linux for each 64 KiB of its count.
    pub fn set_send_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        options::set_timeout(self.as_fd(), libc::SO_SNDTIMEO, timeout)
    }

    /// The peer's address: for a stream that was not accepted here.
    ///
    /// # Errors
    /// The connection is gone already.
    pub fn peer(&self) -> io::Result<Peer> {
        Ok(RawAddress::of_peer(self.as_fd())?.peer())
    }

    /// The pending error that an event reported (`SO_ERROR`); reading clears it.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        let error = options::get_number(self.as_fd(), libc::SOL_SOCKET, libc::SO_ERROR)?;
        Ok((error != 0).then(|| io::Error::from_raw_os_error(error)))
    }

    #[inline]
    fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.raw()
    }
}

impl From<OwnedFd> for Stream {
    fn from(fd: OwnedFd) -> Stream {
        Stream { fd }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Stream {
        OwnedFd::from(stream).into()
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Stream {
        OwnedFd::from(stream).into()
    }
}

impl From<Stream> for OwnedFd {
    fn from(stream: Stream) -> OwnedFd {
        stream.fd
    }
}

/// Right for TCP; a Unix stream converts by way of `OwnedFd`.
impl From<Stream> for TcpStream {
    fn from(stream: Stream) -> TcpStream {
        stream.fd.into()
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
