//! *pool-limit*: a pool of blocking workers serves as many requests at a time as it has workers.

use crate::lab::bench::Bench;
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Series, Table, Verdict};
use crate::lab::load::Plan;
use crate::lab::problem::Problem;
use crate::lab::stats::median;

pub static POOL_LIMIT: Experiment = Experiment {
    id: "pool-limit",
    claim: "With a pool of 100 blocking workers the 101st client waits.",
    source: "the folklore on Apache's prefork and its MaxRequestWorkers",
    method: "prefork with 100 processes; 50 to 200 clients, each of which connects, asks for \
             /sleep?ms=50, and connects again. Requests in flight are their rate times their 50 ms \
             (Little's law).",
    run,
};

const WORKERS: u32 = 100;
const WAIT_MS: f64 = 50.0;
const CLIENTS: [u32; 5] = [50, 100, 101, 150, 200];

fn run(bench: &mut Bench<'_>) -> Result<Findings, Problem> {
    bench.need(&["prefork"])?;
    let workers = WORKERS.to_string();
    let server = bench.start("prefork", &["--workers", &workers, "--threads", "1"])?;
    let target = format!("/sleep?ms={WAIT_MS}");
    let results = bench.interleaved(&CLIENTS, |bench, clients| {
        let plan = Plan {
            connections: *clients,
            requests_per_connection: 1,
            ..bench.plan(&server, &target, 2.0)?
        };
        let measured = bench.load(&server, &plan)?;
        let in_flight = measured.rate() * WAIT_MS / 1e3;
        let mean_ms = measured.outcome.record.mean().as_secs_f64() * 1e3;
        bench.keep(vec![
            ("clients", f64::from(*clients).into()),
            ("in_flight", in_flight.into()),
            ("mean_ms", mean_ms.into()),
        ]);
        Ok((in_flight, mean_ms))
    })?;

    let mut table =
        Table::new("prefork with 100 processes", &["clients", "in flight", "mean latency, ms"]);
    let (mut in_flight, mut latency) = (Vec::new(), Vec::new());
    for (clients, rounds) in CLIENTS.iter().zip(&results) {
        let flight = median(&rounds.iter().map(|round| round.0).collect::<Vec<_>>());
        let mean_ms = median(&rounds.iter().map(|round| round.1).collect::<Vec<_>>());
        table.row([clients.to_string(), format!("{flight:.1}"), format!("{mean_ms:.1}")]);
        in_flight.push((f64::from(*clients), flight));
        latency.push((f64::from(*clients), mean_ms));
    }
    let (most, at_200) = (in_flight[4].1, latency[4].1);
    // Twice the clients: none more in flight, and each waits as long again.
    let is_bounded = most <= f64::from(WORKERS) * 1.02 && at_200 > 1.7 * latency[0].1;
    let because = format!(
        "With 200 clients {most:.0} requests were in flight, and the mean latency was {at_200:.0} \
         ms; with 50 clients it was {:.0} ms, with 101 {:.1} ms.",
        latency[0].1, latency[2].1
    );
    let findings = Findings::new(Verdict::from_bool(is_bounded), because).table(table);
    Ok(findings.said("requests in flight, pool of 100", "100", format!("{most:.0}")).plot(Plot {
        title: "Requests in flight and their latency".to_owned(),
        x: Axis::linear("clients"),
        y: Axis::linear("requests, ms"),
        series: Series::Lines(vec![
            ("in flight".to_owned(), in_flight),
            ("mean latency, ms".to_owned(), latency),
        ]),
    }))
}
