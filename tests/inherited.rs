//! What a server inherits of the process that starts it: ignored and blocked signals, a mask for
//! files' modes, limits. Under every model it serves, stops, and replaces what has died, whatever
//! that is.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::io;
use std::mem;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::ptr;

use common::server::{has_master, models};
use common::successor::Successor;
use common::{Server, get, observe, os, processes, until};

/// Those that a server reads.
const READ: [i32; 6] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2];

/// Between fork and exec: ignores these signals.
fn ignore(signals: &[i32]) -> io::Result<()> {
    for &signal in signals {
        // SAFETY: SIG_IGN runs no code.
        if unsafe { libc::signal(signal, libc::SIG_IGN) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Between fork and exec: blocks every signal there is.
fn block_all() -> io::Result<()> {
    // SAFETY: the set is initialised by the first call and read by the second.
    let result = unsafe {
        let mut all: libc::sigset_t = mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Between fork and exec: bounds the size of files that are written.
fn limit_file_size(bytes: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: `limit` is a valid limit that lives through the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn prepared(
    mut command: Command,
    prepare: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> Command {
    command.args(["--listen", "127.0.0.1:0", "--demo"]);
    // SAFETY: between fork and exec the closures of this file make system calls only.
    unsafe { command.pre_exec(prepare) };
    command
}

#[test]
fn signals_that_were_ignored_or_blocked_are_heard_and_children_are_waited_for() {
    for (model, command) in models() {
        let mut server = Server::spawn(prepared(command, || {
            ignore(&READ)?;
            ignore(&[libc::SIGCHLD])?;
            block_all()
        }));
        assert_eq!(server.get("/plaintext").status, 200, "{model}");
        if has_master(model) {
            let worker = processes::children(server.pid())[0];
            os::signal(worker, libc::SIGKILL);
            until("a successor", || {
                let now = processes::children(server.pid());
                !now.contains(&worker) && !now.is_empty()
            });
            assert_eq!(server.get("/plaintext").status, 200, "{model}");
        }
        assert_eq!(server.stop().code(), Some(0), "{model}");
    }
}

#[test]
fn children_that_end_are_noticed_after_an_upgrade_that_failed_so_that_there_can_be_another() {
    let folder = tempfile::tempdir().expect("a folder");
    for (model, command) in models() {
        let (command, path) = common::successor::copied(&command, folder.path());
        let good = path.with_extension("good");
        let copied = Command::new("cp").arg(&path).arg(&good).status();
        assert!(copied.expect("cp(1)").success());
        let server = Server::spawn(prepared(command, || ignore(&[libc::SIGCHLD])));
        common::successor::spoil(&path);
        server.signal(libc::SIGUSR2);
        until("its failure", || server.stderr().contains("upgrade failed"));
        fs::rename(&good, &path).expect("the binary in its place again");
        let successor = Successor::of(&server);
        assert_eq!(server.get("/plaintext").status, 200, "{model}");
        successor.stop();
    }
}

/// The signal comes with a system call: that which makes the listener.
#[test]
fn a_signal_before_the_server_reads_signals_waits_until_it_does() {
    if !observe::can_trace("signals while a server starts") {
        return;
    }
    for (model, command) in models() {
        for signal in ["HUP", "USR1", "TERM"] {
            let mut traced = Command::new("strace");
            traced.args(["-D", "-o", "/dev/null", "-e", "trace=listen", "-e"]);
            traced.arg(format!("inject=listen:signal={signal}:when=1"));
            traced.arg(command.get_program()).args(command.get_args());
            traced.args(["--listen", "127.0.0.1:0", "--demo"]);
            if signal == "TERM" {
                let output = traced.output().expect("a server");
                let text = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(0), "{model}, {signal}: {text}");
                continue;
            }
            let mut server = Server::spawn(traced);
            assert_eq!(server.get("/plaintext").status, 200, "{model}, {signal}");
            assert_eq!(server.stop().code(), Some(0), "{model}, {signal}");
        }
    }
}

#[test]
fn the_owner_can_open_a_new_log_again_whatever_the_mask() {
    let folder = tempfile::tempdir().expect("a folder");
    for (model, mut command) in models() {
        let log = folder.path().join(model);
        command.args(["--access-log", "common", "--log-file"]).arg(&log);
        let mut server = Server::spawn(prepared(command, || {
            // SAFETY: takes no pointer.
            unsafe { libc::umask(0o777) };
            Ok(())
        }));
        let mode = fs::metadata(&log).expect("the log").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{model}: the mask holds for all others");
        assert!(server.stop().success(), "{model}");
    }
}

/// A client whose requests add some 10 KiB to the log.
fn fill_log(server: &Server, name: &str) {
    for i in 0..5 {
        let target = format!("/plaintext?{name}{i}={}", "x".repeat(2000));
        assert_eq!(server.exchange(&get(&target)).status, 200);
    }
}

#[test]
fn a_limit_on_the_size_of_files_costs_log_lines_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    for (model, mut command) in models() {
        let log = folder.path().join(model);
        command.args(["--access-log", "common", "--log-file"]).arg(&log);
        if has_master(model) {
            command.args(["--workers", "1"]);
        }
        let mut server = Server::spawn(prepared(command, || limit_file_size(4096)));
        fill_log(&server, "first");
        until("the limit", || fs::metadata(&log).expect("the log").len() == 4096);
        fill_log(&server, "second");
        // A new file has room again, for a part of what waits.
        until("it is written again", || {
            let _ = fs::rename(&log, log.with_extension("old"));
            server.signal(libc::SIGUSR1);
            assert_eq!(server.exchange(&get("/plaintext?third")).status, 200, "{model}");
            server.stderr().contains("is written again; lines lost: ")
        });
        let text = server.stderr();
        assert_eq!(
            text.matches(": File too large (os error 27); trying again").count(),
            1,
            "{text}"
        );
        assert_eq!(server.stop().code(), Some(0), "{model}: {text}");
    }
}
