//! What is allocated at startup: the buffers, the tables, the executor's jobs.

use std::io;
use std::sync::Arc;

use reactor::{EventLoop, Token};

use super::buffers::{self, Buffers};
use super::offload::Offload;
use super::{Driver, Engine};
use crate::app::response::Output;
use crate::app::{App, Disk};
use crate::drivers::accept::Acceptors;
use crate::drivers::send::FileSending;
use crate::metrics::Metrics;
use crate::operation::listen::Listening;
use crate::options::{self, Options};
use crate::session::{BodyMemory, Context};
use crate::work::executor::OffloadConfig;

impl<A: App> Driver<A> {
    /// Puts a driver on a loop: registers the listeners, allocates all tables.
    ///
    /// `slot` is the loop's number: its counters, and the application's local part.
    ///
    /// # Errors
    /// The buffer pool's mapping, or the registration of a listener.
    pub fn new(
        ev: &mut EventLoop,
        app: Arc<A>,
        options: &Options,
        listeners: Vec<Listening>,
        metrics: &Metrics,
        slot: usize,
    ) -> io::Result<Self> {
        Driver::with_executor(ev, app, options, listeners, metrics, slot, None)
    }

    /// The same with an executor that runs work, instead of inline.
    ///
    /// # Errors
    /// The buffer pool's mapping, or the registration of a listener.
    pub fn with_executor(
        ev: &mut EventLoop,
        app: Arc<A>,
        options: &Options,
        listeners: Vec<Listening>,
        metrics: &Metrics,
        slot: usize,
        offload: Option<OffloadConfig>,
    ) -> io::Result<Self> {
        let jobs = offload.as_ref().map_or(0, |config| config.jobs_max);
        let memory = BodyMemory::new(options.limits.body_memory);
        let cx = Context::new(app, options, metrics, slot, memory, ev.now_ms())?;
        let mut driver = Driver {
            connections: Vec::with_capacity(options.limits.connections as usize),
            acceptors: Acceptors::new(options),
            peers: Vec::new(),
            housekeeping: ev.reserve()?,
            drain: None,
            drain_ms: options.drain_timeout.as_millis() as u64,
            scan_from: 0,
            earlier: cx.counters.loop_stats(),
            engine: Engine::new(cx, options, Buffers::new(options, jobs)?)?,
        };
        if let Some(config) = offload {
            let watch = ev.reserve()?;
            driver.engine.attach(config, watch)?;
        }
        for listening in listeners {
            driver.acceptors.add(ev, listening)?;
        }
        Ok(driver)
    }
}

impl<A: App> Engine<A> {
    fn new(cx: Context<A>, options: &Options, mut buffers: Buffers) -> io::Result<Self> {
        let (scratch, out) = buffers::own(&mut buffers)?;
        Ok(Engine {
            cx,
            scratch,
            out: Output::new(out),
            buffers,
            offload: None,
            files: FileSending { sendfile: options.sendfile, disk: Disk::Wait },
            last_arrival_ms: 0,
        })
    }

    /// Attaches an executor, and reserves its jobs' buffers.
    fn attach(&mut self, config: OffloadConfig, watch: Token) -> io::Result<()> {
        let pairs = (0..config.jobs_max).map(|_| self.buffers.take_pair());
        let pairs = pairs.collect::<Option<Vec<_>>>().ok_or_else(buffers::missing)?;
        self.files.disk = Disk::Avoid;
        self.cx.offload_all = config.offload == options::Offload::All;
        self.offload = Some(Box::new(Offload::new(config, &self.cx.limits, pairs, watch)));
        Ok(())
    }
}
