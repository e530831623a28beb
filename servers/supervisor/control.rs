//! Messages between master and workers: one byte each, over one channel per worker.
//!
//! Signals would not do: terminals and service managers signal all processes at once, signals carry
//! no descriptor, and pending ones of a kind merge. A signalled worker asks its master.

use std::io;
use std::os::fd::BorrowedFd;

use reactor::process::Channel;

/// A message.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ControlMessage {
    /// To a worker, with a connection to serve.
    Connection = b'c',
    /// With a listener: accept from it, too, until [`ControlMessage::Disown`].
    Adopt = b'a',
    /// Stop accepting from adopted listeners.
    Disown = b'd',
    /// Reopen the log file.
    Reopen = b'o',
    /// The successor serves: finish requests in flight.
    HandOver = b'h',
    /// Stop: accept queued connections, and finish without a time limit.
    Quit = b'q',
    /// The same within the drain timeout; a second one: at once.
    Stop = b's',
    /// To the master: this worker serves.
    Ready = b'r',
    /// To the master: this worker received a termination signal, or has served as many requests as
    /// it may. Replace it.
    Leave = b'l',
}

impl ControlMessage {
    const ALL: [ControlMessage; 9] = [
        ControlMessage::Connection,
        ControlMessage::Adopt,
        ControlMessage::Disown,
        ControlMessage::Reopen,
        ControlMessage::HandOver,
        ControlMessage::Quit,
        ControlMessage::Stop,
        ControlMessage::Ready,
        ControlMessage::Leave,
    ];

    /// Decodes a message's byte; `None` if it is unknown.
    pub fn of(tag: u8) -> Option<ControlMessage> {
        ControlMessage::ALL.into_iter().find(|message| *message as u8 == tag)
    }

    /// Sends the message, with a descriptor if it takes one.
    pub fn send(self, channel: &Channel, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        channel.send(self as u8, fd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_decoded_and_nothing_else() {
        for message in ControlMessage::ALL {
            assert_eq!(ControlMessage::of(message as u8), Some(message));
        }
        let known = (0..=u8::MAX).filter_map(ControlMessage::of).count();
        assert_eq!(known, ControlMessage::ALL.len());
    }
}
