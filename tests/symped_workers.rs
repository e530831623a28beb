//! SYMPED's workers seen from outside: which gets which connection, what is counted, on which core
//! and as which user they run, and what happens while one of them cannot start.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::processes::{Worker, is_alive, kill, status_line, try_workers, until_workers, workers};
use common::server::symped;
use common::successor::Successor;
use common::{Client, Server, get, request, until};

/// The user `nobody`, as a rule.
const USER: u32 = 54321;

fn command(workers: usize, arguments: &[&str]) -> Command {
    let mut command = symped();
    command.args(["--listen", "127.0.0.1:0", "--demo", "--workers", &workers.to_string()]);
    command.args(arguments);
    command
}

fn start(count: usize, arguments: &[&str]) -> (Server, Vec<Worker>) {
    let server = Server::spawn(command(count, arguments));
    let workers = until_workers(&server, "all serve", |_| true);
    (server, workers)
}

/// This many connections that have been answered once.
fn connections(server: &Server, count: usize) -> Vec<Client> {
    let connect = |_| {
        let mut client = server.connect();
        assert_eq!(client.get("/plaintext").status, 200);
        client
    };
    (0..count).map(connect).collect()
}

/// Connections of each worker, once those that have ended are known to have.
fn shares(server: &Server, count: usize) -> Vec<u64> {
    let open = || workers(server).iter().map(|worker| worker.connections_open).collect::<Vec<_>>();
    // One more asks.
    until("all are counted", || open().iter().sum::<u64>() == count as u64 + 1);
    open()
}

#[test]
fn passed_connections_are_distributed_evenly() {
    let (server, _) = start(4, &["--accept", "pass"]);
    let _held = connections(&server, 100);
    let shares = shares(&server, 100);
    let (least, most) = (shares.iter().min(), shares.iter().max());
    assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{shares:?}");
}

#[test]
fn a_listener_each_gives_every_worker_a_share() {
    let (server, _) = start(4, &["--accept", "reuseport"]);
    let _held = connections(&server, 400);
    let shares = shares(&server, 400);
    // 100 each on average, with a deviation of 9: six of them are beyond chance.
    assert!(shares.iter().all(|share| (46..=154).contains(share)), "{shares:?}");
}

#[test]
fn with_a_shared_listener_a_stuck_worker_leaves_all_to_the_others() {
    let (server, workers) = start(2, &["--accept", "shared"]);
    common::os::signal(workers[0].pid, libc::SIGSTOP);
    let _held = connections(&server, 100);
    common::os::signal(workers[0].pid, libc::SIGCONT);
}

#[test]
fn every_worker_reports_the_sum_and_a_death_takes_nothing_from_it() {
    let (server, first) = start(2, &["--accept", "pass"]);
    let before = server.metric("requests_total");
    let held = connections(&server, 20);
    // Two in a row go to two workers.
    let (one, other) = (server.metric("requests_total"), server.metric("requests_total"));
    assert_eq!((one, other), (before + 21, before + 22));
    drop(held);
    kill(first[0].pid, server.address().port());
    let now = until_workers(&server, "it is replaced", |now| now[0].pid != first[0].pid);
    assert_eq!((now[0].restarts, now[1].restarts), (1, 0));
    assert!(server.metric("requests_total") > other);
    server.until_metric("processes", 2);
    assert_eq!(server.metric("process_restarts_total"), 1);
    server.until_metric("connections_open", 1);
}

/// Without the log no worker can start: the dead one cannot be replaced for a while.
#[test]
fn while_a_worker_is_in_back_off_another_one_serves_its_backlog() {
    let folder = tempfile::tempdir().expect("a directory");
    let log = folder.path().join("log");
    let path = log.to_str().expect("UTF-8");
    let options = ["--accept", "reuseport", "--access-log", "common", "--log-file", path];
    let (mut server, workers) = start(2, &options);
    fs::remove_file(&log).expect("removing the log");
    fs::create_dir(&log).expect("a directory in its place");
    kill(workers[0].pid, server.address().port());
    until("its successors die young", || server.stderr().contains("restarting in 400 ms"));
    let waits = |workers: Vec<Worker>| workers[0].state == "waiting" && workers[1].serves();
    assert!(try_workers(&server).is_some_and(waits));
    // About every second one lands in the backlog of the missing worker.
    let held = connections(&server, 60);
    assert!(try_workers(&server).is_some_and(|workers| workers[1].connections_open >= 60));
    assert!(is_alive(workers[1].pid));
    fs::remove_dir(&log).expect("removing the directory");
    until_workers(&server, "it is replaced", |now| now[0].pid != workers[0].pid);
    drop(held);
    // Its backlog is its own again.
    let _held = connections(&server, 60);
    until("both have some", || shares(&server, 60).iter().all(|share| *share > 0));
    assert!(server.stop().success());
}

#[test]
fn a_failure_to_start_the_first_worker_ends_the_server() {
    let mut command = command(2, &["--access-log", "common", "--log-file", "/nowhere/log"]);
    let output = command.output().expect("running symped");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(text.lines().filter(|line| line.contains("/nowhere/log")).count(), 1, "{text}");
}

#[test]
fn each_worker_is_pinned_to_a_core_of_those_that_the_server_may_use() {
    let (server, workers) = start(2, &["--pin"]);
    let allowed = status_line(server.pid(), "Cpus_allowed_list:");
    for worker in &workers {
        let core = status_line(worker.pid, "Cpus_allowed_list:");
        assert!(core.parse::<u32>().is_ok(), "one core: {core}");
    }
    let core = |index: usize| status_line(workers[index].pid, "Cpus_allowed_list:");
    assert_eq!(core(0) == core(1), allowed.parse::<u32>().is_ok(), "{allowed}");
}

#[test]
fn workers_drop_privileges_and_the_master_keeps_them() {
    if !common::os::is_root() {
        return println!("skipped: giving up privileges (there are none: this is not root)");
    }
    let user = USER.to_string();
    let (mut server, workers) = start(2, &["--user", &user, "--group", &user]);
    let four = format!("{USER}\t{USER}\t{USER}\t{USER}");
    kill(workers[1].pid, server.address().port());
    let workers = until_workers(&server, "it is replaced", |now| now[1].pid != workers[1].pid);
    for worker in &workers {
        assert_eq!(status_line(worker.pid, "Uid:"), four);
        assert_eq!(status_line(worker.pid, "Gid:"), four);
        assert_eq!(status_line(worker.pid, "Groups:"), user, "no group of root's is left");
    }
    assert_eq!(status_line(server.pid(), "Uid:"), "0\t0\t0\t0");
    assert!(server.stop().success());
}

fn unix_get(path: &Path) -> common::Response {
    Client::connect_unix(path).exchange(&request("GET", "/plaintext", &[]))
}

#[test]
fn a_unix_socket_goes_from_one_server_to_the_next() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("socket");
    let mut command = symped();
    command.args(["--demo", "--workers", "2", "--listen"]);
    command.arg(format!("unix:{}", path.display()));
    let mut server = Server::spawn(command);
    assert_eq!(unix_get(&path).status, 200);
    // A client that is being served when it happens.
    let mut waiting = Client::connect_unix(&path);
    waiting.send(&get("/sleep?ms=300"));
    let mut successor = Successor::of(&server);
    assert_eq!(waiting.response().text(), "waited for 300 ms\n");
    assert!(server.wait().success());
    assert_eq!(unix_get(&path).status, 200);
    successor = successor.upgraded(&server);
    assert_eq!(unix_get(&path).status, 200);
    successor.stop();
    assert!(!path.exists(), "the last one removes it");
}
