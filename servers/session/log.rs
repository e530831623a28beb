//! The access log's line of a response: written at once, or held until its body has been sent.

use http::Status;

use super::{Context, Session};
use crate::access_log::{self, Record};
use crate::app::App;
use crate::app::response::{Finished, Output};
use crate::work::request::SavedRequest;

/// What a response answers.
#[derive(Copy, Clone, Debug)]
pub(super) enum Subject<'a> {
    /// A request: these bytes are its head, which is in the context.
    Head(&'a [u8]),
    /// As much as has come of one; perhaps nothing.
    Part(&'a [u8]),
}

impl Session {
    #[cold]
    pub(super) fn log_response<A: App>(
        &mut self,
        cx: &mut Context<A>,
        finished: Finished,
        subject: Subject<'_>,
        out: &Output,
    ) {
        let body_len = finished.body_len.unwrap_or(0);
        let record = self.record(cx, finished.status, body_len, subject);
        if out.pieces.is_empty() {
            return cx.log.record(&record);
        }
        // The body is yet to be streamed: the line is written after it.
        let held = cx.log.hold(&record);
        let exchange = self.exchange(cx);
        exchange.log = Some(held);
        exchange.sent = -(out.bytes.len() as i64);
    }

    fn record<'a, A: App>(
        &self,
        cx: &'a Context<A>,
        status: Status,
        body_bytes: u64,
        subject: Subject<'a>,
    ) -> Record<'a> {
        let (request, line) = match subject {
            Subject::Head(bytes) => (Some(cx.head.request(bytes)), &[][..]),
            Subject::Part(bytes) => (None, bytes),
        };
        Record {
            peer: cx.peer.and_then(|peer| peer.ip()),
            request,
            line,
            status: status.code(),
            body_bytes,
            duration_us: self.age_ms(cx.now_ms()) * 1000,
            time: cx.clock.system_time(),
        }
    }

    /// The request with this head is handed over: if it does not come back, its line is logged all
    /// the same. It counts as request memory; without any left, the line is lost.
    pub fn remember_line<A: App>(&mut self, cx: &mut Context<A>, head_bytes: &[u8]) {
        if !cx.log.is_on() {
            return;
        }
        let line = &head_bytes[..head_bytes.len().min(access_log::LINE_BYTES_MAX)];
        if cx.memory.take(line.len()) {
            let exchange = self.exchange(cx);
            debug_assert!(exchange.saved.is_empty(), "the request is saved already");
            exchange.saved = SavedRequest::new(line, &[]);
        }
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
