//! What master and workers say to each other: one byte at a time, over a channel for each worker.
//!
//! Signals would not do: a terminal and a service manager send theirs to all processes at once, they
//! carry no descriptor, and two of a kind are one. A worker that gets a signal asks its master.

use std::io;
use std::os::fd::BorrowedFd;

use reactor::process::Channel;

/// A message.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ControlMessage {
    /// To a worker, with a connection: it is yours.
    Connection = b'c',
    /// With a listener: accept from this one, too, until [`ControlMessage::Disown`].
    Adopt = b'a',
    /// Accept from your own listeners only.
    Disown = b'd',
    /// Open the log file again.
    Reopen = b'o',
    /// Your successor serves: finish what you have in hand.
    HandOver = b'h',
    /// We stop: take in who waits, and finish however long it takes.
    Quit = b'q',
    /// The same within the drain's time; said again: at once.
    Stop = b's',
    /// To the master: I serve.
    Ready = b'r',
    /// Somebody has told me to end: replace me.
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

    /// What a message's byte means; `None` for one that nobody sends.
    pub fn of(tag: u8) -> Option<ControlMessage> {
        ControlMessage::ALL.into_iter().find(|message| *message as u8 == tag)
    }

    /// Says it.
    pub fn send(self, channel: &Channel, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        channel.send(self as u8, fd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_understood_and_nothing_else() {
        for message in ControlMessage::ALL {
            assert_eq!(ControlMessage::of(message as u8), Some(message));
        }
        let known = (0..=u8::MAX).filter_map(ControlMessage::of).count();
        assert_eq!(known, ControlMessage::ALL.len());
    }
}
