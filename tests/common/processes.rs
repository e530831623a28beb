//! Looking at a server of several processes: which they are, what they hold, and killing one of
//! them.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use super::{Client, Server, get, os, until};

/// A worker, as the status page lists it.
#[derive(Clone, Debug)]
pub struct Worker {
    pub pid: u32,
    pub state: String,
    pub restarts: u64,
    pub connections_open: u64,
    pub connections_accepted: u64,
    pub requests: u64,
}

impl Worker {
    /// From an object of the page's list.
    fn read(text: &str) -> Option<Worker> {
        let value = |name: &str| {
            let (_, rest) = text.split_once(&format!("\"{name}\":"))?;
            rest.split([',', '}']).next()
        };
        let number = |name| value(name)?.parse().ok();
        Some(Worker {
            pid: value("pid")?.parse().ok()?,
            state: value("state")?.trim_matches('"').to_owned(),
            restarts: number("restarts")?,
            connections_open: number("connections_open")?,
            connections_accepted: number("connections_accepted")?,
            requests: number("requests")?,
        })
    }

    pub fn serves(&self) -> bool {
        self.state == "serving"
    }
}

/// The workers of a server; `None` when the worker that answered has just died.
pub fn try_workers(server: &Server) -> Option<Vec<Worker>> {
    let mut client = Client::try_connect(server.address()).ok()?;
    client.try_send(&get("/status.json")).ok()?;
    let page = client.try_response().ok()?;
    let (_, list) = page.text().split_once("\"processes\":[")?;
    let (list, _) = list.split_once(']')?;
    list.split("},").map(Worker::read).collect()
}

/// The workers of a server, in the order of their slots.
#[track_caller]
pub fn workers(server: &Server) -> Vec<Worker> {
    let mut found = None;
    until("the list of workers", || {
        found = try_workers(server);
        found.is_some()
    });
    found.expect("a list")
}

/// Waits until all slots have serving workers that `is` accepts; returns them.
#[track_caller]
pub fn until_workers(server: &Server, what: &str, is: impl Fn(&[Worker]) -> bool) -> Vec<Worker> {
    let mut found = Vec::new();
    until(what, || {
        found = try_workers(server).unwrap_or_default();
        !found.is_empty() && found.iter().all(Worker::serves) && is(&found)
    });
    found
}

/// The children of a process, zombies among them.
pub fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
}

/// A process's state, a letter (`proc_pid_stat(5)`); `None` when there is no such process.
pub fn state(pid: u32) -> Option<char> {
    state_in(Path::new(&format!("/proc/{pid}")))
}

fn state_in(folder: &Path) -> Option<char> {
    let text = fs::read_to_string(folder.join("stat")).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}

/// Whether a process runs: a zombie does not count.
pub fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// What follows `name` in a process's status.
pub fn status_line(pid: u32, name: &str) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process's status");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line of that name");
    line.trim().to_owned()
}

/// The clients' ports of the TCP connections that a process has accepted from `port`.
pub fn clients_of(pid: u32, port: u16) -> HashSet<u16> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return HashSet::new() };
    let links = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    let inode = |link: std::path::PathBuf| {
        let link = link.to_string_lossy().into_owned();
        Some(link.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
    };
    let inodes: HashSet<String> = links.filter_map(inode).collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let port_of = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    let client = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let client = port_of(columns[2])?; // 0: the listener
        let ours = port_of(columns[1])? == port && inodes.contains(columns[9]) && client != 0;
        ours.then_some(client)
    };
    table.lines().skip(1).filter_map(client).collect()
}

/// Stops a worker, with all of its threads, until SIGCONT.
pub fn halt(worker: u32) {
    os::signal(worker, libc::SIGSTOP);
    until("it is halted", || {
        let threads = fs::read_dir(format!("/proc/{worker}/task")).into_iter().flatten().flatten();
        threads.filter_map(|thread| state_in(&thread.path())).all(|state| "TZX".contains(state))
    });
}

/// Kills a worker as the kernel does when memory runs out. Returns the client ports of the
/// connections that die with it: it is stopped first, so that they can be listed.
pub fn kill(worker: u32, port: u16) -> HashSet<u16> {
    halt(worker);
    let clients = clients_of(worker, port);
    os::signal(worker, libc::SIGKILL);
    clients
}

/// How many rounds a test takes: `STAMPEDE_TEST_ROUNDS` times as many as it takes by itself.
pub fn rounds(count: usize) -> usize {
    let factor = std::env::var("STAMPEDE_TEST_ROUNDS").ok();
    factor.map_or(1, |factor| factor.parse().expect("STAMPEDE_TEST_ROUNDS: a number")) * count
}
