//! What an experiment works with: servers, loads, rounds, and the user who may interrupt.

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::findings::Row;
use super::interrupt::Interrupt;
use super::load::running::Outcome;
use super::load::{Plan, Running};
use super::machine::Machine;
use super::problem::Problem;
use super::process::Cpu;
use super::server::Server;

/// Between two looks at a load that is under way.
const LOOK: Duration = Duration::from_millis(10);
/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_millis(500);
/// A load's connections and how long it runs before it counts, unless a plan says otherwise.
const CONNECTIONS: u32 = 50;
const WARM_UP: Duration = Duration::from_millis(200);

/// The bench that an experiment runs on.
pub struct Bench<'a> {
    /// What the machine is.
    pub machine: &'a Machine,
    /// Fewer rounds and shorter loads.
    pub quick: bool,
    /// Every measurement so far.
    pub raw: Vec<Row>,
    /// The models that the user has chosen.
    pub chosen: Vec<String>,
    /// Servers beside ours: their names and addresses.
    pub also: Vec<(String, SocketAddr)>,
    /// Ctrl-C.
    pub interrupt: &'a Interrupt,
    /// What the line of progress begins with.
    pub label: String,
    shown: Option<Instant>,
}

/// A load and what it cost the server.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Counts and latencies.
    pub outcome: Outcome,
    /// The server's CPU time while it was measured.
    pub cpu: Cpu,
}

impl Measured {
    /// Right answers a second.
    pub fn rate(&self) -> f64 {
        self.outcome.rate()
    }

    /// The latency that `percent` of the answers did not exceed, in milliseconds.
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        self.outcome.record.percentile(percent).as_secs_f64() * 1e3
    }

    /// Microseconds of the server's CPU time for each answer.
    pub fn cpu_us(&self) -> f64 {
        let answered = self.outcome.record.counts.answered.max(1);
        self.cpu.total().as_secs_f64() * 1e6 / answered as f64
    }

    /// The part of the server's CPU time that the kernel used.
    pub fn system_share(&self) -> f64 {
        self.cpu.system.as_secs_f64() / self.cpu.total().as_secs_f64().max(1e-9)
    }

    /// Cores that the server used, on average.
    pub fn cores(&self) -> f64 {
        self.cpu.total().as_secs_f64() / self.outcome.time.as_secs_f64().max(1e-9)
    }
}

