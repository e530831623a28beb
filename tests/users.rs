//! A server that is started by root and serves as another user (`--user`), under every model: what
//! that user opens is made for it and tried as it, and what it cannot do costs no service.

#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::processes::{self, children, until_workers};
use common::server::{has_master, models};
use common::successor::{Successor, copied};
use common::{Server, os, until};

const USER: u32 = 54321;

/// A folder that belongs to root, in which others may read; `None`, with the reason: not root.
fn roots_folder() -> Option<tempfile::TempDir> {
    if !os::is_root() {
        println!("SKIPPED: giving up privileges (there are none: this is not root)");
        return None;
    }
    let folder = tempfile::tempdir().expect("a directory");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("its mode");
    Some(folder)
}

/// A server that serves as the user.
fn as_user(mut command: Command) -> Command {
    command.args(["--listen", "127.0.0.1:0", "--demo", "--user", "54321", "--group", "54321"]);
    command
}

/// The same with a log in `folder`, which is that user's to write but not to make; and the log.
fn logged(command: Command, folder: &Path) -> (Command, PathBuf) {
    let log = folder.join("log");
    let _ = fs::remove_file(&log);
    let mut command = as_user(command);
    command.args(["--access-log", "common", "--log-file"]).arg(&log);
    (command, log)
}

fn lines(log: &Path) -> usize {
    fs::read_to_string(log).map_or(0, |text| text.lines().count())
}

/// One request is logged there, in time.
fn logs_to(server: &Server, log: &Path) {
    let before = lines(log);
    assert_eq!(server.get("/plaintext").status, 200);
    until("a line in the log", || lines(log) > before);
}

