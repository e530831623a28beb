//! *herd*: how many processes wake for one connection.

use std::fs;

use crate::lab::bench::Bench;
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Table, Verdict};
use crate::lab::load::{Pace, Plan};
use crate::lab::problem::Problem;
use crate::lab::process;
use crate::lab::stats::median;

pub static HERD: Experiment = Experiment {
    id: "herd",
    claim: "When many processes accept on one listener only one of them wakes for a connection.",
    source: "epoll_ctl(2), EPOLLEXCLUSIVE; Stevens, UNIX Network Programming, volume 1, 30.6",
    method: "300 connections a second, of one request each, to 1 and to 16 processes: prefork (each \
             waits for the listener with an exclusive wake-up), symped with one listener for all \
             (epoll, exclusive) and with one for each (SO_REUSEPORT). Wake-ups are the processes' \
             voluntary context switches. The claim holds if 16 processes wake at most half a time \
             more often for a connection than one does.",
    run,
};

const RATE: f64 = 300.0;
const MANY: &str = "16";
/// What accepts, and how it is started, but for the number of processes.
const WAYS: [(&str, &str, &[&str]); 3] = [
    ("prefork", "prefork", &["--threads", "1"]),
    ("symped, shared", "symped", &["--accept", "shared"]),
    ("symped, reuseport", "symped", &["--accept", "reuseport"]),
];

fn run(bench: &mut Bench<'_>) -> Result<Findings, Problem> {
    bench.need(&["prefork", "symped"])?;
    let mut subjects = Vec::new();
    for way in WAYS {
        subjects.extend([(way, "1"), (way, MANY)]);
    }
    let results =
        bench.interleaved(&subjects, |bench, (way, workers)| wake_ups(bench, *way, workers))?;
    let mut table = Table::new(
        "Wake-ups of all processes for a connection",
        &["", "1 process", "16 processes"],
    );
    let (mut one, mut many) = (Vec::new(), Vec::new());
    for (index, (name, ..)) in WAYS.iter().enumerate() {
        let (a, b) = (median(&results[2 * index]), median(&results[2 * index + 1]));
        table.row([(*name).to_owned(), format!("{a:.2}"), format!("{b:.2}")]);
        one.push(a);
        many.push(b);
    }
    let more = |index: usize| many[index] - one[index];
    let crowded: Vec<&str> =
        (0..WAYS.len()).filter(|index| more(*index) > 0.5).map(|index| WAYS[index].0).collect();
    let verdict = match crowded.len() {
        0 => Verdict::Holds,
        count if count == WAYS.len() => Verdict::DoesNotHold,
        _ => Verdict::HoldsWithin(format!("but for {}", crowded.join(" and "))),
    };
    let because = format!(
        "With 16 processes instead of one there were {:.2} wake-ups more for a connection with \
         prefork, {:.2} with a shared listener under symped, {:.2} with one for each.",
        more(0),
        more(1),
        more(2)
    );
    Ok(Findings::new(verdict, because).table(table).plot(Plot::bars(
        "Wake-ups for a connection",
        Axis::linear("context switches"),
        &WAYS.map(|(name, ..)| name),
        vec![("1 process", one), ("16 processes", many)],
    )))
}

fn wake_ups(
    bench: &mut Bench<'_>,
    (name, model, options): (&str, &str, &[&str]),
    workers: &str,
) -> Result<f64, Problem> {
    let server = bench.start(model, &[options, &["--workers", workers]].concat())?;
    let plan = Plan {
        connections: 4,
        pace: Pace::PerSecond(RATE),
        requests_per_connection: 1,
        ..bench.plan(&server, "/plaintext", 2.0)?
    };
    bench.load(&server, &plan)?; // all processes have started, and have served
    let count = || server.pid().map_or(0, switches);
    let before = count();
    let measured = bench.load(&server, &plan)?;
    // The warm-up's connections count too.
    let seconds = (plan.warm_up + plan.duration).as_secs_f64();
    let connections = measured.rate() * seconds;
    let each = (count() - before) as f64 / connections.max(1.0);
    bench.keep(vec![("way", name.into()), ("workers", workers.into()), ("wake_ups", each.into())]);
    Ok(each)
}

/// Voluntary context switches of a server's processes and threads so far (`proc(5)`).
fn switches(pid: u32) -> u64 {
    let of = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("status")).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or_default()
    };
    let threads = process::tree(pid)
        .into_iter()
        .flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten());
    threads.map(|thread| of(thread.path())).sum()
}
