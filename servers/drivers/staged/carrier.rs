//! From the main thread, which accepts, to the readers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;

use reactor::Doorbell;
use reactor::sleep::parker;

use super::control::Control;
use super::reader::{self, Equipment};
use super::{Inbox, System, Watch};
use crate::app::App;
use crate::drivers::blocking::Shared;
use crate::drivers::main_loop::{Accepted, Carrier};
use crate::failure::Named as _;
use crate::metrics::Metrics;
use crate::options::Options;

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
        let (mut inboxes, mut loops) = (Vec::new(), Vec::new());
        for index in 0..readers {
            let limits = shared.contexts.borrow(index).limits;
            let (thread, doorbell) = start_loop(index, options, limits)?;
            inboxes.push(Inbox::new(options.buffers.count, doorbell));
            loops.push(thread);
        }
        let (parker, unparker) = parker();
        let watch = Watch { sleeps: AtomicBool::new(false), unparker };
        let system = Arc::new(System::new(Arc::clone(shared), options, inboxes.into(), watch));
        for its in loops {
            // It fails only where the thread is gone, which has reported why.
            let _ = its.send(Arc::clone(&system));
        }
        let priority = options.workers.priority;
        let control = Control::new(Arc::clone(&system), priority, metrics.clone());
        control.start().named("cannot start the stages' threads")?;
        let thread = thread::Builder::new().name("controller".to_owned());
        thread.spawn(move || control.run(parker)).named("cannot start the controller's thread")?;
        Ok(Readers { system })
    }
}

/// How a reader's thread is sent the system, when there is one.
type Begin<A> = mpsc::Sender<Arc<System<A>>>;

/// A reader's thread with its loop, which begins when it is sent the system.
fn start_loop<A: App>(
    index: usize,
    options: &Options,
    limits: http::Limits,
) -> io::Result<(Begin<A>, Doorbell)> {
    let (begin, system) = mpsc::channel::<Arc<System<A>>>();
    let (made, doorbell) = mpsc::channel();
    let options = options.clone();
    let thread = thread::Builder::new().name(format!("read {index}"));
    let thread = thread.spawn(move || match Equipment::new(&options, limits) {
        Ok((equipment, doorbell)) => {
            if made.send(Ok(doorbell)).is_ok()
                && let Ok(system) = system.recv()
            {
                reader::run(equipment, system, index);
            }
        }
        // Whether it arrives or not, there is no more to do here.
        Err(error) => drop(made.send(Err(error))),
    });
    thread.named("cannot start a reader's thread")?;
    let gone = |_| io::Error::other("a reader has ended before it began");
    Ok((begin, doorbell.recv().map_err(gone)?.named("cannot make a reader's loop")?))
}

impl<A: App> Carrier<A> for Readers<A> {
    fn has_place(&self, _draining: bool) -> bool {
        self.system.inboxes.iter().any(Inbox::has_place)
    }

    /// To the readers in turn; to the next if one is behind.
    fn start(&mut self, _shared: &Arc<Shared<A>>, mut accepted: Accepted) -> Result<(), Accepted> {
        let inboxes = &self.system.inboxes;
        for offset in 0..inboxes.len() {
            let inbox = &inboxes[(accepted.number() + offset) % inboxes.len()];
            match inbox.accepted.push(accepted) {
                Ok(()) => {
                    // It fails only where the loop is gone.
                    let _ = inbox.doorbell.ring();
                    self.system.watch.wake();
                    return Ok(());
                }
                Err(back) => accepted = back,
            }
        }
        Err(accepted)
    }
}
