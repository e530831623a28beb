//! *sped-stall*, *amped-isolates*, *symped-variance*: what computing for one client costs the others.

use crate::lab::bench::Bench;
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Series, Table, Verdict};
use crate::lab::load::{Pace, Plan};
use crate::lab::problem::Problem;
use crate::lab::stats::median;

pub static SPED_STALL: Experiment = Experiment {
    id: "sped-stall",
    claim: "In SPED a long computation stalls every client.",
    source: "Pai, Druschel and Zwaenepoel, Flash, USENIX 1999, section 3.3",
    method: METHOD,
    // A light request meets a computation as often as one runs: with probability 0.3 here.
    run: |bench| run(bench, "sped", |more_ms| more_ms > 0.5 * WORK_MS),
};

pub static AMPED_ISOLATES: Experiment = Experiment {
    id: "amped-isolates",
    claim: "In AMPED the work does not affect network latency.",
    source: "Pai, Druschel and Zwaenepoel, Flash, USENIX 1999, section 3.4",
    method: METHOD,
    run: |bench| run(bench, "amped", |more_ms| more_ms < 0.2 * WORK_MS),
};

pub static SYMPED_VARIANCE: Experiment = Experiment {
    id: "symped-variance",
    claim: "SYMPED still shows latency variance when the work is non-uniform.",
    source: "Pariag and others, Comparing the Performance of Web Server Architectures, EuroSys 2007",
    method: METHOD,
    run: |bench| run(bench, "symped", |more_ms| more_ms > 0.5 * WORK_MS),
};

const METHOD: &str = "300 light requests (/plaintext) a second, sent when they are due, beside 60 a \
                      second of 5 ms of work each (/work?us=5000), on connections of their own: a \
                      core is 30 % busy. What that adds to the p99 of the light ones is compared with the work's \
                      5 ms: half of it is a stall, a fifth is none.";

const WORK_MS: f64 = 5.0;
const LIGHT_RATE: f64 = 300.0;
const HEAVY_RATE: f64 = 60.0;
const MODELS: [&str; 7] = ["sped", "amped", "symped", "mt", "prefork", "seda", "mn"];

/// The claim is about `model`, whose p99 is so many milliseconds longer beside the work; the others
/// are shown beside it.
fn run(
    bench: &mut Bench<'_>,
    model: &'static str,
    holds: fn(f64) -> bool,
) -> Result<Findings, Problem> {
    bench.need(&[model])?;
    let models = match bench.quick {
        true => bench.models(&["sped", "amped", "symped"]),
        false => bench.models(&MODELS),
    };
    let results = bench.interleaved(&models, |bench, model| light(bench, model))?;
    let mut table = Table::new(
        "Light requests beside work",
        &["model", "p50, ms", "p99, ms", "p99 without work, ms"],
    );
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for (name, rounds) in models.iter().zip(&results) {
        let of =
            |index: usize| median(&rounds.iter().map(|round| round[index]).collect::<Vec<_>>());
        let (p50, p99, alone) = (of(0), of(1), of(2));
        table.row([
            (*name).to_owned(),
            format!("{p50:.2}"),
            format!("{p99:.2}"),
            format!("{alone:.2}"),
        ]);
        with.push(Some(p99));
        without.push(Some(alone));
    }
    let index = models.iter().position(|name| *name == model).unwrap_or_default();
    let (p99, alone) = (with[index].unwrap_or(f64::NAN), without[index].unwrap_or(f64::NAN));
    let because = format!(
        "Beside the work the p99 of light requests was {p99:.2} ms under {model}; without it was \
         {alone:.2} ms. A computation takes {WORK_MS:.0} ms."
    );
    let names = models.iter().map(|name| (*name).to_owned()).collect();
    Ok(Findings::new(Verdict::from_bool(holds(p99 - alone)), because).table(table).plot(Plot {
        title: "p99 of light requests".to_owned(),
        x: Axis::linear("model"),
        y: Axis::logarithmic("ms"),
        series: Series::Bars(
            names,
            vec![("beside work".to_owned(), with), ("alone".to_owned(), without)],
        ),
    }))
}

/// The p50 and p99 of light requests beside work, and their p99 without.
fn light(bench: &mut Bench<'_>, model: &str) -> Result<[f64; 3], Problem> {
    let server = bench.start(model, if model == "prefork" { &["--workers", "32"] } else { &[] })?;
    let light = Plan {
        connections: 8,
        pace: Pace::PerSecond(LIGHT_RATE),
        ..bench.plan(&server, "/plaintext", 3.0)?
    };
    let alone = bench.load(&server, &light)?.percentile_ms(99.0);
    let heavy = Plan {
        connections: 8,
        pace: Pace::PerSecond(HEAVY_RATE),
        ..bench.plan(&server, "/work?us=5000", 1.0)?
    };
    let work = bench.background(&heavy)?;
    let measured = bench.load(&server, &light)?;
    drop(work);
    let (p50, p99) = (measured.percentile_ms(50.0), measured.percentile_ms(99.0));
    bench.keep(vec![
        ("model", model.into()),
        ("p50_ms", p50.into()),
        ("p99_ms", p99.into()),
        ("alone_p99_ms", alone.into()),
    ]);
    Ok([p50, p99, alone])
}
