//! SYMPED's workers are renewed (HUP) and the whole server is replaced (USR2) under a load that
//! verifies every answer: nobody is refused, nothing is cut, nothing is wrong.

mod common;

use std::collections::HashSet;
use std::process::Command;

use common::processes::{children, is_alive, rounds, until_workers, workers};
use common::server::symped;
use common::successor::{Successor, copied, spoil};
use common::verify::{Load, Tally};
use common::{Server, observe, until};

/// How often a test renews or replaces, by itself. The figures are for ten times as many.
const RENEWALS: usize = 20;
const UPGRADES: usize = 4;
const CLIENTS: u64 = 8;
const MODES: [&str; 3] = ["reuseport", "shared", "pass"];

fn command(accept: &str) -> Command {
    let mut command = symped();
    command.args(["--listen", "127.0.0.1:0", "--demo", "--workers", "2", "--accept", accept]);
    command
}

/// Waits until the answers show that the load goes on.
fn until_answered(load: &Load, more: u64) {
    let goal = load.answered() + more;
    until("the load goes on", || load.answered() >= goal);
}

#[track_caller]
fn assert_unharmed(what: &str, tally: &Tally) {
    println!(
        "{what}: {} answered on {} connections, {} closed by announcement, {} requests repeated",
        tally.answered, tally.connections, tally.announced, tally.repeats
    );
    let harm = (tally.refused, tally.failed, tally.truncated);
    assert_eq!(harm, (0, 0, 0), "{:?}", tally.troubles);
}

fn pids(server: &Server) -> HashSet<u32> {
    workers(server).iter().map(|worker| worker.pid).collect()
}

#[test]
fn workers_are_renewed_without_harm_to_a_request() {
    for accept in MODES {
        let mut server = Server::spawn(command(accept));
        until_workers(&server, "all serve", |_| true);
        let descriptors = observe::descriptors_at_rest(server.pid());
        let load = Load::start(server.address(), CLIENTS);
        for _ in 0..rounds(RENEWALS) {
            let old = pids(&server);
            server.signal(libc::SIGHUP);
            let new = until_workers(&server, "other workers", |workers| {
                workers.iter().all(|worker| !old.contains(&worker.pid))
            });
            assert!(new.iter().all(|worker| worker.restarts == 0), "nobody has died: {new:?}");
            until_answered(&load, 50);
        }
        assert_unharmed(&format!("HUP, {accept}"), &load.finish());
        until("the old ones' end", || children(server.pid()).len() == 2);
        assert_eq!(
            observe::descriptors_at_rest(server.pid()),
            descriptors,
            "the master's descriptors"
        );
        assert!(server.stop().success());
    }
}

/// A signal that comes while the last one's round is not over is not forgotten.
#[test]
fn renewals_that_come_faster_than_they_are_done_are_done() {
    let server = Server::spawn(command("reuseport"));
    let old = pids(&server);
    let load = Load::start(server.address(), CLIENTS);
    for _ in 0..rounds(RENEWALS) {
        server.signal(libc::SIGHUP);
        until_answered(&load, 1);
    }
    until_workers(&server, "other workers", |workers| {
        workers.iter().all(|worker| !old.contains(&worker.pid))
    });
    until("the old ones' end", || children(server.pid()).len() == 2);
    assert_unharmed("HUP upon HUP", &load.finish());
}

#[test]
fn the_server_is_replaced_without_harm_to_a_request() {
    for accept in MODES {
        let mut server = Server::spawn(command(accept));
        let load = Load::start(server.address(), CLIENTS);
        until_answered(&load, 50);
        let mut successor = Successor::of(&server);
        assert!(server.wait().success());
        for _ in 1..rounds(UPGRADES) {
            until_answered(&load, 50);
            successor = successor.upgraded(&server);
        }
        until_answered(&load, 50);
        assert_unharmed(&format!("USR2, {accept}"), &load.finish());
        let workers = until_workers(&server, "all serve", |_| true);
        assert_eq!(HashSet::from_iter(children(successor.pid())), pids(&server));
        successor.stop();
        until("the last workers' end", || workers.iter().all(|worker| !is_alive(worker.pid)));
    }
}

#[test]
fn an_upgrade_that_fails_is_said_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a directory");
    let (command, binary) = copied(&command("reuseport"), folder.path());
    let mut server = Server::spawn(command);
    let before = pids(&server);
    let descriptors = observe::descriptors_at_rest(server.pid());
    let load = Load::start(server.address(), CLIENTS);
    spoil(&binary);
    for attempt in 1..=rounds(UPGRADES) {
        server.signal(libc::SIGUSR2);
        let said = || server.stderr();
        until("it is said", || said().matches("the upgrade has failed").count() == attempt);
        let lines = said();
        let line = lines.lines().last().expect("a line");
        assert!(line.starts_with("symped: the upgrade has failed: process "), "{line}");
        let end = "ended before it served (exit status: 7); this process goes on serving";
        assert!(line.ends_with(end), "{line}");
        until_answered(&load, 50);
    }
    assert_unharmed("USR2 that fails", &load.finish());
    assert_eq!(pids(&server), before);
    assert_eq!(observe::descriptors_at_rest(server.pid()), descriptors);
    assert!(server.stop().success());
}
