//! An experiment's part of the page: claim, source, method, verdict, tables and plots.

use std::fmt::Write as _;

use super::data::Entry;
use super::table::table;
use crate::lab::findings::Verdict;
use crate::lab::plot;
use crate::site::pages::text::{escape, grouped};

/// A verdict with a mark and a colour, and what limits it.
pub fn verdict(verdict: &Verdict) -> String {
    let class = class(verdict);
    let mark = mark(verdict);
    format!(
        "<span class=\"verdict {class}\"><span aria-hidden=\"true\">{mark}</span> {}</span>",
        escape(&verdict.to_string())
    )
}

/// The verdict's class in the style sheet.
pub fn class(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::HoldsWithin(_) => "within",
        Verdict::DoesNotHold => "not",
        Verdict::NotTestable(_) => "untested",
    }
}

/// Tells verdicts apart without their colour.
pub fn mark(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "✓",
        Verdict::HoldsWithin(_) => "≈",
        Verdict::DoesNotHold => "✗",
        Verdict::NotTestable(_) => "–",
    }
}

/// The experiment's section. `number` is its place in the run, from 1.
pub fn section(entry: &Entry, number: usize) -> String {
    let id = anchor(&entry.id);
    let mut html = format!(
        "<article id=\"{id}\" aria-labelledby=\"{id}-h\">\n\
         <h3 id=\"{id}-h\"><a href=\"#{id}\">{}</a></h3>\n\
         <p class=\"claim\">{}</p>\n<p class=\"outcome\">{}</p>\n",
        escape(&entry.id),
        escape(&entry.claim),
        verdict(&entry.verdict)
    );
    if !entry.because.is_empty() {
        let _ = writeln!(html, "<p class=\"because\">{}</p>", escape(&entry.because));
    }
    html.push_str(&about(entry));
    let tables: String = entry.tables.iter().map(table).collect();
    let plots: String = entry
        .plots
        .iter()
        .enumerate()
        .map(|(index, shown)| plot::figure(shown, &format!("plot-{number}-{}", index + 1)))
        .collect();
    if !tables.is_empty() || !plots.is_empty() {
        let _ = write!(html, "<div class=\"shown\">\n{tables}{plots}</div>\n");
    }
    html + "</article>\n"
}

/// Where the claim comes from and how it was tested.
fn about(entry: &Entry) -> String {
    let took = match (entry.raw.len(), entry.seconds) {
        (0, seconds) => format!("{seconds:.1} s"),
        (1, seconds) => format!("1 measurement in {seconds:.1} s"),
        (count, seconds) => format!("{} measurements in {seconds:.1} s", grouped(count as u64)),
    };
    format!(
        "<dl class=\"about\">\n<dt>Source</dt><dd>{}</dd>\n<dt>Method</dt><dd>{}</dd>\n\
         <dt>Run</dt><dd>{took}</dd>\n</dl>\n",
        escape(&entry.source),
        escape(&entry.method),
    )
}

/// An experiment's name as the name of a place in the page: no white space, no quote.
pub fn anchor(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    format!("e-{}", id.chars().map(plain).collect::<String>())
}
