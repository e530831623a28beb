//! A worker process: its setup, and the control channel to the master beside the model's handler.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use reactor::net::{Listener, Stream};
use reactor::process::{Channel, Message, Received, cores, pin};
use reactor::{EventLoop, Handler, Interest, Readiness, Signal, Token, Trigger};

use super::control::ControlMessage;
use super::lifetime::{Clock, Lifetime};
use crate::metrics::Metrics;
use crate::operation::Ending;
use crate::operation::listen::Listening;
use crate::options::{ListenAddr, Options};
use crate::report::report;

/// Messages in one turn: passed connections must not keep others from being served.
const MESSAGES_PER_TURN: u32 = 64;

/// What a worker is started with.
pub struct WorkerSetup {
    /// Its worker slot.
    pub post: usize,
    /// The first of its counter slots.
    pub slot: usize,
    /// All counters, for the status pages.
    pub metrics: Metrics,
    /// The listeners it accepts from.
    pub listeners: Vec<Listening>,
    /// Its end of the channel to the master.
    pub channel: Channel,
}

impl WorkerSetup {
    /// How long the worker serves, if it is to ask for a successor by itself.
    pub fn lifetime(&self, options: &Options) -> Option<Lifetime> {
        Lifetime::new(options, &self.metrics, self.slot)
    }

    /// Pins the worker to a core, if configured. A failure is logged and otherwise ignored.
    pub fn pin(&self, options: &Options) {
        if !options.workers.pin {
            return;
        }
        let cores = cores();
        let core = cores.get(self.post % cores.len().max(1)).copied().unwrap_or(self.post);
        if let Err(error) = pin(core) {
            report!("cannot pin worker {} to core {core}: {error}", self.post);
        }
    }
}

/// An event handler in a worker process that follows the master. The only signals left to it are
/// those to reopen the log; the others are forwarded to the master.
pub trait Supervised: Handler {
    /// Serves a connection accepted by the master; there are none but with `--accept pass`.
    fn receive(&mut self, _ev: &mut EventLoop, _stream: Stream) {
        debug_assert!(false, "the workers of this model accept by themselves");
    }

    /// Accepts from one more listener, until [`Supervised::disown`]. Workers that share all
    /// listeners have those of others already.
    ///
    /// # Errors
    /// The listener cannot be watched.
    fn adopt(&mut self, _ev: &mut EventLoop, _listening: Listening) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Stops accepting from adopted listeners.
    fn disown(&mut self, _ev: &mut EventLoop) {}

    /// Stops the loop when requests in flight are done.
    fn end(&mut self, ev: &mut EventLoop, how: Ending);
}

/// Tells the master that `handler` is ready, and runs it until the master says to stop, which it is
/// asked for at the end of `lifetime`.
///
/// # Errors
/// The loop has no source left for the channel, or the poller fails.
pub fn serve<H: Supervised>(
    mut event_loop: EventLoop,
    handler: H,
    channel: Channel,
    lifetime: Option<Lifetime>,
) -> io::Result<()> {
    let ev = &mut event_loop;
    let token = ev.register(&channel, Interest::READABLE, Trigger::Edge)?;
    ControlMessage::Ready.send(&channel, None)?;
    let lifetime = lifetime.map(|lifetime| Clock::new(ev, lifetime)).transpose()?;
    let mut worker = Worker { handler, channel, token, lifetime };
    event_loop.run(&mut worker)
}

/// A handler, and the control channel beside it.
struct Worker<H> {
    handler: H,
    channel: Channel,
    token: Token,
    lifetime: Option<Clock>,
}

impl<H: Supervised> Worker<H> {
    #[cold]
    fn receive(&mut self, ev: &mut EventLoop) {
        for _ in 0..MESSAGES_PER_TURN {
            match self.channel.recv() {
                Ok(Received::Message(message)) => self.handle(ev, message),
                Ok(Received::Empty) => return,
                Ok(Received::Closed) | Err(_) => return self.orphaned(ev),
            }
        }
        ev.defer(self.token, Readiness::READABLE);
    }

    /// The master has died, so this worker would never be replaced: it accepts queued connections
    /// and stops. Unwatched, since a second report would be a second stop, which is immediate.
    fn orphaned(&mut self, ev: &mut EventLoop) {
        let _ = ev.unwatch(self.token, &self.channel);
        self.handler.end(ev, Ending::Stop);
    }

    fn handle(&mut self, ev: &mut EventLoop, Message { tag, fd }: Message) {
        match (ControlMessage::of(tag), fd) {
            (Some(ControlMessage::Connection), Some(fd)) => {
                self.handler.receive(ev, Stream::from(fd))
            }
            (Some(ControlMessage::Adopt), Some(fd)) => self.adopt(ev, fd),
            (Some(ControlMessage::Disown), _) => self.handler.disown(ev),
            (Some(ControlMessage::Reopen), _) => self.handler.signal(ev, Signal::USR1),
            (Some(ControlMessage::HandOver), _) => self.handler.end(ev, Ending::HandOver),
            (Some(ControlMessage::Quit), _) => self.handler.end(ev, Ending::Quit),
            (Some(ControlMessage::Stop), _) => self.handler.end(ev, Ending::Stop),
            // The descriptor was lost: this process had no room for it.
            (Some(ControlMessage::Connection | ControlMessage::Adopt), None) => {}
            (Some(ControlMessage::Ready | ControlMessage::Leave) | None, _) => {}
        }
    }

    fn adopt(&mut self, ev: &mut EventLoop, fd: OwnedFd) {
        let addr = ListenAddr::Fd(fd.as_raw_fd());
        let (listener, url) = (Listener::from(fd), addr.to_string());
        let listening = Listening { listener, addr, queue: 0, url, file: None, shared: false };
        // If this fails, the queue waits for its own worker: the master keeps it open.
        let _ = self.handler.adopt(ev, listening);
    }
}

impl<H: Supervised> Handler for Worker<H> {
    #[inline(always)]
    fn ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        if token == self.token {
            return self.receive(ev);
        }
        self.handler.ready(ev, token, readiness);
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        if let Some(lifetime) = &mut self.lifetime
            && lifetime.is_for(token)
        {
            return lifetime.look(ev, &self.channel);
        }
        self.handler.timeout(ev, token);
    }

    #[inline(always)]
    fn has_work(&self) -> bool {
        self.handler.has_work()
    }

    fn woken(&mut self, ev: &mut EventLoop) {
        self.handler.woken(ev);
    }

    fn signal(&mut self, ev: &mut EventLoop, signal: Signal) {
        match signal {
            // Sent to every process of the service, the master included, or to this one alone: the
            // master can tell.
            Signal::TERM | Signal::INT | Signal::QUIT => {
                let _ = ControlMessage::Leave.send(&self.channel, None);
            }
            // An upgrade is the master's business.
            Signal::USR2 => {}
            _ => self.handler.signal(ev, signal),
        }
    }

    #[inline(always)]
    fn turn_ended(&mut self, ev: &mut EventLoop) {
        self.handler.turn_ended(ev);
    }
}
