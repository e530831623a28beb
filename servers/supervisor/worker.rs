//! A worker: SPED with an ear for its master.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;

use reactor::net::{Listener, Stream};
use reactor::process::{Channel, Message, Received, cores, pin};
use reactor::{EventLoop, Handler, Interest, Readiness, Signal, Token, Trigger};

use super::control::ControlMessage;
use crate::app::App;
use crate::drivers::event::{Driver, Ending};
use crate::metrics::Metrics;
use crate::operation::listen::Listening;
use crate::operation::privileges;
use crate::operation::sandbox::Sandbox;
use crate::options::{ListenAddr, Options};

/// Messages in one turn: connections that were passed must not keep others from being served.
const MESSAGES_PER_TURN: u32 = 64;

/// What a worker is given on its way.
pub struct WorkerSetup {
    /// The server's name, for messages.
    pub name: &'static str,
    /// Its number.
    pub post: usize,
    /// Its slot of counters.
    pub slot: usize,
    /// All counters, for the status pages.
    pub metrics: Metrics,
    /// What it accepts from.
    pub listeners: Vec<Listening>,
    /// Its end of the channel to the master.
    pub channel: Channel,
}

/// Serves until the master says that it is enough, with the loop that `event_loop` makes.
pub fn run<A: App>(
    app: A,
    options: &Options,
    setup: WorkerSetup,
    sandbox: Option<Sandbox>,
    event_loop: impl FnOnce(&Options) -> io::Result<EventLoop>,
) -> io::Result<()> {
    if options.workers.pin {
        stay_on_a_core(setup.name, setup.post);
    }
    privileges::drop(options)?;
    sandbox.iter().try_for_each(Sandbox::enter)?;
    let mut event_loop = event_loop(options)?;
    let ev = &mut event_loop;
    let WorkerSetup { metrics, slot, listeners, channel, .. } = setup;
    let driver = Driver::new(ev, Arc::new(app), options, listeners, &metrics, slot)?;
    let token = ev.reserve().ok_or_else(|| io::Error::other("no source left for the master"))?;
    ev.watch(token, &channel, Interest::READABLE, Trigger::Edge)?;
    ControlMessage::Ready.send(&channel, None)?;
    let mut worker = Worker { driver, channel, token };
    event_loop.run(&mut worker)
}

/// Says so when it cannot: the server serves all the same.
fn stay_on_a_core(name: &str, post: usize) {
    let cores = cores();
    let core = cores.get(post % cores.len().max(1)).copied().unwrap_or(post);
    if let Err(error) = pin(core) {
        eprintln!("{name}: worker {post} is not pinned to core {core}: {error}");
    }
}

/// The driver, and the master's orders beside it.
struct Worker<A: App> {
    driver: Driver<A>,
    channel: Channel,
    token: Token,
}

impl<A: App> Worker<A> {
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

    /// The master has died. Nobody will replace this worker, and nobody accepts beside it: it takes in
    /// who waits, and ends. The channel may tell so more than once, and to stop twice is to stop at once.
    fn orphaned(&mut self, ev: &mut EventLoop) {
        let _ = ev.unwatch(self.token, &self.channel);
        self.driver.drain(ev, Ending::Stop);
    }

    fn handle(&mut self, ev: &mut EventLoop, Message { tag, fd }: Message) {
        match (ControlMessage::of(tag), fd) {
            (Some(ControlMessage::Connection), Some(fd)) => {
                self.driver.receive(ev, Stream::from(fd))
            }
            (Some(ControlMessage::Adopt), Some(fd)) => self.adopt(ev, fd),
            (Some(ControlMessage::Disown), _) => self.driver.disown(ev),
            (Some(ControlMessage::Reopen), _) => self.driver.signal(ev, Signal::USR1),
            (Some(ControlMessage::HandOver), _) => self.driver.drain(ev, Ending::HandOver),
            (Some(ControlMessage::Quit), _) => self.driver.drain(ev, Ending::Quit),
            (Some(ControlMessage::Stop), _) => self.driver.drain(ev, Ending::Stop),
            // A descriptor that did not get here, for lack of room.
            (Some(ControlMessage::Connection | ControlMessage::Adopt), None) => {}
            (Some(ControlMessage::Ready | ControlMessage::Leave) | None, _) => {}
        }
    }

    fn adopt(&mut self, ev: &mut EventLoop, fd: OwnedFd) {
        let addr = ListenAddr::Fd(fd.as_raw_fd());
        let (listener, url) = (Listener::from(fd), addr.to_string());
        let listening = Listening { listener, addr, queue: 0, url, file: None, shared: false };
        // If it cannot, the queue waits for its own worker: the master holds it.
        let _ = self.driver.adopt(ev, listening);
    }
}

impl<A: App> Handler for Worker<A> {
    #[inline(always)]
    fn ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        if token == self.token {
            return self.receive(ev);
        }
        self.driver.ready(ev, token, readiness);
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        self.driver.timeout(ev, token);
    }

    #[inline(always)]
    fn has_work(&self) -> bool {
        self.driver.has_work()
    }

    fn woken(&mut self, ev: &mut EventLoop) {
        self.driver.woken(ev);
    }

    fn signal(&mut self, ev: &mut EventLoop, signal: Signal) {
        match signal {
            // From whoever signals every process of the service, the master among them, or this one
            // alone: the master knows which.
            Signal::TERM | Signal::INT | Signal::QUIT => {
                let _ = ControlMessage::Leave.send(&self.channel, None);
            }
            // An upgrade is the master's business.
            Signal::USR2 => {}
            _ => self.driver.signal(ev, signal),
        }
    }

    #[inline(always)]
    fn turn_ended(&mut self, ev: &mut EventLoop) {
        self.driver.turn_ended(ev);
    }
}
