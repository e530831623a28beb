//! Messages to the operator under every model: what cannot be written costs a server neither its
//! life nor its time.

#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use common::server::{has_master, models};
use common::{Client, os, processes, until};

/// A server that need not say where it listens: it is given a socket.
struct Silent {
    child: Child,
    address: SocketAddr,
}

impl Silent {
    fn start(model: &str, mut command: Command) -> Silent {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let socket = listener.as_raw_fd();
        // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
        unsafe { command.pre_exec(move || os::duplicate_to(socket, 7)) };
        let address = listener.local_addr().expect("its address");
        command.args(["--demo", "--listen", "fd:7"]);
        if has_master(model) {
            // With more, one may serve before the others can.
            command.args(["--workers", "1"]);
        }
        let child = command.spawn().expect("a server");
        Silent { child, address }
    }

    /// Answers; a client that gets no answer fails after a while.
    #[track_caller]
    fn answers(&self) {
        assert_eq!(Client::connect(self.address).get("/plaintext").status, 200);
    }

    fn messages_dropped(&self) -> u64 {
        let page = Client::connect(self.address).get("/metrics");
        let name = "stampede_report_lines_dropped_total ";
        let line = page.text().lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        line.expect("the metric").parse().expect("a number")
    }

    fn signal(&self, signal: i32) {
        os::signal(self.child.id(), signal);
    }

    fn stop(mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        until("the server's end", || self.child.try_wait().expect("our child").is_some());
        self.child.wait().expect("our child")
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has the server report something: its log cannot be opened again.
fn provoke(server: &Silent, logs: &Path) {
    let _ = fs::remove_dir_all(logs);
    let before = server.messages_dropped();
    until("a message that is dropped", || {
        server.signal(libc::SIGUSR1);
        server.messages_dropped() > before
    });
}

fn with_log(command: &mut Command, folder: &Path) {
    fs::create_dir_all(folder).expect("a folder for logs");
    command.args(["--access-log", "common", "--log-file"]).arg(folder.join("log"));
}

#[test]
fn a_full_standard_error_that_is_not_read_delays_nothing_and_what_is_lost_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = folder.path().join("logs");
    for (model, mut command) in models() {
        let (mut reader, writer) = os::full_pipe();
        with_log(&mut command, &logs);
        command.stderr(writer);
        let server = Silent::start(model, command);
        server.answers();
        until("it does not say that it listens", || server.messages_dropped() > 0);
        provoke(&server, &logs);
        server.answers();
        // There is room again.
        let mut text = vec![0; 64 * 1024];
        reader.read_exact(&mut text).expect("what filled the pipe");
        until("messages again", || {
            server.signal(libc::SIGUSR1);
            os::readable_within(&reader, std::time::Duration::from_millis(100))
        });
        assert!(server.stop().success(), "{model}");
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("messages");
        let first = text.lines().next().expect("a message");
        assert!(first.starts_with(&format!("{model}: ")), "{text}");
        assert!(first.ends_with("before this one could not be written here"), "{text}");
    }
}

#[test]
fn a_standard_error_on_a_full_disk_ends_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = folder.path().join("logs");
    for (model, mut command) in models() {
        with_log(&mut command, &logs);
        let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        command.stdout(full.try_clone().expect("a copy")).stderr(full);
        let server = Silent::start(model, command);
        server.answers();
        provoke(&server, &logs);
        server.answers();
        assert!(server.stop().success(), "{model}");
    }
}

#[test]
fn a_server_starts_without_standard_descriptors_and_puts_no_socket_in_their_place() {
    for (model, mut command) in models() {
        command.args(["--access-log", "common"]);
        let close = || {
            // SAFETY: takes no pointer; between fork and exec nothing else uses them.
            (0..3).for_each(|fd| assert_eq!(unsafe { libc::close(fd) }, 0));
            Ok(())
        };
        // SAFETY: between fork and exec the closure makes system calls only.
        unsafe { command.pre_exec(close) };
        let server = Silent::start(model, command);
        server.answers();
        for process in [server.child.id()].into_iter().chain(processes::children(server.child.id()))
        {
            for fd in 0..3 {
                let Ok(target) = fs::read_link(format!("/proc/{process}/fd/{fd}")) else {
                    continue; // a child that has ended since
                };
                assert_eq!(target, Path::new("/dev/null"), "{model}: descriptor {fd}");
            }
        }
        assert!(server.stop().success(), "{model}");
    }
}

#[test]
fn a_master_whose_standard_error_is_broken_replaces_workers_that_die() {
    for (model, mut command) in models() {
        if !has_master(model) {
            continue;
        }
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        command.stderr(writer);
        let server = Silent::start(model, command);
        server.answers();
        let worker = processes::children(server.child.id())[0];
        os::signal(worker, libc::SIGKILL);
        until("a successor", || {
            processes::children(server.child.id()).iter().any(|c| *c != worker)
        });
        server.answers();
        assert!(server.stop().success(), "{model}");
    }
}

/// With no standard input, and the given output.
fn run(mut command: Command, arguments: &[&str], stdout: Stdio) -> Output {
    let child = command.args(arguments).stdout(stdout).stderr(Stdio::piped()).spawn();
    child.expect("starting it").wait_with_output().expect("its end")
}

#[test]
fn help_that_is_not_read_ends_quietly() {
    for argument in ["--help", "--version"] {
        for (model, command) in models() {
            let (reader, writer) = io::pipe().expect("a pipe");
            drop(reader);
            let output = run(command, &[argument], writer.into());
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && text.is_empty(), "{model}: {text}");
        }
    }
}

#[test]
fn help_that_cannot_be_written_is_an_error_in_one_line() {
    for (model, command) in models() {
        let full: File = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let output = run(command, &["--help"], full.into());
        let text = String::from_utf8_lossy(&output.stderr);
        let why = "cannot write to standard output: No space left on device (os error 28)";
        assert_eq!((output.status.code(), text.trim_end()), (Some(1), &*format!("{model}: {why}")));
    }
}
