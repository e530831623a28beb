//! `--help`, made from the table, and what is said to a flag that nobody knows.

use std::fmt::Write as _;

use super::Options;
use super::error::{Fault, OptionsError};
use super::list::GROUPS;
use super::table::{Entry, Setter, entries, models_with};
use crate::model::ModelInfo;

/// Columns of a terminal that nobody has widened.
const WIDTH: usize = 80;
/// Where the explanations begin: two columns after the longest flag and its value.
const INDENT: usize = 26;

/// Flags of other servers, and what they are called here.
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
pub(super) fn text(info: &ModelInfo) -> String {
    let name = info.name;
    let mut out = format!("{name} ({}): an HTTP server\n", info.title);
    paragraph(&mut out, info.lesson, 0);
    let _ = write!(out, "\nUsage: {name} [OPTION]...\n\n");
    for (command, meaning) in [
        (name.to_owned(), "a welcome page on 127.0.0.1, port 8080"),
        (format!("{name} --root ."), "the files of this directory"),
        (format!("{name} --root . --listen :80"), "the same, for everyone"),
    ] {
        let _ = writeln!(out, "  {command:<34}{meaning}");
    }
    let defaults = Options::default();
    for group in GROUPS.iter().filter(|group| group.is_for(name)) {
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

/// What holds for all options.
const ENDING: [&str; 3] = [
    "SIZE is a number of bytes, or one with K, M or G: 16K. TIME has a unit: 500ms, 10s, 2m, 1h. \
     [Brackets] show the default. --no-NAME turns a switch off, --NAME turns it on.",
    "Every option is also an environment variable: STAMPEDE_HEAD_TIMEOUT=5s is --head-timeout 5s, \
     STAMPEDE_STATUS=off is --no-status; commas separate repeated values. Arguments win.",
    "SIGTERM and SIGINT stop the server when it has answered what it has in hand, a second one \
     stops it at once; SIGQUIT lets that take its time. SIGHUP opens the log file again, and replaces \
     worker processes by new ones. SIGUSR2 starts the program again on the same sockets: a newer \
     version of it takes over, and this one finishes.",
];

/// `--head-timeout TIME`; of a switch the form that changes the default.
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

/// One line of the help, or a few, the explanation in its column.
fn item(out: &mut String, flag: &str, explanation: &str) {
    let _ = write!(out, "  {flag:<width$}", width = INDENT - 2);
    let mut text = String::new();
    paragraph(&mut text, explanation, INDENT);
    out.push_str(text.trim_start());
}

/// `text` in lines of at most [`WIDTH`] columns, `indent` of them empty.
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

/// The error for a flag that is not in the model's table, with the nearest one that is.
pub(super) fn unknown(info: &ModelInfo, flag: &str) -> OptionsError {
    let others = models_with(flag.trim_start_matches('-'));
    if !others.is_empty() {
        let cause = format!("{} has no such option", info.name);
        return Fault::new(cause, format!("It is one of {}", others.join(" and "))).of(flag, None);
    }
    let hint = match nearest(info, flag) {
        Some(near) => format!("Did you mean {near}? See --help for all of them"),
        None => "See --help for all there are".to_owned(),
    };
    Fault::new("there is no such option", hint).of(flag, None)
}

/// What is called so elsewhere, or spelt most like it here.
fn nearest(info: &ModelInfo, flag: &str) -> Option<String> {
    let entries = || entries(info.name);
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
    // A third of the letters wrong is still recognisable; more is a guess that helps nobody.
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
