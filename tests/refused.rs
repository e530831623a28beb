//! What the kernel or a sandbox refuses: every model either does without, or ends at the start, with
//! one line that names the thing, the cause and what may help. None tries for ever in silence.

#![cfg(target_os = "linux")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use common::server::{has_master, models};
use common::{Client, Server, observe, os, processes, until};

/// What became of a server that was started.
enum Outcome {
    /// It answers, and stops when it is asked to.
    Serves,
    /// It has ended: status and messages.
    Ended(Option<i32>, String),
}

/// A process that a failed test does not leave behind.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a server, and sees what becomes of it.
#[track_caller]
fn outcome(mut command: Command) -> Outcome {
    command.args(["--listen", "127.0.0.1:0", "--demo"]);
    let mut child = Killed(command.stderr(Stdio::piped()).spawn().expect("starting it"));
    let Killed(child) = &mut child;
    let mut messages = BufReader::new(child.stderr.take().expect("standard error is a pipe"));
    let mut text = String::new();
    while messages.read_line(&mut text).expect("messages") > 0 {
        if let Some((_, address)) = text.trim_end().rsplit_once("listening on http://") {
            let mut client = Client::connect(address.parse().expect("an address"));
            assert_eq!(client.get("/plaintext").status, 200, "{text}");
            os::signal(child.id(), libc::SIGTERM);
            assert_eq!(ends(child), Some(0), "{text}");
            return Outcome::Serves;
        }
    }
    Outcome::Ended(ends(child), text)
}

#[track_caller]
fn ends(child: &mut Child) -> Option<i32> {
    until("the server's end", || child.try_wait().expect("our child").is_some());
    child.wait().expect("our child").code()
}

fn without(mut command: Command, call: libc::c_long) -> Command {
    // SAFETY: between fork and exec the closure makes system calls and allocates nothing.
    unsafe { command.pre_exec(move || os::unlearn(call)) };
    command
}

