//! *two-per-core*: how many processes are too many.

use crate::lab::bench::{Bench, Measured};
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Table, Verdict};
use crate::lab::load::Plan;
use crate::lab::problem::Problem;
use crate::lab::stats::median_of;

pub static TWO_PER_CORE: Experiment = Experiment {
    id: "two-per-core",
    claim: "A multi-process server works well while processes are at most about twice the cores; \
            beyond that time goes to the system.",
    source: "the folklore on sizing pools",
    method: "prefork with 1 to 128 processes of one thread, under as many busy connections, each \
             request 20 us of work (/work?us=20). The claim holds if the rate at 128 is below 0.8 \
             of the best, and the system's share of the CPU time is a tenth higher there.",
    run,
};

const SWEEP: [u32; 7] = [1, 2, 4, 8, 16, 64, 128];

fn run(bench: &mut Bench<'_>) -> Result<Findings, Problem> {
    bench.need(&["prefork"])?;
    let results = bench.interleaved(&SWEEP, |bench, workers| {
        let number = workers.to_string();
        let server = bench.start("prefork", &["--workers", &number, "--threads", "1"])?;
        let plan = Plan { connections: *workers, ..bench.plan(&server, "/work?us=20", 1.5)? };
        let mut measured = bench.load(&server, &plan)?;
        // What a process used in so short a time is less than a tick, for most of them.
        measured.cpu = server.finish();
        bench.keep(vec![
            ("workers", f64::from(*workers).into()),
            ("rate", measured.rate().into()),
            ("system_share", measured.system_share().into()),
        ]);
        Ok(measured)
    })?;
    let mut table = Table::new(
        "prefork, a busy connection for each process",
        &["processes", "requests/s", "in the kernel"],
    );
    let (mut points, mut best) = (Vec::new(), (0, 0.0, 0.0));
    let mut last = (0.0, 0.0);
    for (workers, rounds) in SWEEP.iter().zip(&results) {
        let rate = median_of(rounds, Measured::rate);
        let system = median_of(rounds, Measured::system_share);
        table.row([workers.to_string(), format!("{rate:.0}"), format!("{:.0} %", 100.0 * system)]);
        points.push((f64::from(*workers), rate));
        if rate > best.1 {
            best = (*workers, rate, system);
        }
        last = (rate, system);
    }
    let (kept, more) = (last.0 / best.1, last.1 - best.2);
    let verdict = match (kept < 0.8, more > 0.1) {
        (true, true) => Verdict::Holds,
        (true, false) => Verdict::HoldsWithin(
            "for the rate; the time did not go to the system, but to switches' colder caches"
                .to_owned(),
        ),
        (false, _) => Verdict::DoesNotHold,
    };
    let because = format!(
        "The best rate was with {} processes on {} cores; with 128 it was {:.0} % of that, and the \
         kernel's share of the CPU time went from {:.0} to {:.0} %.",
        best.0,
        bench.machine.cores,
        100.0 * kept,
        100.0 * best.2,
        100.0 * last.1
    );
    Ok(Findings::new(verdict, because).table(table).plot(Plot::lines(
        "Rate over processes",
        Axis::logarithmic("processes"),
        Axis::linear("requests/s"),
        vec![("prefork".to_owned(), points)],
    )))
}
