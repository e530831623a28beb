//! A pool of processes: what bounds it, what a crash costs, and how processes are renewed.
//!
//! What holds for every server with a master is in `worker_….rs`, what holds for every model in
//! `under_prefork.rs`.

mod common;

use std::collections::HashSet;
use std::fs;
use std::time::{Duration, Instant};

use common::processes::{
    children, clients_of, halt, is_alive, kill, status_line, until_workers, workers,
};
use common::server::{binary, prefork, symped};
use common::verify::{Counters, Load};
use common::{Client, Server, get, observe, until};

/// Long enough that an answer would have come.
const A_WHILE: Duration = Duration::from_millis(150);
const CLIENTS: u64 = 8;

fn start(processes: usize, arguments: &[&str]) -> Server {
    let mut command = prefork();
    command.args(["--listen", "127.0.0.1:0", "--demo", "--workers", &processes.to_string()]);
    command.args(arguments);
    Server::spawn(command)
}

/// A client of one process, which has been answered.
#[track_caller]
fn served(server: &Server) -> Client {
    let mut client = server.connect();
    assert_eq!(client.get("/plaintext").status, 200);
    client
}

fn port(client: &Client) -> u16 {
    client.stream().local_addr().expect("its address").port()
}

fn until_answered(load: &Load, more: u64) {
    let goal = load.answered() + more;
    until("the load goes on", || load.answered() >= goal);
}

#[track_caller]
fn assert_unharmed(tally: &Counters) {
    let harm = (tally.refused, tally.failed, tally.truncated);
    assert_eq!(harm, (0, 0, 0), "{:?}", tally.troubles);
}

fn pids(server: &Server) -> HashSet<u32> {
    workers(server).iter().map(|worker| worker.pid).collect()
}

/// N processes, or one of N threads, or some of some: it is the product that counts.
#[test]
fn one_client_more_than_there_is_room_for_waits_until_another_has_gone() {
    for (processes, threads) in [(4, "1"), (1, "4"), (2, "2")] {
        let server = start(processes, &["--threads", threads]);
        let mut held: Vec<Client> = (0..4).map(|_| served(&server)).collect();
        let mut fifth = server.connect();
        fifth.send(&get("/bytes?n=5"));
        assert!(fifth.is_silent_for(A_WHILE));
        // Those who have a process keep it.
        for client in &mut held {
            assert_eq!(client.get("/plaintext").status, 200);
        }
        held.pop();
        assert_eq!(fifth.response().body.len(), 5);
        held.push(fifth);
        // And again, now that the queue has been empty and full.
        let mut sixth = server.connect();
        sixth.send(&get("/bytes?n=6"));
        assert!(sixth.is_silent_for(A_WHILE));
        held.remove(0);
        assert_eq!(sixth.response().body.len(), 6);
    }
}

#[test]
fn many_short_connections_through_few_processes_are_all_served() {
    let server = start(3, &[]);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| (0..100).for_each(|_| drop(served(&server))));
        }
    });
    server.until_metric("connections_open", 1);
    let workers = workers(&server);
    let total: u64 = workers.iter().map(|worker| worker.connections_accepted).sum();
    assert!(total >= 600, "{workers:?}");
    assert_eq!(children(server.pid()).len(), 3, "no process was started for a connection");
}

/// The queue is shared: a process that cannot accept keeps no connection from the others.
#[test]
fn a_halted_process_leaves_all_new_connections_to_the_others() {
    let server = start(2, &["--threads", "16"]);
    let halted = workers(&server)[0].pid;
    halt(halted);
    for _ in 0..50 {
        let client = Client::try_connect(server.address()).and_then(|mut client| {
            client.try_send(&get("/plaintext"))?;
            client.try_response()
        });
        assert_eq!(client.expect("an answer").status, 200);
    }
    common::os::signal(halted, libc::SIGCONT);
}

#[test]
fn a_process_that_dies_takes_its_own_clients_and_is_replaced_for_those_that_wait() {
    let server = start(2, &[]);
    until_workers(&server, "both serve", |_| true);
    let pids: Vec<u32> = workers(&server).iter().map(|worker| worker.pid).collect();
    let (mut one, mut other) = (served(&server), served(&server));
    let mut waiting = server.connect();
    waiting.send(&get("/bytes?n=3"));
    assert!(waiting.is_silent_for(A_WHILE));
    let victims = kill(pids[0], server.address().port());
    assert_eq!(victims.len(), 1, "one client each");
    // Its successor's first client is the one that waited.
    assert_eq!(waiting.response().body.len(), 3);
    let (dead, alive) = match victims.contains(&port(&one)) {
        true => (&mut one, &mut other),
        false => (&mut other, &mut one),
    };
    dead.expect_end();
    assert_eq!(alive.get("/plaintext").status, 200);
    drop(waiting);
    let now = until_workers(&server, "it is replaced", |now| now[0].pid != pids[0]);
    assert_eq!((now[0].restarts, now[1].restarts, now[1].pid), (1, 0, pids[1]));
}

