//! USR2 for a server that is one process with one loop.

use std::io;

use reactor::{EventLoop, Handler, Readiness, Signal, Token};

use super::Upgrade;
use crate::app::App;
use crate::drivers::event::{Driver, Ending};
use crate::operation::listen::Listening;
use crate::operation::sandbox::Sandbox;
use crate::operation::service::Service;

/// A loop's handler that somebody else can take over from.
pub trait Upgradable: Handler {
    /// What a successor needs.
    fn listeners(&self) -> impl Iterator<Item = &Listening>;

    /// Accepts no more, and stops the loop when what is in hand is done.
    fn hand_over(&mut self, ev: &mut EventLoop);
}

impl<A: App> Upgradable for Driver<A> {
    fn listeners(&self) -> impl Iterator<Item = &Listening> {
        Driver::listeners(self)
    }

    fn hand_over(&mut self, ev: &mut EventLoop) {
        self.drain(ev, Ending::HandOver);
    }
}

/// A driver, and USR2 and the service manager beside it; all other events and signals are the driver's.
pub struct SingleProcess<D> {
    driver: D,
    service: Service,
    upgrade: Upgrade,
}

impl<D: Upgradable> SingleProcess<D> {
    /// Puts USR2, which the loop must handle, beside a driver.
    ///
    /// # Errors
    /// The loop has no source left.
    pub fn new(ev: &mut EventLoop, mut service: Service, driver: D) -> io::Result<Self> {
        service.join(ev)?;
        let upgrade = Upgrade::new(ev, service.name);
        let upgrade =
            upgrade.ok_or_else(|| io::Error::other("no source left in the event loop"))?;
        Ok(SingleProcess { driver, service, upgrade })
    }

    /// From inside a sandbox that forbids it nobody is started.
    pub fn inside(mut self, sandbox: Option<Sandbox>) -> Self {
        if let Some(why) = sandbox.and_then(|sandbox| sandbox.forbids_programs()) {
            self.upgrade.give_up(why);
        }
        self
    }

    /// Everything is ready: says so, and serves until it is told to stop.
    ///
    /// # Errors
    /// A failing poller.
    pub fn run(mut self, mut ev: EventLoop) -> io::Result<()> {
        self.service.announce(&mut ev);
        ev.run(&mut self)
    }

    #[cold]
    fn proceed(&mut self, ev: &mut EventLoop) {
        if let Some(successor) = self.upgrade.proceed(ev) {
            self.service.replaced_by(successor);
            self.driver.hand_over(ev);
        }
    }
}

impl<D: Upgradable> Handler for SingleProcess<D> {
    #[inline(always)]
    fn ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        if self.upgrade.is_for(token) {
            return self.proceed(ev);
        }
        self.driver.ready(ev, token, readiness);
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        if self.upgrade.is_for(token) {
            return self.upgrade.timeout();
        }
        if self.service.is_for(token) {
            return self.service.beat(ev);
        }
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
            Signal::USR2 => {
                return self.upgrade.begin(ev, self.driver.listeners(), self.service.pid_file());
            }
            Signal::HUP => self.service.reloading(),
            Signal::TERM | Signal::INT | Signal::QUIT => self.service.stopping(),
            _ => {}
        }
        self.driver.signal(ev, signal);
        self.service.reloaded();
    }

    #[inline(always)]
    fn turn_ended(&mut self, ev: &mut EventLoop) {
        self.driver.turn_ended(ev);
    }
}
