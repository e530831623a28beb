//! A report with invented figures, for tests and for looking at the page. None of it was measured.

use std::path::Path;

use crate::lab::experiment::{Done, Experiment};
use crate::lab::findings::{Axis, Findings, Plot, Series, Table, Value, Verdict};
use crate::lab::machine::Machine;

const MODELS: [&str; 9] =
    ["iterative", "mp", "mt", "prefork", "sped", "seda", "amped", "symped", "mn"];
const INVENTED: &str = "invented, for looking at the page";

/// An experiment that cannot be run.
macro_rules! invented {
    ($id:literal, $claim:literal, $method:literal) => {
        &Experiment {
            id: $id,
            claim: $claim,
            source: INVENTED,
            method: $method,
            run: |_| unreachable!(),
        }
    };
}

pub fn machine() -> Machine {
    Machine {
        cores: 4,
        processor: "Invented CPU <E5> @ 2.40GHz".to_owned(),
        kernel: "linux 6.1.0-invented".to_owned(),
        memory_bytes: 8 << 30,
        descriptors: Some(1_048_576),
        date: "Sun, 06 Nov 1994 08:49:37 GMT".to_owned(),
        version: "0.0.0-invented",
    }
}

/// Of nine models.
pub fn summary() -> Table {
    let mut table = Table::new(
        "Invented figures: 50 connections, /plaintext",
        &[
            "model",
            "requests/s",
            "p50, ms",
            "p99, ms",
            "CPU, us",
            "MiB at 10",
            "MiB at 1,000",
            "MiB at 10,000",
            "slow clients",
            "hurt by a crash",
            "cores used",
        ],
    );
    for (index, model) in MODELS.iter().enumerate() {
        let i = index as f64;
        let slow = if index == 0 { "all others wait" } else { "served beside them" };
        let at_10k = if index < 4 { "–".to_owned() } else { format!("{:.0}", 31.0 + 9.0 * i) };
        table.row([
            (*model).to_owned(),
            format!("{:.0}", 21_000.0 + 11_234.0 * i),
            format!("{:.2}", 2.4 / (i + 1.0)),
            format!("{:.2}", 9.7 / (i + 1.0)),
            format!("{:.1}", 31.0 - 2.7 * i),
            format!("{:.1}", 2.1 + i),
            format!("{:.1}", 5.0 + 7.0 * i),
            at_10k,
            slow.to_owned(),
            format!("{} of 100", if index % 3 == 1 { 1 } else { 100 }),
            format!("{:.1}", if index == 7 { 3.8 } else { 1.0 }),
        ]);
    }
    table
}

fn bars(groups: &[&str], names: &[&str], value: impl Fn(usize, usize) -> Option<f64>) -> Series {
    let values = |bar: usize| (0..groups.len()).map(|group| value(group, bar)).collect();
    let bars = names.iter().enumerate().map(|(i, name)| ((*name).to_owned(), values(i))).collect();
    Series::Bars(groups.iter().map(|&group| group.to_owned()).collect(), bars)
}

fn plot(title: &str, x: Axis, y: Axis, series: Series) -> Plot {
    Plot { title: title.to_owned(), x, y, series }
}

fn throughput() -> Findings {
    let line = |index: usize| {
        let rate = |clients: f64| {
            let ceiling = 30_000.0 + 9_000.0 * index as f64;
            ceiling * clients / (clients + 12.0) / (1.0 + clients / (300.0 * (1.0 + index as f64)))
        };
        [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0].map(|clients| (clients, rate(clients)))
    };
    let lines: Vec<(String, Vec<(f64, f64)>)> = MODELS
        .iter()
        .enumerate()
        .map(|(i, model)| ((*model).to_owned(), line(i).to_vec()))
        .collect();
    let mut table =
        Table::new("Requests a second by connections", &["model", "1", "10", "100", "1,000"]);
    for (model, points) in &lines {
        let cells = [0, 2, 4, 6].map(|at| format!("{:.0}", points[at].1));
        table.row(std::iter::once(model.clone()).chain(cells));
    }
    let (x, y) = (Axis::logarithmic("connections"), Axis::linear("requests/s"));
    let lines = Series::Lines(lines);
    let because = "At 1,000 connections mt answered 12,345 requests/s, 41 % of its best; \
                   up to 400 it kept 90 %.";
    Findings::new(Verdict::HoldsWithin("up to 400 connections".to_owned()), because)
        .said("a context switch", "about 5 us, or more <with> cold caches", "1.6 us")
        .said("threads before it becomes slow", "hundreds", "between 400 and 1,000")
        .table(table)
        .plot(plot("The rate of nine models", x, y, lines))
}

