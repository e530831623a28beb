//! Where every model listens: permissions of Unix sockets, and which peers are trusted.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use common::server::models;
use common::{Client, Server, get};

/// The permissions of the Unix socket of a server that is started with this umask.
fn mode_of_socket(mut command: Command, path: &Path, arguments: &[&str]) -> u32 {
    command.arg("--listen").arg(format!("unix:{}", path.display())).arg("--demo").args(arguments);
    // SAFETY: between fork and exec the closure makes one system call.
    unsafe {
        command.pre_exec(|| {
            libc::umask(0o077);
            Ok(())
        });
    }
    let mut server = Server::spawn(command);
    let mode = fs::metadata(path).expect("the socket").permissions().mode();
    assert_eq!(Client::connect_unix(path).get("/plaintext").status, 200);
    assert!(server.stop().success());
    mode & 0o7777
}

#[test]
fn a_unix_socket_lets_every_user_in_unless_its_mode_says_otherwise() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("socket");
    for (model, command) in models() {
        assert_eq!(mode_of_socket(command, &path, &[]), 0o666, "{model}");
    }
    for (model, command) in models() {
        assert_eq!(mode_of_socket(command, &path, &["--unix-mode", "0600"]), 0o600, "{model}");
    }
}

/// The port that a server says it listens on: `http://localhost:8080 (all addresses)`.
fn port(address: &str) -> u16 {
    let (address, _) = address.split_once(' ').unwrap_or((address, ""));
    let (_, port) = address.rsplit_once(':').expect("a port");
    port.parse().expect("a port")
}

#[test]
fn a_trusted_peer_may_be_named_as_a_mapped_address() {
    let header = b"PROXY TCP4 192.0.2.8 198.51.100.1 1000 80\r\n";
    for trusted in ["::ffff:127.0.0.1", "::ffff:127.0.0.0/104", "127.0.0.1"] {
        for (model, mut command) in models() {
            command.args(["--proxy-protocol", "--trusted", trusted, "--demo"]);
            // To the kernel, its IPv4 peers have mapped addresses.
            command.args(["--listen", "[::]:0"]);
            let server = Server::spawn(command);
            let port = port(&server.addresses()[0]);
            let mut client = Client::connect(([127, 0, 0, 1], port).into());
            client.send(&[&header[..], &get("/plaintext")].concat());
            assert_eq!(client.response().status, 200, "{model}: {trusted}");
        }
    }
}
