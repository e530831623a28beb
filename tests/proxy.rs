//! Behind a balancer: the client address that a trusted balancer sends is logged, and no other peer
//! may set it.

mod common;

use std::fs;
use std::path::Path;

use common::{Client, Server, get};

/// Version 2, PROXY, TCP over IPv4: 192.0.2.7:1000 to 198.51.100.1:80.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x03\xe8\0\x50";
/// Version 2, LOCAL: a balancer's own health check.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const V1: &[u8] = b"PROXY TCP4 192.0.2.8 198.51.100.1 1000 80\r\n";

/// A server that trusts `trusted`, and its log.
fn behind(folder: &Path, trusted: &str, more: &[&str]) -> Server {
    let log = folder.join("log");
    let log = log.to_str().expect("UTF-8");
    let arguments = ["--proxy-protocol", "--trusted", trusted, "--demo", "--no-status"];
    let log = ["--access-log", "common", "--log-file", log];
    Server::start(&[&arguments[..], &log, more].concat())
}

/// The first word of each line: the client's address.
fn logged(server: &mut Server, folder: &Path) -> Vec<String> {
    assert!(server.stop().success());
    let text = fs::read_to_string(folder.join("log")).expect("the log");
    text.lines().map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_log_names_the_balancers_client() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = behind(folder.path(), "127.0.0.0/8", &[]);
    let headers: [&[u8]; 4] = [V1, V2, LOCAL, b"PROXY UNKNOWN\r\n"];
    for header in headers {
        let mut client = server.connect();
        client.send(&[header, &get("/plaintext"), &get("/plaintext")].concat());
        for _ in 0..2 {
            assert_eq!(client.response().text(), "Hello, World!");
        }
        assert_eq!(client.get("/plaintext").status, 200);
    }
    let expected = ["192.0.2.8", "192.0.2.7", "127.0.0.1", "127.0.0.1"];
    let expected: Vec<&str> = expected.iter().flat_map(|peer| [*peer; 3]).collect();
    assert_eq!(logged(&mut server, folder.path()), expected);
}

#[test]
fn a_header_may_come_in_pieces_cut_anywhere() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = behind(folder.path(), "127.0.0.1", &[]);
    let mut served = 0;
    for header in [V1, V2, LOCAL] {
        let whole = [header, &get("/plaintext")].concat();
        for cut in 1..=header.len() + 1 {
            let mut client = server.connect();
            client.send(&whole[..cut]);
            client.send(&whole[cut..]);
            assert_eq!(client.response().text(), "Hello, World!");
            served += 1;
        }
    }
    let mut byte_by_byte = server.connect();
    [V2, &get("/plaintext")].concat().iter().for_each(|byte| byte_by_byte.send(&[*byte]));
    assert_eq!(byte_by_byte.response().status, 200);
    assert_eq!(logged(&mut server, folder.path()).len(), served + 1);
}

/// One with a long TLV does not fit into a small buffer.
#[test]
fn a_long_header_is_read_whole() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = behind(folder.path(), "127.0.0.1", &[]);
    let length = 4096 - 16;
    let tlv = length - 12 - 3;
    let mut header = V2.to_vec();
    header[14..16].copy_from_slice(&(length as u16).to_be_bytes());
    header.push(0xE0);
    header.extend_from_slice(&(tlv as u16).to_be_bytes());
    header.resize(4096, b'x');
    let whole = [&header[..], &get("/plaintext")].concat();
    for cut in [600, 4000, 4095, 4096, 4100] {
        let mut client = server.connect();
        client.send(&whole[..cut]);
        client.send(&whole[cut..]);
        assert_eq!(client.response().status, 200, "{cut}");
    }
    assert_eq!(logged(&mut server, folder.path()), ["192.0.2.7"; 5]);
}

