//! `/metrics`: the numbers in Prometheus's text format, version 0.0.4.
//!
//! Names follow its conventions: a prefix, base units (seconds, not microseconds), `_total` for
//! counters.

use std::fmt::Write as _;

use super::numbers::Numbers;
use super::processes;
use super::stages;
use super::workers;
use crate::metrics::{CounterSlot, Description, Kind};
use crate::model::ModelInfo;
use crate::report;

/// The format's media type.
pub(super) const TYPE: (&str, &str) = ("Content-Type", "text/plain; version=0.0.4; charset=utf-8");

/// Counted where messages are written, for all processes at once.
const REPORTS_DROPPED: Description = Description {
    name: "report_lines_dropped",
    kind: Kind::Counter,
    help: "Messages to the operator that standard error did not take.",
};

/// Every number, with its meaning.
pub(super) fn metrics(info: &ModelInfo, numbers: &Numbers) -> String {
    let mut text = String::with_capacity(8192);
    let labels = format!(
        "{{model=\"{}\",version=\"{}\"}}",
        label(info.name),
        label(env!("CARGO_PKG_VERSION"))
    );
    let uptime = numbers.uptime.as_secs_f64();
    let general = [
        ("stampede_info", labels, "Which model this is; always 1.", "1".to_owned()),
        ("stampede_loops", String::new(), "Loops or workers.", numbers.loops.to_string()),
        ("stampede_uptime_seconds", String::new(), "Time since start.", format!("{uptime:.3}")),
    ];
    for (name, labels, help, value) in general {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{labels} {value}\n");
    }
    let processes = &numbers.processes;
    if !processes.is_empty() {
        let (serving, restarts) = (processes::serving(processes), processes::restarts(processes));
        let _ = write!(
            text,
            "# HELP stampede_processes Worker processes that serve.\n\
             # TYPE stampede_processes gauge\nstampede_processes {serving}\n\
             # HELP stampede_process_restarts_total Worker processes that died unasked.\n\
             # TYPE stampede_process_restarts_total counter\n\
             stampede_process_restarts_total {restarts}\n"
        );
    }
    for (counter, value) in CounterSlot::DESCRIPTIONS.iter().zip(numbers.values) {
        sample(&mut text, counter, value);
    }
    sample(&mut text, &REPORTS_DROPPED, report::lines_dropped());
    workers::metrics(&mut text, &numbers.workers);
    stages::metrics(&mut text, &numbers.stages);
    text
}

/// One counter: two lines of description and its value.
fn sample(text: &mut String, counter: &Description, value: u64) {
    let (base, in_us) = match counter.name.strip_suffix("_us") {
        Some(base) => (base, true),
        None => (counter.name, false),
    };
    let unit = if in_us { "_seconds" } else { "" };
    let (total, kind) = match counter.kind {
        Kind::Counter => ("_total", "counter"),
        Kind::Gauge | Kind::Max => ("", "gauge"),
    };
    let name = format!("stampede_{base}{unit}{total}");
    let help = counter.help.trim();
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} ");
    let _ = match in_us {
        true => writeln!(text, "{}.{:06}", value / 1_000_000, value % 1_000_000),
        false => writeln!(text, "{value}"),
    };
}

/// A label's value: backslash, quote and line end escaped.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::super::tests::{INFO, numbers};
    use super::*;
    use crate::metrics::BOUNDS_US;

    /// Parses the format as strictly as its specification allows: HELP, then TYPE, then the samples
    /// of one name, each once. Returns type and value by name and, if it has several, labels.
    fn read(text: &str) -> HashMap<String, (String, f64)> {
        assert!(text.ends_with('\n'), "the last line must end");
        let (mut helped, mut typed, mut samples) = (HashSet::new(), HashMap::new(), HashMap::new());
        let mut sampled = HashSet::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect(line);
                assert!(is_name(name) && !help.is_empty(), "{line}");
                assert!(helped.insert(name.to_owned()), "described twice: {name}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect(line);
                assert!(helped.contains(name), "not described: {name}");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                let before = typed.insert(name.to_owned(), kind.to_owned());
                assert!(before.is_none(), "typed twice: {name}");
            } else {
                let (name, value) = read_sample(line);
                let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| {
                    let family = name.strip_suffix(part)?;
                    typed.get(family).filter(|kind| *kind == "histogram").map(|_| family)
                });
                let kind = typed.get(family.unwrap_or(name)).expect("a type before it").clone();
                sampled.insert(family.unwrap_or(name).to_owned());
                let key = match line.contains("worker=") {
                    true => line.rsplit_once(' ').expect(line).0,
                    false => name,
                };
                let before = samples.insert(key.to_owned(), (kind, value));
                assert!(before.is_none(), "sampled twice: {key}");
            }
        }
        assert_eq!(sampled, helped);
        samples
    }

    /// `name{label="value",…} number`
    fn read_sample(line: &str) -> (&str, f64) {
        let end = line.find(['{', ' ']).expect(line);
        let (name, mut rest) = line.split_at(end);
        assert!(is_name(name), "{line}");
        if let Some(labels) = rest.strip_prefix('{') {
            rest = read_labels(labels);
        }
        let value = rest.strip_prefix(' ').expect(line);
        (name, value.parse().expect(line))
    }

    /// Reads past the closing brace; returns what follows.
    fn read_labels(mut rest: &str) -> &str {
        loop {
            let (name, value) = rest.split_once("=\"").expect(rest);
            assert!(is_name(name) && !name.contains(':'), "{name}");
            let mut escaped = false;
            let end = value.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            let after = &value[end.expect("a closing quote") + 1..];
            if let Some(after) = after.strip_prefix('}') {
                return after;
            }
            rest = after.strip_prefix(',').expect(after);
        }
    }

    fn is_name(name: &str) -> bool {
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
        name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
    }

    #[test]
    fn the_format_is_valid_and_every_name_is_there_once() {
        let samples = read(&metrics(&INFO, &numbers()));
        let of_workers = samples.keys().filter(|name| name.contains("worker=")).count();
        assert_eq!(of_workers, 2 * (1 + 2 * (BOUNDS_US.len() + 3)));
        assert_eq!(samples.len() - of_workers, CounterSlot::DESCRIPTIONS.len() + 4);
        for (name, (kind, _)) in &samples {
            assert!(name.starts_with("stampede_"), "{name}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
        }
    }

    #[test]
    fn values_are_the_numbers_in_base_units() {
        let (numbers, samples) = (numbers(), read(&metrics(&INFO, &numbers())));
        assert_eq!(samples["stampede_requests_total"].1, numbers.get("requests") as f64);
        assert_eq!(samples["stampede_loops"].1, 2.0);
        assert_eq!(samples["stampede_uptime_seconds"].1, 12.345);
        let us = numbers.get("work_us") as f64;
        assert_eq!(samples["stampede_work_seconds_total"].1, us / 1e6);
    }

    #[test]
    fn a_workers_histogram_is_cumulative_and_in_seconds() {
        let samples = read(&metrics(&INFO, &numbers()));
        let of = |rest: &str| samples[&format!("stampede_worker_run_seconds_{rest}")].1;
        assert_eq!(of("bucket{worker=\"0\",le=\"0.01\"}"), 3.0);
        assert_eq!(of("bucket{worker=\"0\",le=\"+Inf\"}"), of("count{worker=\"0\"}"));
        assert_eq!(of("sum{worker=\"0\"}"), 30.004);
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