#[test]
fn processes_are_renewed_after_so_many_requests_and_no_request_is_harmed() {
    for arguments in [["--threads", "1"], ["--threads", "4"]] {
        let renew = [&arguments[..], &["--max-requests", "200"]].concat();
        let mut server = start(12, &renew);
        let first = pids(&server);
        let load = Load::start(server.address(), CLIENTS);
        let mut seen = first.clone();
        until("a third generation", || {
            seen.extend(pids(&server));
            seen.len() >= 3 * 12
        });
        until_answered(&load, 50);
        let tally = load.finish();
        println!("{arguments:?}: {} answered by {} processes", tally.answered, seen.len());
        assert_unharmed(&tally);
        let now = until_workers(&server, "all serve", |_| true);
        assert!(now.iter().all(|worker| worker.restarts == 0), "none has died: {now:?}");
        until("the old ones' end", || children(server.pid()).len() == 12);
        assert!(server.stop().success());
    }
}

/// It goes on serving, and asks for a successor ten times a second.
#[test]
fn successors_of_a_worn_out_process_that_exit_early_are_held_back() {
    let folder = tempfile::tempdir().expect("a directory");
    let logs = folder.path().join("logs");
    let path = logs.join("log");
    fs::create_dir(&logs).expect("a directory");
    let log = ["--access-log", "common", "--log-file", path.to_str().expect("UTF-8")];
    let server = start(1, &[&log[..], &["--max-requests", "20"]].concat());
    // From here on no new process can open it.
    fs::remove_dir_all(&logs).expect("to be removed");
    let begun = Instant::now();
    let worn_out = children(server.pid());
    until("six successors", || {
        assert_eq!(server.get("/plaintext").status, 200);
        server.stderr().matches("its predecessor continues to serve").count() >= 6
    });
    let held_back = Duration::from_millis(50 + 100 + 200 + 400 + 800);
    assert!(begun.elapsed() >= held_back, "{:?}", begun.elapsed());
    assert!(!server.stderr().contains("restarting in"), "{}", server.stderr());
    fs::create_dir(&logs).expect("a directory");
    until("the next one serves", || !is_alive(worn_out[0]));
    assert_eq!(server.get("/plaintext").status, 200);
}

/// One client alone wears out one process: its neighbour stays.
#[test]
fn only_the_process_that_has_served_them_is_renewed() {
    for mut command in [prefork(), symped()] {
        command.args(["--listen", "127.0.0.1:0", "--demo", "--workers", "2"]);
        command.args(["--max-requests", "300"]);
        let server = Server::spawn(command);
        let before = until_workers(&server, "both serve", |_| true);
        // Its process says when it wants no more of it.
        let (mut client, mut answered) = (server.connect(), 0);
        loop {
            answered += 1;
            let answer = client.get("/plaintext");
            assert_eq!(answer.status, 200);
            if answer.closes() {
                break;
            }
            if answered >= 300 {
                std::thread::sleep(Duration::from_millis(1)); // the successor needs a core, too
            }
        }
        client.expect_close();
        assert!(answered > 300, "{answered}");
        let one = |now: &[_]| changed(&before, now) == 1;
        let now = until_workers(&server, "one is renewed", one);
        assert!(now.iter().all(|worker| worker.restarts == 0), "{now:?}");
    }
}

fn changed(before: &[common::processes::Worker], now: &[common::processes::Worker]) -> usize {
    before.iter().zip(now).filter(|(before, now)| before.pid != now.pid).count()
}

#[test]
fn classic_processes_of_one_thread_are_restarted_and_killed_under_load() {
    let mut server = start(24, &[]);
    until_workers(&server, "all serve", |_| true);
    let descriptors = observe::descriptors_at_rest(server.pid());
    let load = Load::start(server.address(), CLIENTS);
    for _ in 0..3 {
        let old = pids(&server);
        server.signal(libc::SIGHUP);
        until_workers(&server, "other processes", |now| {
            now.iter().all(|worker| !old.contains(&worker.pid))
        });
        until_answered(&load, 50);
    }
    assert_unharmed(&load.finish());
    until("the old ones' end", || children(server.pid()).len() == 24);
    // Now a connection ends unannounced only with its process.
    let (load, mut victims) = (Load::start(server.address(), CLIENTS), HashSet::new());
    for number in [0, 7, 14] {
        until_answered(&load, 50);
        let victim = workers(&server)[number].pid;
        victims.extend(kill(victim, server.address().port()));
        until_workers(&server, "it is replaced", |now| now.iter().all(|w| w.pid != victim));
    }
    until_answered(&load, 50);
    let tally = load.finish();
    assert_eq!((tally.refused, tally.failed), (0, 0), "{:?}", tally.troubles);
    assert!(tally.cut.iter().all(|port| victims.contains(port)), "{tally:?} {victims:?}");
    until("no more processes than there should be", || children(server.pid()).len() == 24);
    server.until_metric("connections_open", 1);
    server.until_metric("buffers_large_used", 2);
    assert_eq!(observe::descriptors_at_rest(server.pid()), descriptors, "the master's descriptors");
    assert!(server.stop().success());
}

