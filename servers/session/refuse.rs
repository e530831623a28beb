//! Answers that end the session: the client did something wrong, or resources are exhausted.

use http::{Method, Status, Version};

use super::log::Subject;
use super::saved::parse_again;
use super::{Context, Next, Phase, Session};
use crate::app::App;
use crate::app::response::{Frame, Output, Piece, Response};

impl Session {
    /// Answers with a status and ends the session. If the response is already on its way and its
    /// request's body turns out malformed, only ends it.
    ///
    /// A request whose body was being read, or that was waiting, is refused as itself, whatever the
    /// `subject`: its head is still here.
    #[cold]
    pub(super) fn refuse<A: App>(
        &mut self,
        cx: &mut Context<A>,
        status: Status,
        subject: Subject<'_>,
        out: &mut Output,
    ) {
        let saved = match subject {
            Subject::Part(_) => self.take_saved_bytes(cx),
            Subject::Head(_) => Default::default(),
        };
        let subject = match saved.is_empty() {
            true => subject,
            false if parse_again(cx, &saved) => Subject::Head(saved.head()),
            false => Subject::Part(saved.head()),
        };
        self.refuse_subject(cx, status, subject, out);
    }

    fn refuse_subject<A: App>(
        &mut self,
        cx: &mut Context<A>,
        status: Status,
        subject: Subject<'_>,
        out: &mut Output,
    ) {
        debug_assert!(out.pieces.is_empty(), "would cut an earlier response short");
        let answered = self.forget_body(cx);
        self.http.close();
        (self.last, self.unread, self.pending) = (true, true, false);
        self.phase = Phase::Idle;
        if answered {
            return;
        }
        let frame = Frame {
            method: match subject {
                Subject::Head(_) => cx.head.method(),
                Subject::Part(_) => Method::Get,
            },
            version: Version::Http11,
            connection_line: self.http.connection_line(),
        };
        let mut response = Response::new(out, &cx.clock, frame);
        response.close();
        if status == Status::SERVICE_UNAVAILABLE {
            response.unavailable();
        } else {
            response.error(status);
        }
        let finished = response.outcome();
        self.finished(cx, finished, subject, out);
    }

    /// A head that is refused for its contents is still complete: it is logged, and HEAD gets no
    /// content. Of an unparsable head, with which `input` begins, the first line is logged.
    #[cold]
    pub(super) fn refuse_malformed<A: App>(
        &mut self,
        cx: &mut Context<A>,
        input: &[u8],
        status: Status,
        out: &mut Output,
    ) {
        cx.counters.requests_malformed.add(1);
        let reads_head = matches!(self.phase, Phase::Idle | Phase::Head);
        let whole = reads_head && cx.head.is_complete();
        let subject = match input.get(..cx.head.len()) {
            Some(head_bytes) if whole => Subject::Head(head_bytes),
            _ if reads_head => Subject::Part(input),
            // Of a body, whose request is with the session.
            _ => Subject::Part(&[]),
        };
        self.refuse(cx, status, subject, out);
    }

    /// Answers 503 and ends the session: out of memory, buffers or workers. `seen`: what there is of
    /// the request, from its first byte; nothing if it has been handed over.
    #[cold]
    pub fn unavailable<A: App>(
        &mut self,
        cx: &mut Context<A>,
        seen: &[u8],
        out: &mut Output,
    ) -> Next {
        self.refuse(cx, Status::SERVICE_UNAVAILABLE, Subject::Part(seen), out);
        self.next(out)
    }

    /// The response cannot be completed: its file was truncated, or its generator failed.
    #[cold]
    pub fn aborted<A: App>(&mut self, cx: &mut Context<A>) -> Next {
        cx.counters.responses_aborted.add(1);
        let piece = self.exchange.as_mut().and_then(|exchange| exchange.unsent.pieces.front());
        match piece {
            // To this HTTP/1.0 client, FIN would mean that the response is complete.
            Some(Piece::Generate { left: None, chunked: false, .. }) => Next::Reset,
            _ => Next::Close,
        }
    }
}
