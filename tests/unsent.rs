//! What the kernel keeps for a client that does not read: it does not show in the memory of any
//! process, and without a bound it is the whole send buffer, megabytes for each.

mod common;

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use common::server::models;
use common::{Client, Server, get, observe, steady};

/// Begun below the mark, a segment is filled; and some bytes fit the client's own window.
const BEYOND: u64 = 72 << 10;
/// Bytes of the file: more than any send buffer.
const FILE: u64 = 64 << 20;

fn serving(mut command: Command, root: &Path, arguments: &[&str]) -> Server {
    command.args(["--listen=127.0.0.1:0", "--demo", "--root"]).arg(root).args(arguments);
    Server::spawn(command)
}

/// Bytes that the kernel keeps once the server can send no more.
fn kept_after(server: &Server, requests: &[u8]) -> u64 {
    let mut client = Client::connect_with_window(server.address(), 4096);
    client.send(requests);
    client.read_head().expect("an answer");
    let still = Duration::from_millis(100);
    steady("what is kept for it", still, || observe::kept_for(server, &client))
}

/// A file, bytes that are made, small answers to pipelined requests: by sendfile or by send.
fn keeps_little(model: &str, server: &Server, lowat: u64) {
    let small = get("/bytes?n=30000").repeat(200);
    for requests in [get("/large"), get("/bytes?n=64000000"), small] {
        let kept = kept_after(server, &requests);
        assert!((lowat / 2..lowat + BEYOND).contains(&kept), "{model}: {kept} bytes of {lowat}");
    }
}

#[test]
fn a_client_that_does_not_read_makes_the_kernel_keep_little_in_every_model() {
    let root = tempfile::tempdir().expect("a directory");
    let large = File::create(root.path().join("large")).expect("a file");
    large.set_len(FILE).expect("its length");
    for (arguments, lowat) in [
        (&[][..], 32 << 10),
        (&["--notsent-lowat=128K"], 128 << 10),
        (&["--notsent-lowat=16K", "--no-sendfile"], 16 << 10),
    ] {
        thread::scope(|scope| {
            for (model, command) in models() {
                let server = serving(command, root.path(), arguments);
                scope.spawn(move || keeps_little(model, &server, lowat));
            }
        });
    }
}
