//! The access log's line of a response: written at once, or held until its body has been sent.

use super::{Context, Session};
use crate::access_log::Record;
use crate::app::App;
use crate::app::response::{Finished, Output};

impl Session {
    #[cold]
    pub(super) fn log_response<A: App>(
        &mut self,
        cx: &mut Context<A>,
        finished: Finished,
        head_bytes: Option<&[u8]>,
        out: &Output,
    ) {
        let record = Record {
            peer: cx.peer.and_then(|peer| peer.ip()),
            request: head_bytes.map(|bytes| cx.head.request(bytes)),
            status: finished.status.code(),
            body_bytes: finished.body_len.unwrap_or(0),
            duration_us: self.age_ms(cx.now_ms()) * 1000,
            time: cx.clock.system_time(),
        };
        if out.pieces.is_empty() {
            return cx.log.record(&record);
        }
        // The body is yet to be streamed: the line is written after it.
        let held = cx.log.hold(&record);
        let exchange = self.exchange(cx);
        exchange.log = Some(held);
        exchange.sent = -(out.bytes.len() as i64);
    }

    /// Writes the log line of a streamed response, complete or not.
    pub(super) fn log_held<A: App>(&mut self, cx: &mut Context<A>) {
        let duration_us = self.age_ms(cx.now_ms()) * 1000;
        let Some(exchange) = &mut self.exchange else { return };
        if let Some(held) = exchange.log.take() {
            let sent = exchange.sent.max(0) as u64;
            cx.log.record_held(&held, sent, duration_us);
        }
    }
}
