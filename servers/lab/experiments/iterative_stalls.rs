//! *iterative-stalls*: one client that says nothing keeps all others waiting.

use std::net::TcpStream;
use std::time::Duration;

use crate::lab::bench::Bench;
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Series, Table, Verdict};
use crate::lab::load::{Pace, Plan};
use crate::lab::problem::Problem;
use crate::lab::stats::median;

pub static ITERATIVE_STALLS: Experiment = Experiment {
    id: "iterative-stalls",
    claim: "A single blocking thread serves one client at a time; one idle or slow client stops \
            all others.",
    source: "Stevens, UNIX Network Programming, volume 1, chapter 30",
    method: "A client connects and sends nothing. Another one asks for /plaintext ten times a \
             second, from before until the first one leaves. The longest wait of the second is \
             compared with the time that the first has stayed.",
    run,
};

const MODELS: [&str; 9] =
    ["iterative", "mp", "mt", "prefork", "sped", "seda", "amped", "symped", "mn"];
/// Seconds that the idle client stays.
const STAYS: f64 = 2.0;

fn run(bench: &mut Bench<'_>) -> Result<Findings, Problem> {
    bench.need(&["iterative"])?;
    let models = bench.models(&MODELS);
    let stays = bench.seconds(STAYS);
    let waits = bench.interleaved(&models, |bench, model| longest_wait(bench, model, stays))?;
    let waits: Vec<f64> = waits.iter().map(|rounds| median(rounds)).collect();

    let mut table = Table::new("The longest wait beside one idle client", &["model", "ms"]);
    for (model, wait) in models.iter().zip(&waits) {
        table.row([(*model).to_owned(), format!("{wait:.1}")]);
    }
    let of = |name: &str| models.iter().position(|model| *model == name).map(|index| waits[index]);
    let iterative = of("iterative").unwrap_or_default();
    let stays_ms = stays.as_secs_f64() * 1e3;
    let others: f64 = waits.iter().skip(1).copied().fold(0.0, f64::max);
    // It waits for as long as the idle client stays, but for the time before it asked.
    let stalls = iterative > 0.8 * stays_ms;
    let because = format!(
        "While one client stayed idle for {stays_ms:.0} ms, another waited {iterative:.0} ms for \
         iterative, and at most {others:.1} ms for any other model."
    );
    let names = models.iter().map(|name| (*name).to_owned()).collect();
    let bars = vec![("longest wait".to_owned(), waits.iter().copied().map(Some).collect())];
    Ok(Findings::new(Verdict::from_bool(stalls), because).table(table).plot(Plot {
        title: "The longest wait of a good client beside an idle one".to_owned(),
        x: Axis::linear("model"),
        y: Axis::logarithmic("ms"),
        series: Series::Bars(names, bars),
    }))
}

fn longest_wait(bench: &mut Bench<'_>, model: &str, stays: Duration) -> Result<f64, Problem> {
    let server = bench.start(model, &[])?;
    let idle = TcpStream::connect(server.address)?;
    // By then it is accepted, wherever anything is.
    bench.pause(Duration::from_millis(50))?;
    let plan = Plan {
        connections: 1,
        pace: Pace::PerSecond(10.0),
        warm_up: Duration::ZERO,
        ..bench.plan(&server, "/plaintext", 0.0)?
    };
    let running = bench.background(&plan)?;
    bench.pause(stays)?;
    drop(idle);
    bench.pause(Duration::from_millis(250))?;
    running.stop();
    let outcome = running.finish()?;
    let wait_ms = outcome.record.max().as_secs_f64() * 1e3;
    bench.keep(vec![("model", model.into()), ("longest_wait_ms", wait_ms.into())]);
    Ok(wait_ms)
}
