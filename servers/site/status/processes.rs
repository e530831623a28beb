//! The worker processes on the status pages, for a model that has them.

use std::fmt::Write as _;

use crate::metrics::{Metrics, Report, State, total};
use crate::site::pages::text::grouped;

/// A worker process and the numbers of its slots.
pub(super) struct Process {
    report: Report,
    connections_open: u64,
    connections_accepted: u64,
    requests: u64,
}

/// The current workers. Their slots may have counted for predecessors: totals are the slots'.
pub(super) fn of(metrics: &Metrics) -> Vec<Process> {
    let process = |report: Report| {
        let slots = metrics.of_process(report.slot);
        Process {
            report,
            connections_open: total(slots, |slot| &slot.connections_open),
            connections_accepted: total(slots, |slot| &slot.connections_accepted),
            requests: total(slots, |slot| &slot.requests),
        }
    };
    metrics.processes().reports().map(process).collect()
}

/// How many are serving.
pub(super) fn serving(processes: &[Process]) -> usize {
    processes.iter().filter(|process| process.report.state == State::Serving).count()
}

/// How many have crashed, and were or will be replaced.
pub(super) fn restarts(processes: &[Process]) -> u64 {
    processes.iter().map(|process| process.report.restarts).sum()
}

/// An array of objects for `/status.json`.
pub(super) fn json(text: &mut String, processes: &[Process]) {
    text.push('[');
    for (number, process) in processes.iter().enumerate() {
        let Process { report, connections_open, connections_accepted, requests } = process;
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(
            text,
            "{comma}{{\"number\":{number},\"pid\":{},\"state\":\"{}\",\"restarts\":{},\
             \"connections_open\":{connections_open},\
             \"connections_accepted\":{connections_accepted},\"requests\":{requests}}}",
            report.pid,
            report.state.name(),
            report.restarts
        );
    }
    text.push(']');
}

/// A table for `/status`; nothing in a model without them. `status.js` updates the same cells.
pub(super) fn table(body: &mut String, processes: &[Process]) {
    if processes.is_empty() {
        return;
    }
    body.push_str(
        "<h2>Worker processes</h2>\n<div class=\"panel\"><table class=\"counters\">\n<tr>\
         <th scope=\"col\">number</th><th scope=\"col\">process</th><th scope=\"col\">state</th>\
         <th scope=\"col\">restarts</th><th scope=\"col\">connections</th>\
         <th scope=\"col\">requests</th></tr>\n",
    );
    for (number, process) in processes.iter().enumerate() {
        let _ = writeln!(
            body,
            "<tr data-process=\"{number}\"><th scope=\"row\">{number}</th>\
             <td class=\"number\">{}</td><td>{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            process.report.pid,
            process.report.state.name(),
            grouped(process.report.restarts),
            grouped(process.connections_open),
            grouped(process.requests)
        );
    }
    body.push_str("</table></div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Vec<Process> {
        let metrics = Metrics::with_processes(2, 2, 2).unwrap();
        metrics.processes().assign(0, 11, 2);
        metrics.processes().set_state(0, State::Serving);
        metrics.processes().assign(1, 12, 0);
        metrics.processes().count_restart(1);
        let slot = metrics.slot(3).unwrap();
        slot.connections_open.add(7);
        slot.requests.add(1234);
        of(&metrics)
    }

    #[test]
    fn each_process_is_listed_with_the_numbers_of_its_slots() {
        let mut text = String::new();
        json(&mut text, &two());
        assert_eq!(
            text,
            "[{\"number\":0,\"pid\":11,\"state\":\"serving\",\"restarts\":0,\
             \"connections_open\":7,\"connections_accepted\":0,\"requests\":1234},\
             {\"number\":1,\"pid\":12,\"state\":\"starting\",\"restarts\":1,\
             \"connections_open\":0,\"connections_accepted\":0,\"requests\":0}]"
        );
        assert_eq!((serving(&two()), restarts(&two())), (1, 1));
        let mut page = String::new();
        table(&mut page, &two());
        assert_eq!(page.matches("data-process=").count(), 2);
        assert!(page.contains("<td class=\"number\">1,234</td>"), "{page}");
    }

    #[test]
    fn a_server_without_worker_processes_does_not_speak_of_them() {
        let mut page = String::new();
        table(&mut page, &of(&Metrics::new(1).unwrap()));
        assert!(page.is_empty());
    }
}
