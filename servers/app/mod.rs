//! Task 3: the application, the same under every model.
//!
//! A model decides which process or thread accepts, reads and writes; what a response *is* comes
//! from an [`App`]. So that one application can run inside an event loop as well as on a thread of
//! its own, [`App::handle`] never blocks. It answers, or says what the answer needs:
//!
//! ```text
//!             ┌── Action::Done ───────────────► the response is complete
//! handle() ───┼── Action::Work ──► work()    ► where it runs is the model's decision
//!             └── Action::Wait(t) ► resume() ► how to wait is the model's decision
//! ```
//!
//! An application has two parts: itself, shared by all loops and threads (`Sync`), and
//! [`App::Local`], one per loop or thread, where a cache needs no lock.
//!
//! What is *not* guaranteed: that `handle`, `work` and `resume` of one request see the same `Local`
//! or run on the same thread; that a response is sent at all (its client may be gone).

pub mod clock;
pub mod file_errors;
pub mod response;

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Status};

use clock::Clock;
pub use response::{Piece, Prepared, Response};

/// What a response needs before it is complete.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Nothing: `handle` has answered.
    Done,
    /// Blocking or heavy work: call [`App::work`], on a thread that may block.
    Work,
    /// Time, standing for the answer of another service: call [`App::resume`] after it.
    Wait(Duration),
}

/// What becomes of a request's body. Asked for once, after the head.
pub enum BodyPlan {
    /// Read it off the connection and forget it. `handle` is called at once, before the body.
    Discard,
    /// Gather it (at most that many bytes, 413 above) and hand it to `handle` as [`Request::body`].
    Collect(u64),
    /// Pass it on piece by piece, as it arrives; the sink answers. `handle` is not called.
    Stream(Box<dyn Sink>),
}

/// A taker of body pieces. Must not block.
pub trait Sink: Send {
    /// The next piece. An `Err` answers the request with that status and closes the connection.
    ///
    /// # Errors
    /// The status to answer with.
    fn data(&mut self, piece: &[u8]) -> Result<(), Status>;

    /// The body is complete: answer.
    fn finish(self: Box<Self>, request: &Request<'_>, response: &mut Response<'_>);
}

/// A request as an application sees it: the head (through `Deref`), the collected body, the time.
pub struct Request<'a> {
    head: http::Request<'a>,
    body: &'a [u8],
    clock: &'a Clock,
}

impl<'a> Request<'a> {
    /// Joins a parsed head with a body and the time.
    pub fn new(head: http::Request<'a>, body: &'a [u8], clock: &'a Clock) -> Self {
        Request { head, body, clock }
    }

    /// The body, when [`BodyPlan::Collect`] was asked for; decoded when it came chunked.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// What time it is.
    pub fn clock(&self) -> &'a Clock {
        self.clock
    }
}

impl<'a> Deref for Request<'a> {
    type Target = http::Request<'a>;

    fn deref(&self) -> &Self::Target {
        &self.head
    }
}

/// An application: Task 3.
pub trait App: Send + Sync + 'static {
    /// The part that each loop or thread has for itself. Where threads take turns with a few of
    /// them, one has it at a time.
    type Local: Send;

    /// Makes the local part of loop or thread number `index` (which is also the number of its slot
    /// of counters).
    fn local(&self, index: usize) -> Self::Local;

    /// What to do with the body that follows this head. Not asked when none follows.
    fn body(&self, _local: &mut Self::Local, _request: &Request<'_>) -> BodyPlan {
        BodyPlan::Discard
    }

    /// Answers, or says what the answer needs. Never blocks.
    fn handle(
        &self,
        local: &mut Self::Local,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action;

    /// The operator has asked for that (HUP), or this is a new worker process: what is kept of the
    /// world outside is to be looked at again. May block for a moment.
    fn reload(&self) {}

    /// The work that `handle` asked for. May block and may compute; may run on any thread.
    fn work(&self, _request: &Request<'_>, response: &mut Response<'_>) {
        response.error(Status::INTERNAL_SERVER_ERROR);
    }

    /// The wait that `handle` asked for is over.
    fn resume(
        &self,
        _local: &mut Self::Local,
        _request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        response.error(Status::INTERNAL_SERVER_ERROR);
        Action::Done
    }
}

/// A response body, or a part of one, that is written when there is room: what [`Piece::Generate`]
/// holds.
///
/// It is `io::Read` under the same contract (0: the end), on the understanding that it never blocks;
/// on a local file if it was given by `Head::generate_from_disk`.
pub type Generator = Box<dyn io::Read + Send>;

/// A file as responses share it.
pub type SharedFile = Arc<File>;

/// Whether a thread may wait for the disk: one that serves many clients should not, if another thread
/// can.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Disk {
    /// It may.
    Wait,
    /// It takes what is in memory, and leaves the rest to work.
    Avoid,
}

/// A body held in memory and shared.
pub type SharedBytes = Bytes;

/// The methods a read-only resource answers, for `Allow`.
pub const ALLOW_READ: &str = "GET, HEAD, OPTIONS";

/// Whether `method` only reads: GET or HEAD.
pub fn reads(method: Method) -> bool {
    matches!(method, Method::Get | Method::Head)
}

/// Answers what a read-only resource answers to another method: OPTIONS learns the methods, any
/// other gets a 405 (RFC 9110, section 9.3.7).
#[cold]
pub fn refuse_method(request: &Request<'_>, response: &mut Response<'_>) {
    match request.method() {
        Method::Options => response.start(Status::NO_CONTENT).field("Allow", ALLOW_READ).empty(),
        _ => response.method_not_allowed(ALLOW_READ),
    }
}