/// A command under strace(1), which has `calls` fail with `error`.
fn failing(command: &Command, calls: &str, error: &str) -> Command {
    let mut traced = Command::new("strace");
    traced.args(["-D", "-f", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e"]);
    traced.arg(format!("inject={calls}:error={error}"));
    traced.arg(command.get_program()).args(command.get_args());
    traced
}

/// Lines in which a server says what failed, why, and what may help.
#[track_caller]
fn assert_explained(model: &str, text: &str, what: &str, help: &str) {
    let named = format!("{model}: {what}");
    let line = text.lines().find(|line| line.starts_with(&named));
    let line = line.unwrap_or_else(|| panic!("{model}: {what} is not in: {text}"));
    assert!(line.contains("(os error ") && line.contains(help), "{line}");
}

#[test]
fn a_facility_that_no_server_can_do_without_is_named_at_the_start() {
    for (call, what) in [
        (libc::SYS_epoll_create1, "cannot make an event loop: "),
        (libc::SYS_signalfd4, "cannot read signals as events: "),
    ] {
        for (model, command) in models() {
            let Outcome::Ended(status, text) = outcome(without(command, call)) else {
                panic!("{model} serves without {what}");
            };
            assert_eq!(status, Some(1), "{model}: {text}");
            assert_eq!(text.lines().count(), 1, "{model}: {text}");
            assert_explained(model, &text, what, "or a sandbox (seccomp) forbids it");
        }
    }
}

#[test]
fn a_waker_that_cannot_be_made_is_named_where_one_is_needed() {
    for (model, command) in models() {
        match outcome(without(command, libc::SYS_eventfd2)) {
            Outcome::Serves => assert!(matches!(model, "mp" | "sped" | "symped"), "{model}"),
            Outcome::Ended(status, text) => {
                assert_eq!(status, Some(1), "{model}: {text}");
                let what = "cannot make an event loop's waker: ";
                assert_explained(model, &text, what, "or a sandbox (seccomp) forbids it");
            }
        }
    }
}

#[test]
fn what_a_server_can_do_without_it_does_without() {
    for call in [
        libc::SYS_accept4,
        libc::SYS_pidfd_open,
        libc::SYS_pwritev2,
        libc::SYS_openat2,
        libc::SYS_sched_getaffinity,
        libc::SYS_getrandom,
        libc::SYS_statx,
        libc::SYS_umask,
    ] {
        for (model, command) in models() {
            match outcome(without(command, call)) {
                Outcome::Serves => {}
                Outcome::Ended(status, text) => panic!("{model}, {call}: {status:?}, {text}"),
            }
        }
    }
}

#[test]
fn without_pidfds_workers_that_die_are_replaced_and_an_upgrade_is_refused() {
    for (model, mut command) in models() {
        command.args(["--listen", "127.0.0.1:0", "--demo"]);
        let mut server = Server::spawn(without(command, libc::SYS_pidfd_open));
        if has_master(model) {
            let worker = processes::children(server.pid())[0];
            os::signal(worker, libc::SIGKILL);
            until("a successor", || !processes::children(server.pid()).contains(&worker));
            until("it is reported", || {
                server.stderr().contains(&format!("(process {worker}, signal: 9 (SIGKILL)"))
            });
        }
        server.signal(libc::SIGUSR2);
        until("the upgrade is refused", || server.stderr().contains("upgrade failed: "));
        assert!(server.stderr().contains("pidfd_open(2) is missing or forbidden"), "{model}");
        assert_eq!(server.get("/plaintext").status, 200, "{model}");
        assert_eq!(server.stop().code(), Some(0), "{model}");
    }
}

#[test]
fn a_process_or_thread_that_cannot_be_had_at_the_start_is_named_with_the_limits() {
    if !observe::can_trace("threads that are refused") {
        return;
    }
    for (model, command) in models() {
        let what = match model {
            "prefork" | "symped" => "cannot start worker 0: ",
            "amped" => "cannot start worker 0 of ",
            "seda" => "cannot start a reader's thread: ",
            "mn" => "cannot start the carriers of green threads: ",
            // They have a process or a thread for each connection, or none.
            _ => continue,
        };
        let Outcome::Ended(status, text) = outcome(failing(&command, "clone,clone3", "EAGAIN"))
        else {
            panic!("{model} serves without threads");
        };
        assert_eq!((status, text.lines().count()), (Some(1), 1), "{model}: {text}");
        assert_explained(model, &text, what, "(ulimit -u, TasksMax=, pids.max)");
    }
}

#[test]
fn a_process_or_thread_that_cannot_be_had_for_a_connection_is_named_once() {
    if !observe::can_trace("threads that are refused") {
        return;
    }
    for (model, mut command) in models() {
        let what = match model {
            "mp" => "cannot fork for a connection; trying again: ",
            "mt" => "cannot start a thread for a connection; trying again: ",
            _ => continue,
        };
        command.args(["--listen", "127.0.0.1:0", "--drain-timeout", "0"]);
        let mut server = Server::spawn(failing(&command, "clone,clone3", "EAGAIN"));
        let _client = server.connect();
        until("it is reported", || server.stderr().contains(what));
        assert_explained(model, &server.stderr(), what, "(ulimit -u, TasksMax=, pids.max)");
        server.stop();
        assert_eq!(server.stderr().matches(what).count(), 1, "{model}: {}", server.stderr());
    }
}

/// `EPERM` is also what a firewall's rule makes of a connection that is to be accepted.
#[test]
fn accepting_that_is_refused_is_reported_and_does_not_keep_a_server_from_stopping() {
    if !observe::can_trace("accepting that is refused") {
        return;
    }
    for (model, mut command) in models() {
        command.args(["--listen", "127.0.0.1:0"]);
        let mut server = Server::spawn(failing(&command, "accept4,accept", "EPERM"));
        let _client = server.connect();
        let what = "cannot accept connections (";
        until("it is reported", || server.stderr().contains(what));
        assert_eq!(server.stop().code(), Some(0), "{model}");
    }
}

/// As with clients that reset their connection at once, where the system tells.
#[test]
fn a_connection_that_ends_before_it_is_accepted_is_no_failure_of_accepting() {
    if !observe::can_trace("connections that end early") {
        return;
    }
    let pass = {
        let mut command = common::server::symped();
        command.args(["--accept", "pass"]);
        ("symped", command)
    };
    for (model, mut command) in models().into_iter().chain([pass]) {
        command.args(["--listen", "127.0.0.1:0", "--demo"]);
        let mut server = Server::spawn(failing(&command, "accept4", "ECONNABORTED:when=1..3"));
        for _ in 0..4 {
            assert_eq!(server.get("/plaintext").status, 200, "{model}");
        }
        assert_eq!(server.metric("accept_pauses_total"), 0, "{model}");
        assert_eq!(server.stop().code(), Some(0), "{model}");
        assert!(!server.stderr().contains("cannot accept"), "{model}: {}", server.stderr());
    }
}

/// Nothing that a server prints ends in a bare error of the system.
#[test]
fn memory_that_is_refused_is_named() {
    for (model, mut command) in models() {
        command.args(["--buffers", "1000000"]);
        let limit = libc::rlimit { rlim_cur: 1 << 30, rlim_max: 1 << 30 };
        // SAFETY: between fork and exec the closure makes one system call; the limit is valid.
        unsafe {
            command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_AS, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        command.args(["--listen", "127.0.0.1:0", "--demo"]).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starting it");
        let mut text = String::new();
        let mut messages = BufReader::new(child.stderr.take().expect("a pipe"));
        messages.read_line(&mut text).expect("a message");
        if text.contains("listening on") {
            // Its connections share no buffers.
            child.kill().expect("killing it");
        } else {
            assert!(text.starts_with(&format!("{model}: ")), "{text}");
            assert!(text.contains("(os error 12); "), "{text}");
        }
        let _ = messages.read_to_string(&mut text);
        let _ = child.wait();
    }
}
