//! Receiving and parsing: from a readable socket to a request that can be handled.

use std::io;

use super::entry::Flags;
use super::{Connection, Reader, Step, count_buffers};
use crate::app::App;
use crate::drivers::staged::connection::To;
use crate::operation::proxy_protocol;
use crate::session::Next;
use crate::work::request::PendingRequest;

impl<A: App> Reader<A> {
    /// Receives once, unless there is input left that may hold whole requests, and has the session
    /// see it.
    pub(super) fn read(&mut self, connection: &mut Box<Connection>) -> Step {
        let pending = connection.session.has_pending();
        if !pending && !self.flags(connection).is(Flags::READABLE) {
            return Step::Blocked;
        }
        if !self.ensure_job(connection) {
            return Step::NoJob;
        }
        let mut received = 0;
        if !pending {
            match self.receive(connection) {
                Ok(count) => received = count as u64,
                Err(step) => return step,
            }
        }
        let mut cx = self.system.borrow(connection);
        cx.counters.bytes_received.add(received);
        count_buffers(&cx.counters, self.jobs.take_uncounted());
        connection.arrived(cx.clock.now_ms());
        // The job stays where it is: a panic of the application must not take it along.
        let Connection { session, job: Some(job), .. } = &mut **connection else {
            return Step::NoJob;
        };
        let (input, out) = job.buffers();
        let (used, next) = session.feed(&mut cx, input, out);
        input.advance(used);
        let next = match next {
            Next::Work(request) => connection.begin_request(&mut cx, request),
            next => next,
        };
        drop(cx);
        self.follow_request(connection, next)
    }

    fn follow_request(&mut self, connection: &mut Box<Connection>, next: Next) -> Step {
        match next {
            Next::Work(_) => Step::Pass(To::Handle),
            next => self.follow(connection, next),
        }
    }

    /// One `recv(2)`: the number of new bytes in the job's input, or what to do instead.
    pub(super) fn receive(&mut self, connection: &mut Box<Connection>) -> Result<usize, Step> {
        let Some(mut job) = connection.job.take() else { return Err(Step::NoJob) };
        let (input, _) = job.buffers();
        input.compact();
        let room = input.spare_mut();
        let room_len = room.len();
        let result = connection.stream().recv(room);
        if let Ok(count) = result {
            input.filled(count);
        }
        connection.job = Some(job);
        debug_assert!(room_len > 0, "a buffer holds a head, and a body's pieces are used at once");
        let flags = self.flags(connection);
        match result {
            Ok(0) => {
                flags.unset(Flags::READABLE);
                flags.set(Flags::PEER_FIN);
                Err(self.input_ended(connection))
            }
            Ok(count) => {
                if count < room_len && !flags.is(Flags::PEER_FIN) {
                    flags.unset(Flags::READABLE);
                }
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                flags.unset(Flags::READABLE);
                Err(Step::Blocked)
            }
            Err(_) => Err(self.failed(connection)),
        }
    }

    /// The peer has sent FIN and everything before it has been read.
    #[cold]
    fn input_ended(&mut self, connection: &mut Box<Connection>) -> Step {
        if connection.expects_proxy_header {
            return Step::Close;
        }
        let Some(mut job) = connection.job.take() else { return Step::Close };
        let mut cx = self.system.borrow(connection);
        let (input, out) = job.buffers();
        let next = connection.session.eof(&mut cx, input, out);
        drop(cx);
        connection.job = Some(job);
        self.follow(connection, next)
    }

    /// A request that was saved until everything before it was sent.
    pub(super) fn begin_request(
        &mut self,
        connection: &mut Box<Connection>,
        request: PendingRequest,
    ) -> Step {
        if !self.ensure_job(connection) {
            return Step::NoJob;
        }
        let mut cx = self.system.borrow(connection);
        let next = connection.begin_request(&mut cx, request);
        drop(cx);
        self.follow_request(connection, next)
    }

    /// What a balancer sends before the client's bytes. One that is wrong, or late, ends the
    /// connection without an answer: a peer that speaks another protocol would not understand one.
    #[cold]
    pub(super) fn read_proxy_header(&mut self, connection: &mut Box<Connection>) -> Step {
        if !self.flags(connection).is(Flags::READABLE) {
            return Step::Blocked;
        }
        if !self.ensure_job(connection) {
            return Step::NoJob;
        }
        if let Err(step) = self.receive(connection) {
            return step;
        }
        connection.arrived(self.system.shared.contexts.now_ms());
        let Some(mut job) = connection.job.take() else { return Step::NoJob };
        let (input, _) = job.buffers();
        let parsed = proxy_protocol::parse(input);
        if let Ok(Some(header)) = &parsed {
            input.advance(header.len);
            connection.peer = header.client.unwrap_or(connection.peer);
            connection.expects_proxy_header = false;
            if !input.is_empty() {
                connection.session.set_pending();
            }
        }
        connection.job = Some(job);
        if parsed.is_err() {
            self.system.borrow(connection).counters.requests_malformed.add(1);
            return Step::Close;
        }
        Step::Again
    }
}
