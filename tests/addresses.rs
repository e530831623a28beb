//! Where every model listens: addresses that overlap, permissions of Unix sockets, and which peers
//! are trusted.

mod common;

use std::fs;
use std::net::TcpListener;
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

/// The one line of a server that does not start.
fn refusal(mut command: Command, listen: &[&str]) -> String {
    command.args(listen.iter().flat_map(|listen| ["--listen", listen]));
    let output = command.output().expect("running it");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

#[test]
fn addresses_that_overlap_are_refused_with_both_names() {
    let folder = tempfile::tempdir().expect("a directory");
    let at = |path: &str| format!("unix:{}/{path}", folder.path().display());
    let (here, again) = (at("socket"), at("sub/../socket"));
    fs::create_dir(folder.path().join("sub")).expect("a directory");
    for (model, _) in models() {
        for (first, second, includes) in [
            (":81", "127.0.0.1:81", "[::]:81 (all addresses)"),
            ("[::]:81", "[::1]:81", "[::]:81 (all addresses)"),
            ("0.0.0.0:81", "127.0.0.2:81", "0.0.0.0:81"),
            (&here, &again, &here),
        ] {
            let (_, command) = models().into_iter().find(|(name, _)| *name == model).unwrap();
            let why = format!("it overlaps {includes}; omit one of them");
            let line = format!("{model}: cannot listen on {second}: {why}\n");
            assert_eq!(refusal(command, &[first, second]), line);
        }
    }
}

#[test]
fn the_first_line_says_what_is_bound() {
    if TcpListener::bind("[::1]:0").is_err() {
        return println!("SKIPPED: IPv6 (this machine has none)");
    }
    let both = ["all IPv6 addresses", "all IPv4 addresses"];
    for (model, mut command) in models() {
        let free = TcpListener::bind("[::]:0").expect("a port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        command.args(["--demo", "--listen", &format!("[::]:{port}")]);
        command.args(["--listen", &format!("0.0.0.0:{port}")]);
        let server = Server::spawn_listening(command, 2);
        let expected = both.map(|which| format!("http://localhost:{port} ({which})"));
        assert_eq!(server.addresses(), expected, "{model}");
        for address in [format!("127.0.0.2:{port}"), format!("[::1]:{port}")] {
            let mut client = Client::connect(address.parse().expect("an address"));
            assert_eq!(client.get("/plaintext").status, 200, "{model}: {address}");
        }
    }
}

/// Also where several listeners share a port, which another process of the same user could join.
#[test]
fn a_port_is_not_shared_with_another_server() {
    for (model, mut command) in models() {
        command.args(["--demo", "--listen", "127.0.0.1:0"]);
        let server = Server::spawn(command);
        let port = server.address().port();
        for second in [format!("127.0.0.1:{port}"), format!(":{port}")] {
            let (_, command) = models().into_iter().find(|(name, _)| *name == model).unwrap();
            let line = refusal(command, &[&second]);
            assert!(line.contains("already in use; stop the other server"), "{model}: {line}");
        }
    }
}