/// What a server says that does not start.
fn refusal(mut command: Command) -> String {
    let output = command.output().expect("running it");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn the_log_is_made_for_the_user_that_writes_it() {
    let Some(folder) = roots_folder() else { return };
    for (model, command) in models() {
        let (command, log) = logged(command, folder.path());
        let mut server = Server::spawn(command);
        let found = fs::metadata(&log).expect("the log");
        assert_eq!((found.uid(), found.mode() & 0o777), (USER, 0o640), "{model}");
        logs_to(&server, &log);
        assert!(server.stop().success());
        // What the first start has made is no obstacle to the next.
        let mut again = as_user(fresh(model));
        again.args(["--access-log", "common", "--log-file"]).arg(&log);
        logs_to(&Server::spawn(again), &log);
    }
}

#[test]
fn a_rotated_log_is_made_again_or_the_old_one_is_kept_with_a_line() {
    let Some(folder) = roots_folder() else { return };
    let old = folder.path().join("old");
    for (model, _) in models() {
        for signal in [libc::SIGUSR1, libc::SIGHUP] {
            let (command, log) = logged(fresh(model), folder.path());
            let server = Server::spawn(command);
            logs_to(&server, &log);
            fs::rename(&log, &old).expect("another name");
            server.signal(signal);
            if has_master(model) {
                until("a new log", || log.exists());
                assert_eq!(fs::metadata(&log).expect("the log").uid(), USER, "{model}");
                until("lines in it", || {
                    assert_eq!(server.get("/plaintext").status, 200);
                    lines(&log) > 0
                });
                continue;
            }
            let line = format!(
                "{model}: the access log could not be reopened: cannot open the log file {}: \
                 Permission denied (os error 13); make it for user {USER}, or let that user \
                 write to its folder; lines still go to the old file\n",
                log.display()
            );
            until("it is said", || server.stderr().contains(&line));
            logs_to(&server, &old);
            // As logrotate does with `create`.
            fs::write(&log, "").expect("a new log");
            chown(&log, Some(USER), None).expect("the user's");
            server.signal(signal);
            until("lines in it", || {
                assert_eq!(server.get("/plaintext").status, 200);
                lines(&log) > 0
            });
        }
    }
}

/// The processes that write it are one server's.
#[test]
fn a_log_that_cannot_be_written_is_one_line_of_all_processes() {
    if roots_folder().is_none() {
        return;
    }
    for (model, command) in models() {
        let mut command = as_user(command);
        command.args(["--access-log", "common", "--log-file", "/dev/full"]);
        if has_master(model) {
            command.args(["--workers", "2"]);
        }
        let mut server = Server::spawn(command);
        for _ in 0..20 {
            assert_eq!(server.get("/plaintext").status, 200, "{model}");
        }
        assert!(server.stop().success());
        let fails = "cannot write the access log";
        until("a line about it", || server.stderr().contains(fails));
        assert_eq!(server.stderr().matches(fails).count(), 1, "{model}: {}", server.stderr());
    }
}

fn fresh(model: &str) -> Command {
    models().into_iter().find(|(name, _)| *name == model).expect("a model").1
}

#[test]
fn after_a_rotation_workers_and_servers_are_replaced() {
    for model in ["symped", "prefork"] {
        let Some(folder) = roots_folder() else { return };
        let (command, log) = logged(fresh(model), folder.path());
        let (mut command, _) = copied(&command, folder.path());
        command.args(["--workers", "1"]);
        let mut server = Server::spawn(command);
        fs::rename(&log, folder.path().join("old")).expect("another name");
        let worker = children(server.pid())[0];
        processes::kill(worker, server.address().port());
        until_workers(&server, "another worker", |workers| workers[0].pid != worker);
        logs_to(&server, &log);
        fs::rename(&log, folder.path().join("old")).expect("another name");
        let successor = Successor::of(&server);
        assert!(server.wait().success());
        logs_to(&server, &log);
        successor.stop();
    }
}

#[test]
fn a_renewal_that_cannot_start_leaves_the_old_ones_serving_and_says_why() {
    for (model, command) in models() {
        let Some(folder) = roots_folder() else { return };
        let (command, log) = logged(command, folder.path());
        let (command, _) = copied(&command, folder.path());
        let server = Server::spawn(command);
        chown(&log, Some(0), Some(0)).expect("root's");
        let why = format!(
            "cannot open the log file {}: Permission denied (os error 13); \
             let user {USER} write it (chown, chmod)",
            log.display()
        );
        let workers = children(server.pid());
        server.signal(libc::SIGHUP);
        until("it says why", || server.stderr().contains(&why));
        if has_master(model) {
            let stays = "its predecessor continues to serve; trying again in 50 ms";
            until("it says what follows", || server.stderr().contains(stays));
            assert!(workers.iter().all(|worker| processes::is_alive(*worker)), "{model}");
        }
        assert_eq!(server.get("/plaintext").status, 200, "{model}");
        server.signal(libc::SIGUSR2);
        let failed = "exited before it was ready (exit status: 1); this process continues to serve";
        until("it says so", || server.stderr().contains(failed));
        assert!(server.stderr().contains(&format!("{model}: {why}\n")), "{}", server.stderr());
        assert_eq!(server.get("/plaintext").status, 200, "{model}");
    }
}

#[test]
fn what_the_user_cannot_open_is_one_line_at_the_start() {
    let Some(folder) = roots_folder() else { return };
    let log = folder.path().join("roots");
    fs::write(&log, "").expect("a log");
    fs::set_permissions(&log, Permissions::from_mode(0o640)).expect("its mode");
    let root = folder.path().join("root");
    fs::create_dir(&root).expect("a root");
    fs::set_permissions(&root, Permissions::from_mode(0o700)).expect("its mode");
    for (model, command) in models() {
        let mut command = as_user(command);
        command.args(["--access-log", "common", "--log-file"]).arg(&log);
        if model == "amped" {
            // A niceness of its own may be refused as well, if this test has a higher one.
            command.args(["--worker-priority", "normal"]);
        }
        let why = "Permission denied (os error 13); let user 54321 write it (chown, chmod)";
        let line = format!("{model}: cannot open the log file {}: {why}\n", log.display());
        assert_eq!(refusal(command), line);

        let mut command = as_user(fresh(model));
        command.arg("--root").arg(&root);
        let why = "user 54321 cannot search it: Permission denied (os error 13); \
                   change its mode or owner, or --user";
        assert_eq!(refusal(command), format!("{model}: --root {}: {why}\n", root.display()));
    }
    // The way to it need not be open to the user.
    let inner = root.join("inner");
    fs::create_dir(&inner).expect("a root");
    fs::set_permissions(&inner, Permissions::from_mode(0o755)).expect("its mode");
    fs::write(inner.join("page"), "text").expect("a page");
    for (model, command) in models() {
        let mut command = as_user(command);
        command.arg("--root").arg(&inner);
        command.args(["--cache-ttl", "0"]);
        let server = Server::spawn(command);
        assert_eq!(server.get("/page").text(), "text", "{model}");
        // But then it does not learn of another directory there.
        until("it says so", || server.stderr().contains("cannot be looked up again (Permission"));
        assert_eq!(server.get("/page").text(), "text", "{model}");
        assert_eq!(server.stderr().matches("--root").count(), 1, "{model}: {}", server.stderr());
    }
}

#[test]
fn a_socket_that_the_user_cannot_remove_is_reported_and_replaced_by_the_next_server() {
    let Some(folder) = roots_folder() else { return };
    let path = folder.path().join("socket");
    for (model, command) in models() {
        let mut command = as_user(command);
        command.arg("--listen").arg(format!("unix:{}", path.display()));
        let mut server = Server::spawn_listening(command, 2);
        assert!(server.stop().success());
        let line = format!("{model}: left the socket {} behind: Permission", path.display());
        assert_eq!(path.exists(), !has_master(model), "{model}");
        if !has_master(model) {
            until("it is said", || server.stderr().contains(&line));
        }
    }
}
