//! A process for each connection: what bounds them, what a killed one costs, that all are waited
//! for, and how they are ended.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::processes::{children, is_alive, state, status_line};
use common::{Client, Server, get, os, post, server, until};

/// Long enough that an answer would have come.
const A_WHILE: Duration = Duration::from_millis(150);

fn spawn(arguments: &[&str]) -> Server {
    let mut command = server::mp();
    command.args(["--listen", "127.0.0.1:0", "--demo"]).args(arguments);
    Server::spawn(command)
}

/// A client that has been served, and the process that does it: the only new one.
#[track_caller]
fn served(server: &Server) -> (Client, u32) {
    let before: BTreeSet<u32> = children(server.pid()).into_iter().collect();
    let mut client = server.connect();
    assert_eq!(client.get("/plaintext").status, 200);
    let now: BTreeSet<u32> = children(server.pid()).into_iter().collect();
    let new: Vec<u32> = now.difference(&before).copied().collect();
    assert_eq!(new.len(), 1, "{before:?} {now:?}");
    (client, new[0])
}

#[track_caller]
fn until_childless(server: &Server) {
    until("no children", || children(server.pid()).is_empty());
}

#[test]
fn each_connection_has_a_process_and_none_remains() {
    let server = spawn(&[]);
    let (first, one) = served(&server);
    let (second, two) = served(&server);
    assert_ne!(one, two);
    assert!(is_alive(one) && is_alive(two));
    drop((first, second));
    until_childless(&server);
    assert_eq!((state(one), state(two)), (None, None));
}

#[test]
fn all_of_many_that_end_at_once_are_waited_for() {
    const CLIENTS: usize = 300;
    let server = spawn(&[]);
    let clients: Vec<Client> = (0..CLIENTS).map(|_| served(&server).0).collect();
    assert_eq!(children(server.pid()).len(), CLIENTS);
    let pids = children(server.pid());
    // Their signals merge.
    os::signal(server.pid(), libc::SIGSTOP);
    drop(clients);
    until("all are zombies", || pids.iter().all(|pid| state(*pid) == Some('Z')));
    os::signal(server.pid(), libc::SIGCONT);
    until_childless(&server);
    server.until_metric("connections_open", 1);
    assert_eq!(server.metric("connections_accepted_total"), CLIENTS as u64 + 2);
}

#[test]
fn one_client_more_than_children_waits_until_another_has_gone() {
    let server = spawn(&["--max-children", "2"]);
    let (first, _) = served(&server);
    let (_second, two) = served(&server);
    let mut third = server.connect();
    third.send(&get("/echo?third"));
    assert!(third.is_silent_for(A_WHILE));
    assert_eq!(children(server.pid()).len(), 2);
    drop(first);
    assert_eq!(third.response().status, 200);
    // And again, after accepting was taken up once; this time a place is free by a kill.
    let mut fourth = server.connect();
    fourth.send(&get("/plaintext"));
    assert!(fourth.is_silent_for(A_WHILE));
    os::signal(two, libc::SIGKILL);
    assert_eq!(fourth.response().status, 200);
}

#[test]
fn many_short_connections_through_few_children_are_all_served() {
    let server = spawn(&["--max-children", "3"]);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert_eq!(server.get("/plaintext").status, 200);
                }
            });
        }
    });
    until_childless(&server);
    assert_eq!(server.metric("requests_total"), 301);
    server.until_metric("connections_open", 1);
}

#[test]
fn a_killed_child_costs_its_client_only_and_its_counters_remain() {
    let server = spawn(&[]);
    let (mut other, _) = served(&server);
    let (mut client, child) = served(&server);
    for _ in 0..9 {
        assert_eq!(client.get("/plaintext").status, 200);
    }
    let requests = server.metric("requests_total");
    os::signal(child, libc::SIGKILL);
    client.expect_end();
    until("it is waited for", || state(child).is_none());
    assert_eq!(other.get("/plaintext").status, 200);
    assert_eq!(server.metric("requests_total"), requests + 2);
    server.until_metric("connections_open", 2);
    server.until_metric("buffers_large_used", 4);
    let line = format!("child {child} has died (signal: 9 (SIGKILL))");
    until("a line about it", || server.stderr().contains(&line));
}

