//! Green threads: what bounds them, what one that blocks, panics or overflows costs the others, and
//! how they are ended.

mod common;

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::Duration;

use common::inside::Inside;
use common::stubborn::{Gate, Stubborn};
use common::{Client, Server, get, observe, post, server, until};
use stampede::{Action, App, Request, Response, Status};

/// Long enough that an answer would have come.
const A_WHILE: Duration = Duration::from_millis(150);

/// A server in this process: with few stacks, since one that has stopped keeps its own.
fn inside<A: App>(app: A, arguments: &[&str]) -> Inside {
    Inside::start("mn", app, &[&["--max-fibers", "64"], arguments].concat())
}

fn start(arguments: &[&str]) -> (Inside, Gate) {
    let gate = Gate::default();
    (inside(Stubborn(gate.clone()), arguments), gate)
}

fn spawn(arguments: &[&str]) -> Server {
    let mut command = server::mn();
    command.args(["--listen", "127.0.0.1:0", "--demo"]).args(arguments);
    Server::spawn(command)
}

#[test]
fn one_client_more_than_fibers_waits_until_another_has_gone() {
    let (server, gate) = start(&["--max-fibers", "2"]);
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
}

#[test]
fn many_short_connections_through_few_fibers_are_all_served() {
    let (server, _gate) = start(&["--max-fibers", "3"]);
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
    assert_eq!(server.counter("accept_pauses"), 0, "a stack was missing");
}

