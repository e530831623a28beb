//! Stages: what a full queue does, when threads come and go, and what a slow request or client
//! costs.

mod common;

use std::io::{self, Read};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use stampede::metrics::StageReport;
use stampede::{Action, App, Request, Response, Status};

use common::inside::Inside;
use common::stubborn::{Gate, Stubborn};
use common::{Client, Server, get, post, server, until};

fn start(arguments: &[&str]) -> (Inside, Gate) {
    let gate = Gate::default();
    (Inside::start("seda", Stubborn(gate.clone()), arguments), gate)
}

fn spawn(arguments: &[&str]) -> Server {
    let mut command = server::seda();
    command.args(["--listen", "127.0.0.1:0", "--demo"]).args(arguments);
    Server::spawn(command)
}

/// What is published of a stage.
fn stage(server: &Inside, name: &str) -> StageReport {
    server.metrics.stages().find(|stage| stage.name == name).expect("a stage of that name")
}

fn connections(server: &Inside, count: usize) -> Vec<Client> {
    (0..count).map(|_| server.connect()).collect()
}

/// The requests beyond a full queue.
fn refused(clients: &mut [Client], target: &str) {
    for client in clients {
        let answer = client.get(target);
        assert_eq!((answer.status, answer.field("Retry-After")), (503, Some("1")));
        assert!(!answer.closes());
    }
}

#[test]
fn a_full_stage_sheds_load_and_takes_it_again_when_there_is_room() {
    let (server, gate) = start(&["--work-queue", "2", "--stage-threads", "1"]);
    let mut taken = connections(&server, 3);
    taken[0].send(&get("/block?0"));
    gate.until_waiting(1);
    taken[1].send(&get("/block?1"));
    taken[2].send(&get("/block?2"));
    until("two wait", || stage(&server, "work").queue == 2);
    let mut shed = connections(&server, 3);
    refused(&mut shed, "/block?shed");
    // What needs no work is served meanwhile, to them as well.
    for client in &mut shed {
        assert_eq!(client.get("/light").status, 200);
    }
    gate.open();
    for (i, client) in taken.iter_mut().enumerate() {
        assert_eq!(client.response().text(), format!("/block?{i}"));
    }
    for client in &mut shed {
        assert_eq!(client.get("/work?again").text(), "/work?again");
    }
    assert_eq!(server.counter("jobs_rejected"), 3);
    until("it is published", || stage(&server, "work").shed == 3);
    assert!(!gate.begun().contains(&"/block?shed".to_owned()));
}

/// Blocks where it must not: in `handle`.
struct Blocking(Gate);

impl App for Blocking {
    type Local = Stubborn;

    fn local(&self, _index: usize) -> Stubborn {
        Stubborn(self.0.clone())
    }

    fn handle(&self, app: &mut Stubborn, request: &Request<'_>, to: &mut Response<'_>) -> Action {
        app.work(request, to);
        Action::Done
    }
}

#[test]
fn a_stage_that_handles_sheds_load_too() {
    let (gate, arguments) = (Gate::default(), ["--handle-queue", "1", "--stage-threads", "1"]);
    let server = Inside::start("seda", Blocking(gate.clone()), &arguments);
    let mut taken = connections(&server, 2);
    taken[0].send(&get("/block?0"));
    gate.until_waiting(1);
    taken[1].send(&get("/block?1"));
    until("one waits", || stage(&server, "handle").queue == 1);
    refused(&mut connections(&server, 2), "/block?shed");
    gate.open();
    for (i, client) in taken.iter_mut().enumerate() {
        assert_eq!(client.response().text(), format!("/block?{i}"));
    }
}

#[test]
fn threads_come_with_a_backlog_and_go_when_they_are_idle() {
    let (server, gate) = start(&["--stage-threads", "4"]);
    until("two threads", || stage(&server, "work").threads == 2);
    assert_eq!(stage(&server, "work").threads_max, 4);
    let mut clients = connections(&server, 6);
    for client in &mut clients {
        client.send(&get("/block"));
    }
    gate.until_waiting(4);
    until("four threads", || stage(&server, "work").threads == 4);
    until("two wait", || stage(&server, "work").queue == 2);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    until("two threads", || stage(&server, "work").threads == 2);
    assert_eq!(clients[0].get("/work").status, 200);
    until("it is published", || stage(&server, "work").events == 7);
}

#[test]
fn slow_requests_delay_neither_others_nor_what_came_before_them() {
    let (server, gate) = start(&["--contexts", "1", "--stage-threads", "8"]);
    let mut blocked = connections(&server, 8);
    for (i, client) in blocked.iter_mut().enumerate() {
        let block = get(&format!("/block?{i}"));
        client.send(&[get("/light?before"), block, get("/light?behind")].concat());
    }
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
    let (server, _gate) = start(&["--contexts", "1", "--stage-threads", "1"]);
    let mut client = server.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/panic").status, 500);
        assert_eq!(client.get("/work").status, 200);
    }
    assert_eq!(server.counter("worker_panics"), 3);
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

    fn body(&self, _local: &mut usize, _request: &Request<'_>) -> stampede::BodyPlan {
        panic!("as it was asked to")
    }

    fn handle(&self, local: &mut usize, request: &Request<'_>, to: &mut Response<'_>) -> Action {
        if request.path() == b"/panic" {
            panic!("as it was asked to");
        }
        match request.path() {
            b"/broken" => to.start(Status::OK).generate(Some(9), Box::new(Broken)),
            _ => to.start(Status::OK).bytes(local.to_string().as_bytes()),
        }
        Action::Done
    }
}

