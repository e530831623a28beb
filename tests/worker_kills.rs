//! Workers are killed under a load that verifies every response: a death costs that
//! worker's clients, and no others.

mod common;

use common::processes::{self, Worker, children, kill, rounds, state, until_workers, workers};
use common::server::{SUPERVISED, supervised};
use common::verify::Load;
use common::{Random, Server, observe, until};

/// Kills per test, in each mode.
const KILLS: usize = 10;
const CLIENTS: u64 = 8;

fn server(how: &str) -> Server {
    Server::spawn(supervised(how, 3))
}

/// Waits until the responses show that the load continues.
fn until_answered(load: &Load, more: u64) {
    let goal = load.answered() + more;
    until("the load goes on", || load.answered() >= goal);
}

/// Waits until the master has no children but live workers.
fn until_tidy(master: u32, count: usize) {
    until("no more and no other children than workers that live", || {
        let children = children(master);
        children.len() == count && children.iter().all(|&child| state(child) != Some('Z'))
    });
}

fn sum(workers: &[Worker], of: fn(&Worker) -> u64) -> u64 {
    workers.iter().map(of).sum()
}

/// Kills workers at random under load: the others' clients do not notice.
fn kills_cost_their_own_clients_only(how: &str) {
    let mut server = server(how);
    until_workers(&server, "all serve", |_| true);
    until_tidy(server.pid(), 3);
    let descriptors = observe::descriptors_at_rest(server.pid());
    let load = Load::start(server.address(), CLIENTS);
    let (mut random, mut victims) = (Random::new(7), Vec::new());
    let mut requests = 0;
    for killed in 0..rounds(KILLS) as u64 {
        until_answered(&load, 50);
        let before = workers(&server);
        let total = sum(&before, |worker| worker.requests);
        assert!(total >= requests, "what was counted is forgotten: {requests}, then {total}");
        requests = total;
        let serving: Vec<&Worker> = before.iter().filter(|worker| worker.serves()).collect();
        let victim = serving[random.below(serving.len())].pid;
        victims.extend(kill(victim, server.address().port()));
        until_workers(&server, "it is replaced", |workers| {
            workers.iter().all(|worker| worker.pid != victim)
                && sum(workers, |worker| worker.restarts) == killed + 1
        });
    }
    until_answered(&load, 50);
    let tally = load.finish();
    println!("{how}: {} answered, {} repeats", tally.answered, tally.repeats);
    assert_eq!((tally.refused, tally.failed), (0, 0), "{:?}", tally.troubles);
    for port in &tally.cut {
        assert!(victims.contains(port), "a survivor's client on port {port} was cut: {tally:?}");
    }
    until_tidy(server.pid(), 3);
    let after = workers(&server);
    assert!(sum(&after, |worker| worker.requests) >= requests);
    // The dead workers' connections are not counted forever: there is the one that asks.
    server.until_metric("connections_open", 1);
    assert_eq!(observe::descriptors_at_rest(server.pid()), descriptors, "the master's descriptors");
    assert!(server.stop().success());
    assert!(after.iter().all(|worker| !processes::is_alive(worker.pid)));
}

#[test]
fn with_a_listener_each_a_killed_worker_costs_its_own_clients_only() {
    kills_cost_their_own_clients_only("reuseport");
}

#[test]
fn with_a_shared_listener_a_killed_worker_costs_its_own_clients_only() {
    kills_cost_their_own_clients_only("shared");
}

#[test]
fn with_passed_connections_a_killed_worker_costs_its_own_clients_only() {
    kills_cost_their_own_clients_only("pass");
}

#[test]
fn in_a_pool_a_killed_worker_costs_its_own_clients_only() {
    kills_cost_their_own_clients_only("prefork");
}

/// Whatever it dies of. (A SIGSEGV that is sent, and not caused, only ends a Rust program the
/// second time: the first goes to the handler that checks for a stack overflow.)
#[test]
fn a_worker_is_replaced_whatever_signal_ends_it() {
    let signals = [libc::SIGKILL, libc::SIGABRT, libc::SIGALRM, libc::SIGSYS];
    for how in SUPERVISED {
        let server = server(how);
        for signal in signals {
            let victim = until_workers(&server, "all serve", |_| true)[1].pid;
            common::os::signal(victim, signal);
            until_workers(&server, "it is replaced", |workers| workers[1].pid != victim);
            let said = format!(": worker 1 (process {victim}, signal: {signal} ");
            until("it is said", || server.stderr().contains(&said));
        }
    }
}