#[test]
fn fibers_that_block_hold_up_their_own_clients_only_even_with_one_core() {
    let (server, gate) = start(&["--workers", "1"]);
    // Connected before: their descriptors are in the blocked carrier's poller.
    let mut others: Vec<Client> = (0..4).map(|_| server.connect()).collect();
    for client in &mut others {
        assert_eq!(client.get("/light").status, 200);
    }
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
    for client in &mut others {
        assert_eq!(client.get("/light").status, 200);
    }
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
fn a_fiber_that_computes_does_not_hold_up_its_cores_connections() {
    let server = spawn(&["--workers", "1"]);
    let (mut busy, mut other) = (server.connect(), server.connect());
    assert_eq!(other.get("/plaintext").status, 200);
    busy.send(&get("/work?us=3000000"));
    until("it computes", || {
        let begun = std::time::Instant::now();
        assert_eq!(other.get("/plaintext").status, 200);
        // It has taken the time until the core was taken over.
        begun.elapsed() > Duration::from_millis(3) || busy.is_silent_for(Duration::from_millis(20))
    });
    for _ in 0..100 {
        assert_eq!(other.get("/plaintext").status, 200);
    }
    assert!(busy.is_silent_for(Duration::from_millis(1)), "the computation is over already");
    assert_eq!(busy.response().status, 200);
}

#[test]
fn an_idle_connection_has_no_buffers() {
    let (server, _gate) = start(&[]);
    let mut idle: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut idle {
        assert_eq!(client.get("/light").status, 200);
    }
    server.until_counter("buffers_large_used", 0);
    // One whose request is not complete has its two.
    idle[0].send(b"GET /light HTTP/1.1\r\n");
    server.until_counter("buffers_large_used", 2);
    idle[0].send(b"Host: x\r\n\r\n");
    assert_eq!(idle[0].response().status, 200);
    server.until_counter("buffers_large_used", 0);
    assert_eq!(idle[1].get("/work").status, 200);
    assert_eq!(idle[1].get("/panic").status, 500);
    server.until_counter("buffers_large_used", 0);
    drop(idle);
    server.until_counter("connections_open", 0);
    assert_eq!(server.counter("buffers_large_used"), 0);
}

#[test]
fn work_that_panics_is_answered_500_and_its_connection_goes_on() {
    let (server, _gate) = start(&["--workers", "1"]);
    let mut client = server.connect();
    assert_eq!(client.get("/panic").status, 500);
    assert_eq!(client.get("/light").status, 200);
    assert_eq!(server.connect().get("/work").status, 200);
    assert_eq!(server.counter("worker_panics"), 1);
}

/// Panics or recurses where no work is: in `handle`, with a context borrowed.
struct Fragile;

impl App for Fragile {
    type Local = ();

    fn local(&self, _index: usize) {}

    fn handle(&self, _: &mut (), request: &Request<'_>, response: &mut Response<'_>) -> Action {
        match request.path() {
            b"/panic" => panic!("as it was asked to"),
            b"/deep" => assert_eq!(deep(0), 0),
            _ => {}
        }
        response.start(Status::OK).bytes(b"here");
        Action::Done
    }
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn deep(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    deep(depth + 1) + black_box(frame)[63]
}

#[test]
fn a_panic_ends_one_connection_and_the_others_go_on() {
    let server = inside(Fragile, &["--workers", "1"]);
    let (mut other, mut client) = (server.connect(), server.connect());
    assert_eq!(other.get("/").text(), "here");
    client.send(&get("/panic"));
    client.expect_end();
    assert_eq!(other.get("/").text(), "here");
    assert_eq!(server.connect().get("/").text(), "here");
    drop(other);
    server.until_counter("connections_open", 0);
    server.until_counter("buffers_large_used", 0);
}

/// Runs one of these tests again, alone in a process of its own.
fn run_again(test: &str, variable: Option<&str>) -> std::process::Output {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", test, "--nocapture"]);
    command.envs(variable.map(|name| (name, "1")));
    command.output().expect("a run of one test")
}

#[test]
fn a_panic_is_reported_with_its_carrier_and_its_request() {
    let test = "work_that_panics_is_answered_500_and_its_connection_goes_on";
    let output = run_again(test, None);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("thread 'mn 0' "), "{text}");
    let line = "connection 0: a panic while answering GET /panic HTTP/1.1; replied 500";
    assert!(text.contains(line), "{text}");
}

const OVERFLOWS: &str = "STAMPEDE_TEST_OVERFLOWS";

#[test]
fn an_overflow_is_reported_with_its_request_and_ends_the_process() {
    if std::env::var_os(OVERFLOWS).is_some() {
        let server = inside(Fragile, &["--stack-size", "64K"]);
        let mut client = server.connect();
        assert_eq!(client.get("/").status, 200);
        client.send(&get("/deep"));
        client.expect_end();
        unreachable!("the process is to end");
    }
    let test = "an_overflow_is_reported_with_its_request_and_ends_the_process";
    let output = run_again(test, Some(OVERFLOWS));
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{text}");
    let reported = |line: &str| {
        line.starts_with("mn: fiber ")
            && line.contains("(GET /deep HTTP/1.1) overflowed its stack of 64 KiB")
            && line.ends_with("; a larger --stack-size helps")
    };
    assert!(text.lines().any(reported), "{text}");
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
fn a_fiber_that_computes_does_not_outlive_the_drain() {
    let mut server = spawn(&["--drain-timeout", "100ms", "--workers", "1"]);
    let mut client = server.connect();
    assert_eq!(client.get("/plaintext").status, 200);
    let before = observe::cpu_seconds(server.pid());
    client.send(&get("/work?us=10000000"));
    until("it computes", || observe::cpu_seconds(server.pid()) > before + 0.05);
    assert!(client.is_silent_for(Duration::from_millis(1)), "it has been answered already");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    client.expect_end();
}

#[test]
fn slow_clients_hold_up_no_others() {
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
fn many_waits_are_over_at_once() {
    let server = spawn(&["--workers", "2"]);
    let mut clients: Vec<Client> = (0..200).map(|_| server.connect()).collect();
    let begun = std::time::Instant::now();
    for client in &mut clients {
        client.send(&get("/sleep?ms=500"));
    }
    for client in &mut clients {
        assert_eq!(client.response().text(), "waited for 500 ms\n");
    }
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(10), "{took:?}");
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

#[test]
fn stacks_for_which_there_is_no_room_are_an_error_that_says_what_to_do() {
    let mut command = server::binary("/bin/sh");
    command.args(["-c", "ulimit -v 2000000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_mn")]);
    command.args(["--listen", "127.0.0.1:0", "--max-fibers", "10000"]);
    let output = command.args(["--max-connections", "10000"]).output().expect("a run");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.starts_with("mn: --max-fibers 10000: "), "{text}");
}
