//! A connection as it moves through the stages, and the event as which it does.
//!
//! ```text
//! waits for the client      Box<Connection>              no buffer; a few bytes of a head
//! the same, half done       Box<Connection> + Box<Job>   a long head, or unsent output
//! in a stage, or its queue  Event { connection, job }    one owner
//! ```
//!
//! Whatever sends on a socket owns its connection meanwhile. So no other thread can close the
//! descriptor, and no byte can go to the next connection with the same number.

use http::Head;
use reactor::Token;
use reactor::net::{Peer, Stream};

use crate::app::App;
use crate::drivers::main_loop::Accepted;
use crate::session::{Context, Next, Session};
use crate::work::job::Job;
use crate::work::request::{PendingRequest, Place, SavedRequest};

/// A connection.
pub(super) struct Connection {
    pub session: Session,
    accepted: Accepted,
    /// Its client; a balancer's header may name another.
    pub peer: Peer,
    /// The reader that it returns to, and its entry there.
    pub reader: usize,
    pub token: Token,
    /// Bytes received and not used, if they are few and it waits.
    pub rest: Box<[u8]>,
    /// While it waits in the middle of something.
    pub job: Option<Box<Job>>,
    /// A balancer's header comes first.
    pub expects_proxy_header: bool,
}

/// A connection on its way through the stages.
pub(super) struct Event {
    pub connection: Box<Connection>,
    pub job: Box<Job>,
    /// What its reader has to do with it.
    pub next: Next,
    /// The socket has failed.
    pub lost: bool,
}

/// Where an event goes next.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum To {
    Handle,
    Work,
    Files,
    Write,
    Reader,
}

impl Connection {
    pub fn new(accepted: Accepted, reader: usize, token: Token, now_ms: u64) -> Self {
        let (peer, beginning) = accepted.opening();
        Connection {
            session: Session::new(now_ms),
            accepted,
            peer,
            reader,
            token,
            rest: Box::default(),
            job: None,
            expects_proxy_header: beginning == crate::drivers::blocking::Beginning::ProxyHeader,
        }
    }

    pub fn stream(&self) -> &Stream {
        self.accepted.stream()
    }

    /// Its number among all that the server has had.
    pub fn number(&self) -> usize {
        self.accepted.number()
    }

    /// Something has arrived, for a draining server.
    pub fn arrived(&self, now_ms: u64) {
        self.accepted.entry().arrived(now_ms);
    }

    /// Nothing is in event, for a draining server.
    pub fn rests(&self, now_ms: u64) {
        self.accepted.entry().rests(now_ms);
    }

    /// Nothing is in event: no byte of a request, no response.
    pub fn is_idle(&self) -> bool {
        self.job.is_none() && self.rest.is_empty() && self.session.is_idle()
    }

    pub fn into_accepted(self) -> Accepted {
        self.accepted
    }

    /// Takes the request that the session has left to the driver out of the context. What comes
    /// before it is sent first; `Next::Work`: it can be handled at once.
    pub fn begin_request<A: App>(&mut self, cx: &mut Context<A>, request: PendingRequest) -> Next {
        let Connection { session, job: Some(job), .. } = self else {
            debug_assert!(false, "a request without a job");
            return Next::Close;
        };
        let (input, out) = job.buffers();
        if !out.is_empty() {
            if !session.save(cx, request, input) {
                return session.unavailable(cx, input, out);
            }
            input.advance(request.input_len());
            if !input.is_empty() {
                session.set_pending();
            }
            return Next::Write;
        }
        let saved = match request.place {
            Place::Saved => session.take_saved(cx).unwrap_or_default(),
            Place::Input { .. } => SavedRequest::default(),
        };
        job.frame = session.frame(&cx.head);
        swap_heads(&mut job.head, &mut cx.head);
        job.set_request(request, saved);
        session.begin_work();
        Next::Work(request)
    }
}

/// A head moves with its request: no byte of it is copied.
fn swap_heads(job: &mut Head, context: &mut Head) {
    std::mem::swap(job, context);
}

impl Event {
    /// The job's outcome becomes the connection's response.
    pub fn answered<A: App>(&mut self, cx: &mut Context<A>) -> Next {
        let Event { connection, job, .. } = self;
        swap_heads(&mut job.head, &mut cx.head);
        let outcome = std::mem::take(&mut job.outcome);
        let (head, body, out) = job.answered();
        let next = connection.session.answered(cx, outcome, head, body, out);
        job.end_request();
        if !job.input().is_empty() {
            connection.session.set_pending();
        }
        next
    }

    /// The stage in which `next` is done.
    pub fn follow(&mut self, next: Next) -> To {
        self.next = next;
        match next {
            Next::Write => To::Write,
            _ => To::Reader,
        }
    }

    /// The connection has failed.
    pub fn lost(&mut self) -> To {
        (self.next, self.lost) = (Next::Close, true);
        To::Reader
    }
}
