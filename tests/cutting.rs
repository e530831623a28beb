//! However requests are cut into reads, the responses are the same bytes, in the same order.
//!
//! A second connection makes certain that two pieces arrive in two reads: the server has one loop,
//! which handles readiness in the order in which it occurred, so a response to a ping that was sent
//! after a piece means that the piece has been read.

mod common;

use std::thread;

use common::client::undated;
use common::server::serves_many;
use common::{Client, Random, Server, get, observe, post, post_chunked, request};

/// Conversations, each ending with the connection.
fn conversations() -> Vec<Vec<u8>> {
    let close = request("GET", "/json", &["Connection: close"]);
    let then_close = |requests: &[Vec<u8>]| [&requests.concat()[..], &close].concat();
    vec![
        close.clone(),
        then_close(&[get("/plaintext"), get("/nothing/here?q=%20"), request("HEAD", "/json", &[])]),
        then_close(&[post("/echo", &["X-Empty:", "X-Tab: a\tb"], b"a body\r\n\r\nwith lines")]),
        then_close(&[post("/plaintext", &[], b"not wanted"), get("/plaintext")]),
        then_close(&[post_chunked("/echo", &[], &[b"some", b"chunks", b"\r\n0\r\n\r\n"])]),
        then_close(&[
            [
                &request("PUT", "/echo", &["Transfer-Encoding: chunked"])[..],
                b"0004;x=\"a;b\"\r\nabcd\r\n000\r\nTrailer: t\r\n\r\n",
            ]
            .concat(),
            b"\r\nGET http://localhost/plaintext HTTP/1.1\r\nhost:localhost\r\n\r\n".to_vec(),
        ]),
        b"GET /plaintext HTTP/1.0\r\n\r\n".to_vec(),
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\nGET /bad target HTTP/1.1\r\n\r\n".to_vec(),
        [get("/plaintext"), b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec()].concat(),
        post_chunked("/echo", &["Connection: close"], &[b"x"]),
        [&request("POST", "/echo", &["Transfer-Encoding: chunked"])[..], b"3\r\nabcX\r\n"].concat(),
    ]
}

/// Sends pieces so that each is read before the next one comes; returns the whole response.
fn in_pieces(server: &Server, ping: &mut Client, pieces: &[&[u8]]) -> Vec<u8> {
    let mut client = server.connect();
    for piece in pieces {
        // The server may have closed already: it has read enough to refuse the rest.
        if client.try_send(piece).is_err() {
            break;
        }
        ping.get("/plaintext");
    }
    undated(&client.read_to_end().expect("an answer, then FIN"))
}

#[track_caller]
fn assert_same(pieces: &[&[u8]], answer: &[u8], whole: &[u8]) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(
        text(answer),
        text(whole),
        "in pieces of {:?}",
        pieces.iter().map(|p| text(p)).collect::<Vec<_>>()
    );
}

#[test]
fn two_pieces_give_the_answer_of_one_wherever_the_cut_is() {
    if !serves_many("a second client's ping shows that the first's bytes have been read") {
        return;
    }
    let server = Server::demo();
    let mut ping = server.connect();
    for conversation in conversations() {
        let whole = server.conversation(&conversation);
        assert!(whole.starts_with(b"HTTP/1.1 "));
        for at in 1..conversation.len() {
            let (a, b) = conversation.split_at(at);
            assert_same(&[a, b], &in_pieces(&server, &mut ping, &[a, b]), &whole);
        }
    }
}

#[test]
fn one_byte_at_a_time_gives_the_same_answer() {
    if !serves_many("a second client's ping shows that the first's bytes have been read") {
        return;
    }
    let server = Server::demo();
    let mut ping = server.connect();
    for conversation in conversations() {
        let whole = server.conversation(&conversation);
        let pieces: Vec<&[u8]> = conversation.chunks(1).collect();
        assert_same(&pieces, &in_pieces(&server, &mut ping, &pieces), &whole);
    }
}