#[test]
fn a_process_that_leaves_finishes_its_request_and_others_do_not_wait_for_it() {
    let server = start(1, &["--threads", "2"]);
    let leaving = workers(&server)[0].pid;
    let mut slow = server.connect();
    slow.send(&get("/sleep?ms=1500"));
    server.until_metric("waits", 1);
    server.signal(libc::SIGHUP);
    let begun = Instant::now();
    until_workers(&server, "its successor", |now| now[0].pid != leaving);
    assert_eq!(served(&server).get("/plaintext").status, 200);
    assert!(begun.elapsed() < Duration::from_millis(1400), "{:?}", begun.elapsed());
    assert!(is_alive(leaving));
    let answer = slow.response();
    assert_eq!(answer.text(), "waited for 1500 ms\n");
    assert!(answer.closes());
    until("its end", || !is_alive(leaving));
}

/// More than there is room for: they are served one after another before the server ends.
#[test]
fn clients_that_wait_in_the_queue_are_answered_at_a_stop() {
    let mut server = start(2, &["--drain-timeout", "20s"]);
    until_workers(&server, "both serve", |_| true);
    let mut held = [served(&server), served(&server)];
    let mut waiting: Vec<Client> = (0..30).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(&get("/plaintext"));
    }
    server.signal(libc::SIGTERM);
    for client in &mut waiting {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(server.wait().code(), Some(0));
    held.iter_mut().for_each(Client::expect_close);
}

/// Each process has two places, and a busy client in one of them: the other is enough.
#[test]
fn busy_clients_do_not_keep_those_that_wait_from_an_answer_at_a_stop() {
    for processes in [1, 2] {
        let mut server = start(processes, &["--threads", "2", "--drain-timeout", "20s"]);
        let pids: Vec<u32> =
            until_workers(&server, "all serve", |_| true).iter().map(|worker| worker.pid).collect();
        let mut held: Vec<Client> = (0..2 * processes).map(|_| served(&server)).collect();
        let mut busy = Vec::new();
        for pid in pids {
            let its = clients_of(pid, server.address().port());
            let index = held.iter().position(|client| its.contains(&port(client)));
            busy.push(held.remove(index.expect("a client of this process")));
        }
        busy.iter_mut().for_each(|client| client.send(&get("/sleep?ms=8000")));
        let mut waiting: Vec<Client> = (0..10).map(|_| server.connect()).collect();
        waiting.iter_mut().for_each(|client| client.send(&get("/plaintext")));
        server.signal(libc::SIGTERM);
        for client in &mut waiting {
            assert_eq!(client.response().status, 200);
        }
        held.iter_mut().for_each(Client::expect_close);
        assert!(busy.iter_mut().all(|client| client.is_silent_for(Duration::from_millis(1))));
        server.signal(libc::SIGTERM);
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn a_process_has_its_threads_from_the_start_and_one_more() {
    let server = start(2, &["--threads", "5"]);
    let threads = || {
        let counts = workers(&server).into_iter().map(|worker| status_line(worker.pid, "Threads:"));
        counts.collect::<Vec<_>>()
    };
    assert_eq!(threads(), ["6", "6"]);
    let held: Vec<Client> = (0..9).map(|_| served(&server)).collect();
    assert_eq!(threads(), ["6", "6"]);
    drop(held);
}

/// A file that serves as the log of all of them.
#[test]
fn every_process_writes_the_log() {
    let folder = tempfile::tempdir().expect("a directory");
    let log = folder.path().join("log");
    let path = log.to_str().expect("UTF-8");
    let mut server = start(3, &["--access-log", "common", "--log-file", path]);
    let mut held: Vec<Client> = (0..3).map(|_| served(&server)).collect();
    held.iter_mut().for_each(|client| drop(client.get("/plaintext")));
    drop(held);
    assert!(server.stop().success());
    let text = fs::read_to_string(log).expect("the log");
    assert_eq!(text.lines().filter(|line| line.contains("GET /plaintext")).count(), 6, "{text}");
}

#[test]
fn how_connections_arrive_is_not_an_option_of_the_pool() {
    let output = prefork().args(["--accept", "pass"]).output().expect("running prefork");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(text.contains("--accept") && text.contains("symped"), "{text}");
}

/// Of 64 MiB of address space each there is not enough for all threads.
#[test]
fn a_server_whose_processes_cannot_start_their_threads_reports_that_and_ends() {
    let shell = "ulimit -v 700000; exec \"$0\" \"$@\"";
    let mut command = binary("/bin/sh");
    command.args(["-c", shell, env!("CARGO_BIN_EXE_prefork"), "--listen", "127.0.0.1:0"]);
    command.args(["--workers", "1", "--threads", "64", "--stack-size", "64M"]);
    let output = command.output().expect("running prefork");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(text.contains("giving up"), "{text}");
}
