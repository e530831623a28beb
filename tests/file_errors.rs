//! Errors of the disk and of file systems are the server's, not the client's: what `sendfile(2)`
//! does not take is read and sent, and what cannot be read is counted, reported and cut short.
//!
//! The errors are injected by strace.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Server, get, observe, server, until};

/// A file too large to be kept in memory: it is sent from its descriptor.
const LARGE: usize = 600_000;

/// A root with a large file.
fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    fs::write(root.path().join("large"), vec![b'x'; LARGE]).expect("a file");
    root
}

/// A model whose system calls fail as `inject` says.
fn start(command: &Command, root: &Path, inject: &str, arguments: &[&str]) -> Server {
    let mut traced = Command::new("strace");
    traced.args(["-D", "-f", "-qq", "-o", "/dev/null"]);
    let call = inject.split(':').next().expect("a call");
    traced.args(["-e", &format!("trace={call}"), "-e", &format!("inject={inject}")]);
    // The dynamic linker reads, too.
    for name in ["large", "small"] {
        traced.arg("-P").arg(root.join(name));
    }
    traced.arg(command.get_program()).args(command.get_args());
    traced.args(["--listen", "127.0.0.1:0", "--demo", "--root"]).arg(root).args(arguments);
    Server::spawn(traced)
}

/// How many lines of the server's messages hold `text`.
fn lines(server: &Server, text: &str) -> usize {
    server.stderr().lines().filter(|line| line.contains(text)).count()
}

#[track_caller]
fn expect_read_and_sent(name: &str, server: &Server) {
    for _ in 0..3 {
        let answer = server.get("/large");
        assert_eq!((answer.status, answer.body.len()), (200, LARGE), "{name}");
    }
    assert_eq!(lines(server, "sendfile(2) does not work"), 1, "{name}: {}", server.stderr());
    assert_eq!(server.metric("connections_reset_total"), 0, "{name}");
    assert_eq!(server.metric("file_read_errors_total"), 0, "{name}");
}

#[test]
fn a_file_system_without_sendfile_is_read_from_under_every_model() {
    if !observe::can_trace("a file system without sendfile") {
        return;
    }
    let root = root();
    for (name, command) in server::models() {
        let server = start(&command, root.path(), "sendfile:error=EINVAL", &[]);
        expect_read_and_sent(name, &server);
    }
}

#[test]
fn so_is_one_whose_kernel_or_filter_has_no_such_call() {
    if !observe::can_trace("a kernel without sendfile") {
        return;
    }
    let root = root();
    for error in ["ENOSYS", "EOPNOTSUPP", "EPERM"] {
        let inject = format!("sendfile:error={error}");
        expect_read_and_sent(error, &start(&server::sped(), root.path(), &inject, &[]));
    }
}

/// Asks for the large file, of which nothing can be read, and expects that to be the server's
/// failure.
#[track_caller]
fn expect_a_read_error(name: &str, server: &Server, error: &str) {
    let mut client = server.connect();
    client.send(&get("/large"));
    let bytes = client.read_to_end().expect("an end, not a reset");
    assert!(bytes.len() < LARGE, "{name}: {} bytes", bytes.len());
    drop(client);
    server.until_metric("file_read_errors_total", 1);
    assert_eq!(server.metric("connections_reset_total"), 0, "{name}");
    assert_eq!(server.metric("responses_aborted_total"), 1, "{name}");
    until("a line about the file", || lines(server, error) == 1);
    assert_eq!(lines(server, &format!("/large\": {error}")), 1, "{name}: {}", server.stderr());
}

#[test]
fn a_disks_error_is_counted_and_reported_as_the_servers_under_every_model() {
    if !observe::can_trace("an error of the disk") {
        return;
    }
    let root = root();
    for (name, command) in server::models() {
        let server = start(&command, root.path(), "sendfile:error=EIO", &[]);
        expect_a_read_error(name, &server, "Input/output error");
    }
}

/// A connection fails by these, too, but then it has no peer any more.
#[test]
fn so_is_one_of_a_file_server_that_is_gone() {
    if !observe::can_trace("a file server that is gone") {
        return;
    }
    let root = root();
    for (error, text) in
        [("ENOTCONN", "Transport endpoint is not connected"), ("ETIMEDOUT", "Connection timed out")]
    {
        let inject = format!("sendfile:error={error}");
        for command in [server::sped(), server::mt()] {
            let server = start(&command, root.path(), &inject, &[]);
            expect_a_read_error(error, &server, text);
        }
    }
}

#[test]
fn so_is_one_of_a_read_without_sendfile() {
    if !observe::can_trace("an error of the disk while reading") {
        return;
    }
    let root = root();
    for (name, command) in [("sped", server::sped()), ("mt", server::mt())] {
        let server = start(&command, root.path(), "pread64:error=EIO", &["--no-sendfile"]);
        expect_a_read_error(name, &server, "Input/output error");
    }
    let small = root.path().join("small");
    fs::write(small, "small").expect("a file");
    for (name, command) in server::models() {
        let server = start(&command, root.path(), "pread64,preadv2:error=EIO", &[]);
        assert_eq!(server.get("/small").status, 500, "{name}");
        assert_eq!(server.metric("file_read_errors_total"), 1, "{name}");
        until("a line about the file", || lines(&server, "Input/output error") == 1);
    }
}
