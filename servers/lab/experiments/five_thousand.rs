//! *five-thousand*: five thousand clients whose requests wait for a database.

use std::time::Duration;

use crate::lab::bench::Bench;
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Table, Verdict};
use crate::lab::load::Plan;
use crate::lab::problem::Problem;

pub static FIVE_THOUSAND: Experiment = Experiment {
    id: "five-thousand",
    claim: "5,000 clients, each request waits 50 ms for a database: process per request needs about \
            5 GB, threads about 500 MB, a pool of 100 about 200 MB and caps at 100 in flight, an \
            event loop about 50 MB, goroutines about 100 MB; the last two serve all 5,000.",
    source: "a comparison of server models that is told in many talks and blog posts",
    method: "5,000 connections (quick: 1,000), each of which asks for /sleep?ms=50 again and again. \
             Memory is the server's share of all pages but files (PSS), under load; requests in \
             flight are their rate times their 50 ms. The claim holds if all figures are within a \
             factor of two, and the loop and the green threads have nine tenths in flight.",
    run,
};

const WAIT_MS: f64 = 50.0;
const MIB: f64 = 1024.0 * 1024.0;
/// Model, options, MiB for 5,000 clients according to the text.
const SAYS: [(&str, &[&str], f64); 8] = [
    ("mp", &["--max-children", "6000"], 5_000.0),
    ("mt", &["--max-threads", "6000"], 500.0),
    ("prefork", &["--workers", "100"], 200.0),
    ("sped", &[], 50.0),
    ("mn", &[], 100.0),
    ("amped", &[], f64::NAN),
    ("symped", &[], f64::NAN),
    ("seda", &[], f64::NAN),
];

struct Result5 {
    model: &'static str,
    says_mib: f64,
    memory_mib: f64,
    in_flight: f64,
    p99_ms: f64,
}

fn run(bench: &mut Bench<'_>) -> Result<Findings, Problem> {
    let clients: u32 = if bench.quick { 1_000 } else { 5_000 };
    let mut results = Vec::new();
    for (model, options, says_mib) in SAYS {
        if bench.models(&[model]).is_empty() {
            continue;
        }
        let says_mib =
            if model == "prefork" { says_mib } else { says_mib * f64::from(clients) / 5e3 };
        results.push(measure(bench, model, options, says_mib, clients)?);
    }
    let mut table = Table::new(
        &format!("{clients} clients, each waits 50 ms"),
        &["model", "the text, MiB", "here, MiB", "in flight", "p99, ms"],
    );
    let mut findings = Findings::new(Verdict::Holds, "");
    let mut off = Vec::new();
    for result in &results {
        let Result5 { model, says_mib, memory_mib, in_flight, p99_ms } = result;
        let says = if says_mib.is_nan() { "-".to_owned() } else { format!("{says_mib:.0}") };
        table.row([
            (*model).to_owned(),
            says.clone(),
            format!("{memory_mib:.0}"),
            format!("{in_flight:.0}"),
            format!("{p99_ms:.0}"),
        ]);
        if !says_mib.is_nan() {
            let what = format!("{model}, memory for {clients} waiting clients");
            findings = findings.said(&what, &format!("{says} MiB"), format!("{memory_mib:.0} MiB"));
            let factor = memory_mib / says_mib;
            if !(0.5..=2.0).contains(&factor) {
                off.push(format!("{model} took {memory_mib:.0} MiB rather than {says_mib:.0}"));
            }
        }
        let is_loop = matches!(*model, "sped" | "mn");
        if is_loop && *in_flight < 0.9 * f64::from(clients) {
            off.push(format!("{model} had {in_flight:.0} requests in flight"));
        }
    }
    findings.verdict = Verdict::from_bool(off.is_empty());
    findings.because = match off.is_empty() {
        true => "All figures are within a factor of two of the text's.".to_owned(),
        false => format!("{}.", off.join("; ")),
    };
    let models: Vec<&str> = results.iter().map(|result| result.model).collect();
    let memory = results.iter().map(|result| result.memory_mib).collect();
    let flight = results.iter().map(|result| result.in_flight).collect();
    Ok(findings.table(table).plot(Plot::bars(
        "Memory, and requests in flight",
        Axis::logarithmic("MiB, requests"),
        &models,
        vec![("MiB", memory), ("in flight", flight)],
    )))
}

fn measure(
    bench: &mut Bench<'_>,
    model: &'static str,
    options: &[&str],
    says_mib: f64,
    clients: u32,
) -> Result<Result5, Problem> {
    let server = bench.start(model, options)?;
    let plan = Plan {
        connections: clients,
        warm_up: Duration::from_secs_f64(0.5 + f64::from(clients) / 4_000.0),
        ..bench.plan(&server, "/sleep?ms=50", 3.0)?
    };
    let running = bench.background(&plan)?;
    bench.until(Duration::from_secs(20), || {
        running.outcome().record.counts.answered > u64::from(clients) / 2
    })?;
    let memory_mib = server.memory_bytes().unwrap_or_default() as f64 / MIB;
    drop(running);
    let measured = bench.load(&server, &plan)?;
    let in_flight = measured.rate() * WAIT_MS / 1e3;
    let p99_ms = measured.percentile_ms(99.0);
    bench.keep(vec![
        ("model", model.into()),
        ("clients", f64::from(clients).into()),
        ("memory_mib", memory_mib.into()),
        ("in_flight", in_flight.into()),
        ("p99_ms", p99_ms.into()),
    ]);
    Ok(Result5 { model, says_mib, memory_mib, in_flight, p99_ms })
}
