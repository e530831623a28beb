//! AMPED: what the loop and its workers guarantee each other's clients.
//!
//! The application is the tests' own ([`Stubborn`]): its work ends when the test lets it. So
//! nothing here depends on how long anything takes.

mod common;

use common::inside::Inside;
use common::stubborn::{Gate, Stubborn};
use common::{Client, Random, Server, get, observe, post, request, until};

fn start(arguments: &[&str]) -> (Inside, Gate) {
    let gate = Gate::default();
    (Inside::start("amped", Stubborn(gate.clone()), arguments), gate)
}

/// Clients that have each sent a request.
fn ask(server: &Inside, targets: impl IntoIterator<Item = String>) -> Vec<Client> {
    let ask = |target: String| {
        let mut client = server.connect();
        client.send(&get(&target));
        client
    };
    targets.into_iter().map(ask).collect()
}

fn blocks(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|i| format!("/block?{i}"))
}

/// All buffers and slots of jobs and connections are returned: the loop has its own two buffers.
#[track_caller]
fn expect_all_back(server: &Inside) {
    server.until_counter("buffers_large_used", 2);
    server.until_counter("buffers_small_used", 0);
    server.until_counter("body_bytes_held", 0);
    until("no job is in flight", || server.metrics.workers().all(|place| place.jobs.get() == 0));
}

#[test]
fn light_requests_are_answered_while_all_workers_are_busy() {
    let (server, gate) = start(&["--workers", "2"]);
    let mut busy = ask(&server, blocks(2));
    gate.until_waiting(2);
    let mut client = server.connect();
    for _ in 0..100 {
        assert_eq!(client.get("/light").text(), "/light");
    }
    assert!(!busy.iter().any(Client::has_answer));
    gate.open();
    for (i, client) in busy.iter_mut().enumerate() {
        assert_eq!(client.response().text(), format!("/block?{i}"));
        assert_eq!(client.get("/light").status, 200, "the connection persists");
    }
    expect_all_back(&server);
}

#[test]
fn work_goes_to_the_least_loaded_worker() {
    let (server, gate) = start(&["--workers", "3"]);
    let mut busy = ask(&server, blocks(2));
    gate.until_waiting(2);
    // With a ring of 256 each, only the load count keeps these from the busy ones.
    for i in 0..50 {
        let target = format!("/work?{i}");
        assert_eq!(server.connect().get(&target).text(), target);
    }
    gate.open();
    busy.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
}

#[test]
fn work_that_panics_is_a_500_and_what_was_queued_behind_it_is_served() {
    let (server, gate) = start(&["--workers", "1"]);
    let mut first = ask(&server, blocks(1));
    gate.until_waiting(1);
    let targets = (0..9).map(|i| match i % 3 {
        0 => "/panic".to_owned(),
        _ => format!("/work?{i}"),
    });
    let mut queued = ask(&server, targets);
    gate.open();
    assert_eq!(first[0].response().status, 200);
    for (i, client) in queued.iter_mut().enumerate() {
        let answer = client.response();
        assert_eq!(answer.status, if i % 3 == 0 { 500 } else { 200 }, "{answer:?}");
        assert_eq!(client.get("/work?again").status, 200, "the connection persists");
    }
    assert_eq!(server.counter("worker_panics"), 3);
    expect_all_back(&server);
}

#[test]
fn a_stuck_workers_client_gets_503_and_a_replacement_does_the_rest() {
    let (server, gate) = start(&["--workers", "1", "--work-timeout", "200ms"]);
    let mut stuck = ask(&server, blocks(1)).remove(0);
    gate.until_waiting(1);
    let mut queued = ask(&server, (0..5).map(|i| format!("/work?{i}")));
    let answer = stuck.response();
    assert_eq!((answer.status, answer.field("Retry-After")), (503, Some("1")), "{answer:?}");
    stuck.expect_close();
    for (i, client) in queued.iter_mut().enumerate() {
        assert_eq!(client.response().text(), format!("/work?{i}"));
    }
    assert_eq!(server.counter("work_timeouts"), 1);
    assert_eq!(server.counter("workers_substituted"), 1);
    server.until_counter("workers_stuck", 1);
    gate.open();
    server.until_counter("workers_stuck", 0);
    expect_all_back(&server);
    // Its result was dropped: no client got it.
    assert_eq!(server.connect().get("/work?after").text(), "/work?after");
}

