//! *slowloris*: clients that stall, and what a good one notices.

use std::time::Duration;

use crate::lab::bench::Bench;
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Table, Verdict};
use crate::lab::load::{Pace, Plan, Slow};
use crate::lab::problem::Problem;

pub static SLOWLORIS: Experiment = Experiment {
    id: "slowloris",
    claim: "Slow clients exhaust blocking pools; event loops shrug them off.",
    source: "Hansen (RSnake), Slowloris, 2009",
    method: "300 clients that send a head, or a body, a byte a second, or that read as slowly what \
             is 10 MB long; pools have 64 threads. A good client connects and asks for /plaintext \
             twenty times a second and gives an answer half a second. Exhausted: less than half of \
             its requests are answered.",
    run,
};

const CLIENTS: u32 = 300;
const RATE: f64 = 20.0;
const PATIENCE: Duration = Duration::from_millis(500);
const KINDS: [Slow; 3] = [Slow::Head, Slow::Body, Slow::Read];
const MODELS: [&str; 9] =
    ["iterative", "mp", "mt", "prefork", "sped", "seda", "amped", "symped", "mn"];
/// Those whose clients each hold a process or thread of a pool that is smaller than 300.
const POOLS: [&str; 2] = ["iterative", "prefork"];
const LOOPS: [&str; 5] = ["sped", "seda", "amped", "symped", "mn"];

fn run(bench: &mut Bench<'_>) -> Result<Findings, Problem> {
    let models = bench.models(&MODELS);
    let mut table = Table::new(
        "A good client beside 300 slow ones: answered, and the p99 of the answers",
        &["model", "head", "ms", "body", "ms", "read", "ms"],
    );
    let mut answered = Vec::new();
    for model in &models {
        let mut cells = vec![(*model).to_owned()];
        let mut least: f64 = 1.0;
        for kind in KINDS {
            let (share, p99_ms) = beside(bench, model, kind)?;
            cells.extend([format!("{:.0} %", 100.0 * share), format!("{p99_ms:.1}")]);
            least = least.min(share);
        }
        table.row(cells);
        answered.push(least);
    }
    let shares = |names: &[&str]| {
        let of = models.iter().zip(&answered).filter(|(model, _)| names.contains(model));
        of.map(|(_, share)| *share).collect::<Vec<f64>>()
    };
    let (pools, loops) = (shares(&POOLS), shares(&LOOPS));
    if pools.is_empty() || loops.is_empty() {
        return Err(Problem::NotTestable("it needs a pool and a loop, see --models".to_owned()));
    }
    let (best_pool, worst_loop) = (
        pools.iter().fold(0.0, |a: f64, b| a.max(*b)),
        loops.iter().fold(1.0, |a: f64, b| a.min(*b)),
    );
    let because = format!(
        "Beside the worst kind of slow clients pools answered at most {:.0} % of a good client's \
         requests, loops at least {:.0} %.",
        100.0 * best_pool,
        100.0 * worst_loop
    );
    let percent = answered.iter().map(|share| 100.0 * share).collect();
    let verdict = Verdict::from_bool(best_pool < 0.5 && worst_loop > 0.95);
    Ok(Findings::new(verdict, because).table(table).plot(Plot::bars(
        "A good client's requests that were answered, beside the worst kind of slow clients",
        Axis::linear("%"),
        &models,
        vec![("answered", percent)],
    )))
}

/// The share of a good client's requests that are answered in time, and the p99 of these.
pub(super) fn beside(
    bench: &mut Bench<'_>,
    model: &str,
    kind: Slow,
) -> Result<(f64, f64), Problem> {
    let pool: &[&str] = if model == "prefork" { &["--workers", "64"] } else { &[] };
    let server = bench.start(model, pool)?;
    let slow = Plan {
        connections: 0,
        slow: vec![(kind, CLIENTS)],
        warm_up: Duration::ZERO,
        ..bench.plan(&server, "/bytes?n=10000000", 1.0)?
    };
    let slow = bench.background(&slow)?;
    // Until they are connected, and each has had its first turn.
    bench.until(Duration::from_secs(3), || {
        slow.outcome().record.counts.connections >= u64::from(CLIENTS)
    })?;
    let good = Plan {
        connections: 4,
        pace: Pace::PerSecond(RATE),
        requests_per_connection: 1,
        timeout: PATIENCE,
        warm_up: Duration::ZERO,
        ..bench.plan(&server, "/plaintext", 2.0)?
    };
    let measured = bench.load(&server, &good)?;
    let asked = RATE * measured.outcome.time.as_secs_f64();
    let share = (measured.outcome.record.counts.answered as f64 / asked).min(1.0);
    let p99_ms = measured.percentile_ms(99.0);
    bench.keep(vec![
        ("model", model.into()),
        ("slow", kind.name().into()),
        ("answered_share", share.into()),
        ("p99_ms", p99_ms.into()),
    ]);
    Ok((share, p99_ms))
}
