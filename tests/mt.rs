//! A thread for each connection: what bounds them, what a panic costs, and how they are ended.

mod common;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use common::inside::Inside;
use common::stubborn::{Gate, Stubborn};
use common::{Client, Server, get, post, server, until};
use stampede::{Action, App, Request, Response, Status};

/// Long enough that an answer would have come.
const A_WHILE: Duration = Duration::from_millis(150);

fn start(arguments: &[&str]) -> (Inside, Gate) {
    let gate = Gate::default();
    (Inside::start("mt", Stubborn(gate.clone()), arguments), gate)
}

fn spawn(arguments: &[&str]) -> Server {
    let mut command = server::mt();
    command.args(["--listen", "127.0.0.1:0", "--demo"]).args(arguments);
    Server::spawn(command)
}

#[test]
fn one_client_more_than_threads_waits_until_another_has_gone() {
    let (server, gate) = start(&["--max-threads", "2"]);
    let (mut first, mut second) = (server.connect(), server.connect());
    assert_eq!(first.get("/light").status, 200);
    second.send(&get("/block"));
    gate.until_waiting(1);
    let mut third = server.connect();
    third.send(&get("/light?third"));
    assert!(third.is_silent_for(A_WHILE));
    assert_eq!(server.counter("connections_accepted"), 2);
    drop(first);
    assert_eq!(third.response().text(), "/light?third");
    gate.open();
    assert_eq!(second.response().text(), "/block");
    // And again, after accepting was taken up once.
    let mut fourth = server.connect();
    fourth.send(&get("/light?fourth"));
    assert!(fourth.is_silent_for(A_WHILE));
    drop(third);
    assert_eq!(fourth.response().text(), "/light?fourth");
}

#[test]
fn many_short_connections_through_few_threads_are_all_served() {
    let (server, _gate) = start(&["--max-threads", "3"]);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert_eq!(server.connect().get("/light").status, 200);
                }
            });
        }
    });
    server.until_counter("connections_open", 0);
    server.until_counter("buffers_large_used", 0);
    assert_eq!(server.counter("requests"), 600);
}

#[test]
fn work_holds_up_its_own_client_only_even_with_one_context() {
    let (server, gate) = start(&["--contexts", "1"]);
    let mut blocked: Vec<Client> = (0..8)
        .map(|i| {
            let mut client = server.connect();
            // What was answered before the work is not held back by it.
            client.send(
                &[get("/light?before"), get(&format!("/block?{i}")), get("/light?behind")].concat(),
            );
            client
        })
        .collect();
    gate.until_waiting(8);
    for client in &mut blocked {
        assert_eq!(client.response().text(), "/light?before");
    }
    assert_eq!(server.connect().get("/light").status, 200);
    gate.open();
    for (i, client) in blocked.iter_mut().enumerate() {
        assert_eq!(client.response().text(), format!("/block?{i}"));
        assert_eq!(client.response().text(), "/light?behind");
    }
}

#[test]
fn work_that_panics_is_answered_500_and_its_connection_goes_on() {
    let (server, _gate) = start(&["--contexts", "1"]);
    let mut client = server.connect();
    assert_eq!(client.get("/panic").status, 500);
    assert_eq!(client.get("/light").status, 200);
    assert_eq!(server.connect().get("/work").status, 200);
    assert_eq!(server.counter("worker_panics"), 1);
}

/// Panics where no work is: in `handle`, with a context borrowed.
struct Fragile {
    /// Local parts made so far.
    made: Arc<AtomicUsize>,
}

impl App for Fragile {
    type Local = usize;

    fn local(&self, _index: usize) -> usize {
        self.made.fetch_add(1, Relaxed)
    }

    fn handle(
        &self,
        local: &mut usize,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        if request.path() == b"/panic" {
            panic!("as it was asked to");
        }
        response.start(Status::OK).bytes(local.to_string().as_bytes());
        Action::Done
    }
}

#[test]
fn a_panic_ends_one_connection_and_the_others_go_on() {
    let made = Arc::<AtomicUsize>::default();
    let server = Inside::start("mt", Fragile { made: Arc::clone(&made) }, &["--contexts", "1"]);
    let (mut other, mut client) = (server.connect(), server.connect());
    assert_eq!(other.get("/").text(), "0");
    client.send(&get("/panic"));
    client.expect_end();
    assert_eq!(other.get("/").text(), "1", "what the application keeps here is made anew");
    assert_eq!(server.connect().get("/").text(), "1");
    assert_eq!(made.load(Relaxed), 2);
    drop(other);
    server.until_counter("connections_open", 0);
    server.until_counter("buffers_large_used", 0);
}

#[test]
fn a_panic_is_reported_with_its_thread_and_its_request() {
    // The demonstration never panics; what is reported where is the tests' own application's.
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "work_that_panics_is_answered_500_and_its_connection_goes_on"]);
    let output = command.arg("--nocapture").output().expect("a run of one test");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("thread 'mt 0' "), "{text}");
    let line = "connection 0: a panic while answering GET /panic HTTP/1.1; replied 500";
    assert!(text.contains(line), "{text}");
}