#[test]
fn with_all_workers_stuck_clients_get_503_and_afterwards_the_rest_is_served() {
    let (server, gate) = start(&["--workers", "2", "--work-timeout", "100ms"]);
    // Two workers, their two replacements, and one in each queue that has no worker left.
    let mut stuck = ask(&server, blocks(4));
    for client in &mut stuck {
        let answer = client.response();
        assert_eq!((answer.status, answer.closes()), (503, true), "{answer:?}");
    }
    server.until_counter("workers_stuck", 4);
    assert_eq!(server.counter("workers_substituted"), 2, "as many as there are workers");
    let mut queued = ask(&server, (0..4).map(|i| format!("/work?{i}")));
    assert_eq!(server.connect().get("/light").status, 200);
    assert!(!queued.iter().any(Client::has_answer));
    gate.open();
    for (i, client) in queued.iter_mut().enumerate() {
        assert_eq!(client.response().text(), format!("/work?{i}"));
    }
    server.until_counter("workers_stuck", 0);
    expect_all_back(&server);
}

#[test]
fn a_client_that_disconnects_during_its_job_leaks_nothing_and_the_next_gets_its_own_response() {
    let (server, gate) = start(&["--workers", "2"]);
    let jobs = || server.metrics.workers().map(|place| place.jobs.get()).sum::<u64>();
    for (i, target) in blocks(20).enumerate() {
        let mut client = ask(&server, [target]).remove(0);
        until("its job is in flight", || jobs() == i as u64 + 1);
        // Some bytes after the request, which take a buffer.
        client.send(&get("/light").repeat(30));
        client.reset();
    }
    server.until_counter("connections_open", 0);
    // They take the slots of the disconnected ones.
    let mut next = ask(&server, (0..20).map(|i| format!("/work?{i}")));
    assert_eq!(server.connect().get("/light").status, 200);
    gate.open();
    for (i, client) in next.iter_mut().enumerate() {
        assert_eq!(client.response().text(), format!("/work?{i}"));
    }
    expect_all_back(&server);
}

#[test]
fn a_client_that_has_sent_fin_gets_its_answer() {
    let (server, gate) = start(&["--workers", "1"]);
    let mut client = ask(&server, blocks(1)).remove(0);
    client.half_close();
    gate.until_waiting(1);
    gate.open();
    assert_eq!(client.response().text(), "/block?0");
    client.expect_close();
}

#[test]
fn when_the_rings_are_full_requests_wait_in_order_and_are_not_refused() {
    let (server, gate) = start(&["--workers", "1", "--ring", "1"]);
    let mut first = ask(&server, blocks(1));
    gate.until_waiting(1);
    let targets: Vec<String> = (0..30).map(|i| format!("/work?{i}")).collect();
    let mut waiting = Vec::new();
    for (i, target) in targets.iter().enumerate() {
        waiting.extend(ask(&server, [target.clone()]));
        // One is in the ring, the others wait for room in it.
        server.until_counter("jobs_delayed", i as u64);
    }
    assert_eq!(server.connect().get("/light").status, 200);
    gate.open();
    for (client, target) in waiting.iter_mut().zip(&targets) {
        assert_eq!(client.response().text(), target);
    }
    assert_eq!(first[0].response().status, 200);
    assert_eq!(gate.begun()[1..], targets, "in the order in which they came");
    expect_all_back(&server);
}

#[test]
fn a_client_that_disconnects_while_waiting_for_room_delays_no_other() {
    let (server, gate) = start(&["--workers", "1", "--ring", "1"]);
    let mut held = ask(&server, blocks(1));
    gate.until_waiting(1);
    held.extend(ask(&server, ["/work?queued".to_owned()]));
    until("it is in the ring", || server.metrics.workers().all(|place| place.jobs.get() == 2));
    let mut waiting = ask(&server, (0..9).map(|i| format!("/work?{i}")));
    server.until_counter("jobs_delayed", 9);
    for i in [8, 4, 0] {
        waiting.remove(i).reset();
    }
    server.until_counter("connections_open", 2 + 6);
    gate.open();
    for (client, i) in waiting.iter_mut().zip([1, 2, 3, 5, 6, 7]) {
        assert_eq!(client.response().text(), format!("/work?{i}"));
    }
    held.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    expect_all_back(&server);
}

#[test]
fn with_overload_reject_full_rings_are_a_503_and_the_connection_persists() {
    let (server, gate) = start(&["--workers", "1", "--ring", "1", "--overload", "reject"]);
    let mut held = ask(&server, blocks(1));
    gate.until_waiting(1);
    held.extend(ask(&server, ["/work?queued".to_owned()]));
    until("it is in the ring", || server.metrics.workers().all(|place| place.jobs.get() == 2));
    let mut client = server.connect();
    for head in [false, true] {
        let method = if head { "HEAD" } else { "GET" };
        client.send(&request(method, "/work", &[]));
        let answer = if head { client.response_to_head() } else { client.response() };
        assert_eq!((answer.status, answer.field("Retry-After")), (503, Some("1")), "{answer:?}");
        assert_eq!(client.get("/light").status, 200, "the connection persists");
    }
    assert_eq!(server.counter("jobs_rejected"), 2);
    gate.open();
    held.iter_mut().for_each(|client| assert_eq!(client.response().status, 200));
    assert_eq!(client.get("/work").status, 200);
    expect_all_back(&server);
}

