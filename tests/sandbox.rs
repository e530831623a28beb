//! `--sandbox`, under every model: what a server still does, loses, and logs. What it can no longer
//! do is tried in `confinement.rs`.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::iter;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use common::server::{has_master, models};
use common::successor::Successor;
use common::{Client, PATIENCE, Server, get, os, until};
use reactor::process::Landlock;

/// Reports when there is nothing to test.
fn has_landlock() -> bool {
    match Landlock::new() {
        Ok(_) => true,
        Err(error) => {
            println!("SKIPPED: the sandbox is NOT tested here: no Landlock ({error})");
            false
        }
    }
}

/// A shipped server in its sandbox.
fn sandboxed(mut command: Command, arguments: &[&str]) -> Command {
    command.args(["--sandbox", "--demo"]).args(arguments);
    command
}

const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];

fn has_no_new_privileges(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("NoNewPrivs:"));
    line.expect("a line").trim() == "1"
}

#[test]
fn serving_processes_gain_no_privileges() {
    for (model, command) in models() {
        let server = Server::spawn(sandboxed(command, &ANY_PORT));
        assert_eq!(has_no_new_privileges(server.pid()), !has_master(model));
        let workers = os::children(server.pid());
        assert_eq!(workers.is_empty(), !has_master(model));
        assert!(workers.into_iter().all(has_no_new_privileges));
        assert_eq!(server.exchange(&get("/plaintext")).status, 200);
    }
}

#[test]
fn files_are_served_and_the_log_is_opened_again() {
    let folder = tempfile::tempdir().expect("a directory");
    let root = folder.path().join("www");
    fs::create_dir(&root).expect("the root");
    fs::write(root.join("page.html"), "<p>inside").expect("a page");
    symlink("../outside.html", root.join("link.html")).expect("a link");
    fs::write(folder.path().join("outside.html"), "<p>outside").expect("a page");
    for (model, command) in models() {
        let logs = folder.path().join(model);
        fs::create_dir(&logs).expect("a directory for logs");
        let (log, old) = (logs.join("log"), logs.join("old"));
        let (root, at) = (root.display().to_string(), log.display().to_string());
        let arguments = ["--root", &root, "--access-log", "common", "--log-file", &at];
        let command = sandboxed(command, &[&ANY_PORT[..], &arguments].concat());
        let mut server = Server::spawn(command);
        assert_eq!(server.get("/page.html").text(), "<p>inside", "{model}");
        assert_ne!(server.get("/link.html").status, 200, "{model}");
        assert_eq!(server.get("/").status, 404, "{model}");
        fs::rename(&log, &old).expect("another name for the log");
        server.signal(libc::SIGHUP);
        until("a new log", || log.exists());
        // A worker's replacement has the same rules.
        until("it serves", || server.get("/page.html").text() == "<p>inside");
        assert!(server.stop().success());
        assert!(fs::read_to_string(&log).expect("the log").contains("/page.html"), "{model}");
        assert!(!server.stderr().contains("reopened"), "{}", server.stderr());
    }
}

#[test]
fn a_log_replaced_by_a_link_elsewhere_is_not_written() {
    if !has_landlock() {
        return;
    }
    let (folder, outside) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    for (model, command) in models() {
        let (log, target) = (folder.path().join(model), outside.path().join(model));
        let at = log.display().to_string();
        let arguments = ["--access-log", "common", "--log-file", &at];
        let server = Server::spawn(sandboxed(command, &[&ANY_PORT[..], &arguments].concat()));
        fs::remove_file(&log).expect("the log's name");
        symlink(&target, &log).expect("a link");
        server.signal(libc::SIGUSR1); // opens the log again, and nothing else
        until("it is logged", || server.stderr().contains("could not be reopened"));
        assert!(server.stderr().contains("Permission denied"), "{model}: {}", server.stderr());
        assert_eq!(server.exchange(&get("/plaintext")).status, 200, "{model}");
        assert!(!target.exists(), "{model}");
    }
}

