//! Clients that read slowly, write slowly, close early or never cost their neighbours nothing and
//! the server little.

mod common;

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use common::server::{has_buffer_pool, serves_many};
use common::{Client, Server, get, noise, observe, post, until};

const MIB: usize = 1 << 20;
/// Bytes of `/large`: far more than any pair of socket buffers holds.
const LARGE: usize = 64 * MIB;
/// Bytes of `/medium`: still more than that, and soon read to the end.
const MEDIUM: usize = 8 * MIB;

/// A directory with two files that take no room on the disk.
fn root_with_large_files() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a directory");
    for (name, len) in [("large", LARGE), ("medium", MEDIUM)] {
        let file = File::create(root.path().join(name)).expect("a file");
        file.set_len(len as u64).expect("its length");
    }
    root
}

/// A client whose kernel buffers next to nothing for it.
fn slow_reader(server: &Server, target: &str) -> Client {
    reader(server, target, 4096)
}

/// A client whose kernel buffers no more than this many bytes for it, or twice as many.
fn reader(server: &Server, target: &str, window: i32) -> Client {
    let mut client = Client::connect_with_window(server.address(), window);
    client.send(&get(target));
    client
}

#[test]
fn slow_readers_of_a_large_file_cost_no_memory() {
    if !has_buffer_pool("its connections have two buffers each") {
        return;
    }
    const READERS: usize = 100;
    let root = root_with_large_files();
    let server = Server::root(root.path(), &[]);
    let begin_all = || {
        let mut readers: Vec<Client> =
            (0..READERS).map(|_| slow_reader(&server, "/large")).collect();
        for reader in &mut readers {
            let head = reader.read_head().expect("an answer");
            assert_eq!(head.field("Content-Length"), Some("67108864"));
        }
        readers
    };
    // What as many requests at once allocate is there after a first round.
    drop(begin_all());
    server.until_metric("connections_open", 1);
    let before = observe::memory_bytes(server.serving_pid());
    let _readers = begin_all();
    let grown = observe::memory_bytes(server.serving_pid()).saturating_sub(before);
    assert!(grown < (READERS * 2048) as u64, "{grown} bytes more for {READERS} slow readers");
    // The loop's own two, or those of the connection that asks.
    server.until_metric("buffers_large_used", 2);
    let mut good = server.connect();
    for _ in 0..100 {
        assert_eq!(good.get("/plaintext").status, 200);
    }
}

/// The requests behind an answer that is not read take a buffer, until buffers are scarce.
#[test]
fn slow_readers_that_pipeline_do_not_use_up_the_buffers() {
    if !serves_many("several clients are connected at once") {
        return;
    }
    const READERS: usize = 60;
    let root = root_with_large_files();
    let server = Server::root(root.path(), &["--buffers", "32"]);
    let long = common::request("GET", "/plaintext", &[&format!("X-Long: {}", "x".repeat(700))]);
    let begin = |target: &str| {
        let mut client = slow_reader(&server, target);
        client.send(&long);
        client.read_head().expect("an answer");
        client
    };
    let readers: Vec<Client> = (0..READERS).map(|_| begin("/large")).collect();
    let mut last = reader(&server, "/medium", 65_536);
    last.send(&long);
    let mut good = server.connect();
    for _ in 0..20 {
        assert_eq!(good.get("/plaintext").status, 200);
    }
    // One that does read gets its answer whole, and then the next or FIN, never a reset.
    assert_eq!(last.response().body.len(), MEDIUM);
    last.half_close();
    let rest = last.read_to_end().expect("FIN, no reset");
    assert!(rest.is_empty() || rest.ends_with(b"Hello, World!"), "{rest:?}");
    drop(readers);
}

/// With copying instead of sendfile each unsent response holds a buffer, and no more than that.
#[test]
fn slow_readers_of_made_bytes_cost_one_buffer_each() {
    if !has_buffer_pool("its connections have two buffers each") {
        return;
    }
    const READERS: usize = 50;
    let server = Server::demo();
    slow_reader(&server, "/bytes?n=100000000").read_head().expect("an answer");
    server.until_metric("connections_open", 1);
    let before = observe::memory_bytes(server.serving_pid());
    let mut readers: Vec<Client> =
        (0..READERS).map(|_| slow_reader(&server, "/bytes?n=100000000")).collect();
    for reader in &mut readers {
        reader.read_head().expect("an answer");
    }
    let grown = observe::memory_bytes(server.serving_pid()).saturating_sub(before);
    assert!(grown < (READERS * 40 * 1024) as u64, "{grown} bytes for {READERS} slow readers");
}

#[test]
fn a_slow_reader_gets_every_byte_in_the_end() {
    if !serves_many("several clients are connected at once") {
        return;
    }
    let root = tempfile::tempdir().expect("a directory");
    let content = noise(8 * MIB + 37, 5);
    fs::write(root.path().join("noise"), &content).expect("a file");
    for arguments in [&[][..], &["--no-sendfile"]] {
        let server = Server::root(root.path(), arguments);
        let mut client = reader(&server, "/noise", 65_536);
        let mut good = server.connect();
        client.read_head().expect("an answer");
        let mut received = Vec::new();
        while received.len() < content.len() {
            let len = (content.len() - received.len()).min(100_000);
            received.extend_from_slice(&client.read_bytes(len));
            good.get("/plaintext");
        }
        assert!(received == content, "with {arguments:?}");
        assert!(client.is_alive());
    }
}

