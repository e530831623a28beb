//! A request on its way through an [executor](super::executor), or a part of a file.
//!
//! ```text
//!  loop                                          executor
//!  head, bytes ──► Job { key, kind, … } ─submit──► job.begin(), job.work()
//!  connection  ◄── by its key ◄── take_completed ◄─ response in the job's output
//! ```
//!
//! | kind | what runs | for |
//! |---|---|---|
//! | `Request(Handle)`, `Request(Resume)` | [`App::handle`], [`App::resume`] | `--offload all` |
//! | `Request(Work)` | [`App::work`] | what the application marks as work |
//! | `Fill` | a window of a file is read, so that it is in memory | files ([`super::page_cache`]) |
//!
//! Nothing is copied and, once warm, nothing allocated. A job has two buffers and a head of its own;
//! handing over is three swaps: the loop's receive buffer against the job's blank one, the loop's
//! head against the job's, and, when the job is back, the job's response against the loop's output
//! buffer, which is empty then.

use std::io;
use std::mem;
use std::ops::Range;
use std::time::Instant;

use http::Status;
use reactor::{Buffer, Token};

use super::page_cache::Window;
use super::request::{Call, Outcome, PendingRequest, Place, SavedRequest};
use crate::app::clock::Clock;
use crate::app::response::{Frame, Output, Reach, Response, refill};
use crate::app::{Action, App, Request};

/// What a job is to do.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Answer a request by this call of the application.
    Request(Call),
    /// Bring a window of a file into memory, or fill the buffer from a generator that waits.
    Fill,
}

/// The bytes of a job's request.
struct RequestBytes {
    /// What the loop received, the request among it; unless it is in `saved`.
    input: Buffer,
    /// A request that had been saved, or whose body came in pieces.
    saved: SavedRequest,
    head_at: Range<usize>,
    body_at: Range<usize>,
}

impl RequestBytes {
    fn head(&self) -> &[u8] {
        match self.saved.is_empty() {
            true => self.input.get(self.head_at.clone()).unwrap_or_default(),
            false => self.saved.head(),
        }
    }

    fn body(&self) -> &[u8] {
        match self.saved.is_empty() {
            true => self.input.get(self.body_at.clone()).unwrap_or_default(),
            false => self.saved.body(),
        }
    }
}

/// When a job changed hands.
#[derive(Copy, Clone, Debug)]
pub struct Times {
    /// Submitted by the loop.
    pub submitted: Instant,
    /// Taken up by a worker.
    pub begun: Instant,
    /// Done.
    pub ended: Instant,
}

/// A request on its way through an executor. See the module's head.
pub struct Job {
    pub(crate) key: Token,
    pub(crate) kind: Kind,
    pub(crate) head: http::Head,
    pub(crate) frame: Frame,
    /// `handle` has asked for the connection's end.
    pub(crate) close: bool,
    bytes: RequestBytes,
    /// What to bring into memory; the response stays with its connection then.
    pub(crate) window: Option<Window>,
    /// Where the response is composed. Empty unless the job is done.
    pub(crate) out: Output,
    /// What has become of a request.
    pub(crate) outcome: Outcome,
    /// How far the window is in memory; `None`: it is not a fill, or it did not come to its end.
    pub(crate) filled: Option<io::Result<Reach>>,
    /// [`Job::work`] was called.
    pub(crate) worked: bool,
    pub(crate) times: Times,
}

impl Job {
    /// A blank one with its two buffers.
    pub(crate) fn new(limits: &http::Limits, input: Buffer, out: Buffer) -> Self {
        let now = Instant::now();
        let saved = SavedRequest::default();
        Job {
            key: Token::new(u32::MAX, u32::MAX),
            kind: Kind::Fill,
            head: http::Head::new(limits),
            frame: Frame::default(),
            close: false,
            bytes: RequestBytes { input, saved, head_at: 0..0, body_at: 0..0 },
            window: None,
            out: Output::new(out),
            outcome: Outcome::Nothing,
            filled: None,
            worked: false,
            times: Times { submitted: now, begun: now, ended: now },
        }
    }

    /// Takes the loop's receive buffer, leaving a blank one; the request's head and body are there.
    pub(crate) fn take_buffer(
        &mut self,
        received: &mut Buffer,
        head: Range<usize>,
        body: Range<usize>,
    ) {
        mem::swap(&mut self.bytes.input, received);
        (self.bytes.head_at, self.bytes.body_at) = (head, body);
    }

    /// Where bytes are received, and where responses are composed.
    pub(crate) fn buffers(&mut self) -> (&mut Buffer, &mut Output) {
        (&mut self.bytes.input, &mut self.out)
    }

    /// Bytes received and not used yet.
    pub(crate) fn input(&self) -> &Buffer {
        &self.bytes.input
    }

