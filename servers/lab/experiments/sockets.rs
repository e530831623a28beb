//! *defer-accept*, *nagle*, *linger*: what options of sockets change.

use std::fs;

use crate::lab::bench::{Bench, Measured};
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Table, Verdict};
use crate::lab::load::Plan;
use crate::lab::problem::Problem;
use crate::lab::stats::{median, median_of};

pub static DEFER_ACCEPT: Experiment = Experiment {
    id: "defer-accept",
    claim: "Accepting only once data has arrived pays.",
    source: "tcp(7), TCP_DEFER_ACCEPT; the tuning guides of Apache and nginx",
    method: "sped with and without --defer-accept, under 50 clients that connect for every request. \
             It pays if a connection costs at least 3 % less CPU time.",
    run: |bench| {
        let plan = Change {
            plus: &["--defer-accept", "5s"],
            minus: &[],
            target: "/plaintext",
            churn: true,
        };
        run(bench, &plan, "--defer-accept", |with, without| with.cpu < 0.97 * without.cpu)
    },
};

pub static NAGLE: Experiment = Experiment {
    id: "nagle",
    claim: "Disabling Nagle's algorithm matters.",
    source: "Nagle, RFC 896, 1984; Mogul and Minshall, Rethinking the TCP Nagle algorithm, 2001",
    method: "sped with TCP_NODELAY (its default) and without, under clients that pipeline four \
             requests for files of 20,000 bytes at a time, so that responses are sent in several \
             parts. It matters if the p99 is at least a fifth lower with it.",
    run: |bench| {
        let target = "/bytes?n=20000";
        let plan = Change { plus: &[], minus: &["--no-nodelay"], target, churn: false };
        run(bench, &plan, "TCP_NODELAY", |with, without| with.p99_ms < 0.8 * without.p99_ms)
    },
};

pub static LINGER: Experiment = Experiment {
    id: "linger",
    claim: "Disabling lingering helps at high reconnection rates.",
    source: "socket(7), SO_LINGER; the folklore on TIME_WAIT",
    method: "sped with --linger 0 and without, under 50 clients that connect for every request and \
             have the server close. It helps if a connection costs at least 3 % less CPU time; \
             sockets in TIME_WAIT are counted before and after.",
    run: |bench| {
        let plan = Change {
            plus: &["--keepalive-requests", "1", "--linger", "0s"],
            minus: &["--keepalive-requests", "1"],
            target: "/plaintext",
            churn: true,
        };
        run(bench, &plan, "--linger 0", |with, without| {
            with.cpu < 0.97 * without.cpu && with.errors == 0.0
        })
    },
};

/// Two ways to run sped, and the load for both.
struct Change {
    plus: &'static [&'static str],
    minus: &'static [&'static str],
    target: &'static str,
    churn: bool,
}

/// Medians of one side.
struct Side {
    rate: f64,
    cpu: f64,
    p99_ms: f64,
    time_wait: f64,
    errors: f64,
}

fn run(
    bench: &mut Bench<'_>,
    change: &Change,
    name: &str,
    pays: fn(&Side, &Side) -> bool,
) -> Result<Findings, Problem> {
    bench.need(&["sped"])?;
    let servers = [bench.start("sped", change.plus)?, bench.start("sped", change.minus)?];
    let results = bench.interleaved(&[0_usize, 1], |bench, side| {
        let server = &servers[*side];
        let plan = Plan {
            requests_per_connection: u32::from(change.churn),
            pipeline: if change.churn { 1 } else { 4 },
            ..bench.plan(server, change.target, 3.0)?
        };
        let before = time_wait();
        let measured = bench.load(server, &plan)?;
        let left = time_wait() - before;
        bench.keep(vec![
            ("with", (1.0 - *side as f64).into()),
            ("rate", measured.rate().into()),
            ("cpu_us", measured.cpu_us().into()),
            ("p99_ms", measured.percentile_ms(99.0).into()),
            ("time_wait", left.into()),
        ]);
        Ok((measured, left))
    })?;
    let side = |index: usize| {
        let rounds: &[(Measured, f64)] = &results[index];
        Side {
            rate: median_of(rounds, |(measured, _)| measured.rate()),
            cpu: median_of(rounds, |(measured, _)| measured.cpu_us()),
            p99_ms: median_of(rounds, |(measured, _)| measured.percentile_ms(99.0)),
            errors: median_of(rounds, |(measured, _)| {
                measured.outcome.record.counts.errors() as f64
            }),
            time_wait: median(&rounds.iter().map(|(_, left)| *left).collect::<Vec<_>>()),
        }
    };
    let (with, without) = (side(0), side(1));
    let mut table = Table::new(
        &format!("sped with and without {name}"),
        &["", "requests/s", "CPU, us", "p99, ms", "TIME_WAIT", "errors"],
    );
    for (label, side) in [("with", &with), ("without", &without)] {
        table.row([
            label.to_owned(),
            format!("{:.0}", side.rate),
            format!("{:.2}", side.cpu),
            format!("{:.2}", side.p99_ms),
            format!("{:.0}", side.time_wait),
            format!("{:.0}", side.errors),
        ]);
    }
    let because = format!(
        "With {name} a request cost {:.2} us of CPU time and the p99 was {:.2} ms; without, {:.2} \
         us and {:.2} ms.",
        with.cpu, with.p99_ms, without.cpu, without.p99_ms
    );
    Ok(Findings::new(Verdict::from_bool(pays(&with, &without)), because).table(table).plot(
        Plot::bars(
            &format!("sped with and without {name}"),
            Axis::linear("us, ms"),
            &["with", "without"],
            vec![
                ("CPU time, us", vec![with.cpu, without.cpu]),
                ("p99, ms", vec![with.p99_ms, without.p99_ms]),
            ],
        ),
    ))
}

/// Sockets of this machine that wait for stray segments of connections that are over.
fn time_wait() -> f64 {
    let text = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("TCP:")).unwrap_or_default();
    let mut words = line.split_whitespace().skip_while(|word| *word != "tw").skip(1);
    words.next().and_then(|count| count.parse().ok()).unwrap_or_default()
}
