//! *thread-ceiling*: up to how many connections a thread for each is decent.

use crate::lab::bench::{Bench, Measured};
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Series, Table, Verdict};
use crate::lab::load::Plan;
use crate::lab::problem::Problem;

use super::hold::PATIENT;

pub static THREAD_CEILING: Experiment = Experiment {
    id: "thread-ceiling",
    claim: "Thread per connection is decent until about 2,000 connections and fails near 10,000.",
    source: "Kegel, The C10K problem, 1999; the folklore since",
    method: "mt and sped with 100 to 10,000 connections that are all busy with /plaintext. Decent \
             is half of the rate at 100 connections; a failure is an error, or a tenth of it.",
    run,
};

const COUNTS: [u32; 5] = [100, 500, 2_000, 5_000, 10_000];
const MODELS: [&str; 2] = ["mt", "sped"];

fn run(bench: &mut Bench<'_>) -> Result<Findings, Problem> {
    bench.need(&["mt"])?;
    let models = bench.models(&MODELS);
    let mut table = Table::new(
        "All connections busy",
        &["connections", "model", "requests/s", "p99, ms", "errors"],
    );
    let (mut lines, mut mt) = (Vec::new(), Vec::new());
    for model in models {
        let mut points = Vec::new();
        for count in COUNTS {
            let measured = busy(bench, model, count)?;
            let counts = &measured.outcome.record.counts;
            table.row([
                count.to_string(),
                model.to_owned(),
                format!("{:.0}", measured.rate()),
                format!("{:.1}", measured.percentile_ms(99.0)),
                counts.errors().to_string(),
            ]);
            points.push((f64::from(count), measured.rate()));
            if model == "mt" {
                mt.push((count, measured.rate(), counts.errors()));
            }
        }
        lines.push((model.to_owned(), points));
    }
    let base = mt[0].1;
    let decent = mt.iter().take_while(|(_, rate, errors)| *rate > base / 2.0 && *errors == 0);
    let decent_to = decent.last().map_or(0, |(count, ..)| *count);
    let (_, at_10k, errors) = mt[COUNTS.len() - 1];
    let fails = errors > 0 || at_10k < base / 10.0;
    let verdict = match (decent_to >= 2_000, fails) {
        (true, true) => Verdict::Holds,
        (true, false) => Verdict::HoldsWithin(format!(
            "up to 2,000; it did not fail at 10,000, where it kept {:.0} % of its rate",
            100.0 * at_10k / base
        )),
        (false, _) => Verdict::DoesNotHold,
    };
    let because = format!(
        "A thread for each connection kept more than half of its rate up to {decent_to} \
         connections; at 10,000 it answered {at_10k:.0} a second ({:.0} %), with {errors} errors.",
        100.0 * at_10k / base
    );
    Ok(Findings::new(verdict, because).table(table).plot(Plot {
        title: "Rate over connections".to_owned(),
        x: Axis::logarithmic("connections, all busy"),
        y: Axis::linear("requests/s"),
        series: Series::Lines(lines),
    }))
}

fn busy(bench: &mut Bench<'_>, model: &str, count: u32) -> Result<Measured, Problem> {
    let threads: &[&str] = if model == "mt" { &["--max-threads", "12000"] } else { &[] };
    let server = bench.start(model, &[&PATIENT, threads].concat())?;
    let plan = Plan {
        connections: count,
        // Until all connections have come about.
        warm_up: std::time::Duration::from_secs_f64(0.3 + f64::from(count) / 5_000.0),
        ..bench.plan(&server, "/plaintext", 2.0)?
    };
    let measured = bench.load(&server, &plan)?;
    bench.keep(vec![
        ("model", model.into()),
        ("connections", f64::from(count).into()),
        ("rate", measured.rate().into()),
        ("p99_ms", measured.percentile_ms(99.0).into()),
        ("errors", measured.outcome.record.counts.errors().into()),
    ]);
    Ok(measured)
}
