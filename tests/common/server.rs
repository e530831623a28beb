//! The server under test: the binary as it ships, a process of its own.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Instant;

use super::{Client, PATIENCE, Response, client, os, processes, until};

/// A running server; it is killed when dropped.
pub struct Server {
    child: Child,
    /// What it listens on, as it says.
    addresses: Vec<String>,
    stderr: Arc<Mutex<String>>,
}

/// The binary of a model, with no setting inherited from whoever runs the tests.
pub fn binary(path: &str) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"STAMPEDE_") {
            command.env_remove(name);
        }
    }
    for name in ["LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        command.env_remove(name);
    }
    command
}

/// SPED's.
pub fn sped() -> Command {
    binary(env!("CARGO_BIN_EXE_sped"))
}

/// AMPED's.
pub fn amped() -> Command {
    binary(env!("CARGO_BIN_EXE_amped"))
}

/// SYMPED's.
pub fn symped() -> Command {
    binary(env!("CARGO_BIN_EXE_symped"))
}

/// A process for each connection.
pub fn mp() -> Command {
    binary(env!("CARGO_BIN_EXE_mp"))
}

/// A thread for each connection.
pub fn mt() -> Command {
    binary(env!("CARGO_BIN_EXE_mt"))
}

/// The servers that have a master and workers, by how connections reach the workers: SYMPED in each
/// of its modes, and prefork.
pub const SUPERVISED: [&str; 4] = ["reuseport", "shared", "pass", "prefork"];

/// Whether a model has a master, which is not confined, and workers.
pub fn has_master(model: &str) -> bool {
    matches!(model, "symped" | "prefork")
}

/// One of them, with the demonstration routes on a port that the system chooses. Every worker has
/// room for all clients of a test.
pub fn supervised(how: &str, workers: usize) -> Command {
    let (mut command, option, value) = match how {
        "prefork" => (prefork(), "--threads", "32"),
        _ => (symped(), "--accept", how),
    };
    command.args(["--listen", "127.0.0.1:0", "--demo", option, value, "--workers"]);
    command.arg(workers.to_string());
    command
}

/// A pool of processes.
pub fn prefork() -> Command {
    binary(env!("CARGO_BIN_EXE_prefork"))
}

/// Stages.
pub fn seda() -> Command {
    binary(env!("CARGO_BIN_EXE_seda"))
}

/// Green threads.
pub fn mn() -> Command {
    binary(env!("CARGO_BIN_EXE_mn"))
}

/// One connection at a time.
pub fn iterative() -> Command {
    binary(env!("CARGO_BIN_EXE_iterative"))
}

/// All models, by name, for what all of them must do.
pub fn models() -> Vec<(&'static str, Command)> {
    vec![
        ("iterative", iterative()),
        ("mp", mp()),
        ("mt", mt()),
        ("prefork", prefork()),
        ("sped", sped()),
        ("seda", seda()),
        ("amped", amped()),
        ("symped", symped()),
        ("mn", mn()),
    ]
}

/// Whether the model under test serves a client while another one is connected. Where it does not,
/// a test of two clients at once has nothing to test: it returns, after this has said `why`.
pub fn serves_many(why: &str) -> bool {
    let many = env!("CARGO_CRATE_NAME") != "under_iterative";
    if !many {
        eprintln!("skipped, for one client is served at a time: {why}");
    }
    many
}

/// The model under test: most tests hold for all of them. The files that repeat the others' tests
/// under another model (`tests/under_….rs`) are known by their name.
pub fn model() -> Command {
    match env!("CARGO_CRATE_NAME") {
        "under_amped" => amped(),
        "under_amped_all" => {
            let mut command = amped();
            command.args(["--offload", "all", "--workers", "2"]);
            command
        }
        "under_sandbox" => {
            let mut command = amped();
            command.args(["--sandbox", "--offload", "all", "--workers", "2"]);
            command
        }
        // One worker: two would each have a cache and a log buffer of their own, so that neither an
        // entity tag's strength nor the order of log lines would be the same from one to the other.
        "under_symped" => {
            let mut command = symped();
            command.args(["--workers", "1"]);
            command
        }
        // One context, for the same reason.
        "under_mt" => {
            let mut command = mt();
            command.args(["--contexts", "1"]);
            command
        }
        "under_mp" => mp(),
        // One process with one context, for the same reason; tests hold more clients than one.
        "under_prefork" => {
            let mut command = prefork();
            command.args(["--workers", "1", "--threads", "256", "--contexts", "1"]);
            command
        }
        "under_seda" => {
            let mut command = seda();
            command.args(["--contexts", "1"]);
            command
        }
        // One core, and so one context.
        "under_mn" => {
            let mut command = mn();
            command.args(["--workers", "1"]);
            command
        }
        "under_iterative" => iterative(),
        _ => sped(),
    }
}

/// Whether connections share the buffers of `--buffers`, and wait for each other where there are
/// fewer. Where they do not, a test of that has nothing to test: it returns, after this has said
/// `why`.
pub fn has_buffer_pool(why: &str) -> bool {
    let pool = !matches!(
        env!("CARGO_CRATE_NAME"),
        "under_mp" | "under_mt" | "under_prefork" | "under_mn" | "under_iterative"
    );
    if !pool {
        eprintln!("skipped, for connections share no buffers: {why}");
    }
    pool
}

