//! *loop-10k*: one event loop holds ten thousand connections.

use crate::lab::bench::{Bench, Measured};
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Series, Table, Verdict};
use crate::lab::problem::Problem;
use crate::lab::stats::median;

use super::hold::{PATIENT, hold};

pub static LOOP_10K: Experiment = Experiment {
    id: "loop-10k",
    claim: "One event loop holds 10,000 connections.",
    source: "Kegel, The C10K problem, 1999",
    method: "sped under the load of 50 busy connections, beside none and beside 10,000 others that \
             are asked once a second each. The rate of the busy ones and the latency are compared, \
             after taking off the answers to the others.",
    run,
};

const HELD: [u32; 3] = [0, 1_000, 10_000];

fn run(bench: &mut Bench<'_>) -> Result<Findings, Problem> {
    bench.need(&["sped"])?;
    let results = bench.interleaved(&HELD, |bench, held| beside(bench, *held))?;
    let of = |index: usize, figure: fn(&Measured) -> f64| {
        median(&results[index].iter().map(figure).collect::<Vec<_>>())
    };
    let p99: fn(&Measured) -> f64 = |measured| measured.percentile_ms(99.0);
    let mut table = Table::new(
        "50 busy connections beside others",
        &["others", "requests/s", "CPU, us", "p99, ms"],
    );
    let mut points = Vec::new();
    for (index, held) in HELD.iter().enumerate() {
        let rate = of(index, Measured::rate);
        let p99_ms = of(index, p99);
        let cpu_us = of(index, Measured::cpu_us);
        table.row([
            held.to_string(),
            format!("{rate:.0}"),
            format!("{cpu_us:.2}"),
            format!("{p99_ms:.2}"),
        ]);
        points.push((f64::from((*held).max(1)), rate));
    }
    let share = of(2, Measured::rate) / of(0, Measured::rate);
    let verdict = Verdict::from_bool(share > 0.5);
    let because = format!(
        "Beside 10,000 live connections, all of them answered, 50 busy ones kept {:.0} % of their \
         rate; their p99 went from {:.2} to {:.2} ms.",
        100.0 * share,
        of(0, p99),
        of(2, p99)
    );
    Ok(Findings::new(verdict, because).table(table).plot(Plot {
        title: "The rate of 50 busy connections beside others".to_owned(),
        x: Axis::logarithmic("other connections"),
        y: Axis::linear("requests/s"),
        series: Series::Lines(vec![("sped".to_owned(), points)]),
    }))
}

fn beside(bench: &mut Bench<'_>, held: u32) -> Result<Measured, Problem> {
    let server = bench.start("sped", &PATIENT)?;
    let others = match held {
        0 => None,
        _ => hold(bench, &server, held)?,
    };
    if held > 0 && others.is_none() {
        return Err(Problem::NotTestable(format!("sped did not serve {held} connections")));
    }
    let plan = bench.plan(&server, "/plaintext", 3.0)?;
    let measured = bench.load(&server, &plan)?;
    bench.keep(vec![
        ("held", f64::from(held).into()),
        ("rate", measured.rate().into()),
        ("p99_ms", measured.percentile_ms(99.0).into()),
    ]);
    Ok(measured)
}
