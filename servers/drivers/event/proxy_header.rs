//! The PROXY protocol's header, which a balancer sends before the client's bytes.
//!
//! ```text
//! admit ─┬─ --proxy-protocol is off ─────────────────────► Serving
//!        ├─ the peer is trusted ─► ProxyHeader ─ header ──► Serving   (its address is the header's)
//!        └─ it is not ─► closed, and counted as refused
//! ```
//!
//! A connection that is not behind a balancer never gets here: the stage is chosen when it is
//! accepted. A malformed or late header ends the connection without an answer, as the specification
//! requires: a peer that speaks another protocol would not understand one. Until then a new
//! connection's timeout runs (idle or head time, whichever is shorter); the first head's own starts
//! with its first byte.

use bytes::BufMut;

use super::connection::{Connection, Flags, Stage};
use super::{Engine, Step};
use crate::app::App;
use crate::operation::proxy_protocol;

impl<A: App> Engine<A> {
    /// Receives once, and goes on to the HTTP head when the header is complete.
    #[cold]
    pub(super) fn read_proxy_header(&mut self, connection: &mut Connection) -> Step {
        if !connection.is(Flags::READABLE) {
            return Step::Blocked;
        }
        if !self.buffers.suffice() && !self.buffers.may_go_on(connection) {
            return Step::NoBuffer;
        }
        self.scratch.clear();
        let left = connection.input.take();
        if let Some(left) = &left {
            self.scratch.put_slice(left);
        }
        if let Some(step) = self.receive(connection) {
            connection.input = left.filter(|_| step == Step::Blocked);
            return step;
        }
        match proxy_protocol::parse(&self.scratch) {
            Ok(None) => self.keep_rest(connection, 0, left),
            Ok(Some(header)) => {
                connection.stage = Stage::Serving;
                self.cx.peer = header.client.or(self.cx.peer);
                if self.scratch.len() > header.len {
                    connection.session.set_pending();
                    self.keep_rest(connection, header.len, left);
                }
            }
            Err(_) => {
                self.cx.counters.requests_malformed.add(1);
                return Step::Close;
            }
        }
        connection.more_input()
    }
}
