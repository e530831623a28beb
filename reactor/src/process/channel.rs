//! A pair of sockets between two processes, over which descriptors can be passed (`unix(7)`,
//! SCM_RIGHTS).
//!
//! A message is one byte, so that it is never sent in part, and a descriptor if it needs one. The
//! receiver gets its own descriptor for the same open file; the sender's stays open until it is
//! closed. In transit the kernel holds it: an unreceived message can still be read from any copy of
//! the receiving end, even after the intended receiver has exited.
//!
//! Not on macOS: a descriptor that the sender has closed before it is received can be lost there,
//! and arrive closed (nodejs/node, issue 7512). See [`Channel::KEEPS_CLOSED`].

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;

use libc::{c_int, c_uint, cmsghdr, iovec, msghdr};

use crate::sys::retry;

/// No `SIGPIPE`. Without such a flag (macOS) that is left to Rust's start-up, which ignores it.
#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL;
#[cfg(target_vendor = "apple")]
const SEND_FLAGS: c_int = 0;

/// Received descriptors are closed on exec; where there is no flag for it, it is set afterwards.
#[cfg(not(target_vendor = "apple"))]
const RECEIVE_FLAGS: c_int = libc::MSG_CMSG_CLOEXEC;
#[cfg(target_vendor = "apple")]
const RECEIVE_FLAGS: c_int = 0;

/// Bytes of a descriptor.
const FD_BYTES: c_uint = size_of::<RawFd>() as c_uint;

/// Room for a control message with one descriptor, aligned as its header requires.
type Control = [u64; 8];
const _: () = assert!(align_of::<Control>() >= align_of::<cmsghdr>());

/// One end of a channel; non-blocking, closed on exec.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
}

/// A message.
#[derive(Debug)]
pub struct Message {
    /// Its meaning, which sender and receiver agree on.
    pub tag: u8,
    /// The descriptor that came with it. `None` also when this process had no room for one: then
    /// the kernel has closed it.
    pub fd: Option<OwnedFd>,
}

/// The result of an attempt to receive.
#[derive(Debug)]
pub enum Received {
    /// A message.
    Message(Message),
    /// No message now.
    Empty,
    /// No message ever again: every copy of the other end is closed.
    Closed,
}

impl Channel {
    /// Whether a sender may close a descriptor before it has been received. Where not, it keeps it
    /// open until the receiver has told that it has it.
    pub const KEEPS_CLOSED: bool = cfg!(not(target_vendor = "apple"));

    /// Two connected ends.
    pub fn pair() -> io::Result<(Channel, Channel)> {
        let (one, other) = UnixStream::pair()?;
        for end in [&one, &other] {
            end.set_nonblocking(true)?;
        }
        Ok((Channel { socket: one.into() }, Channel { socket: other.into() }))
    }

    /// Another descriptor for this same end: a message is received through one of them only.
    pub fn try_clone(&self) -> io::Result<Channel> {
        Ok(Channel { socket: self.socket.try_clone()? })
    }

    /// Sends a byte, and a descriptor if one is given.
    ///
    /// # Errors
    /// `WouldBlock` when the other end has fallen behind, `BrokenPipe` when it is gone;
    /// `ETOOMANYREFS` when too many descriptors are in transit.
    pub fn send(&self, tag: u8, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let mut tag = tag;
        let mut piece = iovec { iov_base: (&raw mut tag).cast(), iov_len: 1 };
        let mut control: Control = [0; 8];
        let mut message = empty_message(&mut piece);
        if let Some(fd) = fd {
            attach(&mut message, &mut control, fd.as_raw_fd());
        }
        let socket = self.socket.as_raw_fd();
        // SAFETY: `message` describes `piece` and `control`, which live until the call returns and
        // are only read.
        retry(|| unsafe { libc::sendmsg(socket, &message, SEND_FLAGS) })?;
        Ok(())
    }

    /// Receives the next message.
    ///
    /// # Errors
    /// Those of a broken descriptor; a closed other end is not an error.
    pub fn recv(&self) -> io::Result<Received> {
        let mut tag = 0_u8;
        let mut piece = iovec { iov_base: (&raw mut tag).cast(), iov_len: 1 };
        let mut control: Control = [0; 8];
        let mut message = empty_message(&mut piece);
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of::<Control>() as _;
        let socket = self.socket.as_raw_fd();
        // SAFETY: `message` describes `piece` and `control`, which live until the call returns and
        // are as long as it says.
        match retry(|| unsafe { libc::recvmsg(socket, &mut message, RECEIVE_FLAGS) }) {
            Ok(0) => Ok(Received::Closed),
            Ok(_) => Ok(Received::Message(Message { tag, fd: detach(&message)? })),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => Ok(Received::Empty),
                io::ErrorKind::ConnectionReset => Ok(Received::Closed),
                _ => Err(error),
            },
        }
    }
}