#[test]
fn a_trusted_peer_that_sends_no_header_or_a_wrong_one_gets_no_answer() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = behind(folder.path(), "127.0.0.1", &[]);
    let broken: [&[u8]; 4] = [
        &get("/plaintext"),
        b"PROXY TCP4 1.2.3.4\r\n",
        b"\r\n\r\nGET",
        b"\r\n\r\n\0\r\nQUIT\n\x11",
    ];
    for bytes in broken {
        let mut client = server.connect();
        client.send(bytes);
        // FIN, or RST where there was more than it has read.
        assert!(client.read_to_end().map_or(true, |answer| answer.is_empty()), "{bytes:?}");
    }
    assert!(logged(&mut server, folder.path()).is_empty());
}

#[test]
fn a_peer_that_is_not_trusted_is_refused_whatever_it_sends() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = behind(folder.path(), "10.0.0.0/8", &[]);
    for bytes in [V1, V2, &get("/plaintext")] {
        let mut client = server.connect();
        let _ = client.try_send(bytes);
        assert!(client.read_to_end().map_or(true, |answer| answer.is_empty()));
    }
    assert!(logged(&mut server, folder.path()).is_empty());
}

#[test]
fn without_the_option_a_header_is_a_malformed_request() {
    let server = Server::demo();
    for header in [V1, V2] {
        assert_eq!(server.exchange(&[header, &get("/plaintext")].concat()).status, 400);
    }
}

#[test]
fn the_time_for_a_head_includes_the_header() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = behind(folder.path(), "127.0.0.1", &["--head-timeout", "200ms"]);
    let mut silent = server.connect();
    let mut in_header = server.connect();
    in_header.send(&V1[..10]);
    let mut in_head = server.connect();
    in_head.send(&[V1, b"GET / HT"].concat());
    assert!(silent.read_to_end().expect("FIN").is_empty());
    assert!(in_header.read_to_end().expect("FIN").is_empty());
    let answer = in_head.read_to_end().expect("408, then FIN");
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(logged(&mut server, folder.path()), ["192.0.2.8"]);
}

#[test]
fn connections_without_a_header_yet_do_not_delay_a_shutdown() {
    let folder = tempfile::tempdir().expect("a directory");
    let mut server = behind(folder.path(), "127.0.0.1", &["--drain-timeout", "10m"]);
    let _silent = server.connect();
    let mut client = server.connect();
    client.send(&[V1, &get("/plaintext")].concat());
    assert_eq!(client.response().status, 200);
    assert!(server.stop().success());
}

#[test]
fn a_unix_socket_is_trusted_by_its_name() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("socket");
    let listen = format!("unix:{}", path.display());
    let mut command = common::server::model();
    command.args(["--listen", &listen, "--proxy-protocol", "--trusted", "unix", "--demo"]);
    let _server = Server::spawn(command);
    let mut client = Client::connect_unix(&path);
    client.send(&[V2, &get("/plaintext")].concat());
    assert_eq!(client.response().text(), "Hello, World!");
}

#[test]
fn however_a_connection_comes_to_a_worker_its_header_is_read() {
    for accept in ["reuseport", "shared", "pass"] {
        let folder = tempfile::tempdir().expect("a directory");
        let log = folder.path().join("log");
        let mut command = common::server::symped();
        command.args(["--workers", "2", "--accept", accept, "--demo", "--listen", "127.0.0.1:0"]);
        command.args(["--proxy-protocol", "--trusted", "127.0.0.1", "--access-log", "common"]);
        command.arg("--log-file").arg(&log);
        let mut server = Server::spawn(command);
        for header in [V1, V2].repeat(8) {
            assert_eq!(server.exchange(&[header, &get("/plaintext")].concat()).status, 200);
        }
        let mut logged = logged(&mut server, folder.path());
        logged.sort();
        assert_eq!(logged, [["192.0.2.7"; 8], ["192.0.2.8"; 8]].concat(), "{accept}");
        let mut command = common::server::symped();
        command.args(["--accept", accept, "--demo", "--listen", "127.0.0.1:0"]);
        command.args(["--proxy-protocol", "--trusted", "10.0.0.0/8"]);
        let stranger = Server::spawn(command);
        let mut client = stranger.connect();
        let _ = client.try_send(&[V2, &get("/plaintext")].concat());
        assert!(client.read_to_end().map_or(true, |answer| answer.is_empty()), "{accept}");
    }
}
