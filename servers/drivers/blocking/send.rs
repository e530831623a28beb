//! Sending an output to its end, however slowly the client takes it.
//!
//! What a full socket did not take stays in the connection's own buffer. The conversation learns how
//! much went out, for its deadline: a client that takes some starts its timeout again.

use std::mem;

use super::{Driver, End};
use crate::app::App;
use crate::drivers::send::{Progress, send_all, taken};
use crate::drivers::transport::Transport;
use crate::session::{Next, Phase};

impl<A: App, T: Transport> Driver<'_, A, T> {
    /// Sends all of the output: what is usual in one call, which does not wait.
    #[inline]
    pub(super) fn send(&mut self) -> Result<Next, End> {
        if !self.out.pieces.is_empty() {
            return self.send_rest();
        }
        let sent = taken(self.io.stream().send_now(&self.out.bytes))?;
        if sent < self.out.bytes.len() {
            return self.send_later(sent);
        }
        self.out.bytes.clear();
        if mem::take(&mut self.counted) > 0 {
            return Ok(Next::Read);
        }
        Ok(self.step(|session, cx, _, _| session.sent(cx, sent as u64)))
    }

    /// The socket is full already.
    #[cold]
    fn send_later(&mut self, sent: usize) -> Result<Next, End> {
        self.out.bytes.advance(sent);
        let counted = mem::take(&mut self.counted);
        self.step(|_, cx, _, _| {
            cx.counters.bytes_sent.sub(counted);
            Next::Write
        });
        match self.unfinished(Progress::Full, sent as u64)? {
            Next::Write => self.send_rest(),
            next => Ok(next),
        }
    }

    /// Sends, and waits for room, until all is sent.
    #[inline(never)]
    fn send_rest(&mut self) -> Result<Next, End> {
        self.io.prepare_to_send()?;
        loop {
            let (bytes, pieces) = (&mut self.out.bytes, &mut self.out.pieces);
            let (progress, sent) = send_all(self.io.stream(), bytes, pieces, self.shared.files)?;
            if progress == Progress::Done {
                return Ok(self.step(|session, cx, _, _| session.sent(cx, sent)));
            }
            let next = self.unfinished(progress, sent)?;
            if next != Next::Write {
                return Ok(next);
            }
        }
    }

    /// Not all of it was sent: what comes next, after what there is to wait for.
    #[cold]
    fn unfinished(&mut self, progress: Progress, sent: u64) -> Result<Next, End> {
        self.note_sent(sent);
        let in_time = match progress {
            Progress::Broken | Progress::Unreadable => return Err(self.broken(progress)),
            Progress::Full => {
                self.note_unacknowledged();
                self.io.wait_writable(self.deadline_ms)?
            }
            Progress::Done | Progress::Budget | Progress::Cold => {
                self.io.let_others_run()?;
                self.now_ms < self.deadline_ms
            }
        };
        if in_time {
            return Ok(Next::Write);
        }
        self.note_unacknowledged();
        self.expired()
    }

    /// So much more is with the kernel, and not all.
    fn note_sent(&mut self, sent: u64) {
        self.step(|session, cx, _, _| {
            match session.phase() {
                Phase::Send => session.moved(cx, sent),
                // The output stays where it is, not with the conversation.
                _ => session.stall(cx, sent),
            }
            Next::Write
        });
    }

    fn note_unacknowledged(&mut self) {
        if let Some(bytes) = self.io.stream().unacknowledged() {
            self.step(|session, cx, _, _| {
                session.unacknowledged(cx, bytes);
                Next::Write
            });
        }
    }

    /// The response cannot be completed. The client is to see that something is missing.
    fn broken(&mut self, progress: Progress) -> End {
        let pieces = mem::take(&mut self.out.pieces);
        let next = self.step(|session, cx, _, _| {
            if let Some(unsent) = session.unsent() {
                unsent.pieces = pieces;
            }
            cx.counters.file_read_errors.add(u64::from(progress == Progress::Unreadable));
            session.aborted(cx)
        });
        if next == Next::Reset { End::Reset } else { End::Closed }
    }
}