#[test]
fn a_child_that_is_killed_while_it_waits_for_a_body_leaves_no_trace_in_gauges() {
    let server = spawn(&[]);
    let whole = post("/echo", &[], &[b'x'; 50_000]);
    let (mut client, child) = served(&server);
    client.send(&whole[..whole.len() - 1]);
    server.until_metric_above("body_bytes_held", 49_000);
    os::signal(child, libc::SIGKILL);
    client.expect_end();
    server.until_metric("body_bytes_held", 0);
    server.until_metric("connections_open", 1);
}

#[test]
fn deaths_without_number_are_reported_by_a_few_lines() {
    let server = spawn(&[]);
    let clients: Vec<(Client, u32)> = (0..40).map(|_| served(&server)).collect();
    for (_, child) in &clients {
        os::signal(*child, libc::SIGKILL);
    }
    until_childless(&server);
    let lines = server.stderr().matches("has died").count();
    assert!((1..=30).contains(&lines), "{lines} lines");
    let reported = || {
        let text = server.stderr();
        let counts = text.lines().filter_map(|line| {
            let text = line.strip_suffix(" more children have died")?;
            text.rsplit(" ").next()?.parse::<usize>().ok()
        });
        text.matches("has died").count() + counts.sum::<usize>()
    };
    until("all 40 are reported", || reported() == 40);
}

#[test]
fn a_child_holds_nothing_of_its_parents() {
    let folder = tempfile::tempdir().expect("a directory");
    let pid_file = folder.path().join("pid");
    let server = spawn(&["--pid-file", pid_file.to_str().expect("UTF-8")]);
    let (_first, _) = served(&server);
    let (_second, child) = served(&server);
    let links = |pid| {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors");
        let target = |entry: fs::DirEntry| fs::read_link(entry.path()).expect("a link");
        let numbered = entries.map(|entry| entry.expect("an entry")).map(target);
        numbered.map(|path| path.display().to_string()).collect::<BTreeSet<_>>()
    };
    let standard: BTreeSet<String> = (0..=2)
        .map(|fd| fs::read_link(format!("/proc/{child}/fd/{fd}")).expect("a standard stream"))
        .map(|path| path.display().to_string())
        .collect();
    // What the tests' runner left open is in both.
    let passed_on = links(std::process::id());
    let own: Vec<String> = links(child)
        .difference(&standard)
        .filter(|link| !passed_on.contains(*link))
        .cloned()
        .collect();
    assert_eq!(own.len(), 1, "its client's socket and nothing else: {own:?}");
    assert!(own[0].starts_with("socket:"), "{own:?}");
    assert!(!links(server.pid()).contains(&own[0]), "the parent has no copy");
    assert_eq!(status_line(child, "SigBlk:"), "0".repeat(16));
}

#[test]
fn idle_and_silent_clients_do_not_hold_up_a_stop() {
    let mut server = spawn(&["--drain-timeout", "60s"]);
    let mut idle: Vec<Client> = (0..20).map(|_| served(&server).0).collect();
    let mut silent = server.connect();
    let mut busy = server.connect();
    busy.send(&get("/sleep?ms=600"));
    server.until_metric("waits", 1);
    server.signal(libc::SIGTERM);
    assert_eq!(busy.response().text(), "waited for 600 ms\n");
    assert_eq!(server.wait().code(), Some(0));
    idle.iter_mut().for_each(Client::expect_close);
    silent.expect_close();
}

