//! Deadlines of connections that wait for their clients.

use reactor::EventLoop;

use super::{Connection, Reader, Step};
use crate::app::App;
use crate::session::{Next, Phase};

impl<A: App> Reader<A> {
    /// A connection's deadline has passed.
    pub(super) fn expired(&mut self, ev: &mut EventLoop, mut connection: Box<Connection>) {
        if matches!(connection.session.phase(), Phase::Idle | Phase::Linger) {
            return self.close_expired(ev, connection);
        }
        if !self.ensure_job(&mut connection) {
            // There may be an answer to send, and there is nothing to make it with: it waits in
            // line with the others, or they would overtake it again and again.
            self.wait_for_job(&mut connection);
            let slot = connection.token.slot() as usize;
            self.entries[slot].connection = Some(connection);
            return;
        }
        let step = self.expire(&mut connection);
        self.run(ev, connection, step);
    }

    /// One that has nothing to be answered: no job is needed, of which there may be none.
    fn close_expired(&mut self, ev: &mut EventLoop, mut connection: Box<Connection>) {
        let mut cx = self.system.borrow(&connection);
        let next = connection.session.expired(&mut cx, &[], &mut self.blank);
        drop(cx);
        debug_assert!(next == Next::Close && self.blank.is_empty(), "there is an answer");
        self.close(ev, connection);
    }

    fn expire(&mut self, connection: &mut Box<Connection>) -> Step {
        let Some(mut job) = connection.job.take() else { return Step::Close };
        let mut cx = self.system.borrow(connection);
        let phase = connection.session.phase();
        if phase == Phase::Send {
            connection.note_unacknowledged(&mut cx);
        }
        let (input, out) = job.buffers();
        let next = connection.session.expired(&mut cx, input, out);
        drop(cx);
        if connection.session.is_last() && phase != Phase::Send {
            // 408: what the request was waiting for is of no more interest.
            input.clear();
        }
        connection.job = Some(job);
        match next {
            // A client that has sent nothing has nothing unread.
            Next::Close => Step::Close,
            Next::Read => Step::Blocked,
            next => self.follow(connection, next),
        }
    }
}
