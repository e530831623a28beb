//! *amped-queue* and *seda-overhead*: what handing short work over costs.

use crate::lab::bench::{Bench, Measured};
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Table, Verdict};
use crate::lab::problem::Problem;
use crate::lab::stats::median_of;

pub static AMPED_QUEUE: Experiment = Experiment {
    id: "amped-queue",
    claim: "AMPED's queue can become the bottleneck when the work is short.",
    source: "Pai, Druschel and Zwaenepoel, Flash, USENIX 1999, section 3.4",
    method: "/plaintext on 50 busy connections: amped with --offload all, which hands every request \
             over to a worker thread and back, beside sped. The claim holds if that costs a tenth \
             or more of the rate.",
    run: |bench| run(bench, ("amped", &["--offload", "all"]), 0.9),
};

pub static SEDA_OVERHEAD: Experiment = Experiment {
    id: "seda-overhead",
    claim: "Handing short work through stages is far less efficient than SPED.",
    source: "Welsh, A retrospective on SEDA, 2010",
    method: "/plaintext on 50 busy connections: seda beside sped. Far less efficient: a request \
             costs at least half as much CPU time again.",
    run: |bench| run(bench, ("seda", &[]), f64::NAN),
};

/// Compares a model with sped; `rate_below`: the share of sped's rate below which the claim holds;
/// without, it is about CPU time.
fn run(
    bench: &mut Bench<'_>,
    (model, options): (&'static str, &[&str]),
    rate_below: f64,
) -> Result<Findings, Problem> {
    bench.need(&[model, "sped"])?;
    let servers = [bench.start("sped", &[])?, bench.start(model, options)?];
    let results = bench.interleaved(&servers, |bench, server| {
        let plan = bench.plan(server, "/plaintext", 3.0)?;
        let measured = bench.load(server, &plan)?;
        bench.keep(vec![
            ("model", server.name.as_str().into()),
            ("rate", measured.rate().into()),
            ("cpu_us", measured.cpu_us().into()),
            ("p99_ms", measured.percentile_ms(99.0).into()),
        ]);
        Ok(measured)
    })?;
    let p99 = |measured: &Measured| measured.percentile_ms(99.0);
    let mut table = Table::new("Short work", &["model", "requests/s", "CPU, us", "p99, ms"]);
    for (server, rounds) in servers.iter().zip(&results) {
        table.row([
            [&server.name, options.join(" ").as_str()][..if server.name == model { 2 } else { 1 }]
                .join(" ")
                .trim_end()
                .to_owned(),
            format!("{:.0}", median_of(rounds, Measured::rate)),
            format!("{:.2}", median_of(rounds, Measured::cpu_us)),
            format!("{:.2}", median_of(rounds, p99)),
        ]);
    }
    let cpu = results.iter().map(|rounds| median_of(rounds, Measured::cpu_us)).collect::<Vec<_>>();
    let rates = results.iter().map(|rounds| median_of(rounds, Measured::rate)).collect::<Vec<_>>();
    let (cost, rate) = (cpu[1] / cpu[0], rates[1] / rates[0]);
    let holds = if rate_below.is_nan() { cost >= 1.5 } else { rate <= rate_below };
    let because = format!(
        "A request cost {:.2} us of CPU time under sped and {:.2} us under {model} ({cost:.2} times \
         as much, {:.2} us for the hand-overs); the rate was {rate:.2} of sped's.",
        cpu[0],
        cpu[1],
        cpu[1] - cpu[0]
    );
    Ok(Findings::new(Verdict::from_bool(holds), because).table(table).plot(Plot::bars(
        "CPU time of a short request",
        Axis::linear("us"),
        &servers.iter().map(|server| &server.name).collect::<Vec<_>>(),
        vec![("CPU time", cpu)],
    )))
}