/// Whether connections share the memory of `--body-memory`. Where they do not, a test of that has
/// nothing to test: it returns, after this has said `why`.
pub fn shares_body_memory(why: &str) -> bool {
    let shared = env!("CARGO_CRATE_NAME") != "under_mp";
    if !shared {
        eprintln!("skipped, for each connection has memory of its own: {why}");
    }
    shared
}

impl Server {
    /// Starts the model with these arguments on a port that the system chooses.
    #[track_caller]
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = model();
        command.args(["--listen", "127.0.0.1:0"]).args(arguments);
        Server::spawn(command)
    }

    /// With the demonstration routes.
    #[track_caller]
    pub fn demo() -> Self {
        Server::start(&["--demo"])
    }

    /// Serving a directory, beside the demonstration routes.
    #[track_caller]
    pub fn root(root: &std::path::Path, arguments: &[&str]) -> Self {
        let root = root.to_str().expect("a path of UTF-8 text");
        Server::start(&[&["--root", root, "--demo"], arguments].concat())
    }

    /// Runs a command that becomes a server, and waits until it says that it listens.
    #[track_caller]
    pub fn spawn(command: Command) -> Self {
        Server::spawn_listening(command, 1)
    }

    /// The same for a server with so many listeners.
    #[track_caller]
    pub fn spawn_listening(mut command: Command, listeners: usize) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starting the server");
        let lines = BufReader::new(child.stderr.take().expect("standard error is a pipe"));
        let stderr = Arc::new(Mutex::new(String::new()));
        let (said, listening) = mpsc::channel();
        let text = Arc::clone(&stderr);
        // Reads on until the server ends: a full pipe would stop it.
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                if let Some((_, address)) = line.split_once("listening on ") {
                    let _ = said.send(address.to_owned());
                }
                let mut text = text.lock().expect("no panic while it is held");
                text.push_str(&line);
                text.push('\n');
            }
        });
        let mut server = Server { child, addresses: Vec::new(), stderr };
        let end = Instant::now() + PATIENCE;
        while server.addresses.len() < listeners {
            match listening.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(address) => server.addresses.push(address),
                Err(_) => panic!("the server does not listen; it says: {}", server.stderr()),
            }
        }
        server
    }

    /// What it listens on, as it says.
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Its (first) TCP address.
    pub fn address(&self) -> SocketAddr {
        let address = &self.addresses[0];
        let address = address.strip_prefix("http://").expect("an http address");
        address.trim_end_matches('/').parse().expect("an IP address and a port")
    }

    /// Connects to it.
    #[track_caller]
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// A GET on a connection of its own.
    #[track_caller]
    pub fn get(&self, target: &str) -> Response {
        self.connect().get(target)
    }

    /// Sends bytes on a connection of its own, and reads the answer.
    #[track_caller]
    pub fn exchange(&self, request: &[u8]) -> Response {
        self.connect().exchange(request)
    }

    /// Everything that comes back for `bytes` until the server closes, with dates blotted out.
    #[track_caller]
    pub fn conversation(&self, bytes: &[u8]) -> Vec<u8> {
        let mut client = self.connect();
        client.send(bytes);
        client::undated(&client.read_to_end().expect("an answer, then FIN"))
    }

    /// A number of the metrics page, by its name without `stampede_`.
    #[track_caller]
    pub fn metric(&self, name: &str) -> u64 {
        let page = self.get("/metrics");
        let name = format!("stampede_{name} ");
        let line = page.text().lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("no metric {name}")).parse().expect("a whole number")
    }

    /// Waits until a number of the metrics page is `value`.
    #[track_caller]
    pub fn until_metric(&self, name: &str, value: u64) {
        until(&format!("{name} = {value}"), || self.metric(name) == value);
    }

    /// Waits until a number of the metrics page is greater than `value`.
    #[track_caller]
    pub fn until_metric_above(&self, name: &str, value: u64) {
        until(&format!("{name} > {value}"), || self.metric(name) > value);
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The process that accepts: the only worker, where there is a master.
    pub fn serving_pid(&self) -> u32 {
        if env!("CARGO_CRATE_NAME") == "under_mp" {
            return self.pid(); // its children are its connections
        }
        processes::children(self.pid()).first().copied().unwrap_or(self.pid())
    }

    /// The process that has a client's connection, which is open and has been answered once: where
    /// each connection has a process of its own, the children of earlier clients come and go.
    #[track_caller]
    pub fn process_of(&self, client: &Client) -> u32 {
        let port = client.stream().local_addr().expect("a TCP client").port();
        let has_it = |pid: &u32| processes::clients_of(*pid, self.address().port()).contains(&port);
        let mut found = None;
        until("a process with the client's connection", || {
            found = processes::children(self.pid()).into_iter().chain([self.pid()]).find(has_it);
            found.is_some()
        });
        found.expect("found above")
    }

    /// Its standard output, when the command made it a pipe.
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("standard output is a pipe")
    }

    /// What it has said on standard error.
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("no panic while it is held").clone()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        os::signal(self.pid(), signal);
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the state of our child").is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        until("the server's end", || !self.is_running());
        self.child.wait().expect("the state of our child")
    }

    /// Asks it to stop, and waits for its end.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the server said: {}", self.stderr());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