/// Readable when there is something to receive.
impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn empty_message(piece: &mut iovec) -> msghdr {
    // SAFETY: all zeros is a valid msghdr: no address, no pieces, no control data.
    let mut message: msghdr = unsafe { mem::zeroed() };
    message.msg_iov = piece;
    message.msg_iovlen = 1;
    message
}

/// Puts a control message with `fd` into `control`, and `control` into `message`.
fn attach(message: &mut msghdr, control: &mut Control, fd: RawFd) {
    // SAFETY: CMSG_SPACE and CMSG_LEN only compute.
    let (space, len) = unsafe { (libc::CMSG_SPACE(FD_BYTES), libc::CMSG_LEN(FD_BYTES)) };
    assert!(space as usize <= size_of::<Control>(), "the system's header is larger than expected");
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = space as _;
    // SAFETY: `control` has room for `space` bytes, zeroed and aligned for the header, which is
    // what CMSG_FIRSTHDR then finds; the descriptor follows directly, at whatever alignment.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = len as _;
        ptr::write_unaligned(libc::CMSG_DATA(header).cast::<RawFd>(), fd);
    }
}

/// The descriptor in a message that was received.
fn detach(message: &msghdr) -> io::Result<Option<OwnedFd>> {
    // SAFETY: the kernel has filled the control data in, as far as `msg_controllen` now says.
    let header = unsafe { libc::CMSG_FIRSTHDR(message) };
    if header.is_null() {
        return Ok(None);
    }
    // SAFETY: CMSG_FIRSTHDR gives a header that lies within the control data. CMSG_LEN computes.
    let (found, len) = unsafe { (&*header, libc::CMSG_LEN(FD_BYTES)) };
    let rights = found.cmsg_level == libc::SOL_SOCKET && found.cmsg_type == libc::SCM_RIGHTS;
    if !rights || found.cmsg_len < len as _ {
        return Ok(None);
    }
    // SAFETY: the message is long enough for a descriptor, which the kernel has just made for us;
    // nothing else owns it.
    let fd = unsafe {
        OwnedFd::from_raw_fd(ptr::read_unaligned(libc::CMSG_DATA(header).cast::<RawFd>()))
    };
    #[cfg(target_vendor = "apple")]
    // SAFETY: takes no pointer.
    crate::sys::check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(Some(fd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn message(received: io::Result<Received>) -> Message {
        match received.expect("no error") {
            Received::Message(message) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn messages_arrive_one_by_one_in_order() {
        let (ours, theirs) = Channel::pair().unwrap();
        assert!(matches!(theirs.recv(), Ok(Received::Empty)));
        for tag in 1..=3 {
            ours.send(tag, None).unwrap();
        }
        for tag in 1..=3 {
            let message = message(theirs.recv());
            assert_eq!((message.tag, message.fd.is_none()), (tag, true));
        }
        theirs.send(9, None).unwrap();
        assert_eq!(message(ours.recv()).tag, 9);
        drop(ours);
        assert!(matches!(theirs.recv(), Ok(Received::Closed)));
        assert_eq!(theirs.send(1, None).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_descriptor_that_is_passed_is_the_same_open_file_and_closed_on_exec() {
        let (ours, theirs) = Channel::pair().unwrap();
        let (mut near, far) = UnixStream::pair().unwrap();
        ours.send(5, Some(far.as_fd())).unwrap();
        ours.send(6, None).unwrap();
        drop(far);
        let first = message(theirs.recv());
        assert_eq!(first.tag, 5);
        let mut passed = UnixStream::from(first.fd.expect("a descriptor"));
        // SAFETY: takes no pointer.
        let flags = unsafe { libc::fcntl(passed.as_raw_fd(), libc::F_GETFD) };
        assert_eq!(flags, libc::FD_CLOEXEC);
        assert!(message(theirs.recv()).fd.is_none(), "it came with the first one");
        near.write_all(b"x").unwrap();
        let mut byte = [0];
        passed.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
        drop(passed);
        assert_eq!(near.read(&mut byte).unwrap(), 0, "that was the last copy");
    }

    #[test]
    fn an_unreceived_message_can_be_read_from_another_copy_of_the_end() {
        let (ours, theirs) = Channel::pair().unwrap();
        let kept = theirs.try_clone().unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        ours.send(1, Some(far.as_fd())).unwrap();
        drop((far, theirs)); // the receiver is gone
        assert!(message(kept.recv()).fd.is_some());
        drop(near);
    }

    #[test]
    fn a_sender_to_a_full_channel_gets_an_error_and_loses_nothing() {
        let (ours, theirs) = Channel::pair().unwrap();
        let mut sent = 0_u32;
        let error = loop {
            match ours.send((sent % 251) as u8, None) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        for expected in 0..sent {
            assert_eq!(message(theirs.recv()).tag, (expected % 251) as u8);
        }
        assert!(matches!(theirs.recv(), Ok(Received::Empty)));
    }
}
