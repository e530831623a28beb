//! A server under test: one of the models, run by this very program, or one that runs elsewhere.

use std::io::{self, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use reactor::Signal;

use super::load::expect;
use super::load::{Described, Route};
use super::mortal;
use super::process::{self, Cpu};

/// The environment variable by which a server knows the process that it must not outlive.
pub(super) const PARENT: &str = "LAB_PID";
/// How long a server may take to listen, or to end.
const PATIENCE: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(10);

/// A server. Dropping it ends it, if it was started here.
pub struct Server {
    /// The model's name, or that of another server.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    child: Option<Child>,
    /// What it has printed on standard error.
    messages: Arc<Mutex<String>>,
}

impl Server {
    /// Starts a model on a port that the system chooses, with the demonstration routes.
    ///
    /// # Errors
    /// It does not start; with what it printed.
    pub fn start(model: &str, options: &[&str]) -> io::Result<Server> {
        Server::spawn(model, options, &[])
    }

    /// The same with a route that aborts the process that answers: `/abort`.
    ///
    /// # Errors
    /// It does not start; with what it printed.
    pub fn start_mortal(model: &str, options: &[&str]) -> io::Result<Server> {
        Server::spawn(model, options, &[(mortal::ENABLE, "yes")])
    }

    fn spawn(name: &str, options: &[&str], environment: &[(&str, &str)]) -> io::Result<Server> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", name])
            .args(options)
            .envs(environment.iter().copied())
            // Its clients are ours: there is nothing to wait for when it is to end.
            .args(["--demo", "--listen", "127.0.0.1:0", "--drain-timeout", "0s"])
            .env_remove("LISTEN_FDS")
            .env(PARENT, std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let messages = Arc::<Mutex<String>>::default();
        let mut server = Server {
            name: name.to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            child: Some(child),
            messages: Arc::clone(&messages),
        };
        server.address = listening(&mut stderr).map_err(|printed| {
            let printed = printed.trim();
            io::Error::other(format!("{name} {options:?} does not start: {printed}"))
        })?;
        // Read until its end, so that it never waits for this program.
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                messages.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Ok(server)
    }

    /// One that runs already, of which only the outside is seen.
    pub fn external(name: &str, address: SocketAddr) -> Server {
        Server { name: name.to_owned(), address, child: None, messages: Arc::default() }
    }

    /// Its process, if it was started here.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// CPU time of all its processes so far; zero for an external one.
    pub fn cpu(&self) -> Cpu {
        self.pid().and_then(process::cpu).unwrap_or_default()
    }

    /// Ends it, and returns the CPU time of its whole life, which is right for any number of
    /// processes: that of a process that runs is told in steps of 10 ms.
    pub fn finish(self) -> Cpu {
        let before = process::cpu_of_ended_children();
        drop(self);
        process::cpu_of_ended_children().since(before)
    }

    /// Memory of all its processes, see [`process::memory_bytes`].
    pub fn memory_bytes(&self) -> Option<u64> {
        self.pid().map(process::memory_bytes)
    }

    /// What it has printed.
    pub fn messages(&self) -> String {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A request for a load on it.
    ///
    /// # Errors
    /// The target is invalid.
    pub fn route(&self, target: &str) -> io::Result<Route> {
        let host = self.address.to_string();
        let described = Described { method: "GET", target, host: &host, fields: &[], body: b"" };
        Route::new(1, &described).map_err(|error| io::Error::other(format!("{target}: {error}")))
    }

    /// The content of an answer.
    ///
    /// # Errors
    /// None came, or another status than 200.
    pub fn get(&self, target: &str) -> io::Result<Vec<u8>> {
        let answer = expect::ask(self.address, &self.route(target)?, ANSWER)?;
        match answer.code {
            200 => Ok(answer.body),
            code => Err(io::Error::other(format!("{target}: status {code}"))),
        }
    }

    /// A number of its `/metrics`, summed over labels; by its name without `stampede_`.
    ///
    /// # Errors
    /// The page does not come, or has no such number.
    pub fn metric(&self, name: &str) -> io::Result<f64> {
        let page = String::from_utf8_lossy(&self.get("/metrics")?).into_owned();
        let full = format!("stampede_{name}");
        let numbers = page.lines().filter_map(|line| {
            let rest = line.strip_prefix(&full)?;
            rest.starts_with([' ', '{']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        });
        let found: Vec<f64> = numbers.collect();
        match found.is_empty() {
            true => Err(io::Error::other(format!("{}: no metric {name}", self.name))),
            false => Ok(found.into_iter().sum()),
        }
    }

    /// Whether its process still runs. (Unknown of an external one: yes.)
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| matches!(child.try_wait(), Ok(None)))
    }
}

/// The address in the line that says where it listens, or all that was printed instead.
fn listening(stderr: &mut impl io::BufRead) -> Result<SocketAddr, String> {
    let mut printed = String::new();
    loop {
        let before = printed.len();
        match stderr.read_line(&mut printed) {
            Ok(1..) => {}
            Ok(_) | Err(_) => return Err(printed),
        }
        let found = printed[before..].split_once("listening on http://");
        if let Some(address) = found.and_then(|(_, rest)| rest.trim().parse().ok()) {
            return Ok(address);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(child) = &mut self.child else { return };
        // A master ends its workers; a kill would leave them to find out by themselves.
        let begin = Instant::now();
        let _ = reactor::process::send_signal(child.id(), Signal::TERM);
        while begin.elapsed() < PATIENCE {
            match child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}
