//! From the main thread, which accepts, to the readers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;

use reactor::event_loop::Config;
use reactor::sleep::parker;
use reactor::{Doorbell, EventLoop};

use super::control::Control;
use super::reader::Reader;
use super::threads::start_reader;
use super::{Home, System, Watch};
use crate::app::App;
use crate::drivers::blocking::Shared;
use crate::drivers::main_loop::{Accepted, Carrier};
use crate::metrics::Metrics;
use crate::options::Options;

/// Sources of a loop that are not connections.
const SOURCES_BESIDE_CONNECTIONS: u32 = 16;

/// The stages, as the main thread has them: they take accepted connections.
pub struct Readers<A: App> {
    system: Arc<System<A>>,
}

impl<A: App> Readers<A> {
    /// Starts all threads.
    ///
    /// # Errors
    /// What the system refuses: threads, pollers, buffers.
    pub fn start(
        shared: &Arc<Shared<A>>,
        options: &Options,
        metrics: &Metrics,
    ) -> io::Result<Self> {
        let readers = options.stages.readers();
        let (mut homes, mut loops) = (Vec::new(), Vec::new());
        for index in 0..readers {
            let (thread, doorbell) = start_loop(index, options)?;
            homes.push(Home::new(options.buffers.count, doorbell));
            loops.push(thread);
        }
        let (parker, unparker) = parker();
        let watch = Watch { sleeps: AtomicBool::new(false), unparker };
        let system = Arc::new(System::new(Arc::clone(shared), options, homes.into(), watch));
        for its in loops {
            // It fails only where the thread is gone, which has reported why.
            let _ = its.send(Arc::clone(&system));
        }
        let priority = options.workers.priority;
        let control = Control::new(Arc::clone(&system), priority, metrics.clone());
        control.start()?;
        thread::Builder::new().name("controller".to_owned()).spawn(move || control.run(parker))?;
        Ok(Readers { system })
    }
}

/// A reader's thread with its loop: it begins when it is sent the system.
fn start_loop<A: App>(
    index: usize,
    options: &Options,
) -> io::Result<(mpsc::Sender<Arc<System<A>>>, Doorbell)> {
    let (sender, receiver) = mpsc::channel::<Arc<System<A>>>();
    let (ready, doorbell) = mpsc::channel();
    let options = options.clone();
    let thread = thread::Builder::new().name(format!("read {index}"));
    thread.spawn(move || {
        let sources_max = options.limits.connections + SOURCES_BESIDE_CONNECTIONS;
        let made = EventLoop::new(Config { sources_max, ..Config::default() });
        let made = made.and_then(|mut ev| ev.doorbell().map(|doorbell| (ev, doorbell)));
        let ev = match made {
            Ok((ev, doorbell)) => ready.send(Ok(doorbell)).map(|()| ev).ok(),
            Err(error) => ready.send(Err(error)).map_or(None, |()| None),
        };
        if let (Some(mut ev), Ok(system)) = (ev, receiver.recv()) {
            match Reader::new(&mut ev, system, index, &options) {
                Ok(reader) => start_reader(ev, reader),
                Err(error) => crate::report::report!("a reader cannot start: {error}"),
            }
        }
    })?;
    let gone = |_| io::Error::other("a reader has ended before it began");
    Ok((sender, doorbell.recv().map_err(gone)??))
}

impl<A: App> Carrier<A> for Readers<A> {
    fn has_place(&self, _draining: bool) -> bool {
        self.system.homes.iter().any(Home::has_place)
    }

    /// To the readers in turn; to the next if one is behind.
    fn start(&mut self, _shared: &Arc<Shared<A>>, mut accepted: Accepted) -> Result<(), Accepted> {
        let homes = &self.system.homes;
        for offset in 0..homes.len() {
            let home = &homes[(accepted.number() + offset) % homes.len()];
            match home.accepted.push(accepted) {
                Ok(()) => {
                    // It fails only where the loop is gone.
                    let _ = home.doorbell.ring();
                    self.system.watch.wake();
                    return Ok(());
                }
                Err(back) => accepted = back,
            }
        }
        Err(accepted)
    }
}
