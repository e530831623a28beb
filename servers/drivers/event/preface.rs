//! What a balancer says before the client's bytes: the header of the PROXY protocol.
//!
//! ```text
//! admit ─┬─ --proxy-protocol is off ────────────────────► Head
//!        ├─ the peer is trusted ─► Preface ─ header ────► Head      (its address is the header's)
//!        └─ it is not ─► closed, and counted as refused
//! ```
//!
//! A connection that is not behind a balancer never comes here: the phase is chosen when it is
//! accepted. A header that is wrong, or late, ends it without an answer, as the specification asks:
//! who speaks another protocol would not understand one.

use bytes::BufMut;
use reactor::net::Peer;
use reactor::{Buffer, EventLoop};

use super::connection::{Connection, Phase, flag};
use super::{Engine, Step};
use crate::app::App;
use crate::operation::proxy_protocol::{self, Header, Trusted};
use crate::options::Options;

/// Whom to believe, if anybody is to be believed.
pub(super) fn trusted(options: &Options) -> Option<Box<Trusted>> {
    let operation = &options.operation;
    operation.proxy_protocol.then(|| Box::new(operation.trusted.clone()))
}

/// What a connection of this peer begins with; `None`: it is refused.
#[inline]
pub(super) fn first_phase(trusted: Option<&Trusted>, peer: Peer) -> Option<Phase> {
    match trusted {
        None => Some(Phase::Head),
        Some(trusted) => trusted.includes(peer).then_some(Phase::Preface),
    }
}

impl<A: App> Engine<A> {
    /// Receives once, and goes on to the head when the header is complete.
    #[cold]
    pub(super) fn read_preface(
        &mut self,
        ev: &mut EventLoop,
        connection: &mut Connection,
        scratch: &mut Buffer,
    ) -> Step {
        if !connection.is(flag::READABLE) {
            return Step::Blocked;
        }
        if !self.has_buffers() && !self.may_go_on(connection) {
            return self.starve(connection);
        }
        scratch.clear();
        let held = connection.input.take();
        if let Some(held) = &held {
            scratch.put_slice(held);
        }
        if let Some(step) = self.receive(ev, connection, scratch) {
            connection.input = held.filter(|_| step == Step::Blocked);
            return step;
        }
        match proxy_protocol::parse(scratch) {
            Ok(None) => self.keep_rest(ev, connection, scratch, held),
            Ok(Some(header)) => {
                self.introduce(connection, &header);
                if scratch.len() > header.len {
                    connection.set(flag::PENDING);
                    self.keep_rest(ev, connection, &scratch[header.len..], held);
                }
            }
            Err(_) => {
                self.tally.requests_malformed.add(1);
                return Step::Close;
            }
        }
        connection.more_input()
    }

    /// From now on the connection is the client's, also in the log. The time for its first head has
    /// begun already: a header does not buy another.
    fn introduce(&mut self, connection: &mut Connection, header: &Header) {
        connection.phase = Phase::Head;
        let slot = connection.token.slot() as usize;
        if let (Some(peer), Some(client)) = (self.peers.get_mut(slot), header.client) {
            *peer = Some(client);
        }
    }
}
