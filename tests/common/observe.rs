//! Looking at a server from outside: its descriptors, memory, CPU time and system calls.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Client, Server, os, steady, until};

/// How many descriptors a process has open.
pub fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("the server's descriptors").count()
}

/// Bytes of memory that a process holds: its share (PSS) of everything but mapped files
/// (`proc(5)`). Its share of the program's own text would change with every other server that
/// starts or ends.
pub fn memory_bytes(pid: u32) -> u64 {
    let text =
        fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("the server's memory");
    let kib = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.expect(name).trim().trim_end_matches(" kB");
        number.parse::<u64>().expect("a number of KiB")
    };
    (kib("Pss_Anon:") + kib("Pss_Shmem:")) * 1024
}

/// Bytes that the kernel keeps for a client of a server: sent by the server, and not yet taken by
/// the client's kernel (`tx_queue` in `/proc/net/tcp`).
pub fn kept_for(server: &Server, client: &Client) -> u64 {
    let ends = [server.address(), client.stream().local_addr().expect("the client's address")];
    let ends = ends.map(|end| format!(":{:04X}", end.port()));
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel's connections");
    let kept = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_it = columns[1].ends_with(&ends[0]) && columns[2].ends_with(&ends[1]);
        is_it.then(|| u64::from_str_radix(&columns[4][..8], 16).expect("a number of bytes"))
    };
    table.lines().skip(1).find_map(kept).expect("the client's connection")
}

/// The fields of a process's state, from the third on (`proc_pid_stat(5)`): the second, the
/// command's name in parentheses, may hold anything.
fn state(pid: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the server's state");
    let fields = &text[text.rfind(')').expect("a closing parenthesis") + 2..];
    fields.split(' ').map(str::to_owned).collect()
}

/// Seconds of CPU time that a process has used, user and system.
pub fn cpu_seconds(pid: u32) -> f64 {
    let ticks = state(pid)[11..13].iter().map(|n| n.parse::<u64>().expect("ticks")).sum::<u64>();
    ticks as f64 / os::ticks_per_second()
}

/// How many descriptors an idle process has open: none in transit.
pub fn descriptors_at_rest(pid: u32) -> usize {
    until_at_rest(pid);
    descriptors(pid)
}

/// Waits until a process sleeps and stays asleep: it has done all that it can. (One that waits for
/// a core on a loaded machine does not sleep.)
pub fn until_at_rest(pid: u32) {
    let mut awake = 0;
    steady("a server at rest", Duration::from_millis(100), || {
        awake += u32::from(state(pid)[0] != "S");
        awake
    });
}

/// Whether system calls can be traced here. Reports when they cannot: the test is then skipped.
pub fn can_trace(test: &str) -> bool {
    let tried = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let works = tried.is_ok_and(|status| status.success());
    if !works {
        println!("skipped: {test} (strace is missing or may not trace)");
    }
    works
}

/// A server whose system calls are recorded.
pub struct Traced {
    pub server: Server,
    file: PathBuf,
}

impl Traced {
    /// Starts a traced server. `folder` takes the trace.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let file = folder.join("trace");
        let mut command = Command::new("strace");
        // -D: the server is our own child, the tracer its grandchild; so signals and the exit
        // status are the server's.
        command.args(["-D", "-f", "-s", "120", "-o"]).arg(&file);
        command.arg(env!("CARGO_BIN_EXE_sped"));
        command.args(["--listen", "127.0.0.1:0", "--demo"]).args(arguments);
        Traced { server: Server::spawn(command), file }
    }

    /// Stops the server; returns its system calls, one per line, without PIDs.
    pub fn finish(mut self) -> Vec<String> {
        assert!(self.server.stop().success());
        let read = || fs::read_to_string(&self.file).unwrap_or_default();
        until("the end of the trace", || read().contains("+++ exited with"));
        let text = read();
        text.lines()
            .map(|line| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' '))
            .filter(|line| !line.starts_with("+++") && !line.starts_with("---"))
            // In a debug build the standard library asks before each close whether it is open.
            .filter(|line| !line.contains("F_GETFD"))
            .map(str::to_owned)
            .collect()
    }
}

/// The calls after the one that received the mark `begin`, up to the one that received `end`.
pub fn between<'a>(calls: &'a [String], begin: &str, end: &str) -> &'a [String] {
    let at = |mark: &str| {
        let found = calls.iter().position(|call| call.starts_with("recv") && call.contains(mark));
        found.unwrap_or_else(|| panic!("{mark} is not in the trace"))
    };
    &calls[at(begin) + 1..at(end)]
}

/// A call's name.
pub fn name(call: &str) -> &str {
    call.split('(').next().unwrap_or(call)
}

/// How many of the calls have a name that `is` accepts.
pub fn count(calls: &[String], is: impl Fn(&str) -> bool) -> usize {
    calls.iter().filter(|call| is(name(call))).count()
}
