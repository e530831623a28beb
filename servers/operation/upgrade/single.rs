//! USR2 for a server with one process and one loop.

use std::io;

use reactor::{EventLoop, Handler, Readiness, Signal, Token};

use super::Upgrade;
use crate::operation::listen::Listening;
use crate::operation::orphans;
use crate::operation::sandbox::Sandbox;
use crate::operation::service::Service;

/// An event handler that a successor can take over from.
pub trait Upgradable: Handler {
    /// The listeners to pass on.
    fn listeners(&self) -> impl Iterator<Item = &Listening>;

    /// Whether it has [`Children`](reactor::process::Children), which see to orphans.
    fn has_children(&self) -> bool {
        false
    }

    /// Stops accepting, and stops the loop after the requests in flight.
    fn hand_over(&mut self, ev: &mut EventLoop);
}

/// A driver, with USR2 and the service manager beside it; it forwards all other events and signals.
pub struct SingleProcess<D> {
    driver: D,
    service: Service,
    upgrade: Upgrade,
}

impl<D: Upgradable> SingleProcess<D> {
    /// Adds USR2, which the loop must handle, to a driver.
    ///
    /// # Errors
    /// The loop has no source left.
    pub fn new(ev: &mut EventLoop, mut service: Service, driver: D) -> io::Result<Self> {
        service.join(ev)?;
        let upgrade = Upgrade::new(ev, &service)?;
        Ok(SingleProcess { driver, service, upgrade })
    }

    /// Disables upgrades in a sandbox that forbids starting programs.
    pub fn inside(mut self, sandbox: Option<Sandbox>) -> Self {
        if let Some(why) = sandbox.and_then(|sandbox| sandbox.forbids_programs()) {
            self.upgrade.disable(why);
        }
        self
    }

    /// Announces that the server is ready, and serves until it is told to stop.
    ///
    /// # Errors
    /// A failing poller.
    pub fn run(mut self, mut ev: EventLoop) -> io::Result<()> {
        self.announce(&mut ev);
        ev.run(&mut self)
    }

    /// Announces that the server is ready. For a model that runs the loop itself.
    pub fn announce(&mut self, ev: &mut EventLoop) {
        self.service.announce(ev);
    }

    /// In a forked child, which is no server: closes its copies of the descriptors of all but the
    /// driver, and returns that. See [`EventLoop::abandon`].
    pub fn abandon(self) -> D {
        self.service.abandon();
        self.upgrade.abandon();
        self.driver
    }

    /// The driver.
    pub fn driver(&self) -> &D {
        &self.driver
    }

    /// The driver, mutably.
    pub fn driver_mut(&mut self) -> &mut D {
        &mut self.driver
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
            Signal::CHLD if !self.driver.has_children() => return orphans::reap(),
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