    /// The request is at the beginning of the input, or `saved`.
    pub(crate) fn set_request(&mut self, request: PendingRequest, saved: SavedRequest) {
        (self.kind, self.close) = (Kind::Request(request.call), request.close);
        self.bytes.saved = saved;
        if let Place::Input { head_len, .. } = request.place {
            let head_len = head_len as usize;
            self.bytes.head_at = 0..head_len;
            self.bytes.body_at = head_len..request.input_len();
        }
    }

    /// The request has been answered: forgets it.
    pub(crate) fn end_request(&mut self) {
        if self.bytes.saved.is_empty() {
            self.bytes.input.advance(self.bytes.body_at.end);
        }
        self.bytes.saved = SavedRequest::default();
        (self.bytes.head_at, self.bytes.body_at) = (0..0, 0..0);
    }

    /// Head and body of the request, and the response to it.
    pub(crate) fn answered(&mut self) -> (&[u8], &[u8], &mut Output) {
        (self.bytes.head(), self.bytes.body(), &mut self.out)
    }

    /// Takes a request that was saved.
    pub(crate) fn take_saved(&mut self, saved: SavedRequest) {
        self.bytes.saved = saved;
    }

    /// Forgets the request and the response; keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.saved = SavedRequest::default();
        self.bytes.input.clear();
        self.window = None;
        self.out.clear();
        (self.close, self.worked) = (false, false);
        (self.outcome, self.filled) = (Outcome::Nothing, None);
    }

    /// The connection that it is for.
    pub fn key(&self) -> Token {
        self.key
    }

    /// The request as it came, from its line on; nothing for a part of a file.
    pub fn request_bytes(&self) -> &[u8] {
        if self.kind == Kind::Fill { &[] } else { self.head_bytes() }
    }

    /// When it changed hands.
    pub fn times(&self) -> Times {
        self.times
    }

    /// The same, to be written.
    pub fn times_mut(&mut self) -> &mut Times {
        &mut self.times
    }

    /// The bytes that the head was parsed from.
    pub(crate) fn head_bytes(&self) -> &[u8] {
        self.bytes.head()
    }

    /// The body that was collected.
    pub(crate) fn body_bytes(&self) -> &[u8] {
        self.bytes.body()
    }

    /// Runs what does not block: all of a `Handle` or a `Resume`, unless it turns out to need work.
    /// `true`: call [`Job::work`] next, in a place where it may take its time.
    pub fn begin<A: App>(&mut self, app: &A, local: &mut A::Local, clock: &Clock) -> bool {
        match self.kind {
            Kind::Request(Call::Handle) => {
                self.answer(clock, |request, response| app.handle(local, request, response))
            }
            Kind::Request(Call::Resume) => {
                self.answer(clock, |request, response| app.resume(local, request, response))
            }
            Kind::Request(Call::Work) | Kind::Fill => true,
        }
    }

    /// Runs what may block.
    pub fn work<A: App>(&mut self, app: &A, clock: &Clock) {
        self.worked = true;
        if self.kind == Kind::Fill {
            self.filled = Some(self.fill());
            return;
        }
        self.answer(clock, |request, response| {
            app.work(request, response);
            Action::Done
        });
    }

    /// Answers 500 instead of whatever there is, for work that has panicked.
    pub fn fail(&mut self, clock: &Clock) {
        self.out.clear();
        if self.kind == Kind::Fill {
            self.filled = Some(Err(io::Error::other("the work has panicked")));
            return;
        }
        self.answer(clock, |_, response| {
            response.error(Status::INTERNAL_SERVER_ERROR);
            Action::Done
        });
    }

    /// Answers 503 with Retry-After: there is no room for the request.
    pub(crate) fn shed(&mut self, clock: &Clock) {
        self.answer(clock, |_, response| {
            response.unavailable();
            Action::Done
        });
    }

    /// Has `make` answer the request. `true`: it wants work.
    fn answer(
        &mut self,
        clock: &Clock,
        make: impl FnOnce(&Request<'_>, &mut Response<'_>) -> Action,
    ) -> bool {
        let head = self.head.request(self.bytes.head());
        let request = Request::new(head, self.bytes.body(), clock);
        let mut response = Response::new(&mut self.out, clock, self.frame);
        if self.close {
            response.close();
        }
        match make(&request, &mut response) {
            Action::Done => self.outcome = Outcome::Answered(response.outcome()),
            Action::Wait(time) => self.outcome = Outcome::Waits(time),
            Action::Work => {
                self.close = response.withdraw();
                return true;
            }
        }
        false
    }

    /// Reads the window, through the buffer; or reads the first piece into the buffer.
    fn fill(&mut self) -> io::Result<Reach> {
        if let Some(window) = &self.window {
            return window.read(&mut self.out.bytes);
        }
        if let Some(piece) = self.out.pieces.front()
            && !refill(&mut self.out.bytes, piece)?
        {
            self.out.pieces.pop_front();
        }
        Ok(Reach::default())
    }
}
