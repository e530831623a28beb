//! The page: what it begins with, the verdicts, the summary, the texts' figures, all experiments.
//!
//! It fetches nothing, runs nothing, and says so by its own `Content-Security-Policy`, which allows
//! this one style sheet by its digest. All text that is no constant of this program is escaped.

use std::fmt::Write as _;

use super::DATA;
use super::data::{Data, Entry};
use super::experiment::{anchor, class, mark, section, verdict};
use super::table::table;
use crate::lab::findings::Verdict;
use crate::lab::machine::Machine;
use crate::lab::plot;
use crate::site::pages::text::{escape, grouped, size};

const STYLE: &str = include_str!("style.css");
/// Of [`STYLE`], in base64; a test computes it.
const STYLE_DIGEST: &str = "sha256-trjIPalaVcIIQbdwNW5LSZGOiJdpYZL0exWuvOKxLvQ=";
const TITLE: &str = "What is said about the models, measured";
/// The page's icon: three bars.
const ICON: &str = "data:image/svg+xml,\
%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
%3Crect width='16' height='16' rx='4' fill='%23c2410c'/%3E\
%3Cpath d='M4 12V8M8 12V4M12 12V6' stroke='white' stroke-width='2' stroke-linecap='round'/%3E\
%3C/svg%3E";

/// The document.
pub fn page(data: &Data) -> String {
    let mut body = String::with_capacity(1 << 16);
    body.push_str("<a class=\"skip\" href=\"#verdicts\">Skip to the verdicts</a>\n");
    body.push_str(plot::DEFINITIONS);
    body.push_str(&header(data));
    body.push_str("<main>\n");
    body.push_str(&verdicts(&data.entries));
    body.push_str(&data.summary.as_ref().map_or(String::new(), summary));
    body.push_str(&said(&data.entries));
    body.push_str(&experiments(&data.entries));
    body.push_str("</main>\n");
    body.push_str(&footer(data));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src '{STYLE_DIGEST}'; img-src data:; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"generator\" content=\"Stampede {}\">\n\
         <title>{TITLE} – Stampede</title>\n<link rel=\"icon\" href=\"{ICON}\">\n\
         <style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escape(data.machine.version)
    )
}

fn header(data: &Data) -> String {
    let Machine { cores, processor, kernel, memory_bytes, descriptors, date, version } =
        &data.machine;
    let of_cores = if *cores == 1 { "core" } else { "cores" };
    let descriptors = descriptors.map_or("no limit".to_owned(), grouped);
    let mut html = format!(
        "<header>\n<p class=\"brand\">Stampede <span>lab</span></p>\n<h1>{TITLE}</h1>\n\
         <p class=\"lead\">Claims of the literature about the concurrency models of network \
         servers, tested on one machine. The verdicts are computed from this run's figures: \
         another machine may say otherwise.</p>\n"
    );
    if data.partial {
        let count = data.entries.len();
        let experiments =
            if count == 1 { "1 experiment".into() } else { format!("{count} experiments") };
        let _ = writeln!(
            html,
            "<p class=\"partial\"><strong>A part of a run.</strong> It was interrupted: \
             {experiments} had finished, and these are shown.</p>"
        );
    }
    let facts = [
        ("Processor", format!("{cores} {of_cores} of {}", escape(processor))),
        ("Memory", size(*memory_bytes)),
        ("System", escape(kernel).to_string()),
        ("Open files", format!("{descriptors} for a process")),
        ("Date", escape(date).to_string()),
        ("Program", format!("Stampede {}", escape(version))),
    ];
    html.push_str("<dl class=\"facts\">\n");
    for (name, value) in facts {
        let _ = writeln!(html, "<div><dt>{name}</dt><dd>{value}</dd></div>");
    }
    html + "</dl>\n</header>\n"
}

