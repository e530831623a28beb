//! A server that is process 1 of a container, and one whose supervisor knows it by its process:
//! neither can be replaced by another process, and process 1 waits for orphans.

#![cfg(target_os = "linux")]

mod common;

use std::process::{Command, Stdio};

use common::processes::{children, state};
use common::server::{has_master, models};
use common::{Server, os, until};

/// The command as process 1 of a PID namespace of its own.
fn contained(command: &Command) -> Command {
    let mut contained = Command::new("unshare");
    contained.args(["--pid", "--fork", "--mount-proc", "--kill-child", "--"]);
    contained.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs().filter(|(_, value)| value.is_none()) {
        assert!(value.is_none());
        contained.env_remove(name);
    }
    contained
}

/// Whether there can be a PID namespace; says so where not.
fn can_contain() -> bool {
    let probe = contained(&Command::new("true")).stderr(Stdio::null()).status();
    let can = probe.is_ok_and(|status| status.success());
    if !can {
        println!("SKIPPED: no PID namespace can be made here");
    }
    can
}

/// Adds orphans to a namespace, which are children of no process but its first.
fn add_orphans(first: u32, count: usize) -> Vec<u32> {
    let own = children(first);
    let script = format!("for i in $(seq {count}); do (exec sleep 1000 &) ; done");
    let target = first.to_string();
    let status = Command::new("nsenter")
        .args(["--target", &target, "--pid", "sh", "-c", &script])
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("nsenter(1)").success());
    let orphans = || children(first).into_iter().filter(|pid| !own.contains(pid));
    until("they are orphans", || orphans().count() == count);
    orphans().collect()
}

fn zombies(pid: u32) -> usize {
    children(pid).into_iter().filter(|child| state(*child) == Some('Z')).count()
}

#[test]
fn process_one_refuses_upgrades_and_waits_for_orphans() {
    if !can_contain() {
        return;
    }
    for (model, mut command) in models() {
        command.args(["--listen", "127.0.0.1:0", "--demo"]);
        let server = Server::spawn(contained(&command));
        let first = children(server.pid())[0];
        assert_eq!(server.get("/plaintext").status, 200, "{model}");
        let orphans = add_orphans(first, 5);
        orphans.iter().for_each(|pid| os::signal(*pid, libc::SIGKILL));
        until("the orphans are gone", || orphans.iter().all(|pid| state(*pid).is_none()));

        os::signal(first, libc::SIGUSR2);
        let why = "upgrade failed: this is process 1, with which its container ends; \
                   start another container instead; this process continues to serve";
        until("it says why", || server.stderr().contains(why));
        assert_eq!(server.get("/plaintext").status, 200, "{model}");
        os::signal(first, libc::SIGTERM);
        until("its end", || children(server.pid()).is_empty());
    }
}

/// Those that end among orphans are reported by their status all the same.
#[test]
fn process_one_learns_of_its_own_children_as_ever() {
    if !can_contain() {
        return;
    }
    for (model, mut command) in models() {
        if !has_master(model) && model != "mp" {
            continue;
        }
        command.args(["--listen", "127.0.0.1:0", "--demo"]);
        let server = Server::spawn(contained(&command));
        let first = children(server.pid())[0];
        let mut client = server.connect();
        assert_eq!(client.get("/plaintext").status, 200);
        let own = children(first);
        let orphans = add_orphans(first, 3);
        os::signal(first, libc::SIGSTOP);
        orphans.iter().chain(&own[..1]).for_each(|pid| os::signal(*pid, libc::SIGKILL));
        until("all have ended", || zombies(first) == 4);
        os::signal(first, libc::SIGCONT);
        until("its status", || server.stderr().contains("signal: 9 (SIGKILL)"));
        until("all are waited for", || zombies(first) == 0);
    }
}

#[test]
fn upgrades_can_be_refused() {
    for (model, mut command) in models() {
        command.args(["--listen", "127.0.0.1:0", "--demo", "--no-upgrade"]);
        let mut server = Server::spawn(command);
        server.signal(libc::SIGUSR2);
        let why = "upgrade failed: --no-upgrade; restart the service instead; \
                   this process continues to serve";
        until("it says why", || server.stderr().contains(why));
        assert_eq!(server.get("/plaintext").status, 200, "{model}");
        assert!(server.stop().success());
        assert!(!server.stderr().contains("started the new program"), "{}", server.stderr());
    }
}
