//! *symped-ceiling*: a process of one loop uses one core at most.

use crate::lab::bench::{Bench, Measured};
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Table, Verdict};
use crate::lab::load::Plan;
use crate::lab::problem::Problem;
use crate::lab::stats::median_of;

pub static SYMPED_CEILING: Experiment = Experiment {
    id: "symped-ceiling",
    claim: "SYMPED's CPU use is capped by its number of processes, and all cores are used.",
    source: "Zeldovich and others, Multiprocessor support for event-driven programs, USENIX 2003",
    method: "symped with one worker up to twice the cores, under 50 connections whose requests are \
             2 ms of work each (/work?us=2000): more than it can do. Cores used are its CPU time by \
             the clock.",
    run,
};

fn run(bench: &mut Bench<'_>) -> Result<Findings, Problem> {
    bench.need(&["symped"])?;
    let cores = bench.machine.cores;
    let mut sweep: Vec<usize> = (0..).map(|power| 1 << power).take_while(|n| *n < cores).collect();
    sweep.extend([cores, 2 * cores]);
    let results = bench.interleaved(&sweep, |bench, workers| {
        let number = workers.to_string();
        let server = bench.start("symped", &["--workers", &number])?;
        let plan = Plan { connections: 50, ..bench.plan(&server, "/work?us=2000", 2.0)? };
        let measured = bench.load(&server, &plan)?;
        bench.keep(vec![
            ("workers", (*workers as f64).into()),
            ("cores_used", measured.cores().into()),
            ("rate", measured.rate().into()),
        ]);
        Ok(measured)
    })?;
    let mut table =
        Table::new("Under more work than it can do", &["workers", "cores used", "requests/s"]);
    let (mut points, mut capped, mut used) = (Vec::new(), true, 0.0);
    for (workers, rounds) in sweep.iter().zip(&results) {
        let of = median_of(rounds, Measured::cores);
        let rate = median_of(rounds, Measured::rate);
        table.row([workers.to_string(), format!("{of:.2}"), format!("{rate:.0}")]);
        points.push((*workers as f64, of));
        // The clock and the CPU time are read at different moments.
        capped &= of <= *workers as f64 * 1.05;
        if *workers == cores {
            used = of;
        }
    }
    let all_used = used > 0.85 * cores as f64;
    let because = format!(
        "With as many workers as cores ({cores}) {used:.2} cores were used, with one worker {:.2}; \
         {}.",
        points[0].1,
        if capped { "no number of workers used more" } else { "some number of workers used more" }
    );
    Ok(Findings::new(Verdict::from_bool(capped && all_used), because).table(table).plot(
        Plot::lines(
            "Cores used",
            Axis::linear("workers"),
            Axis::linear("cores"),
            vec![("symped".to_owned(), points)],
        ),
    ))
}