/// Panics while a response is being sent.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("as it was asked to")
    }
}

#[test]
fn a_panic_while_sending_ends_its_connection_and_no_thread() {
    let app = Fragile { made: Arc::default() };
    let server = Inside::start("seda", app, &["--buffers", "4", "--stage-threads", "1"]);
    let mut other = server.connect();
    assert_eq!(other.get("/").status, 200);
    for _ in 0..8 {
        let mut client = server.connect();
        client.send(&get("/broken"));
        client.expect_end();
        assert_eq!(other.get("/").status, 200);
    }
    until("it is published", || stage(&server, "write").events >= 17);
    assert_eq!(stage(&server, "write").threads, 1);
    drop(other);
    server.until_counter("connections_open", 0);
    server.until_counter("buffers_large_used", 0);
}

#[test]
fn a_panic_while_handling_costs_its_request_and_the_local_part() {
    let made = Arc::<AtomicUsize>::default();
    let app = Fragile { made: Arc::clone(&made) };
    let server = Inside::start("seda", app, &["--contexts", "1", "--buffers", "4"]);
    let mut client = server.connect();
    assert_eq!(client.get("/").text(), "0");
    assert_eq!(client.get("/panic").status, 500);
    assert_eq!(client.get("/").text(), "1", "the local part is made again");
    // While reading there is nothing to answer yet; and a job is not lost with each panic.
    for _ in 0..8 {
        let mut client = server.connect();
        client.send(&post("/", &[], b"body"));
        client.expect_end();
    }
    assert_eq!(client.get("/").text(), "9");
    assert_eq!(made.load(Relaxed), 10);
    drop(client);
    server.until_counter("connections_open", 0);
    server.until_counter("buffers_large_used", 0);
}

#[test]
fn a_panic_is_reported_with_its_thread_and_its_request() {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "work_that_panics_is_answered_500_and_its_connection_goes_on"]);
    let output = command.arg("--nocapture").output().expect("a run of one test");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("thread 'work' "), "{text}");
    let line = "connection 0: a panic while answering GET /panic HTTP/1.1; replied 500";
    assert!(text.contains(line), "{text}");
}

#[test]
fn clients_that_do_not_read_occupy_no_thread() {
    let server = spawn(&["--stage-threads", "1"]);
    let slow: Vec<Client> = (0..4)
        .map(|_| {
            let mut client = Client::connect_with_window(server.address(), 4096);
            client.send(&get("/bytes?n=10000000"));
            client.read_head().expect("an answer");
            client
        })
        .collect();
    let mut quick = server.connect();
    for _ in 0..100 {
        assert_eq!(quick.get("/plaintext").status, 200);
    }
    for mut client in slow {
        // Its head has been read.
        client.read_bytes(10_000_000);
    }
}

#[test]
fn the_status_page_draws_the_stages_and_the_numbers_are_there_as_text() {
    let server = spawn(&[]);
    let page = server.get("/status");
    let json = server.get("/status.json");
    for name in ["accept", "read", "handle", "work", "files", "write"] {
        assert_eq!(page.text().matches(&format!("data-stage=\"{name}\"")).count(), 2, "{name}");
        assert_eq!(json.text().matches(&format!("{{\"name\":\"{name}\",")).count(), 1);
    }
    let events = || {
        let text = server.get("/metrics");
        let line = text.text().lines().find_map(|line| {
            line.strip_prefix("stampede_stage_events_total{stage=\"handle\"} ").map(str::to_owned)
        });
        line.expect("a line").parse::<u64>().expect("a number")
    };
    until("what was handled is counted", || events() >= 3);
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
    client.send(&get("/work?us=60000000"));
    server.get("/plaintext");
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    client.expect_end();
}

#[test]
fn what_waits_in_a_queue_is_answered_at_a_stop() {
    let mut server = spawn(&["--drain-timeout", "20s", "--stage-threads", "1"]);
    let mut clients: Vec<Client> = (0..6).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&get("/work?us=100000"));
    }
    until("all are accepted", || server.metric("connections_accepted_total") >= 6);
    server.signal(libc::SIGTERM);
    for client in &mut clients {
        assert_eq!(client.response().status, 200);
    }
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn several_readers_share_the_connections() {
    let server = spawn(&["--readers", "3"]);
    let mut clients: Vec<Client> = (0..30).map(|_| server.connect()).collect();
    for round in 0..3 {
        for client in &mut clients {
            assert_eq!(client.get("/plaintext").status, 200, "round {round}");
        }
    }
    drop(clients);
    server.until_metric("connections_open", 1);
    server.until_metric("buffers_large_used", 2);
}