/// How many claims have each verdict, and the list of all with their places in the page.
fn verdicts(entries: &[Entry]) -> String {
    let mut html =
        String::from("<section aria-labelledby=\"verdicts\">\n<h2 id=\"verdicts\">Verdicts</h2>\n");
    let kinds = [
        Verdict::Holds,
        Verdict::HoldsWithin(String::new()),
        Verdict::DoesNotHold,
        Verdict::NotTestable(String::new()),
    ];
    html.push_str("<ul class=\"tally\">\n");
    for kind in &kinds {
        let count = entries.iter().filter(|entry| class(&entry.verdict) == class(kind)).count();
        let (class, mark, kind) = (class(kind), mark(kind), plural(kind, count));
        let _ = writeln!(
            html,
            "<li class=\"{class}\"><span class=\"mark\" aria-hidden=\"true\">{mark}</span> \
             <strong>{count}</strong> {kind}</li>"
        );
    }
    html.push_str("</ul>\n<ol class=\"verdicts\">\n");
    for entry in entries {
        let _ = writeln!(
            html,
            "<li><a href=\"#{}\">{}</a> <span class=\"claim\">{}</span> {}</li>",
            anchor(&entry.id),
            escape(&entry.id),
            escape(&entry.claim),
            verdict(&entry.verdict)
        );
    }
    html + "</ol>\n</section>\n"
}

/// A verdict's kind after a number of claims.
fn plural(verdict: &Verdict, count: usize) -> &'static str {
    match verdict {
        Verdict::NotTestable(_) => "cannot be tested here",
        Verdict::Holds if count == 1 => "holds",
        Verdict::Holds => "hold",
        Verdict::HoldsWithin(_) if count == 1 => "holds within limits",
        Verdict::HoldsWithin(_) => "hold within limits",
        Verdict::DoesNotHold if count == 1 => "does not hold here",
        Verdict::DoesNotHold => "do not hold here",
    }
}

fn summary(summary: &crate::lab::findings::Table) -> String {
    format!(
        "<section class=\"summary\" aria-labelledby=\"summary\">\n\
         <h2 id=\"summary\">The models beside each other</h2>\n{}</section>\n",
        table(summary)
    )
}

/// The texts' figures beside this machine's.
fn said(entries: &[Entry]) -> String {
    let all = || entries.iter().flat_map(|entry| entry.said.iter().map(move |said| (entry, said)));
    if all().next().is_none() {
        return String::new();
    }
    let mut html = String::from(
        "<section aria-labelledby=\"said\">\n\
         <h2 id=\"said\">What the texts say, and what this machine showed</h2>\n\
         <div class=\"scroll\" role=\"region\" aria-labelledby=\"said\" tabindex=\"0\">\n\
         <table class=\"said\">\n<thead><tr><th scope=\"col\">Figure</th>\
         <th scope=\"col\">The texts</th><th scope=\"col\">This machine</th></tr></thead>\n\
         <tbody>\n",
    );
    for (entry, said) in all() {
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\"><a href=\"#{}\">{}</a></th><td>{}</td>\
             <td class=\"here\">{}</td></tr>",
            anchor(&entry.id),
            escape(&said.what),
            escape(&said.says),
            escape(&said.here)
        );
    }
    html + "</tbody>\n</table>\n</div>\n</section>\n"
}

fn experiments(entries: &[Entry]) -> String {
    let sections: String =
        entries.iter().enumerate().map(|(index, entry)| section(entry, index + 1)).collect();
    format!(
        "<section aria-labelledby=\"experiments\">\n<h2 id=\"experiments\">Experiments</h2>\n\
         {sections}</section>\n"
    )
}

fn footer(data: &Data) -> String {
    let count: usize = data.entries.iter().map(|entry| entry.raw.len()).sum();
    let seconds: f64 = data.entries.iter().map(|entry| entry.seconds).sum();
    format!(
        "<footer>\n<p>All {} measurements are in <a href=\"{DATA}\">{DATA}</a>, one JSON object a \
         line. The experiments took {:.0} min {:.0} s. \
         <a class=\"back\" href=\"#verdicts\">Back to the verdicts\
         </a></p>\n</footer>\n",
        grouped(count as u64),
        (seconds / 60.0).floor(),
        (seconds % 60.0).floor()
    )
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use sha2::Digest as _;

    use super::*;

    #[test]
    fn the_styles_digest_is_right() {
        let digest = sha2::Sha256::digest(STYLE);
        let digest = base64::engine::general_purpose::STANDARD.encode(digest);
        assert_eq!(STYLE_DIGEST, format!("sha256-{digest}"));
    }

    #[test]
    fn the_style_could_not_end_its_own_element() {
        assert!(!STYLE.contains("</") && !STYLE.contains("<!--") && !STYLE.contains('\r'));
    }
}
