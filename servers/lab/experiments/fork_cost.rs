//! *fork-cost* and *thread-cost*: what a process, or a thread, for each connection costs beside a
//! pool of them.

use crate::lab::bench::{Bench, Measured};
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Series, Table, Verdict};
use crate::lab::load::Plan;
use crate::lab::problem::Problem;
use crate::lab::stats::median;

pub static FORK_COST: Experiment = Experiment {
    id: "fork-cost",
    claim: "Forking per connection costs hundreds of microseconds and outweighs the handling at \
            about a thousand requests a second.",
    source: "the folklore on CGI and inetd; Stevens, UNIX Network Programming, volume 1, 30.5",
    method: "Clients that connect for every request, on mp and on prefork, which does the same with \
             processes that are there already. The difference in the server's CPU time for each \
             connection is what the process costs.",
    run: |bench| run(bench, "mp", (100.0, 1_000.0), "a fork"),
};

pub static THREAD_COST: Experiment = Experiment {
    id: "thread-cost",
    claim: "Spawning a thread costs tens of microseconds.",
    source: "the folklore on thread pools; Stevens, UNIX Network Programming, volume 1, 30.10",
    method: "Clients that connect for every request, on mt and on prefork, which does the same with \
             threads that are there already. The difference in the server's CPU time for each \
             connection is what the thread costs.",
    run: |bench| run(bench, "mt", (10.0, 100.0), "a thread"),
};

/// With as many threads as clients; its processes are as many as the cores.
const POOL: [&str; 4] = ["--workers", "1", "--threads", "32"];
const CLIENTS: u32 = 16;

/// Compares `model` with the pool; the claim holds if the difference in microseconds is in `says`.
fn run(
    bench: &mut Bench<'_>,
    model: &'static str,
    says: (f64, f64),
    what: &str,
) -> Result<Findings, Problem> {
    bench.need(&[model, "prefork"])?;
    let pool: &[&str] = if model == "mp" { &["--workers", "32"] } else { &POOL };
    let servers = [bench.start(model, &[])?, bench.start("prefork", pool)?];
    let results = bench.interleaved(&servers, |bench, server| {
        let plan = Plan {
            connections: CLIENTS,
            requests_per_connection: 1,
            ..bench.plan(server, "/plaintext", 3.0)?
        };
        let measured = bench.load(server, &plan)?;
        bench.keep(vec![
            ("model", server.name.as_str().into()),
            ("connections_per_second", measured.rate().into()),
            ("cpu_us", measured.cpu_us().into()),
            ("system_share", measured.system_share().into()),
        ]);
        Ok(measured)
    })?;

    let of = |index: usize, figure: fn(&Measured) -> f64| {
        median(&results[index].iter().map(figure).collect::<Vec<_>>())
    };
    let mut table = Table::new(
        "A connection for each request",
        &["model", "connections/s", "CPU, us", "in the kernel"],
    );
    for (index, server) in servers.iter().enumerate() {
        table.row([
            server.name.clone(),
            format!("{:.0}", of(index, Measured::rate)),
            format!("{:.1}", of(index, Measured::cpu_us)),
            format!("{:.0} %", 100.0 * of(index, Measured::system_share)),
        ]);
    }
    let (own, pooled) = (of(0, Measured::cpu_us), of(1, Measured::cpu_us));
    let costs = own - pooled;
    let verdict = match costs {
        costs if costs >= says.0 && costs <= says.1 => Verdict::Holds,
        _ => Verdict::DoesNotHold,
    };
    let because = format!(
        "A connection took {own:.0} us of CPU time under {model} and {pooled:.0} us in a pool: \
         {what} costs {costs:.0} us. At a thousand a second that is {:.0} % of a core, beside \
         {:.0} % for all else.",
        costs / 10.0,
        pooled / 10.0
    );
    let says = if says.0 >= 100.0 { "hundreds of microseconds" } else { "tens of microseconds" };
    Ok(Findings::new(verdict, because)
        .table(table)
        .said(what, says, format!("{costs:.0} us"))
        .plot(Plot {
            title: format!("CPU time of a connection: {model} beside a pool"),
            x: Axis::linear("model"),
            y: Axis::linear("us"),
            series: Series::Bars(
                servers.iter().map(|server| server.name.clone()).collect(),
                vec![("CPU time".to_owned(), vec![Some(own), Some(pooled)])],
            ),
        }))
}