#[test]
fn a_large_files_bytes_are_right_with_and_without_sendfile() {
    let root = tempfile::tempdir().expect("a directory");
    // Around the sizes of the cache's limit and of a single send.
    let sizes = [65_535, 65_536, 65_537, MIB - 1, MIB, MIB + 1, 3 * MIB + 12_345];
    for size in sizes {
        fs::write(root.path().join(size.to_string()), noise(size, size as u64)).expect("a file");
    }
    for arguments in [&[][..], &["--no-sendfile"]] {
        let server = Server::root(root.path(), arguments);
        let mut client = server.connect();
        for size in sizes {
            let content = noise(size, size as u64);
            let target = format!("/{size}");
            assert!(client.get(&target).body == content, "{target} with {arguments:?}");
            let range = format!("Range: bytes=4099-{}", size - 3);
            let part = client.exchange(&common::request("GET", &target, &[&range]));
            assert_eq!(part.status, 206);
            assert!(part.body == content[4099..size - 2], "part of {target} with {arguments:?}");
        }
        // Pipelined, they follow each other without a byte between.
        client.send(&sizes.map(|size| get(&format!("/{size}"))).concat());
        for size in sizes {
            assert!(client.response().body == noise(size, size as u64));
        }
    }
}

#[test]
fn slow_writers_are_served_and_delay_no_other() {
    if !serves_many("several clients are connected at once") {
        return;
    }
    const WRITERS: usize = 50;
    let server = Server::demo();
    let mut good = server.connect();
    let whole = post("/echo", &[], b"slowly");
    let mut writers: Vec<Client> = (0..WRITERS).map(|_| server.connect()).collect();
    for byte in &whole {
        for writer in &mut writers {
            writer.send(&[*byte]);
        }
        assert_eq!(good.get("/plaintext").status, 200);
    }
    for writer in &mut writers {
        assert!(writer.response().body.ends_with(b"slowly"));
    }
}

#[test]
fn a_client_that_half_closes_gets_the_whole_answer() {
    let root = root_with_large_files();
    let server = Server::root(root.path(), &[]);
    let requests = [get("/plaintext"), get("/bytes?n=5000000"), get("/sleep?ms=100")];
    for request in &requests {
        let mut client = server.connect();
        client.send(request);
        client.half_close();
        assert_eq!(client.response().status, 200);
        client.expect_close();
    }
    // Before the server has read any of them, and while the first response is being sent.
    let mut client = reader(&server, "/medium", 65_536);
    client.send(&requests.concat());
    client.half_close();
    for expected in [MEDIUM, 13, 5_000_000, 18] {
        assert_eq!(client.response().body.len(), expected);
    }
    client.expect_close();
}

#[test]
fn a_client_that_half_closes_in_a_head_or_says_nothing_is_closed() {
    let server = Server::demo();
    for bytes in [&b""[..], b"GET /plaintext HT"] {
        let mut client = server.connect();
        client.send(bytes);
        client.half_close();
        let rest = client.read_to_end().expect("FIN, no reset");
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 400 "), "{rest:?}");
    }
    server.until_metric("connections_open", 1);
}

#[test]
fn resets_in_the_middle_of_everything_cost_nothing() {
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    let root = root_with_large_files();
    let server = Server::root(root.path(), &[]);
    // The large file stays open in the cache.
    slow_reader(&server, "/large").read_head().expect("an answer");
    server.until_metric("connections_open", 1);
    let before = observe::descriptors(server.serving_pid());
    let echo = post("/echo", &[], &[b'x'; 50_000]);
    for round in 0..50 {
        let mut client =
            slow_reader(&server, if round % 2 == 0 { "/large" } else { "/bytes?n=9999999" });
        client.read_head().expect("an answer");
        client.reset();
        let mut client = server.connect();
        client.send(&echo[..echo.len() - 1]);
        client.reset();
        let mut client = server.connect();
        client.send(&get("/sleep?ms=30000"));
        client.reset();
        slow_reader(&server, "/plaintext").reset();
    }
    server.until_metric("connections_open", 1);
    let connection = 1; // the one that fetched the metrics may not be gone yet
    until("the descriptors are back", || {
        observe::descriptors(server.serving_pid()) <= before + connection
    });
    for gauge in ["waits", "body_bytes_held", "buffers_small_used"] {
        assert_eq!(server.metric(gauge), 0, "{gauge}");
    }
    // The loop's own two, or those of the connection that asks.
    server.until_metric("buffers_large_used", 2);
    assert_eq!(server.get("/plaintext").status, 200);
}

/// Reads some of the large file, truncates it, and reads on: fewer bytes than were announced.
fn read_while_it_shrinks(server: &Server, root: &Path) {
    let mut client = reader(server, "/large", 65_536);
    client.read_head().expect("an answer");
    client.read_bytes(10_000);
    let file = File::options().write(true).open(root.join("large")).expect("the file");
    file.set_len(20 * MIB as u64).expect("its new length");
    let rest = client.read_to_end();
    assert!(rest.is_err() || rest.is_ok_and(|rest| rest.len() < LARGE));
}

#[test]
fn a_file_truncated_while_it_is_sent_ends_only_its_own_connection() {
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    for arguments in [&[][..], &["--no-sendfile"]] {
        let root = root_with_large_files();
        let server = Server::root(root.path(), arguments);
        let mut other = server.connect();
        other.get("/plaintext");
        read_while_it_shrinks(&server, root.path());
        assert!(other.is_alive());
        assert_eq!(server.metric("responses_aborted_total"), 1, "with {arguments:?}");
    }
}

#[test]
fn a_file_that_grows_while_it_is_sent_is_sent_as_it_was_announced() {
    let root = root_with_large_files();
    let server = Server::root(root.path(), &[]);
    let mut client = reader(&server, "/medium", 65_536);
    client.read_head().expect("an answer");
    let file = File::options().write(true).open(root.path().join("medium")).expect("the file");
    file.write_at(b"more", MEDIUM as u64).expect("four bytes more");
    client.read_bytes(MEDIUM);
    assert!(client.is_alive());
}