#[test]
fn a_stop_goes_on_as_long_as_requests_arrive() {
    let mut server = spawn(&["--drain-timeout", "20s"]);
    let mut clients: Vec<Client> = (0..8).map(|_| served(&server).0).collect();
    server.signal(libc::SIGTERM);
    for client in &mut clients {
        // Together they take longer than a stop waits for one more.
        let answer = client.get("/sleep?ms=100");
        assert_eq!((answer.status, answer.closes()), (200, true));
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_child_that_computes_does_not_outlive_the_drain() {
    let mut server = spawn(&["--drain-timeout", "100ms"]);
    let (mut client, child) = served(&server);
    client.send(&get("/work?us=10000000"));
    until("it computes", || state(child) == Some('R'));
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    client.expect_end();
    assert!(!is_alive(child));
}

#[test]
fn a_second_signal_ends_all_children_at_once() {
    let mut server = spawn(&["--drain-timeout", "60s"]);
    let (mut client, child) = served(&server);
    client.send(&get("/sleep?ms=60000"));
    server.until_metric("waits", 1);
    let (_idle, other) = served(&server);
    server.signal(libc::SIGQUIT);
    until("a stop has begun", || Client::try_connect(server.address()).is_err());
    // Not the same one twice: two that are unread merge.
    server.signal(libc::SIGTERM);
    server.signal(libc::SIGINT);
    assert_eq!(server.wait().code(), Some(0));
    client.expect_end();
    assert!(!is_alive(child) && !is_alive(other));
}

#[test]
fn clients_that_wait_for_a_child_are_answered_at_a_stop() {
    let mut server = spawn(&["--max-children", "2", "--drain-timeout", "20s"]);
    let ((_idle, _), (mut busy, _)) = (served(&server), served(&server));
    busy.send(&get("/sleep?ms=8000"));
    let mut waiting: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    waiting.iter_mut().for_each(|client| client.send(&get("/plaintext")));
    server.signal(libc::SIGTERM);
    for client in &mut waiting {
        assert_eq!(client.response().status, 200);
    }
    assert!(busy.is_silent_for(Duration::from_millis(1)));
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_busy_client_does_not_keep_those_that_wait_from_an_answer_at_a_stop() {
    let mut server = spawn(&["--max-children", "2", "--drain-timeout", "20s"]);
    let mut busy = server.connect();
    busy.send(&get("/sleep?ms=8000"));
    server.until_metric("waits", 1);
    let (_idle, _) = served(&server);
    let mut waiting: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(&get("/plaintext"));
    }
    server.signal(libc::SIGTERM);
    for client in &mut waiting {
        assert_eq!(client.response().status, 200);
    }
    assert!(busy.is_silent_for(Duration::from_millis(1)));
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    busy.expect_end();
}

#[test]
fn a_child_asked_to_end_finishes_its_request() {
    let server = spawn(&[]);
    let (mut resting, one) = served(&server);
    os::signal(one, libc::SIGVTALRM);
    resting.expect_close();
    let (mut busy, two) = served(&server);
    busy.send(&get("/sleep?ms=300"));
    server.until_metric("waits", 1);
    os::signal(two, libc::SIGVTALRM);
    assert_eq!(busy.response().text(), "waited for 300 ms\n");
    busy.expect_close();
    until_childless(&server);
    assert!(!server.stderr().contains("has died"), "{}", server.stderr());
}

#[test]
fn signals_that_are_the_parents_business_leave_a_child_alone() {
    let server = spawn(&[]);
    let (mut client, child) = served(&server);
    let reloads = [libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2];
    for signal in reloads.into_iter().chain([libc::SIGTERM, libc::SIGINT, libc::SIGQUIT]) {
        os::signal(child, signal);
        assert_eq!(client.get("/plaintext").status, 200);
    }
}

/// Asks again and again until the server has announced that it closes.
fn ask_until_it_closes(mut client: Client) -> Result<(), String> {
    loop {
        client.send(&get("/plaintext"));
        let answer = client.try_response().map_err(|error| error.to_string())?;
        if answer.closes() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// As Ctrl-C does, and a service manager.
#[test]
fn a_signal_to_the_whole_group_costs_no_client_a_request() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGQUIT] {
        let mut command = server::mp();
        command.args(["--listen", "127.0.0.1:0", "--demo"]).process_group(0);
        let mut server = Server::spawn(command);
        let clients: Vec<Client> = (0..20).map(|_| served(&server).0).collect();
        let mut new: Vec<Client> = (0..5).map(|_| server.connect()).collect();
        until("all have children", || children(server.pid()).len() == 25);
        std::thread::scope(|scope| {
            let ask = |client| scope.spawn(|| ask_until_it_closes(client));
            let asking: Vec<_> = clients.into_iter().map(ask).collect();
            os::signal_group(server.pid(), signal);
            for client in &mut new {
                client.send(&get("/plaintext"));
                let answer = client.try_response().expect("an answer to a new client");
                assert_eq!(answer.status, 200);
            }
            for thread in asking {
                assert_eq!(thread.join().expect("no panic"), Ok(()), "signal {signal}");
            }
        });
        assert_eq!(server.wait().code(), Some(0));
    }
}

#[test]
fn signals_for_children_wait_until_a_child_is_ready() {
    let server = spawn(&[]);
    let blocked = status_line(server.pid(), "SigBlk:");
    let blocked = u64::from_str_radix(&blocked, 16).expect("a mask");
    for signal in [libc::SIGALRM, libc::SIGVTALRM, libc::SIGTERM] {
        assert_ne!(blocked & 1 << (signal - 1), 0, "signal {signal} in {blocked:x}");
    }
}

#[test]
fn children_end_after_their_parent_was_killed() {
    let server = spawn(&[]);
    let (mut resting, one) = served(&server);
    let (mut busy, two) = served(&server);
    busy.send(&get("/sleep?ms=300"));
    server.until_metric("waits", 1);
    server.signal(libc::SIGKILL);
    resting.expect_close();
    assert_eq!(busy.response().text(), "waited for 300 ms\n");
    busy.expect_close();
    until("they have ended", || !is_alive(one) && !is_alive(two));
}

fn log_of(folder: &Path, arguments: &[&str]) -> (Server, std::path::PathBuf) {
    let file = folder.join("log");
    let path = file.to_str().expect("UTF-8").to_owned();
    let log = ["--access-log", "common", "--log-file", &path];
    (spawn(&[&log, arguments].concat()), file)
}

fn lines(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn every_child_writes_whole_lines_to_one_log() {
    let folder = tempfile::tempdir().expect("a directory");
    let (server, file) = log_of(folder.path(), &[]);
    std::thread::scope(|scope| {
        for i in 0..8 {
            let server = &server;
            scope.spawn(move || {
                let mut client = server.connect();
                for j in 0..100 {
                    assert_eq!(client.get(&format!("/plaintext?{i}-{j}")).status, 200);
                }
            });
        }
    });
    until_childless(&server);
    let written: BTreeSet<String> = lines(&file)
        .iter()
        .map(|line| {
            assert!(line.ends_with("\" 200 13"), "{line}");
            line.split_once("/plaintext?").expect("a target").1.to_owned()
        })
        .collect();
    assert_eq!(written.len(), 800);
}

#[test]
fn children_follow_when_the_log_is_reopened() {
    for signal in [libc::SIGHUP, libc::SIGUSR1] {
        let folder = tempfile::tempdir().expect("a directory");
        let (server, file) = log_of(folder.path(), &[]);
        let (mut client, _) = served(&server);
        // Before the child waits for its client again.
        until("a line", || lines(&file).len() == 1);
        let old = folder.path().join("old");
        fs::rename(&file, &old).expect("renamed");
        server.signal(signal);
        until("a new file", || file.exists());
        assert_eq!(client.get("/plaintext?new").status, 200);
        until("a line in the new file", || lines(&file).len() == 1);
        assert!(lines(&file)[0].contains("?new"));
        assert_eq!(lines(&old).len(), 1);
    }
}

#[test]
fn the_log_of_a_killed_child_has_all_that_it_had_answered_before() {
    let folder = tempfile::tempdir().expect("a directory");
    let (server, file) = log_of(folder.path(), &[]);
    let (mut client, child) = served(&server);
    assert_eq!(client.get("/plaintext?second").status, 200);
    until("it waits", || state(child) == Some('S') && lines(&file).len() == 2);
    os::signal(child, libc::SIGKILL);
    client.expect_end();
    assert!(lines(&file)[1].contains("?second"));
}

/// A command whose user may have so many processes.
fn with_processes(count: u32) -> Command {
    let mut command = server::mp();
    // SAFETY: between fork and exec it makes one system call.
    unsafe { command.pre_exec(move || os::limit_processes(count)) };
    command
}

/// As another user: the limit does not hold for root.
#[test]
fn forks_that_the_system_refuses_are_tried_again() {
    if !os::is_root() {
        return eprintln!("skipped: only root can become another user");
    }
    let mut command = with_processes(5);
    command.args(["--listen", "127.0.0.1:0", "--demo", "--max-children", "20"]);
    command.args(["--user", "54321", "--group", "54321"]);
    let mut server = Server::spawn(command);
    let mut clients: Vec<Client> = (0..12).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&get("/plaintext"));
    }
    for (i, mut client) in clients.into_iter().enumerate() {
        let answer = client.try_response().unwrap_or_else(|error| panic!("client {i}: {error}"));
        assert_eq!(answer.status, 200);
    }
    server.until_metric_above("accept_pauses_total", 0);
    let lines = server.stderr().matches("cannot fork for a connection; trying again: ").count();
    assert!((1..=5).contains(&lines), "{}", server.stderr());
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn the_default_number_of_children_follows_the_limit_of_processes() {
    let output = with_processes(100).arg("--help").output().expect("the help");
    let help = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(help.contains("[75]"), "{help}");
}