#[test]
fn a_sandboxed_server_cleans_up_and_notifies() {
    for (model, command) in models() {
        let folder = tempfile::tempdir().expect("a directory");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (socket, listen, pid_file) =
            (at("socket"), format!("unix:{}", at("socket")), at("pid"));
        let arguments =
            ["--listen", &listen, "--pid-file", &pid_file, "--user", "54321", "--group", "54321"];
        let arguments = if os::is_root() { &arguments[..] } else { &arguments[..4] };
        std::os::unix::fs::chown(folder.path(), os::is_root().then_some(54321), None)
            .expect("chown");
        let name = at("notify");
        let ear = SocketAddr::from_abstract_name(&name).and_then(|at| UnixDatagram::bind_addr(&at));
        let ear = ear.expect("an abstract socket");
        ear.set_read_timeout(Some(PATIENCE)).expect("SO_RCVTIMEO");
        let mut command = sandboxed(command, arguments);
        command.env("NOTIFY_SOCKET", format!("@{name}"));
        let mut server = Server::spawn(command);
        let mut client = Client::connect_unix(Path::new(&socket));
        assert_eq!(client.get("/plaintext").status, 200, "{model}");
        assert!(server.stop().success());
        let mut bytes = [0; 1024];
        let heard = iter::repeat_with(|| ear.recv(&mut bytes).map(|len| bytes[..len].to_vec()));
        let heard: Vec<_> = heard.take(2).map(|news| news.expect("a message")).collect();
        assert!(heard[1].starts_with(b"STOPPING=1"), "{model}");
        assert!(UnixStream::connect(&socket).is_err());
        let left = fs::read_dir(folder.path()).expect("the directory").count();
        assert_eq!(left, 0, "{model}: {}", server.stderr());
    }
}

#[test]
fn a_sandboxed_server_refuses_upgrades_and_a_master_does_not() {
    if !has_landlock() {
        return;
    }
    for (model, command) in models() {
        let mut server = Server::spawn(sandboxed(command, &ANY_PORT));
        let why = "no program can be started inside the sandbox";
        let given_up = format!("{model}: --sandbox: upgrades (SIGUSR2) are disabled: {why}\n");
        assert_eq!(server.stderr().contains(&given_up), !has_master(model), "{}", server.stderr());
        if has_master(model) {
            let successor = Successor::of(&server);
            assert!(server.wait().success());
            assert!(os::children(successor.pid()).into_iter().all(has_no_new_privileges));
            assert_eq!(Client::connect(server.address()).get("/plaintext").status, 200);
            successor.stop();
            continue;
        }
        server.signal(libc::SIGUSR2);
        let failed = format!("{model}: upgrade failed: {why}; this process continues to serve\n");
        until("it says so", || server.stderr().contains(&failed));
        assert_eq!(server.exchange(&get("/plaintext")).status, 200);
        assert!(server.stop().success());
    }
}

#[test]
fn a_kernel_without_landlock_is_logged_once_and_the_rest_applies() {
    for (model, command) in models() {
        let mut command = sandboxed(command, &ANY_PORT);
        // SAFETY: between fork and exec the closure makes system calls and allocates nothing.
        unsafe { command.pre_exec(|| os::unlearn(libc::SYS_landlock_create_ruleset)) };
        let mut server = Server::spawn(command);
        assert_eq!(server.exchange(&get("/plaintext")).status, 200);
        let pid = os::children(server.pid()).first().copied().unwrap_or(server.pid());
        assert!(has_no_new_privileges(pid));
        assert!(server.stop().success());
        let expected = format!(
            "{model}: --sandbox: Landlock is not available (Function not implemented (os error 38)): \
             file system and network are not confined; no_new_privs is set\n"
        );
        assert!(server.stderr().starts_with(&expected), "{}", server.stderr());
        assert_eq!(server.stderr().matches("--sandbox").count(), 1, "{}", server.stderr());
    }
}
