//! *thread-memory*, *loop-memory*, *goroutine-memory*: what a connection that is open costs.

use crate::lab::bench::Bench;
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Series, Table, Verdict};
use crate::lab::problem::Problem;

use super::hold::{PATIENT, hold};

pub static THREAD_MEMORY: Experiment = Experiment {
    id: "thread-memory",
    claim: "A thread's stack is 8 MB virtual and about 64 KB resident; a thousand threads take \
            noticeable memory.",
    source: "the folklore on thread per connection; pthread_create(3) for the 8 MB",
    method: "mt with 100, 1,000 and 5,000 live connections, beside sped. Memory is the server's \
             share of all pages but files (PSS), and that before the first connection is taken off.",
    run: |bench| {
        run(bench, "mt", &[100, 1_000, 5_000], (32.0 * KIB, 128.0 * KIB), ("a thread", "64 KB"))
    },
};

pub static LOOP_MEMORY: Experiment = Experiment {
    id: "loop-memory",
    claim: "An event loop needs about 10 KB a connection.",
    source: "the folklore of the C10K problem (Kegel, 1999)",
    method: "sped with 100, 1,000 and 10,000 live connections, each asked once a second. Memory is \
             the server's share of all pages but files (PSS), and that before the first connection \
             is taken off.",
    run: |bench| {
        let says = (3.0 * KIB, 20.0 * KIB);
        run(bench, "sped", &[100, 1_000, 10_000], says, ("a connection of a loop", "10 KB"))
    },
};

pub static GREEN_THREAD_MEMORY: Experiment = Experiment {
    id: "goroutine-memory",
    claim: "A green thread costs a few KB.",
    source: "Go's runtime, which starts a goroutine with a stack of 2 KB",
    method: "mn with 100, 1,000 and 10,000 live connections, each asked once a second. Memory is \
             the server's share of all pages but files (PSS), and that before the first connection \
             is taken off.",
    run: |bench| {
        let says = (1.0 * KIB, 10.0 * KIB);
        run(bench, "mn", &[100, 1_000, 10_000], says, ("a green thread", "2 to 8 KB"))
    },
};

const KIB: f64 = 1024.0;

/// The claim holds if a connection takes a number of bytes within `says`.
fn run(
    bench: &mut Bench<'_>,
    model: &'static str,
    counts: &[u32],
    says: (f64, f64),
    (what, said): (&str, &str),
) -> Result<Findings, Problem> {
    bench.need(&[model])?;
    let mut table = Table::new(
        &format!("{model}: memory of live connections"),
        &["connections", "all, MiB", "each, KiB"],
    );
    let mut points = Vec::new();
    for count in counts {
        let each = bytes_of_each(bench, model, *count)?;
        let all_mib = each * f64::from(*count) / KIB / KIB;
        table.row([count.to_string(), format!("{all_mib:.2}"), format!("{:.2}", each / KIB)]);
        points.push((f64::from(*count), each / KIB));
        bench.keep(vec![
            ("model", model.into()),
            ("connections", f64::from(*count).into()),
            ("bytes_each", each.into()),
        ]);
    }
    let each = points.last().map_or(f64::NAN, |(_, kib)| kib * KIB);
    let verdict = match each {
        each if each < says.0 => Verdict::DoesNotHold,
        each if each > says.1 => Verdict::DoesNotHold,
        _ => Verdict::Holds,
    };
    let because = format!(
        "With {} connections each one took {:.2} KiB; the text's figure stands for {:.0} to {:.0} \
         KiB.",
        counts.last().copied().unwrap_or_default(),
        each / KIB,
        says.0 / KIB,
        says.1 / KIB,
    );
    Ok(Findings::new(verdict, because)
        .table(table)
        .said(what, said, format!("{:.2} KiB", each / KIB))
        .plot(Plot {
            title: format!("{model}: memory of a live connection"),
            x: Axis::logarithmic("connections"),
            y: Axis::linear("KiB each"),
            series: Series::Lines(vec![(model.to_owned(), points)]),
        }))
}

fn bytes_of_each(bench: &mut Bench<'_>, model: &str, count: u32) -> Result<f64, Problem> {
    let server = bench.start(model, &PATIENT)?;
    // What the first requests allocate for all later ones is no part of a connection.
    drop(hold(bench, &server, 10)?);
    let closed = || server.metric("connections_open").is_ok_and(|open| open <= 1.0);
    bench.until(std::time::Duration::from_secs(5), closed)?;
    let before = server.memory_bytes().unwrap_or_default();
    let Some(_held) = hold(bench, &server, count)? else {
        let reason = format!("{model} did not serve {count} connections");
        return Err(Problem::NotTestable(reason));
    };
    let after = server.memory_bytes().unwrap_or_default();
    Ok(after.saturating_sub(before) as f64 / f64::from(count))
}
