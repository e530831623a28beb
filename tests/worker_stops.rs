//! How a server with a master ends: as requested, as far as its workers respond; and when its master is
//! killed, which leaves workers that will not be replaced.
//!
//! What applies to one worker as to SPED is in `stop.rs`, which `under_symped.rs` and
//! `under_prefork.rs` run.

mod common;

use std::os::unix::process::ExitStatusExt as _;

use common::processes::{Worker, children, is_alive, status_line, until_workers};
use common::server::{SUPERVISED, supervised};
use common::{Client, Server, get, until};

fn start(how: &str, arguments: &[&str]) -> (Server, Vec<Worker>) {
    let mut command = supervised(how, 2);
    command.args(arguments);
    let server = Server::spawn(command);
    let workers = until_workers(&server, "all serve", |_| true);
    (server, workers)
}

#[track_caller]
fn until_gone(workers: &[Worker]) {
    until("the workers' end", || workers.iter().all(|worker| !is_alive(worker.pid)));
}

#[test]
fn every_signal_ends_master_and_workers_with_status_0() {
    for how in SUPERVISED {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
            let (mut server, workers) = start(how, &[]);
            let mut idle: Vec<Client> = (0..8).map(|_| server.connect()).collect();
            idle.iter_mut().for_each(|client| assert_eq!(client.get("/plaintext").status, 200));
            server.signal(signal);
            let status = server.wait();
            assert_eq!(status.code(), Some(0), "{how}: {status}");
            until_gone(&workers);
            idle.iter_mut().for_each(Client::expect_close);
        }
    }
}

#[test]
fn requests_in_flight_at_term_are_answered_by_every_worker() {
    let (mut server, workers) = start("pass", &[]);
    let mut waiting: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    waiting.iter_mut().for_each(|client| client.send(&get("/sleep?ms=500")));
    until("all wait", || server.metric("waits") == 8);
    server.signal(libc::SIGTERM);
    for client in &mut waiting {
        let answer = client.response();
        assert_eq!(answer.text(), "waited for 500 ms\n");
        assert!(answer.closes());
        client.expect_close();
    }
    assert_eq!(server.wait().code(), Some(0));
    until_gone(&workers);
}

/// Each worker enforces the drain timeout itself; one that does not respond is killed by its
/// master.
#[test]
fn an_unresponsive_worker_is_killed_after_the_drain_timeout() {
    let (mut server, workers) = start("pass", &["--drain-timeout", "100ms"]);
    let (mut first, mut second) = (server.connect(), server.connect()); // one each
    assert_eq!((first.get("/plaintext").status, second.get("/plaintext").status), (200, 200));
    common::os::signal(workers[0].pid, libc::SIGSTOP);
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    until_gone(&workers);
    let line = "killed 1 worker(s) that did not finish in time";
    until("a line about it", || server.stderr().contains(line));
    first.expect_end();
    second.expect_end();
}

#[test]
fn a_second_term_ends_them_at_once_and_quit_has_no_limit() {
    for how in ["reuseport", "prefork"] {
        second_term(how);
    }
}

fn second_term(how: &str) {
    let (mut server, workers) = start(how, &["--drain-timeout", "60s"]);
    let mut client = server.connect();
    client.send(&get("/sleep?ms=60000"));
    until("it waits", || server.metric("waits") == 1);
    server.signal(libc::SIGQUIT);
    until("connections are refused", || Client::try_connect(server.address()).is_err());
    until("the other worker's end", || children(server.pid()).len() == 1);
    server.signal(libc::SIGTERM);
    // Two pending signals of one kind merge into one.
    let pending = || status_line(server.pid(), "ShdPnd:").contains(|c| c != '0');
    until("it has heard the signal", || !pending());
    assert!(!client.has_answer() && server.is_running());
    server.signal(libc::SIGTERM);
    let status = server.wait();
    assert!(status.signal().is_none() && status.success(), "{status}");
    until_gone(&workers);
    client.expect_end();
}

#[test]
fn workers_whose_master_was_killed_finish_and_end() {
    for how in SUPERVISED {
        let (mut server, workers) = start(how, &[]);
        let mut idle = server.connect();
        idle.get("/plaintext");
        let mut waiting: Vec<Client> = (0..8).map(|_| server.connect()).collect();
        waiting.iter_mut().for_each(|client| client.send(&get("/sleep?ms=500")));
        until("all wait", || server.metric("waits") == 8);
        server.signal(libc::SIGKILL);
        assert_eq!(server.wait().signal(), Some(libc::SIGKILL));
        for client in &mut waiting {
            assert_eq!(client.response().text(), "waited for 500 ms\n");
            client.expect_close();
        }
        until_gone(&workers);
        idle.expect_close();
        assert!(Client::try_connect(server.address()).is_err(), "the port is free again");
    }
}

#[test]
fn a_terminated_worker_is_replaced_before_it_exits() {
    for how in ["reuseport", "prefork"] {
        let (server, workers) = start(how, &[]);
        let leaving = workers[0].pid;
        common::os::signal(leaving, libc::SIGTERM);
        let now = until_workers(&server, "another worker", |workers| workers[0].pid != leaving);
        until("its end", || !is_alive(leaving));
        assert_eq!(now[0].restarts, 0, "it has not died");
        assert_eq!(now[1].pid, workers[1].pid);
    }
}
