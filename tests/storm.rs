//! Everything that goes wrong under AMPED, at once and often. In a separate process, whose
//! descriptors are counted.

mod common;

use common::inside::Inside;
use common::stubborn::{Gate, Stubborn};
use common::{Client, Random, get, observe, until};

/// A client of the storm: pipelines requests, and eventually disconnects, perhaps in the middle.
fn storm(server: &Inside, jobs: usize, seed: u64) {
    let mut random = Random::new(seed);
    let mut sent = 0;
    while sent < jobs {
        let mut client = server.connect();
        for _ in 0..1 + random.below(20) {
            let targets: Vec<String> = (0..1 + random.below(8))
                .map(|i| match random.below(20) {
                    0 => "/panic".to_owned(),
                    1 => "/light".to_owned(),
                    _ => format!("/work?{seed}-{sent}-{i}"),
                })
                .collect();
            sent += targets.len();
            let bytes: Vec<u8> = targets.iter().flat_map(|target| get(target)).collect();
            client.send(&bytes);
            if random.below(4) == 0 {
                for target in &targets[..random.below(targets.len())] {
                    expect_answer(&mut client, target);
                }
                client.reset();
                client = server.connect();
                continue;
            }
            targets.iter().for_each(|target| expect_answer(&mut client, target));
        }
    }
}

#[track_caller]
fn expect_answer(client: &mut Client, target: &str) {
    let answer = client.response();
    match target {
        "/panic" => assert_eq!(answer.status, 500, "{answer:?}"),
        _ => assert_eq!((answer.status, answer.text()), (200, target)),
    }
}

/// Resets, panics and full rings, all at once: every client that stays is answered in order, and
/// nothing is lost. `STAMPEDE_TEST_JOBS=100000` sets the number.
#[test]
fn a_storm_of_resets_and_panics_on_full_rings_loses_nothing() {
    const CLIENTS: usize = 8;
    let jobs = std::env::var("STAMPEDE_TEST_JOBS").ok().and_then(|jobs| jobs.parse().ok());
    let jobs: usize = jobs.unwrap_or(4_000);
    // One message per panic: the hook's lines would drown everything else.
    std::panic::set_hook(Box::new(|info| {
        if info.payload_as_str() != Some("as it was asked to") {
            eprintln!("{info}");
        }
    }));
    let gate = Gate::default();
    gate.open();
    let server = Inside::start("amped", Stubborn(gate), &["--workers", "2", "--ring", "2"]);
    server.connect().get("/work");
    let before = observe::descriptors(std::process::id());
    std::thread::scope(|scope| {
        for seed in 0..CLIENTS {
            let server = &server;
            scope.spawn(move || storm(server, jobs / CLIENTS, seed as u64));
        }
    });
    assert!(server.counter("worker_panics") > 0 && server.counter("jobs_delayed") > 0);
    server.until_counter("connections_open", 0);
    server.until_counter("buffers_large_used", 2);
    server.until_counter("buffers_small_used", 0);
    server.until_counter("body_bytes_held", 0);
    until("no job is in flight", || server.metrics.workers().all(|place| place.jobs.get() == 0));
    until("the descriptors are back", || observe::descriptors(std::process::id()) <= before);
    assert_eq!(server.counter("workers_stuck"), 0);
    assert_eq!(server.connect().get("/work?last").text(), "/work?last");
}
