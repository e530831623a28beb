//! How a connection ends: at once, or by a lingering close (RFC 9112, section 9.6).
//!
//! See `drivers/event/lingering_close.rs` for why.

use std::time::Duration;

use reactor::EventLoop;

use super::entry::Flags;
use super::{Connection, Reader, Step};
use crate::app::App;
use crate::session::Phase;

/// Receives per turn during a lingering close.
const LINGER_READS: u32 = 8;
/// Bytes of them each.
const LINGER_BYTES: usize = 4096;

impl<A: App> Reader<A> {
    /// The kernel has the last response. `unread`: the session left bytes unread.
    pub(super) fn finish(&mut self, connection: &mut Box<Connection>, unread: bool) -> Step {
        let flags = *self.flags(connection);
        let at_end = flags.is(Flags::PEER_FIN) && !flags.is(Flags::READABLE);
        let left = connection.job.as_ref().is_some_and(|job| !job.input().is_empty());
        if at_end || connection.session.phase() == Phase::Linger {
            return Step::Close;
        }
        // Of a socket that is not watched yet nothing has been reported.
        let silent = unread || left || flags.is(Flags::READABLE) || flags.is(Flags::WATCHED);
        let unread = unread || left || flags.is(Flags::READABLE);
        if !unread && (silent || !has_input(connection)) {
            return Step::Close;
        }
        let mut cx = self.system.borrow(connection);
        connection.session.linger(&mut cx);
        drop(cx);
        if let Some(job) = connection.job.take() {
            self.jobs.put_back(job);
        }
        self.flags(connection).set(Flags::READABLE);
        match connection.stream().shutdown_write() {
            Ok(()) => Step::Again,
            Err(_) => Step::Close,
        }
    }

    /// Reads and discards what still comes.
    pub(super) fn linger(&mut self, connection: &mut Box<Connection>) -> Step {
        let mut scratch = [0; LINGER_BYTES];
        for _ in 0..LINGER_READS {
            match connection.stream().recv(&mut scratch) {
                Ok(0) => return Step::Close,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return Step::Blocked;
                }
                Err(_) => return Step::Close,
            }
        }
        Step::Again
    }

    /// Makes the close send RST: what the client has not taken is not worth the kernel's memory.
    pub(super) fn reset(&mut self, connection: &Connection) -> Step {
        // Best effort: a Unix socket has no such option.
        let _ = connection.stream().set_linger(Some(Duration::ZERO));
        Step::Close
    }

    /// The socket has failed.
    #[cold]
    pub(super) fn failed(&mut self, connection: &Connection) -> Step {
        self.system.borrow(connection).counters.connections_reset.add(1);
        Step::Close
    }

    /// Releases everything that the connection holds.
    pub(super) fn close(&mut self, ev: &mut EventLoop, mut connection: Box<Connection>) {
        let token = connection.token;
        if let Some(job) = connection.job.take() {
            self.jobs.put_back(job);
        }
        self.entries[token.slot() as usize].flags = Flags::default();
        ev.release(token);
        self.system.end(connection);
    }
}

/// Something has arrived since the last receive.
fn has_input(connection: &Connection) -> bool {
    connection.stream().recv(&mut [0; LINGER_BYTES]).is_ok_and(|count| count > 0)
}