impl<'a> Bench<'a> {
    /// For experiments with these models and other servers.
    pub fn new(
        machine: &'a Machine,
        interrupt: &'a Interrupt,
        quick: bool,
        chosen: Vec<String>,
        also: Vec<(String, SocketAddr)>,
    ) -> Bench<'a> {
        let (raw, label) = (Vec::new(), String::new());
        Bench { machine, quick, raw, chosen, also, interrupt, label, shown: None }
    }

    /// How often something is measured: an odd number, for medians.
    pub fn rounds(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }

    /// How long a load takes that takes `seconds` in a full run.
    pub fn seconds(&self, seconds: f64) -> Duration {
        let factor = if self.quick { 0.3 } else { 1.0 };
        Duration::from_secs_f64(seconds * factor)
    }

    /// Those of `wanted` that the user has chosen.
    pub fn models(&self, wanted: &[&'static str]) -> Vec<&'static str> {
        let is_chosen = |name: &&&str| self.chosen.iter().any(|chosen| chosen == **name);
        wanted.iter().filter(is_chosen).copied().collect()
    }

    /// All of `needed`, or the reason why the experiment cannot be done: a comparison needs both of
    /// its sides.
    ///
    /// # Errors
    /// The user has not chosen one of them.
    pub fn need(&self, needed: &[&'static str]) -> Result<(), Problem> {
        let missing = needed.iter().find(|name| !self.chosen.iter().any(|chosen| chosen == *name));
        match missing {
            None => Ok(()),
            Some(name) => Err(Problem::NotTestable(format!("it needs {name}, see --models"))),
        }
    }

    /// Starts a model with the demonstration routes.
    ///
    /// # Errors
    /// It does not start; Ctrl-C.
    pub fn start(&mut self, model: &str, options: &[&str]) -> Result<Server, Problem> {
        self.check()?;
        self.show(format_args!("{model} starts"));
        Ok(Server::start(model, options)?)
    }

    /// A load of 50 connections on one route of a server, without verification, in a closed loop.
    ///
    /// # Errors
    /// The target is invalid.
    pub fn plan(&self, server: &Server, target: &str, seconds: f64) -> Result<Plan, Problem> {
        Ok(Plan {
            address: server.address,
            routes: vec![server.route(target)?],
            connections: CONNECTIONS,
            warm_up: WARM_UP,
            duration: self.seconds(seconds),
            ..Plan::default()
        })
    }

    /// Puts a server under load until the plan's end.
    ///
    /// # Errors
    /// The load cannot be started; Ctrl-C.
    pub fn load(&mut self, server: &Server, plan: &Plan) -> Result<Measured, Problem> {
        let running = Running::start(plan)?;
        let mut before = None;
        let mut last = server.cpu();
        while !running.is_over() {
            thread::sleep(LOOK);
            self.check()?;
            if before.is_none() && running.is_measuring() {
                before = Some(server.cpu());
            }
            last = server.cpu();
            self.show_load(server, &running);
        }
        let outcome = running.finish()?;
        Ok(Measured { outcome, cpu: last.since(before.unwrap_or(last)) })
    }

    /// Starts a load that runs beside others until it is dropped, for at most an hour.
    ///
    /// # Errors
    /// A thread is refused.
    pub fn background(&mut self, plan: &Plan) -> Result<Running, Problem> {
        self.check()?;
        let plan = Plan { duration: Duration::from_secs(3_600), ..plan.clone() };
        Ok(Running::start(&plan)?)
    }

    /// Waits, but not beyond Ctrl-C.
    ///
    /// # Errors
    /// Ctrl-C.
    pub fn pause(&mut self, time: Duration) -> Result<(), Problem> {
        let begin = Instant::now();
        while begin.elapsed() < time {
            self.check()?;
            self.show(format_args!(""));
            thread::sleep(LOOK.min(time));
        }
        Ok(())
    }

    /// Waits until something holds; `false`: it did not in this time.
    ///
    /// # Errors
    /// Ctrl-C.
    pub fn until(
        &mut self,
        patience: Duration,
        mut holds: impl FnMut() -> bool,
    ) -> Result<bool, Problem> {
        let begin = Instant::now();
        while !holds() {
            if begin.elapsed() > patience {
                return Ok(false);
            }
            self.pause(LOOK)?;
        }
        Ok(true)
    }

    /// Measures all subjects once in every round, in turns that begin with another one each time,
    /// so that what drifts in the machine does not favour one of them. The results are by subject.
    ///
    /// # Errors
    /// Those of `measure`.
    pub fn interleaved<S, T>(
        &mut self,
        subjects: &[S],
        mut measure: impl FnMut(&mut Bench<'a>, &S) -> Result<T, Problem>,
    ) -> Result<Vec<Vec<T>>, Problem> {
        let mut results: Vec<Vec<T>> = subjects.iter().map(|_| Vec::new()).collect();
        for round in 0..self.rounds() {
            for turn in 0..subjects.len() {
                let index = (turn + round) % subjects.len();
                results[index].push(measure(self, &subjects[index])?);
            }
        }
        Ok(results)
    }

    /// Keeps a measurement for the raw data.
    pub fn keep(&mut self, row: Row) {
        self.raw.push(row);
    }

    /// # Errors
    /// The user has pressed Ctrl-C.
    pub fn check(&self) -> Result<(), Problem> {
        match self.interrupt.is_requested() {
            true => Err(Problem::Interrupted),
            false => Ok(()),
        }
    }

    /// What comes now: the line of progress begins with it, where there is a terminal; elsewhere it
    /// is a line of its own.
    pub fn begin(&mut self, label: String) {
        if !io::stderr().is_terminal() {
            let _ = writeln!(io::stderr(), "{label}");
        }
        (self.label, self.shown) = (label, None);
        self.show(format_args!(""));
    }

    /// Takes the line of progress away.
    pub fn clear_line(&mut self) {
        if io::stderr().is_terminal() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
        self.shown = None;
    }

    fn show_load(&mut self, server: &Server, running: &Running) {
        if self.shown.is_none_or(|shown| shown.elapsed() >= PROGRESS) {
            let rate = super::text::count(running.outcome().rate());
            self.show(format_args!("{}: {rate} requests/s", server.name));
        }
    }

    /// Replaces the line of progress, if it is time to and a terminal is there.
    pub fn show(&mut self, what: std::fmt::Arguments<'_>) {
        if self.shown.is_some_and(|shown| shown.elapsed() < PROGRESS) || !io::stderr().is_terminal()
        {
            return;
        }
        self.shown = Some(Instant::now());
        let _ = write!(io::stderr(), "\r{} {what}\x1b[K", self.label);
    }
}