#[test]
fn pipelined_batches_give_the_same_answers_however_they_are_cut() {
    if !serves_many("a second client's ping shows that the first's bytes have been read") {
        return;
    }
    let server = Server::demo();
    let mut ping = server.connect();
    let mut random = Random::new(7);
    for _ in 0..10 {
        let mut conversation = Vec::new();
        let mut apart = Vec::new();
        for i in 0..40 {
            let request = any_request(&mut random, i);
            let mut client = server.connect();
            client.send(&request);
            client.half_close();
            apart.extend_from_slice(&client.read_to_end().expect("an answer, then FIN"));
            conversation.extend_from_slice(&request);
        }
        let last = request("GET", "/json", &["Connection: close"]);
        apart.extend_from_slice(&server.conversation(&last));
        conversation.extend_from_slice(&last);
        let mut pieces = Vec::new();
        let mut rest = &conversation[..];
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(1 + random.below(rest.len().min(900)));
            pieces.push(piece);
            rest = after;
        }
        assert_same(&pieces, &in_pieces(&server, &mut ping, &pieces), &undated(&apart));
    }
}

fn any_request(random: &mut Random, i: usize) -> Vec<u8> {
    let body = common::noise(random.below(3000), i as u64);
    match random.below(8) {
        0 | 1 => get("/plaintext"),
        2 => get(&format!("/echo?number={i}")),
        3 => request("HEAD", "/bytes?n=5000", &[]),
        4 => post("/echo", &[], &body),
        5 => post_chunked("/echo", &[], &[&body, b"more"]),
        6 => get(&format!("/bytes?n={}", random.below(20_000))),
        _ => get("/missing"),
    }
}

#[test]
fn a_large_answer_between_small_ones_keeps_its_place() {
    let server = Server::demo();
    let mut client = server.connect();
    let large = get("/bytes?n=3000000");
    client.send(&[get("/echo?a"), large.clone(), get("/echo?b"), large, get("/echo?c")].concat());
    for (marker, len) in [("a", 3_000_000), ("b", 3_000_000), ("c", 0)] {
        assert!(client.response().text().starts_with(&format!("GET /echo?{marker} ")));
        if len > 0 {
            assert_eq!(client.response().body.len(), len);
        }
    }
    assert!(client.is_alive());
}

/// One client owes the server nothing but bytes: what it does not read must not pile up in memory.
#[test]
fn two_hundred_thousand_pipelined_requests_of_a_client_that_does_not_read_cost_no_memory() {
    if !serves_many("a second client's ping shows that the first's bytes have been read") {
        return;
    }
    const REQUESTS: usize = 200_000;
    /// One in this many is identified.
    const NUMBERED: usize = 50;
    let server = Server::demo();
    let mut client = server.connect();
    // A first round, so that one-time allocations are done.
    client.get("/echo");
    let serving = server.process_of(&client);
    let before = observe::memory_bytes(serving);

    let mut sender = client.stream().try_clone().expect("a second handle");
    let writer = thread::spawn(move || {
        let mut bytes = Vec::new();
        for i in 0..REQUESTS {
            match i % NUMBERED {
                0 => bytes.extend_from_slice(&get(&format!("/echo?number={i}"))),
                _ => bytes.extend_from_slice(&get("/plaintext")),
            }
        }
        std::io::Write::write_all(&mut sender, &bytes).expect("the server takes everything");
    });
    // When it stops reading from a client that does not read.
    server.until_metric_above("bytes_received_total", 100_000);
    observe::until_at_rest(serving);
    let stalled = observe::memory_bytes(serving);
    assert!(stalled < before + 256 * 1024, "{before} bytes before, {stalled} when stalled");

    for i in 0..REQUESTS {
        let answer = client.response();
        match i % NUMBERED {
            0 => {
                assert!(answer.text().starts_with(&format!("GET /echo?number={i} ")), "{answer:?}")
            }
            _ => assert_eq!(answer.text(), "Hello, World!", "answer {i}"),
        }
    }
    writer.join().expect("the writer's end");
    let after = observe::memory_bytes(serving);
    assert!(after < before + 256 * 1024, "{before} bytes before, {after} after");
}