#[test]
fn pipelined_work_and_light_requests_are_answered_in_order() {
    for offload in ["blocking", "all"] {
        let (server, gate) = start(&["--workers", "2", "--offload", offload]);
        gate.open();
        let mut random = Random::new(7);
        let mut client = server.connect();
        for _ in 0..20 {
            let targets: Vec<String> = (0..50)
                .map(|i| match random.below(3) {
                    0 => "/light".to_owned(),
                    1 => format!("/work?{i}"),
                    _ => format!("/block?{i}"),
                })
                .collect();
            // With bodies, which are discarded, and cut anywhere.
            let bytes: Vec<u8> = targets
                .iter()
                .flat_map(|target| match random.below(4) {
                    0 => post(target, &[], &vec![b'x'; random.below(5000)]),
                    _ => get(target),
                })
                .collect();
            for piece in bytes.chunks(1 + random.below(2000)) {
                client.send(piece);
            }
            for target in &targets {
                assert_eq!(client.response().text(), target, "{offload}");
            }
        }
        expect_all_back(&server);
    }
}

#[test]
fn an_idle_worker_and_an_idle_loop_wake_each_other() {
    let (server, gate) = start(&["--workers", "1"]);
    gate.open();
    let mut client = server.connect();
    for i in 0..300 {
        if i % 30 == 0 {
            observe::until_at_rest(std::process::id());
        }
        assert_eq!(client.get("/work").status, 200);
    }
}

/// The binary, for tests of a whole process.
fn process(arguments: &[&str]) -> Server {
    let mut command = common::server::amped();
    command.args(["--listen", "127.0.0.1:0", "--demo"]).args(arguments);
    Server::spawn(command)
}

#[test]
fn a_graceful_shutdown_finishes_queued_jobs_and_those_waiting_for_room() {
    let mut server = process(&["--workers", "1", "--ring", "2"]);
    let mut clients: Vec<Client> = (0..8).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&get("/work?us=50000"));
    }
    server.until_metric_above("jobs_delayed_total", 0);
    // One whose client does not wait for it.
    clients.pop().expect("a client").reset();
    server.signal(libc::SIGTERM);
    for client in &mut clients {
        assert_eq!(client.response().text().split(':').next(), Some("computed for 50000 us"));
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_stuck_worker_is_reported_on_standard_error() {
    let server = process(&["--workers", "1", "--work-timeout", "100ms"]);
    let mut client = server.connect();
    client.send(&get("/work?us=2000000"));
    assert_eq!(client.response().status, 503);
    let line = "worker 0 exceeded --work-timeout (100ms) on GET /work?us=2000000 HTTP/1.1";
    until("a line about it", || server.stderr().contains(line));
    assert_eq!(server.get("/work?us=10").status, 200);
    assert_eq!(server.metric("work_timeouts_total"), 1);
}

/// The request is with the worker then, its line is not.
#[test]
fn a_request_that_is_given_up_is_logged_with_its_line() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("log");
    let log = ["--access-log", "common", "--log-file", file.to_str().expect("UTF-8")];
    for (limit, status) in [("--work-timeout", 503), ("--request-timeout", 408)] {
        let mut server = process(&[&["--workers", "1", limit, "100ms"], &log[..]].concat());
        let mut client = server.connect();
        client.send(&[get("/work?us=400000"), get("/plaintext")].concat());
        assert_eq!(client.response().status, status);
        drop(client);
        assert!(server.stop().success());
        let text = std::fs::read_to_string(&file).expect("the log");
        let expected = format!("\"GET /work?us=400000 HTTP/1.1\" {status} ");
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn every_priority_and_pinning_serve() {
    for priority in ["normal", "nice:19", "batch", "idle", "slice:500us"] {
        let mut server = process(&["--workers", "2", "--pin", "--worker-priority", priority]);
        assert_eq!(server.get("/work?us=10").status, 200);
        assert!(server.stop().success());
    }
}

#[test]
fn the_workers_numbers_are_on_every_status_page() {
    let server = process(&["--workers", "2"]);
    for _ in 0..3 {
        assert_eq!(server.get("/work?us=10").status, 200);
    }
    let metrics = server.get("/metrics");
    assert!(metrics.text().contains("stampede_worker_run_seconds_count{worker=\"0\"} 3\n"));
    assert!(metrics.text().contains("stampede_worker_jobs{worker=\"1\"} 0\n"));
    assert!(server.get("/status.json").text().contains("\"workers\":[{\"jobs\":0,\"wait\":{"));
    assert!(server.get("/status").text().contains("1 loop and 2 workers"));
}
