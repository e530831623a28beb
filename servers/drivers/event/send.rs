//! Sending the loop's output after a step, and what a connection does once everything is sent.
//!
//! ```text
//! the loop's output ──send_all──► Done   → what the session asks for next
//!                                 Full   → the connection keeps it; goes on at the next edge
//!                                 Budget → the same; goes on next turn
//!                                 Cold   → the same; a worker reads what comes next
//! ```

use std::mem;

use reactor::Buffer;

use super::connection::Connection;
use super::{Engine, Step};
use crate::app::App;
use crate::drivers::send::{Progress, send_all, taken};
use crate::session::{Next, Unsent};

/// The pool is exhausted.
struct NoBuffer;

impl<A: App> Engine<A> {
    /// Sends what a step has put into the loop's output.
    #[inline(always)]
    pub(super) fn flush(&mut self, connection: &mut Connection) -> Step {
        if !self.out.pieces.is_empty() {
            return self.flush_pieces(connection);
        }
        // The common case: heads and small bodies, in one `send`.
        let len = self.out.bytes.len();
        let Ok(sent) = taken(connection.stream.send(&self.out.bytes)) else {
            return self.send_failed();
        };
        if sent < len {
            self.out.bytes.advance(sent);
            return self.park(connection, sent as u64, Progress::Full);
        }
        self.out.bytes.clear();
        self.sent(connection, sent as u64)
    }

    /// [`Engine::flush`] for a response that is more than bytes in the buffer.
    #[inline(never)]
    fn flush_pieces(&mut self, connection: &mut Connection) -> Step {
        let (bytes, pieces) = (&mut self.out.bytes, &mut self.out.pieces);
        match send_all(&connection.stream, bytes, pieces, self.files) {
            Ok((Progress::Done, sent)) => self.sent(connection, sent),
            Ok((progress, sent)) => self.park(connection, sent, progress),
            Err(_) => self.send_failed(),
        }
    }

    /// The kernel has everything: what comes next?
    #[inline(always)]
    fn sent(&mut self, connection: &mut Connection, bytes: u64) -> Step {
        match connection.session.sent(&mut self.cx, bytes) {
            Next::Read => connection.more_input(),
            next => self.follow_sent(connection, next),
        }
    }

    /// [`Engine::follow`] where nothing is left to send.
    #[cold]
    fn follow_sent(&mut self, connection: &mut Connection, next: Next) -> Step {
        debug_assert!(next != Next::Write, "everything is sent");
        self.follow(connection, next)
    }

    /// The connection takes over the loop's output.
    /// [`Buffers::suffice`](super::buffers::Buffers::suffice) has made sure that there is a buffer
    /// for it; otherwise the connection must end.
    #[cold]
    fn park(&mut self, connection: &mut Connection, sent: u64, progress: Progress) -> Step {
        let Ok(bytes) = self.take_output() else {
            return self.send_failed();
        };
        let unsent = Unsent { bytes, pieces: mem::take(&mut self.out.pieces) };
        connection.session.park(&mut self.cx, sent, unsent);
        if connection.session.is_last() && connection.input.take().is_some() {
            // It is of no more use, and others may wait for its buffer.
            connection.session.abandon_input();
        }
        self.unfinished(connection, progress)
    }

    /// Takes the buffer with the loop's output, and puts an empty one in its place.
    fn take_output(&mut self) -> Result<Option<Buffer>, NoBuffer> {
        if self.out.bytes.is_empty() {
            return Ok(None);
        }
        let fresh = self.buffers.take_large().ok_or(NoBuffer)?;
        Ok(Some(mem::replace(&mut self.out.bytes, fresh)))
    }

    /// Continues sending what a full socket did not take.
    pub(super) fn send_rest(&mut self, connection: &mut Connection) -> Step {
        let Some(unsent) = connection.session.unsent() else {
            debug_assert!(false, "nothing to send");
            return Step::Close;
        };
        // Some pieces have to be read into a buffer first. A connection without one of its own may
        // need one then, for what the socket does not take.
        let fills = unsent.pieces.fills_buffer(|file| self.files.takes_sendfile(file));
        if fills && unsent.bytes.is_none() && self.buffers.available() == 0 {
            return Step::NoBuffer;
        }
        // Without output of its own it borrows the loop's buffer, which is empty between steps.
        let bytes = unsent.bytes.as_mut().unwrap_or(&mut self.out.bytes);
        let result = send_all(&connection.stream, bytes, &mut unsent.pieces, self.files);
        let Ok((progress, sent)) = result else {
            return self.send_failed();
        };
        unsent.bytes = unsent.bytes.take().filter(|bytes| !bytes.is_empty());
        // The socket did not take all that is in the borrowed buffer.
        match self.take_output() {
            Ok(None) => {}
            Ok(left) => unsent.bytes = left,
            Err(NoBuffer) => return self.send_failed(),
        }
        if progress == Progress::Done {
            return self.sent(connection, sent);
        }
        connection.session.moved(&mut self.cx, sent);
        self.unfinished(connection, progress)
    }

    /// Sending stopped before the end of the response.
    pub(super) fn unfinished(&mut self, connection: &mut Connection, progress: Progress) -> Step {
        match progress {
            Progress::Done => Step::Blocked,
            Progress::Full => {
                self.note_unacknowledged(connection);
                Step::Blocked
            }
            Progress::Budget => Step::Defer,
            Progress::Cold => Step::Fill,
            Progress::Broken | Progress::Unreadable => {
                let failed = progress == Progress::Unreadable;
                self.cx.counters.file_read_errors.add(u64::from(failed));
                let next = connection.session.aborted(&mut self.cx);
                // No lingering close: the client is to see that something is missing.
                if next == Next::Reset {
                    connection.reset_on_close();
                }
                Step::Close
            }
        }
    }

    /// Tells the session how much the client has not yet acknowledged.
    pub(super) fn note_unacknowledged(&mut self, connection: &mut Connection) {
        if let Some(bytes) = connection.stream.unacknowledged() {
            connection.session.unacknowledged(&mut self.cx, bytes);
        }
    }

    /// Sending failed: discards the connection's bytes from the loop's output.
    #[cold]
    fn send_failed(&mut self) -> Step {
        self.out.clear();
        self.cx.counters.connections_reset.add(1);
        Step::Close
    }
}
