//! A connection of the load: what it has sent, and what it still has to receive.
//!
//! Knows no loop and no clock: the driver moves its bytes, gives it the time, and acts on what it
//! returns.

use std::collections::VecDeque;
use std::io;

use http::Limits;
use http::client::{Connection, Event, ResponseHead};
use reactor::Stream;

use super::record::Record;
use super::routes::Route;

/// A request without its answer.
#[derive(Copy, Clone)]
pub(super) struct Pending {
    /// From when its latency counts, in nanoseconds since the load began.
    pub(super) since_ns: u64,
    /// Which route.
    pub(super) route: u16,
}

/// Why a connection is over.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// It did not come about.
    Refused,
    /// One side has finished.
    Closed,
    /// It was reset.
    Broken,
    /// The server sent what is no response.
    Invalid,
    /// A response did not come in time.
    TimedOut,
}

/// What the clients of a thread share.
pub(super) struct Shared<'a> {
    pub(super) routes: &'a [Route],
    pub(super) head: ResponseHead,
    pub(super) limits: Limits,
    /// Where responses count; none during the warm-up.
    pub(super) record: Record,
}

pub(super) struct Client {
    pub(super) stream: Stream,
    /// Whether the connection has come about.
    pub(super) is_open: bool,
    http: Connection,
    /// Sent and not answered, the oldest first.
    pub(super) pending: VecDeque<Pending>,
    /// What the socket has not taken.
    unsent: Vec<u8>,
    /// The beginning of a head.
    input: Vec<u8>,
    /// Bytes of the current response's body so far.
    body: usize,
    /// The current response's status, once its head is there.
    code: Option<u16>,
    /// The body differs from the expected one.
    differs: bool,
    has_answered: bool,
    /// Requests that may still be sent before the client closes the connection.
    pub(super) left: u32,
}

impl Client {
    pub(super) fn new(stream: Stream, pending: VecDeque<Pending>, left: u32) -> Client {
        Client {
            stream,
            is_open: false,
            http: Connection::new(),
            pending,
            unsent: Vec::new(),
            input: Vec::new(),
            body: 0,
            code: None,
            differs: false,
            has_answered: false,
            left,
        }
    }

    /// Sends the requests in `bytes`, of which [`Client::asked`] was told.
    #[inline]
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return Ok(());
        }
        match self.stream.send_now(bytes) {
            Ok(count) => self.unsent.extend_from_slice(&bytes[count..]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.unsent.extend_from_slice(bytes);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// There is room again.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.send_now(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A request goes out.
    #[inline]
    pub(super) fn asked(&mut self, route: &Route, pending: Pending) {
        // Never full: a plan's pipelines are as long as a connection tracks, at most.
        let _ = self.http.sent(route.method);
        self.pending.push_back(pending);
        self.left = self.left.saturating_sub(1);
    }

    /// Whether any response has been completed.
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered
    }

    /// Whether nothing of a response has arrived: then what is pending may be sent again.
    pub(super) fn may_repeat(&self) -> bool {
        self.code.is_none() && self.input.is_empty()
    }

    /// Takes what has arrived at `now_ns`; returns how many responses it completed.
    #[inline]
    pub(super) fn received(
        &mut self,
        cx: &mut Shared<'_>,
        bytes: &[u8],
        now_ns: u64,
    ) -> Result<u32, End> {
        cx.record.counts.bytes += bytes.len() as u64;
        if self.input.is_empty() {
            let (consumed, answered) = self.feed(cx, bytes, now_ns)?;
            self.input.extend_from_slice(&bytes[consumed..]);
            return Ok(answered);
        }
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let (consumed, answered) = self.feed(cx, &input, now_ns)?;
        input.drain(..consumed);
        self.input = input;
        Ok(answered)
    }

    #[inline]
    fn feed(
        &mut self,
        cx: &mut Shared<'_>,
        bytes: &[u8],
        now_ns: u64,
    ) -> Result<(usize, u32), End> {
        let (mut at, mut answered) = (0, 0);
        loop {
            let rest = &bytes[at..];
            let step = self.http.next(rest, &mut cx.head, &cx.limits);
            let step = step.map_err(|_| End::Invalid)?;
            at += step.consumed;
            match step.event {
                Event::Head => {
                    self.code = Some(cx.head.code());
                    if !self.http.body_follows() {
                        answered += self.complete(cx, now_ns);
                    }
                }
                Event::Data { start, len } => self.data(cx, &rest[start..start + len]),
                Event::End => answered += self.complete(cx, now_ns),
                Event::Interim => {}
                Event::NeedMore => return Ok((at, answered)),
            }
            if at == bytes.len() && self.http.is_between_responses() {
                return Ok((at, answered));
            }
        }
    }

    #[inline]
    fn data(&mut self, cx: &Shared<'_>, data: &[u8]) {
        let route = self.pending.front().map(|pending| &cx.routes[usize::from(pending.route)]);
        if let Some(expected) = route.and_then(|route| route.expected.as_ref()) {
            let there = expected.body.get(self.body..self.body + data.len());
            self.differs |= there != Some(data);
        }
        self.body += data.len();
    }

    /// The oldest request is answered.
    #[inline]
    fn complete(&mut self, cx: &mut Shared<'_>, now_ns: u64) -> u32 {
        let Some(pending) = self.pending.pop_front() else { return 0 };
        let code = self.code.take().unwrap_or_default();
        let expected = cx.routes[usize::from(pending.route)].expected.as_ref();
        let is_right = expected.map_or(code < 400, |expected| expected.code == code);
        let differs =
            expected.is_some_and(|expected| self.differs || (self.body != expected.body.len()));
        if !is_right {
            cx.record.counts.wrong_status += 1;
        } else if differs {
            cx.record.counts.wrong_content += 1;
        } else {
            cx.record.answered(now_ns.saturating_sub(pending.since_ns));
        }
        (self.body, self.differs, self.has_answered) = (0, false, true);
        1
    }

    /// The server has finished sending, which may complete a response.
    pub(super) fn finished(&mut self, cx: &mut Shared<'_>, now_ns: u64) -> u32 {
        match self.http.eof() {
            Ok(Some(_)) => self.complete(cx, now_ns),
            Ok(None) | Err(_) => 0,
        }
    }

    /// Whether the connection can take another request.
    #[inline]
    pub(super) fn persists(&self) -> bool {
        self.http.persists()
    }
}
