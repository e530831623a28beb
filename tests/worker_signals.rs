//! Workers are replaced (HUP) and the whole server is replaced (USR2) under a load that
//! verifies every response: none is refused, cut or wrong.

mod common;

use std::collections::HashSet;
use std::process::Command;

use common::processes::{children, is_alive, rounds, until_workers, workers};
use common::server::{SUPERVISED, supervised};
use common::successor::{Successor, copied, spoil};
use common::verify::{Counters, Load};
use common::{Server, observe, until};

/// How often a test restarts or upgrades, by default. The figures are for ten times as many.
const RENEWALS: usize = 20;
const UPGRADES: usize = 4;
const CLIENTS: u64 = 8;

fn command(how: &str) -> Command {
    supervised(how, 2)
}

/// Waits until the responses show that the load continues.
fn until_answered(load: &Load, more: u64) {
    let goal = load.answered() + more;
    until("the load goes on", || load.answered() >= goal);
}

#[track_caller]
fn assert_unharmed(what: &str, tally: &Counters) {
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
fn a_rolling_restart_harms_no_request() {
    for how in SUPERVISED {
        let mut server = Server::spawn(command(how));
        until_workers(&server, "all serve", |_| true);
        let descriptors = observe::descriptors_at_rest(server.pid());
        let load = Load::start(server.address(), CLIENTS);
        for _ in 0..rounds(RENEWALS) {
            let old = pids(&server);
            server.signal(libc::SIGHUP);
            let new = until_workers(&server, "other workers", |workers| {
                workers.iter().all(|worker| !old.contains(&worker.pid))
            });
            assert!(new.iter().all(|worker| worker.restarts == 0), "no worker has died: {new:?}");
            until_answered(&load, 50);
        }
        assert_unharmed(&format!("HUP, {how}"), &load.finish());
        until("the old ones' end", || children(server.pid()).len() == 2);
        assert_eq!(
            observe::descriptors_at_rest(server.pid()),
            descriptors,
            "the master's descriptors"
        );
        assert!(server.stop().success());
    }
}

/// A signal that arrives during a rolling restart is not forgotten.
#[test]
fn rolling_restarts_requested_faster_than_they_finish_are_done() {
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
fn an_upgrade_harms_no_request() {
    for how in SUPERVISED {
        let mut server = Server::spawn(command(how));
        let load = Load::start(server.address(), CLIENTS);
        until_answered(&load, 50);
        let mut successor = Successor::of(&server);
        assert!(server.wait().success());
        for _ in 1..rounds(UPGRADES) {
            until_answered(&load, 50);
            successor = successor.upgraded(&server);
        }
        until_answered(&load, 50);
        assert_unharmed(&format!("USR2, {how}"), &load.finish());
        let workers = until_workers(&server, "all serve", |_| true);
        assert_eq!(HashSet::from_iter(children(successor.pid())), pids(&server));
        successor.stop();
        until("the last workers' end", || workers.iter().all(|worker| !is_alive(worker.pid)));
    }
}

#[test]
fn a_failed_upgrade_is_logged_and_changes_nothing() {
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
        until("it is said", || said().matches("upgrade failed").count() == attempt);
        let lines = said();
        let line = lines.lines().last().expect("a line");
        assert!(line.starts_with("symped: upgrade failed: process "), "{line}");
        let end = "exited before it was ready (exit status: 1); this process continues to serve";
        assert!(line.ends_with(end), "{line}");
        until_answered(&load, 50);
    }
    assert_unharmed("USR2 that fails", &load.finish());
    assert_eq!(pids(&server), before);
    assert_eq!(observe::descriptors_at_rest(server.pid()), descriptors);
    assert!(server.stop().success());
}
