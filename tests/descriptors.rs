//! Descriptors: those that connections use are returned, and running out of them stops nothing but
//! accepting.

mod common;

use std::process::Command;
use std::time::Duration;

use common::{Client, Server, get, observe, os, post, until};

#[test]
fn ten_thousand_connections_later_the_descriptors_are_where_they_were() {
    const CONNECTIONS: usize = 10_000;
    let wave = 250.min(os::raise_descriptor_limit() as usize / 4);
    let server = Server::demo();
    server.get("/plaintext");
    server.until_metric("connections_open", 1);
    until("the first connections are gone", || server.metric("connections_open") == 1);
    let before = observe::descriptors(server.pid());
    let half_a_body = post("/echo", &[], b"0123456789");
    let half_a_body = &half_a_body[..half_a_body.len() - 5];
    for first in (0..CONNECTIONS).step_by(wave) {
        let mut clients: Vec<Client> = (0..wave).map(|_| server.connect()).collect();
        for (i, client) in clients.iter_mut().enumerate() {
            match (first + i) % 5 {
                0 => client.send(b"GET /plaintext HTTP/1.1\r\nHo"),
                1 => client.send(half_a_body),
                2 => {}
                _ => client.send(&get("/plaintext")),
            }
        }
        for (i, mut client) in clients.into_iter().enumerate() {
            match (first + i) % 10 {
                3 | 4 => assert_eq!(client.response().status, 200),
                5 | 6 | 8 => client.reset(),
                9 => client.half_close(),
                _ => {}
            }
        }
    }
    assert!(server.metric("connections_accepted_total") > CONNECTIONS as u64);
    server.until_metric("connections_open", 1);
    until("the descriptors are back", || observe::descriptors(server.pid()) <= before);
    for gauge in ["buffers_small_used", "body_bytes_held", "waits"] {
        assert_eq!(server.metric(gauge), 0, "{gauge}");
    }
}

/// A server that may have this many descriptors, and is configured for more connections.
fn server_with_descriptors(count: u32) -> Server {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {count}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_sped")]);
    command.args(["--listen", "127.0.0.1:0", "--demo", "--max-connections", "1000"]);
    Server::spawn(command)
}

/// `accept` fails with EMFILE while the listener stays readable: a loop that only retries would
/// spin, and one that closes the listener would never serve again.
#[test]
fn running_out_of_descriptors_pauses_accepting_and_nothing_else() {
    const DESCRIPTORS: u32 = 64;
    /// More than there are descriptors for; the kernel keeps them all in the backlog.
    const CLIENTS: usize = 100;
    let server = server_with_descriptors(DESCRIPTORS);
    let mut first = server.connect();
    first.get("/plaintext");
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&get("/plaintext"));
    }
    let pauses = |client: &mut Client| {
        let page = client.get("/metrics");
        let line = "stampede_accept_pauses_total ";
        let line = page.text().lines().find_map(|text| text.strip_prefix(line));
        line.expect("the metric").parse::<u64>().expect("a number")
    };
    until("it has run out", || pauses(&mut first) > 0);

    // Accepted connections are served; the others cost it next to nothing.
    let served = clients.iter().filter(|client| client.has_answer()).count();
    assert!((30..CLIENTS).contains(&served), "{served} of {CLIENTS} were accepted");
    let cpu = observe::cpu_seconds(server.pid());
    let turns = 20;
    for _ in 0..turns {
        assert!(first.is_silent_for(Duration::from_millis(50)));
        assert_eq!(first.get("/plaintext").status, 200);
    }
    let spent = observe::cpu_seconds(server.pid()) - cpu;
    assert!(spent < 0.15, "{spent} s of CPU time in one second of being out of descriptors");

    // As many are accepted as close, until none is left waiting.
    for (i, mut client) in clients.into_iter().enumerate() {
        let answer = client.try_response();
        assert_eq!(answer.unwrap_or_else(|error| panic!("client {i}: {error}")).status, 200);
    }
    assert!(first.is_alive());
    assert_eq!(server.get("/plaintext").status, 200);
}

/// A client in the backlog is accepted when another leaves, at once and not when a pause happens to
/// end.
#[test]
fn a_returned_descriptor_is_used_again() {
    let server = server_with_descriptors(40);
    let mut held: Vec<Client> = Vec::new();
    loop {
        let mut client = server.connect();
        client.send(&get("/plaintext"));
        if client.is_silent_for(Duration::from_millis(300)) {
            held.insert(0, client); // the one that waits
            break;
        }
        client.response();
        held.push(client);
        assert!(held.len() < 40, "more connections than descriptors");
    }
    for _ in 0..20 {
        held.pop();
        assert_eq!(held[0].response().status, 200);
        let mut next = server.connect();
        next.send(&get("/plaintext"));
        held.insert(0, next);
    }
}
