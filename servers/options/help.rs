//! `--help`, generated from the table, and the error for an unknown flag.

use std::fmt::Write as _;

use super::Options;
use super::error::{Fault, OptionsError};
use super::list::{GROUPS, entries, models_with};
use super::table::{Entry, Model, Setter};

/// Columns of a default terminal.
const WIDTH: usize = 80;
/// Column of the explanations: two after the longest flag and its value.
const INDENT: usize = 26;

/// Flags of other servers, and their equivalents here.
const ELSEWHERE: [(&str, &str); 8] = [
    ("--port", "--listen PORT"),
    ("--host", "--listen IP:PORT"),
    ("--bind", "--listen IP:PORT"),
    ("--addr", "--listen IP:PORT"),
    ("--directory", "--root DIR"),
    ("--dir", "--root DIR"),
    ("--keep-alive", "--idle-timeout TIME"),
    ("--timeout", "--request-timeout TIME"),
];

/// The whole help.
pub(super) fn text(model: Model<'_>) -> String {
    let (info, name) = (model.info, model.info.name);
    let mut out = format!("{name} ({}): an HTTP server\n", info.title);
    paragraph(&mut out, info.lesson, 0);
    let _ = write!(out, "\nUsage: {name} [OPTION]...\n\n");
    for (command, meaning) in [
        (name.to_owned(), "a welcome page on 127.0.0.1, port 8080"),
        (format!("{name} --root ."), "the files in this directory"),
        (format!("{name} --root . --listen :80"), "the same, reachable from other machines"),
    ] {
        let _ = writeln!(out, "  {command:<34}{meaning}");
    }
    let defaults = Options::default();
    for group in GROUPS.iter().filter(|group| model.takes(group)) {
        let _ = write!(out, "\n{}\n", group.title);
        for entry in group.entries {
            item(&mut out, &flag_and_value(entry, &defaults), &explanation(entry, &defaults));
        }
    }
    out.push_str("\nThis program\n");
    item(&mut out, "-h, --help", "print this");
    item(&mut out, "-V, --version", "print the version");
    for text in ENDING {
        out.push('\n');
        paragraph(&mut out, text, 0);
    }
    out
}

/// Notes on all options.
const ENDING: [&str; 3] = [
    "SIZE is a number of bytes, or one with K, M or G: 16K. TIME has a unit: 500ms, 10s, 2m, 1h. \
     [Brackets] show the default. --no-NAME turns a switch off, --NAME turns it on.",
    "Every option is also an environment variable: STAMPEDE_HEAD_TIMEOUT=5s is --head-timeout 5s, \
     STAMPEDE_STATUS=off is --no-status; commas separate repeated values. Arguments take \
     precedence.",
    "SIGTERM and SIGINT stop the server after the requests in flight, a second one stops it at \
     once; SIGQUIT waits without a time limit. SIGHUP reopens the log file and replaces worker \
     processes. SIGUSR2 re-executes the binary with the listening sockets inherited; the old \
     process then finishes.",
];

/// `--head-timeout TIME`; for a switch, the form that changes the default.
fn flag_and_value(entry: &Entry, defaults: &Options) -> String {
    match entry.setter {
        Setter::Switch(_) if entry.show(defaults) == "on" && entry.flag != "demo" => {
            format!("--no-{}", entry.flag)
        }
        Setter::Switch(_) => format!("--{}", entry.flag),
        _ => format!("--{} {}", entry.flag, entry.value),
    }
}

fn explanation(entry: &Entry, defaults: &Options) -> String {
    match entry.setter {
        Setter::Switch(_) => entry.help.to_owned(),
        _ => format!("{} [{}]", entry.help, entry.show(defaults)),
    }
}

/// One option: a line or more, with the explanation in its column.
fn item(out: &mut String, flag: &str, explanation: &str) {
    let _ = write!(out, "  {flag:<width$}", width = INDENT - 2);
    let mut text = String::new();
    paragraph(&mut text, explanation, INDENT);
    out.push_str(text.trim_start());
}

/// Wraps `text` at [`WIDTH`] columns, indented by `indent`.
fn paragraph(out: &mut String, text: &str, indent: usize) {
    let mut column = WIDTH;
    for word in text.split_whitespace() {
        let columns = word.chars().count();
        if column + 1 + columns > WIDTH {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push('\n');
            }
            let _ = write!(out, "{:indent$}{word}", "");
            column = indent + columns;
        } else {
            let _ = write!(out, " {word}");
            column += 1 + columns;
        }
    }
    out.push('\n');
}

/// The error for a flag that is not in the model's table, with the closest one that is.
pub(super) fn unknown(model: Model<'_>, flag: &str) -> OptionsError {
    let others = models_with(flag.trim_start_matches('-'), model.all);
    if !others.is_empty() {
        let cause = format!("{} has no such option", model.info.name);
        return Fault::new(cause, format!("it belongs to {}", others.join(" and "))).of(flag, None);
    }
    let hint = match nearest(model, flag) {
        Some(near) => format!("did you mean {near}? See --help"),
        None => "see --help".to_owned(),
    };
    Fault::new("no such option", hint).of(flag, None)
}

/// The equivalent of another server's flag, or the closest spelling.
fn nearest(model: Model<'_>, flag: &str) -> Option<String> {
    let entries = || entries(model);
    if let Some((_, ours)) = ELSEWHERE.iter().find(|(theirs, _)| *theirs == flag) {
        return Some((*ours).to_owned());
    }
    let negations = entries().filter(|entry| matches!(entry.setter, Setter::Switch(_)));
    let (distance, near) = entries()
        .map(|entry| format!("--{}", entry.flag))
        .chain(negations.map(|entry| format!("--no-{}", entry.flag)))
        .chain(["--help".to_owned(), "--version".to_owned()])
        .map(|known| (edit_distance(flag, &known), known))
        .min_by_key(|(distance, _)| *distance)?;
    // With up to a third of the letters wrong a flag is recognisable; beyond that, guesses mislead.
    (distance <= flag.len() / 3).then_some(near)
}

/// Letters to insert, remove or replace (Wagner and Fischer 1974), one row of the table at a time.
fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