#[test]
fn idle_and_silent_clients_do_not_hold_up_a_stop() {
    let mut server = spawn(&["--drain-timeout", "60s"]);
    let mut idle: Vec<Client> = (0..50).map(|_| server.connect()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/plaintext").status, 200);
    }
    let mut silent = server.connect();
    let mut busy = server.connect();
    busy.send(&get("/sleep?ms=600"));
    until("it waits", || server.metric("waits") == 1);
    server.signal(libc::SIGTERM);
    assert_eq!(busy.response().text(), "waited for 600 ms\n");
    assert_eq!(server.wait().code(), Some(0));
    idle.iter_mut().for_each(Client::expect_close);
    silent.expect_close();
}

#[test]
fn a_thread_that_computes_does_not_outlive_the_drain() {
    let mut server = spawn(&["--drain-timeout", "100ms"]);
    let mut client = server.connect();
    client.send(&get("/work?us=10000000"));
    server.get("/plaintext");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    client.expect_end();
}

#[test]
fn slow_clients_hold_up_nobody() {
    let server = spawn(&[]);
    let whole = post("/echo", &[], b"0123456789");
    let mut slow: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for client in &mut slow {
        client.send(&whole[..whole.len() - 1]);
    }
    let mut reader = Client::connect_with_window(server.address(), 4096);
    reader.send(&get("/bytes?n=10000000"));
    let mut quick = server.connect();
    for _ in 0..100 {
        assert_eq!(quick.get("/plaintext").status, 200);
    }
    for client in &mut slow {
        client.send(&whole[whole.len() - 1..]);
        assert!(client.response().body.ends_with(b"0123456789"));
    }
    assert_eq!(reader.response().body.len(), 10_000_000);
}

#[test]
fn the_smallest_stack_is_enough_for_everything() {
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::write(folder.path().join("file"), vec![b'x'; 300_000]).expect("a file");
    let root = folder.path().to_str().expect("UTF-8");
    let server = spawn(&[
        "--stack-size",
        "64K",
        "--root",
        root,
        "--autoindex",
        "--access-log",
        "json",
        "--log-file",
        "/dev/null",
    ]);
    let mut client = server.connect();
    for target in [
        "/",
        "/file",
        "/missing",
        "/status",
        "/metrics",
        "/status.json",
        "/work?us=10",
        "/sleep?ms=1",
    ] {
        assert!(client.get(target).status < 500, "{target}");
    }
    let ranges = common::request("GET", "/file", &["Range: bytes=0-9,100-199"]);
    assert_eq!(client.exchange(&ranges).status, 206);
    assert_eq!(client.exchange(&post("/echo", &[], &[b'x'; 100_000])).status, 200);
}

/// Of 64 MiB of address space each there is not enough for all: those for whom there is no thread
/// wait, and are served when others have gone.
#[test]
fn threads_that_the_system_refuses_are_started_later() {
    let shell = "ulimit -v 700000; exec \"$0\" \"$@\"";
    let mut command = server::binary("/bin/sh");
    command.args(["-c", shell, env!("CARGO_BIN_EXE_mt"), "--listen", "127.0.0.1:0", "--demo"]);
    command.args(["--stack-size", "64M", "--max-threads", "64", "--max-connections", "64"]);
    let mut server = Server::spawn(command);
    let mut clients: Vec<Client> = (0..30).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&get("/plaintext"));
    }
    for (i, mut client) in clients.into_iter().enumerate() {
        let answer = client.try_response().unwrap_or_else(|error| panic!("client {i}: {error}"));
        assert_eq!(answer.status, 200);
    }
    server.until_metric_above("accept_pauses_total", 0);
    let lines =
        server.stderr().matches("cannot start a thread for a connection; trying again: ").count();
    assert!((1..=5).contains(&lines), "{}", server.stderr());
    assert_eq!(server.stop().code(), Some(0));
}

#[test]
fn clients_that_wait_for_a_thread_are_answered_at_a_stop() {
    let mut server = spawn(&["--max-threads", "2", "--drain-timeout", "20s"]);
    let (mut idle, mut busy) = (server.connect(), server.connect());
    assert_eq!(busy.get("/plaintext").status, 200);
    assert_eq!(idle.get("/plaintext").status, 200);
    busy.send(&get("/sleep?ms=8000"));
    let mut waiting: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    waiting.iter_mut().for_each(|client| client.send(&get("/plaintext")));
    server.signal(libc::SIGTERM);
    for client in &mut waiting {
        assert_eq!(client.response().status, 200);
    }
    assert!(busy.is_silent_for(Duration::from_millis(1)));
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_busy_client_does_not_keep_those_that_wait_from_an_answer_at_a_stop() {
    let mut server = spawn(&["--max-threads", "2", "--drain-timeout", "20s"]);
    let mut busy = server.connect();
    busy.send(&get("/sleep?ms=8000"));
    server.until_metric("waits", 1);
    let mut idle = server.connect();
    assert_eq!(idle.get("/plaintext").status, 200);
    let mut waiting: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(&get("/plaintext"));
    }
    server.signal(libc::SIGTERM);
    for client in &mut waiting {
        assert_eq!(client.response().status, 200);
    }
    assert!(busy.is_silent_for(Duration::from_millis(1)));
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    busy.expect_end();
}

#[test]
fn a_stop_goes_on_as_long_as_requests_arrive() {
    let mut server = spawn(&["--drain-timeout", "20s"]);
    let mut clients: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for client in &mut clients {
        assert_eq!(client.get("/plaintext").status, 200);
    }
    server.signal(libc::SIGTERM);
    for client in &mut clients {
        // Together they take longer than a stop waits for one more.
        assert_eq!(client.get("/sleep?ms=100").status, 200);
    }
    assert_eq!(server.wait().code(), Some(0));
}
