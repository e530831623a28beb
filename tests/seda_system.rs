//! Stages, as far as only Linux lets a test see: files that are not in the page cache, threads that
//! sleep.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::{Server, noise, os, server, steady, until};

fn spawn(arguments: &[&str]) -> Server {
    let mut command = server::seda();
    command.args(["--listen", "127.0.0.1:0", "--demo"]).args(arguments);
    Server::spawn(command)
}

/// The kernel's page cache is its own business: a page that was dropped may be back.
#[test]
fn a_file_that_is_not_in_memory_is_read_by_its_stage_and_arrives_whole() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let (path, bytes) = (folder.path().join("file"), noise(3_000_000, 7));
    fs::write(&path, &bytes).expect("a file");
    let root = folder.path().to_str().expect("UTF-8");
    for argument in ["--sendfile", "--no-sendfile"] {
        let server = spawn(&["--root", root, argument]);
        let was_cold = (0..10).any(|_| {
            chill(&path);
            assert!(server.get("/file").body == bytes, "{argument}: other bytes");
            server.metric("file_fills_total") > 0
        });
        if !was_cold && os::pages_in_memory(&fs::File::open(&path).expect("the file")) > 0 {
            eprintln!("SKIPPED: the kernel keeps the pages of {}", path.display());
        }
        let ranges = common::request("GET", "/file", &["Range: bytes=9-19,2000000-2999999"]);
        chill(&path);
        let answer = server.connect().exchange(&ranges);
        let part = &bytes[2_000_000..];
        assert!(answer.body.windows(part.len()).any(|window| window == part));
    }
}

fn chill(path: &Path) {
    os::forget_pages(&fs::File::open(path).expect("the file"));
}

/// Voluntary context switches of all threads: each wait is one.
fn waits(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the server's threads");
    let of = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("status")).expect("a thread's state");
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.expect("a line").trim().parse::<u64>().expect("a number")
    };
    tasks.flatten().map(of).sum()
}

#[test]
fn an_idle_server_sleeps_and_so_does_what_looks_after_its_stages() {
    let server = spawn(&[]);
    let mut client = server.connect();
    assert_eq!(client.get("/work?us=10").status, 200);
    let pid = server.pid();
    steady("all threads sleep", Duration::from_millis(500), || waits(pid));
    // And wakes up again: there are more events, and they are published.
    assert_eq!(client.get("/plaintext").status, 200);
    until("the controller is awake", || server.metric("requests_total") > 0 && awake(&server));
}

fn awake(server: &Server) -> bool {
    let text = server.get("/status.json");
    let (_, handle) = text.text().split_once("\"name\":\"handle\"").expect("the stage");
    let (_, events) = handle.split_once("\"events\":").expect("its events");
    let events = events.split(',').next().expect("a number");
    events.parse::<u64>().expect("a number") >= 2
}
