//! The worker threads of a model that has them, in the three forms: how many jobs each has, and how
//! long its jobs have waited and run.

use std::fmt::Write as _;
use std::time::Duration;

use crate::metrics::{BOUNDS_US, Histogram, WorkerCounters};
use crate::site::pages::text::grouped;

/// The numbers of one worker.
#[derive(Clone)]
pub(super) struct WorkerNumbers {
    /// Jobs queued or running.
    pub jobs: u64,
    pub wait: Times,
    pub run: Times,
}

/// A snapshot of a histogram.
#[derive(Clone)]
pub(super) struct Times {
    /// How many took at most each of [`BOUNDS_US`]; the last entry: all.
    pub cumulative: [u64; BOUNDS_US.len() + 1],
    pub sum_us: u64,
}

impl WorkerNumbers {
    pub fn of(counters: &WorkerCounters) -> Self {
        let (wait, run) = (Times::of(&counters.wait), Times::of(&counters.run));
        WorkerNumbers { jobs: counters.jobs.get(), wait, run }
    }
}

impl Times {
    fn of(histogram: &Histogram) -> Self {
        Times { cumulative: histogram.cumulative(), sum_us: histogram.sum_us() }
    }

    fn count(&self) -> u64 {
        self.cumulative[BOUNDS_US.len()]
    }

    fn mean(&self) -> Duration {
        Duration::from_micros(self.sum_us.checked_div(self.count()).unwrap_or(0))
    }

    /// The smallest bound that covers 99 %; `None`: there is none.
    fn bound_of_99(&self) -> Option<Duration> {
        let enough = (self.count() * 99).div_ceil(100);
        let index = self.cumulative.iter().position(|&count| count >= enough)?;
        BOUNDS_US.get(index).map(|&us| Duration::from_micros(us))
    }
}

/// `"workers":[{…},…]`
pub(super) fn json(text: &mut String, workers: &[WorkerNumbers]) {
    text.push_str("\"workers\":[");
    for (i, worker) in workers.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{{\"jobs\":{}", worker.jobs);
        for (name, times) in [("wait", &worker.wait), ("run", &worker.run)] {
            let _ = write!(text, ",\"{name}\":{{\"count\":{}", times.count());
            let _ = write!(text, ",\"sum_us\":{},\"at_most_us\":{{", times.sum_us);
            for (i, (bound, count)) in BOUNDS_US.iter().zip(times.cumulative).enumerate() {
                let comma = if i == 0 { "" } else { "," };
                let _ = write!(text, "{comma}\"{bound}\":{count}");
            }
            text.push_str("}}");
        }
        text.push('}');
    }
    text.push(']');
}

/// A gauge and two histograms, labelled by worker.
pub(super) fn metrics(text: &mut String, workers: &[WorkerNumbers]) {
    if workers.is_empty() {
        return;
    }
    let name = "stampede_worker_jobs";
    let _ = writeln!(text, "# HELP {name} Jobs queued at or running on a worker.");
    let _ = writeln!(text, "# TYPE {name} gauge");
    for (i, worker) in workers.iter().enumerate() {
        let _ = writeln!(text, "{name}{{worker=\"{i}\"}} {}", worker.jobs);
    }
    let wait: fn(&WorkerNumbers) -> &Times = |worker| &worker.wait;
    histogram(text, "wait", "From a job's submission to its start.", workers, wait);
    histogram(text, "run", "From a job's start to its end.", workers, |worker| &worker.run);
}

fn histogram(
    text: &mut String,
    which: &str,
    help: &str,
    workers: &[WorkerNumbers],
    times: fn(&WorkerNumbers) -> &Times,
) {
    let name = format!("stampede_worker_{which}_seconds");
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} histogram\n");
    for (i, worker) in workers.iter().enumerate() {
        let times = times(worker);
        for (bound, count) in BOUNDS_US.iter().zip(times.cumulative) {
            let le = *bound as f64 / 1e6;
            let _ = writeln!(text, "{name}_bucket{{worker=\"{i}\",le=\"{le}\"}} {count}");
        }
        let (count, sum) = (times.count(), times.sum_us as f64 / 1e6);
        let _ = writeln!(text, "{name}_bucket{{worker=\"{i}\",le=\"+Inf\"}} {count}");
        let _ = writeln!(text, "{name}_sum{{worker=\"{i}\"}} {sum}");
        let _ = writeln!(text, "{name}_count{{worker=\"{i}\"}} {count}");
    }
}

/// A table; a snapshot that the script does not update.
pub(super) fn page(body: &mut String, workers: &[WorkerNumbers]) {
    if workers.is_empty() {
        return;
    }
    body.push_str(
        "<h2>The workers</h2>\n<div class=\"panel\"><table class=\"counters\">\n\
         <tr><th>worker</th><th>jobs now</th><th>done</th><th>waited</th><th>ran</th></tr>\n",
    );
    for (i, worker) in workers.iter().enumerate() {
        let _ = writeln!(
            body,
            "<tr><th scope=\"row\">{i}</th><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td>{}</td><td>{}</td></tr>",
            grouped(worker.jobs),
            grouped(worker.run.count()),
            in_words(&worker.wait),
            in_words(&worker.run),
        );
    }
    body.push_str("</table></div>\n");
}

/// `120µs on average, 99 % within 1ms`
fn in_words(times: &Times) -> String {
    if times.count() == 0 {
        return "–".to_owned();
    }
    let (mean, longest) = (times.mean(), BOUNDS_US[BOUNDS_US.len() - 1]);
    match times.bound_of_99() {
        Some(bound) => format!("{mean:?} on average, 99 % within {bound:?}"),
        None => format!("{mean:?} on average, some beyond {:?}", Duration::from_micros(longest)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two workers: one has worked, one has not.
    pub fn workers() -> Vec<WorkerNumbers> {
        let counters = WorkerCounters::default();
        let idle = WorkerNumbers::of(&counters);
        counters.jobs.set(3);
        for ms in [0, 2, 2, 30_000] {
            counters.wait.add(Duration::from_micros(5));
            counters.run.add(Duration::from_millis(ms));
        }
        vec![WorkerNumbers::of(&counters), idle]
    }

    #[test]
    fn json_has_every_worker_and_bound() {
        let mut text = String::new();
        json(&mut text, &workers());
        assert!(text.starts_with("\"workers\":[{\"jobs\":3,\"wait\":{\"count\":4,\"sum_us\":20,"));
        let run = "\"run\":{\"count\":4,\"sum_us\":30004000,\"at_most_us\":{\"10\":1,\"100\":1,\
                   \"1000\":1,\"10000\":3,\"100000\":3,\"1000000\":3,\"10000000\":3}}";
        assert!(text.contains(run), "{text}");
        assert_eq!(text.matches("\"jobs\":").count(), 2);
    }

    #[test]
    fn the_page_says_it_in_words() {
        let [busy, idle] = workers().try_into().ok().expect("two workers");
        assert_eq!(in_words(&busy.wait), "5µs on average, 99 % within 10µs");
        assert_eq!(in_words(&busy.run), "7.501s on average, some beyond 10s");
        assert_eq!(in_words(&idle.run), "–");
    }

    #[test]
    fn models_without_workers_do_not_speak_of_them() {
        let mut text = String::new();
        metrics(&mut text, &[]);
        page(&mut text, &[]);
        assert!(text.is_empty());
    }
}