fn memory() -> Findings {
    let mut table = Table::new("sped: live connections", &["connections", "all, MiB", "each, KiB"]);
    for (count, all, each) in
        [("100", "0.1", "1.24"), ("1,000", "0.7", "0.72"), ("10,000", "5.9", "0.61")]
    {
        table.row([count.to_owned(), all.to_owned(), each.to_owned()]);
    }
    let points = vec![(100.0, 1.24), (1_000.0, 0.72), (10_000.0, 0.61)];
    let one = Series::Lines(vec![("sped".to_owned(), points)]);
    Findings::new(Verdict::DoesNotHold, "With 10,000 connections each one took 0.61 KiB.")
        .said("a connection of a loop", "10 KB", "0.61 KiB")
        .table(table)
        .plot(plot(
            "sped: a live connection",
            Axis::logarithmic("connections"),
            Axis::linear("KiB each"),
            one,
        ))
}

fn latency() -> Findings {
    let value = |group: usize, bar: usize| match (group, bar) {
        (0, 2) => None,
        _ => Some(0.08 * 6f64.powi(bar as i32) * (9 - group) as f64),
    };
    let three = bars(&MODELS, &["p50", "p99", "longest"], value);
    let one = bars(&MODELS, &["hurt"], |group, _| Some(if group % 3 == 1 { 1.0 } else { 100.0 }));
    let long =
        ["8 threads, each of them busy with files", "no threads: the loop reads files itself"];
    let four = bars(&long, &["sped", "amped", "mn", "nginx"], |group, bar| {
        Some(1_000.0 + 40_000.0 * (group as f64 + bar as f64))
    });
    let mut table =
        Table::new("Latency, ms", &["model", "p50", "p99", "longest", "what its clients see"]);
    table.row(
        ["sped", "0.31", "2.6", "120", "all of them wait for the one that reads from the disk"]
            .map(str::to_owned),
    );
    table.row(["amped", "0.32", "0.9", "3.1", "nothing"].map(str::to_owned));
    Findings::new(Verdict::Holds, "The longest wait was 120 ms under sped and 3.1 ms under amped.")
        .table(table)
        .plot(plot("Latency beside slow clients", Axis::default(), Axis::logarithmic("ms"), three))
        .plot(plot("Clients hurt by one crash", Axis::default(), Axis::linear("of 100"), one))
        .plot(plot("With and without threads", Axis::default(), Axis::linear("requests/s"), four))
}

/// Experiments of each verdict, with each kind of plot.
pub fn done() -> Vec<Done> {
    let untested = Verdict::NotTestable("this kernel has no invented_call(2)".to_owned());
    let mut done = vec![
        Done {
            experiment: invented!(
                "thread-ceiling",
                "A thread for each connection stops scaling at some hundreds of connections.",
                "mt and sped with 1 to 1,000 busy connections, in three rounds, in turns."
            ),
            findings: throughput(),
            seconds: 31.2,
        },
        Done {
            experiment: invented!(
                "loop-memory",
                "An event loop needs about 10 KB a connection.",
                "sped with 100, 1,000 and 10,000 live connections."
            ),
            findings: memory(),
            seconds: 9.0,
        },
        Done {
            experiment: invented!(
                "sped-stall",
                "One request that waits for the disk stalls all clients of a loop <script>.",
                "A file that is not in the page cache & 50 other clients."
            ),
            findings: latency(),
            seconds: 12.04,
        },
        Done {
            experiment: invented!("no-call", "An invented system call is fast.", "It is timed."),
            findings: Findings::new(untested, ""),
            seconds: 0.0,
        },
    ];
    for (index, done) in done.iter_mut().enumerate() {
        let row =
            |i: usize| vec![("model", MODELS[i].into()), ("rate", Value::Number(i as f64 / 3.0))];
        done.findings.raw = (0..index * 3).map(row).collect();
    }
    done
}

/// Writes the invented report to the folder that LAB_EXAMPLE names:
///
/// ```text
/// LAB_EXAMPLE=/tmp/example cargo test --features lab --lib report::example -- --ignored
/// ```
#[test]
#[ignore = "for looking at the page; it needs LAB_EXAMPLE"]
fn write_the_example() {
    let folder = std::env::var_os("LAB_EXAMPLE").expect("LAB_EXAMPLE names a folder");
    let page = super::write(Path::new(&folder), &machine(), Some(&summary()), &done(), true);
    println!("{}", page.unwrap().display());
    for done in done() {
        println!("{}", super::terminal(&done));
    }
}
